//! A batch into records.

use crate::{AttributionError, files};
use ascribe_attribution::Columns;
use clap::Args;
use std::path::PathBuf;

/// What `attribution decode` takes.
#[derive(Args, Debug, Clone)]
pub struct DecodeArgs {
    /// The batch, as raw bytes or in hex
    #[arg(value_name = "FILE", default_value = "-")]
    batch: PathBuf,
    /// Print the header, one JSON object, instead of the records
    #[arg(long)]
    header: bool,
}

pub(crate) fn run(args: &DecodeArgs) -> Result<(), AttributionError> {
    let (header, columns) = Columns::of_batch(&files::read_batch(&args.batch)?)?;
    let mut out = String::new();
    let mut line = |object: serde_json::Result<String>| {
        out += &object.expect("invariant: headers and records have JSON");
        out.push('\n');
    };
    if args.header {
        line(serde_json::to_string(&header));
    } else {
        for record in columns.records() {
            line(serde_json::to_string(&record));
        }
    }
    files::write("-".as_ref(), out.as_bytes())
}
