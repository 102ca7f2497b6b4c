//! A batch into records.

use crate::{
    AttributionError,
    files::{self, Out},
};
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

pub(crate) fn run(args: &DecodeArgs, out: Out<'_>) -> Result<(), AttributionError> {
    let (header, columns) = Columns::of_batch(&files::read_batch(&args.batch)?)?;
    if args.header {
        return files::print_json(out, &header);
    }
    let mut lines = String::new();
    for record in columns.records() {
        lines += &serde_json::to_string(&record).expect("invariant: records have JSON");
        lines.push('\n');
    }
    files::print(out, lines)
}
