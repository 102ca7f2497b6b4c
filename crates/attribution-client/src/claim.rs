//! `attribution claim`.

use crate::{
    AttributionError,
    args::{self, HubArgs, KeyArgs, NodeArgs, PayeeName},
    files::{self, Out},
    node::{Node, NodeError},
};
use alloy_primitives::{Address, B256, U256};
use ascribe_attribution::{
    ListId, Payout,
    hub::{
        Claim,
        IAttributionHub::{claimCall, claimManyCall, payeeOfCall},
    },
};
use ascribe_attribution_index::answer::{EarningsFilter, PayoutProof};
use clap::Args;
use serde::Serialize;
use std::time::Duration;

/// Claims of one transaction, at most: some five million gas.
const AT_ONCE: usize = 100;

/// What `attribution claim` takes.
#[derive(Args, Debug, Clone)]
pub struct ClaimArgs {
    /// The payee: model:M, adapter:M:A, source:M:A:S, operator:ADDRESS, or its key
    payee: PayeeName,
    /// Claim of this list only; may come more than once [default: of all lists]
    #[arg(long = "list", value_name = "LIST", value_parser = args::list)]
    lists: Vec<ListId>,
    /// Find out what would be claimed, and that the hub would pay it; send nothing. Takes no key
    #[arg(long)]
    dry_run: bool,
    /// Seconds that a transaction may take to be in a block
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    hub: HubArgs,
    #[command(flatten)]
    key: KeyArgs,
}

/// Why nothing is claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// All is claimed, or there never was anything.
    #[error("nothing to claim for {0}")]
    Nothing(String),
    /// Nobody to pay.
    #[error("{0} has no address yet: its payouts wait until the hub knows an owner or payee")]
    NoAddress(String),
    /// Of this list it is claimed.
    #[error("--list: the payout of list {0} is claimed already")]
    Claimed(ListId),
    /// The list went into another.
    #[error("--list: list {list} was merged into {into}; claim of that")]
    Merged {
        /// The list.
        list: ListId,
        /// The other one.
        into: ListId,
    },
}

/// A payout that is claimed, or would be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claimed {
    list: ListId,
    position: u32,
    payee: PayeeName,
    amount: String,
    to: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_hash: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_number: Option<u64>,
}

pub(crate) async fn run(args: &ClaimArgs, out: Out<'_>) -> Result<(), AttributionError> {
    let signer = if args.dry_run { args.key.signer_if_any()? } else { Some(args.key.signer()?) };
    let from = signer.as_ref().map(|signer| signer.address());
    let node = Node::connect(&args.node.rpc_url, args.hub.hub, signer).await?;
    let to = node.call(&payeeOfCall { payee: args.payee.0.key() }).await?;
    if to.is_zero() {
        return Err(ClaimError::NoAddress(args.payee.to_string()).into());
    }
    let lists = match &args.lists[..] {
        [] => claimable(&node, args.payee).await?,
        lists => unique(lists),
    };
    for lists in lists.chunks(AT_ONCE) {
        let mut proofs = Vec::with_capacity(lists.len());
        for list in lists {
            let proof = node.payout_proof(*list, args.payee.0).await?;
            match open(&proof) {
                Ok(()) => proofs.push(proof),
                // Somebody was faster.
                Err(_) if args.lists.is_empty() => {}
                Err(error) => return Err(error.into()),
            }
        }
        if proofs.is_empty() {
            continue;
        }
        let (transaction_hash, block_number) =
            args.claim(&node, from.unwrap_or(to), &proofs).await?;
        for proof in proofs {
            let claimed = Claimed {
                list: proof.list,
                position: proof.position,
                payee: args.payee,
                amount: proof.amount.to_string(),
                to,
                transaction_hash,
                block_number,
            };
            files::print_json(out, &claimed)?;
        }
    }
    Ok(())
}

/// Each once, in the order in which they come.
fn unique(lists: &[ListId]) -> Vec<ListId> {
    let mut kept = Vec::with_capacity(lists.len());
    for list in lists {
        if !kept.contains(list) {
            kept.push(*list);
        }
    }
    kept
}

/// The lists that the payee can claim of.
async fn claimable(node: &Node, payee: PayeeName) -> Result<Vec<ListId>, AttributionError> {
    let (mut lists, mut filter) = (Vec::new(), EarningsFilter::default());
    loop {
        let page = node.earnings(payee.0, &filter).await?;
        let open = page.payouts.iter().filter(|it| !it.claimed && it.merged_into.is_none());
        lists.extend(open.map(|it| it.list));
        if page.cursor.is_none() {
            break;
        }
        filter.cursor = page.cursor;
    }
    if lists.is_empty() {
        return Err(ClaimError::Nothing(payee.to_string()).into());
    }
    Ok(lists)
}

/// That it can be claimed.
fn open(proof: &PayoutProof) -> Result<(), ClaimError> {
    match proof.merged_into {
        // What was claimed before stays claimed.
        _ if proof.claimed => Err(ClaimError::Claimed(proof.list)),
        Some(into) => Err(ClaimError::Merged { list: proof.list, into }),
        None => Ok(()),
    }
}

impl ClaimArgs {
    /// One transaction, or of a dry run none.
    async fn claim(
        &self,
        node: &Node,
        from: Address,
        proofs: &[PayoutProof],
    ) -> Result<(Option<B256>, Option<u64>), NodeError> {
        let mut claims: Vec<Claim> = proofs
            .iter()
            .map(|proof| {
                let payout = Payout { payee: self.payee.0, amount: proof.amount };
                Claim::new(proof.list, proof.position, &payout, proof.proof.clone())
            })
            .collect();
        let count = claims.len();
        let (gas, sent) = match claims.pop() {
            Some(claim) if claims.is_empty() => {
                self.transact(node, from, &claimCall { claim }).await?
            }
            last => {
                claims.extend(last);
                self.transact(node, from, &claimManyCall { claims }).await?
            }
        };
        let Some(transaction) = sent else {
            eprintln!("dry run: {count} payouts for {gas} gas");
            return Ok((None, None));
        };
        eprintln!("{count} payouts: {transaction}");
        let receipt = node.receipt(transaction, Duration::from_secs(self.timeout)).await?;
        Ok((Some(transaction), receipt.block_number))
    }

    async fn transact<C: alloy_sol_types::SolCall>(
        &self,
        node: &Node,
        from: Address,
        call: &C,
    ) -> Result<(u64, Option<B256>), NodeError> {
        let gas = node.estimate(from, call, U256::ZERO).await?;
        if self.dry_run {
            return Ok((gas, None));
        }
        Ok((gas, Some(node.send(from, call, U256::ZERO, gas).await?)))
    }
}
