//! `attribution verify`.

use super::Proof;
use crate::{
    AttributionError,
    args::HubArgs,
    files::{self, Out},
};
use alloy_primitives::B256;
use clap::Args;
use std::path::PathBuf;

/// What `attribution verify` takes.
#[derive(Args, Debug, Clone)]
pub struct VerifyArgs {
    /// The proof, as `prove` writes it
    #[arg(value_name = "FILE", default_value = "-")]
    proof: PathBuf,
    /// Hash of a block that is known to be the chain's: the proof's must be that one
    #[arg(long, value_name = "HASH", conflicts_with = "output_root")]
    block_hash: Option<B256>,
    /// Output root that is known to be the chain's: that of the proof's block must be it
    #[arg(long, value_name = "ROOT")]
    output_root: Option<B256>,
    #[command(flatten)]
    hub: HubArgs,
}

pub(crate) fn run(args: &VerifyArgs, out: Out<'_>) -> Result<(), AttributionError> {
    let proof: Proof = files::read_object(&args.proof)?;
    let verified = proof.check(args.hub.hub)?;
    let mut lines = verified.facts.clone();
    if let Some(hash) = args.block_hash {
        verified.check_block_hash(hash)?;
        lines.push("that is the block hash given".to_owned());
    } else if let Some(root) = args.output_root {
        verified.check_output_root(root)?;
        lines.push(format!("its output root is {root}, the one given"));
    } else {
        lines.push(format!(
            "NOT PROVEN: that block {} of chain {} has the hash {}",
            verified.block_number, verified.chain_id, verified.block_hash
        ));
        if let Some(root) = verified.output_root {
            lines.push(format!("NOT PROVEN, and enough: that its output root is {root}"));
        }
    }
    files::print(out, lines.join("\n") + "\n")
}
