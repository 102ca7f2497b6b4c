//! `attribution prove`.

use super::{Proof, Proven};
use crate::{
    AttributionError,
    args::{self, HubArgs, NodeArgs, PayeeName},
    files::{self, Out},
    node::Node,
};
use alloy_eips::BlockId;
use alloy_primitives::{B256, keccak256};
use ascribe_attribution::{ListId, hub};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What `attribution prove` takes.
#[derive(Args, Debug, Clone)]
pub struct ProveArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug, Clone)]
enum What {
    /// That a record is in a settled batch: which answer, whose sources, who vouches for it
    Record {
        /// List of the batch: its number, or OPERATOR:SEQUENCE
        #[arg(value_parser = args::list)]
        list: ListId,
        /// Place of the record in the batch, from 0
        index: u32,
        #[command(flatten)]
        how: HowArgs,
    },
    /// That a list pays a payee, whether that is claimed, and whether the list is open or merged into another
    Payout {
        /// The list: its number, OPERATOR:SEQUENCE, or merged:N
        #[arg(value_parser = args::list)]
        list: ListId,
        /// The payee: model:M, adapter:M:A, source:M:A:S, operator:ADDRESS, or its key
        payee: PayeeName,
        #[command(flatten)]
        how: HowArgs,
    },
}

#[derive(Args, Debug, Clone)]
struct HowArgs {
    /// Prove it by the state after this block: a number, a hash, or a tag
    #[arg(long, value_name = "BLOCK", default_value = "latest", value_parser = args::block_or_hash)]
    block: BlockId,
    /// Where the proof goes [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    hub: HubArgs,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// A header of fields that are not those of the chain's.
    #[error(
        "the node's header of block {number} hashes to {found}, not to {hash}: the chain has fields that are not known here"
    )]
    Header {
        /// The block.
        number: u64,
        /// The hash of the header as known here.
        found: B256,
        /// The hash that the node says.
        hash: B256,
    },
    /// Answers that do not prove anything.
    #[error("the node's answers do not prove it: {0}")]
    Answers(super::ProofError),
}

pub(crate) async fn run(args: &ProveArgs, out: Out<'_>) -> Result<(), AttributionError> {
    let (list, how) = match &args.what {
        What::Record { list, how, .. } | What::Payout { list, how, .. } => (*list, how),
    };
    let node = Node::connect(&how.node.rpc_url, how.hub.hub, None).await?;
    let proven = match &args.what {
        What::Record { index, .. } => Proven::Record(node.record_proof(list, *index).await?.into()),
        What::Payout { payee, .. } => {
            Proven::Payout(node.payout_proof(list, payee.0).await?.into())
        }
    };
    let proof = prove(&node, list, proven, how.block).await?;
    let mut text = serde_json::to_string_pretty(&proof).expect("invariant: proofs have JSON");
    text.push('\n');
    files::write(out, how.out.as_deref().unwrap_or_else(|| "-".as_ref()), text.as_bytes())
}

/// Adds what ties it to a block. Nothing is returned that [`Proof::check`] would refuse.
async fn prove(
    node: &Node,
    list: ListId,
    mut proven: Proven,
    block: BlockId,
) -> Result<Proof, AttributionError> {
    let header = node.block(block).await?.header;
    let block_header = alloy_rlp::encode(&header.inner);
    let (number, hash, found) = (header.inner.number, header.hash, keccak256(&block_header));
    if found != hash {
        return Err(ProveError::Header { number, found, hash }.into());
    }
    let account = node.hub_slots(proven.slots(list), hash).await?;
    if let (Proven::Payout(payout), Some(word)) = (&mut proven, account.storage_proof.get(1)) {
        // As of the block, which need not be the one that the index is at.
        let (_, bit) = hub::claimed_slot(list, payout.position);
        payout.claimed = word.value.bit(bit.into());
    }
    let proof = Proof {
        chain_id: node.chain_id,
        hub: node.hub,
        list,
        proven,
        account,
        block_header: block_header.into(),
    };
    proof.check(node.hub).map_err(ProveError::Answers)?;
    Ok(proof)
}
