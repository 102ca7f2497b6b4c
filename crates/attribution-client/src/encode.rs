//! Records into a batch.

use crate::{
    AttributionError,
    args::HUB,
    files::{self, Out},
    read_records, stats,
};
use alloy_primitives::{Address, B256, hex};
use ascribe_attribution::{Batch, Detail, Header, merkle};
use clap::Args;
use std::path::PathBuf;

/// What `attribution encode` takes.
#[derive(Args, Debug, Clone)]
pub struct EncodeArgs {
    /// Records, one JSON object a line
    #[arg(value_name = "FILE", default_value = "-")]
    records: PathBuf,
    /// The header as JSON, as `decode --header` prints it, in place of the flags below
    #[arg(long, value_name = "FILE")]
    header: Option<PathBuf>,
    /// Chain that the batch is for
    #[arg(long, value_name = "ID", required_unless_present = "header", conflicts_with = "header")]
    chain_id: Option<u64>,
    /// Contract that settles it
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = HUB,
        conflicts_with = "header"
    )]
    hub: Address,
    /// Number of the model
    #[arg(long, value_name = "N", required_unless_present = "header", conflicts_with = "header")]
    model: Option<u32>,
    /// Who submits it
    #[arg(
        long,
        value_name = "ADDRESS",
        required_unless_present = "header",
        conflicts_with = "header"
    )]
    operator: Option<Address>,
    /// How many batches of the operator came before
    #[arg(long, value_name = "N", required_unless_present = "header", conflicts_with = "header")]
    sequence: Option<u64>,
    /// What the records' times count from, in seconds since 1970
    #[arg(
        long,
        value_name = "SECONDS",
        required_unless_present = "header",
        conflicts_with = "header"
    )]
    time_base: Option<u64>,
    /// Details of the records, one JSON object a line in the records' order; their root goes into the header
    #[arg(long, value_name = "FILE")]
    details: Option<PathBuf>,
    /// Leave records of one second in the order in which they come; otherwise they are put in the order of adapters,
    /// which takes less space
    #[arg(long)]
    keep_order: bool,
    /// Where the batch goes, as raw bytes [default: standard output, in hex]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Say where the bytes go instead: bits a record by column, beside the least that they could be
    #[arg(long)]
    stats: bool,
}

impl EncodeArgs {
    fn header(&self) -> Result<Header, AttributionError> {
        if let Some(path) = &self.header {
            return files::read_object(path);
        }
        Ok(Header {
            chain_id: self.chain_id.unwrap_or_default(),
            hub: self.hub,
            model: self.model.unwrap_or_default(),
            operator: self.operator.unwrap_or_default(),
            sequence: self.sequence.unwrap_or_default(),
            time_base: self.time_base.unwrap_or_default(),
            detail_root: B256::ZERO,
        })
    }

    fn batch(&self) -> Result<Batch, AttributionError> {
        let records = read_records(&self.records)?;
        let mut batch = Batch { header: self.header()?, records };
        let order = if self.keep_order { None } else { Some(batch.sort()) };
        if let Some(path) = &self.details {
            let details: Vec<Detail> = files::read_lines(path)?;
            if details.len() != batch.records.len() {
                let records = batch.records.len();
                return Err(AttributionError::Details { details: details.len(), records });
            }
            let details = match order {
                Some(order) => order.into_iter().map(|at| details[at].clone()).collect(),
                None => details,
            };
            batch.header.detail_root = merkle::root(&Detail::leaves(&details));
        }
        Ok(batch)
    }
}

pub(crate) fn run(args: &EncodeArgs, out: Out<'_>) -> Result<(), AttributionError> {
    let batch = args.batch()?;
    let bytes = batch.encode()?;
    if args.stats {
        let table = stats::table(&batch.columns()?, bytes.len());
        return files::print(out, table);
    }
    match &args.out {
        Some(path) => files::write(out, path, &bytes),
        None => files::print(out, format!("{}\n", hex::encode_prefixed(bytes))),
    }
}
