//! `attribution show`.

use crate::{
    AttributionError,
    args::{self, NodeArgs, PayeeName},
    files::{self, Out},
    node::Node,
    readable::readable,
};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, U256};
use ascribe_attribution::{ListError, ListId, Payouts};
use ascribe_attribution_index::answer::{BlockRange, Earnings, EarningsFilter, RecordFilter};
use clap::{Args, Subcommand};
use serde::Serialize;

/// Records that a node answers with at once, at most.
const PAGE: u32 = 1_000;

/// What `attribution show` takes.
#[derive(Args, Debug, Clone)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ShowArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// A batch, or a merged list: its number, OPERATOR:SEQUENCE, or merged:N
    #[arg(required = true, value_parser = args::list)]
    list: Option<ListId>,
    /// A record of the batch, from 0
    index: Option<u32>,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Args, Debug, Clone)]
struct HowArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// The node's answer as it is, with numbers in hexadecimal
    #[arg(long)]
    raw: bool,
}

#[derive(Subcommand, Debug, Clone)]
enum What {
    /// Records, in the order of the chain, one JSON object a line
    Records(RecordsArgs),
    /// What a payee has earned, of which lists, and what of it can be claimed
    Earnings {
        /// The payee: model:M, adapter:M:A, source:M:A:S, operator:ADDRESS, or its key
        payee: PayeeName,
        #[command(flatten)]
        blocks: BlocksArgs,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Whom a list pays, in order, one JSON object a line
    Payouts {
        /// The list: its number, OPERATOR:SEQUENCE, or merged:N
        #[arg(value_parser = args::list)]
        list: ListId,
        #[command(flatten)]
        how: HowArgs,
    },
    /// What all batches add up to, and what a record costs
    Stats {
        #[command(flatten)]
        blocks: BlocksArgs,
        #[command(flatten)]
        how: HowArgs,
    },
}

#[derive(Args, Debug, Clone)]
struct RecordsArgs {
    /// Of this model
    #[arg(long, value_name = "N")]
    model: Option<u32>,
    /// Of this adapter of the model
    #[arg(long, value_name = "N", requires = "model")]
    adapter: Option<u32>,
    /// With a share of this source of the adapter
    #[arg(long, value_name = "N", requires = "adapter")]
    source: Option<u32>,
    /// Of this operator
    #[arg(long, value_name = "ADDRESS")]
    operator: Option<Address>,
    #[command(flatten)]
    blocks: BlocksArgs,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "all")]
    limit: u64,
    /// As many as there are
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Args, Debug, Clone, Copy)]
struct BlocksArgs {
    /// Settled in this block or later [default: the first]
    #[arg(long, value_name = "BLOCK", value_parser = args::block)]
    from_block: Option<BlockNumberOrTag>,
    /// Settled in this block or earlier [default: the latest]
    #[arg(long, value_name = "BLOCK", value_parser = args::block)]
    to_block: Option<BlockNumberOrTag>,
}

/// An answer that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// Payouts that are none.
    #[error("the node's payouts of list {list}: {error}")]
    Payouts {
        /// Of which list.
        list: ListId,
        /// What is wrong with them.
        error: ListError,
    },
}

/// A line of `show payouts`.
#[derive(Serialize)]
struct Line {
    position: usize,
    payee: PayeeName,
    amount: String,
}

pub(crate) async fn run(args: &ShowArgs, out: Out<'_>) -> Result<(), AttributionError> {
    match &args.what {
        Some(What::Records(args)) => args.show(out).await,
        Some(What::Earnings { payee, blocks, how }) => {
            how.print(out, &earnings(&how.connect().await?, *payee, *blocks).await?)
        }
        Some(What::Payouts { list, how }) => how.show_payouts(out, *list).await,
        Some(What::Stats { blocks, how }) => {
            let range = BlockRange { from_block: blocks.from_block, to_block: blocks.to_block };
            how.print(out, &how.connect().await?.stats(range).await?)
        }
        None => {
            let list = args.list.expect("invariant: required where there is no subcommand");
            args.how.show(out, list, args.index).await
        }
    }
}

impl HowArgs {
    async fn connect(&self) -> Result<Node, AttributionError> {
        // What is shown comes from the index, which knows its hub.
        Ok(Node::connect(&self.node.rpc_url, Address::ZERO, None).await?)
    }

    fn print<T: Serialize>(&self, out: Out<'_>, answer: &T) -> Result<(), AttributionError> {
        let value = serde_json::to_value(answer).expect("invariant: answers have JSON");
        let value = if self.raw { value } else { readable(value) };
        files::print_json(out, &value)
    }

    async fn show(
        &self,
        out: Out<'_>,
        list: ListId,
        index: Option<u32>,
    ) -> Result<(), AttributionError> {
        let node = self.connect().await?;
        match index {
            Some(index) => self.print(out, &node.record(list, index).await?),
            None if list.is_merged() => {
                let mut answer = serde_json::to_value(node.payouts(list).await?)
                    .expect("invariant: answers have JSON");
                // `show payouts` has it.
                answer.as_object_mut().map(|answer| answer.remove("data"));
                self.print(out, &answer)
            }
            None => self.print(out, &node.batch(list).await?),
        }
    }

    async fn show_payouts(&self, out: Out<'_>, list: ListId) -> Result<(), AttributionError> {
        let answer = self.connect().await?.payouts(list).await?;
        if self.raw {
            return self.print(out, &answer);
        }
        let payouts = Payouts::from_bytes(&answer.data)
            .map_err(|error| ShowError::Payouts { list, error })?;
        let mut lines = String::new();
        for (position, payout) in payouts.list().iter().enumerate() {
            let line = Line {
                position,
                payee: PayeeName(payout.payee),
                amount: payout.amount.to_string(),
            };
            lines += &serde_json::to_string(&line).expect("invariant: it has JSON");
            lines.push('\n');
        }
        files::print(out, lines)
    }
}

impl RecordsArgs {
    async fn show(&self, out: Out<'_>) -> Result<(), AttributionError> {
        let node = self.how.connect().await?;
        let mut left = if self.all { u64::MAX } else { self.limit };
        let mut filter = RecordFilter {
            model: self.model,
            adapter: self.adapter,
            source: self.source,
            operator: self.operator,
            from_block: self.blocks.from_block,
            to_block: self.blocks.to_block,
            ..RecordFilter::default()
        };
        while left > 0 {
            filter.limit = Some(u32::try_from(left).map_or(PAGE, |left| left.min(PAGE)));
            let page = node.records(&filter).await?;
            for record in &page.records {
                self.how.print(out, record)?;
            }
            left = left.saturating_sub(page.records.len() as u64);
            if page.cursor.is_none() {
                break;
            }
            filter.cursor = page.cursor;
        }
        Ok(())
    }
}

/// All pages made one.
async fn earnings(
    node: &Node,
    payee: PayeeName,
    blocks: BlocksArgs,
) -> Result<Earnings, AttributionError> {
    let BlocksArgs { from_block, to_block } = blocks;
    let mut filter = EarningsFilter { from_block, to_block, ..EarningsFilter::default() };
    let mut all = Earnings {
        payee: U256::ZERO,
        earned: 0,
        claimed: 0,
        claimable: 0,
        payouts: Vec::new(),
        cursor: None,
    };
    loop {
        let page = node.earnings(payee.0, &filter).await?;
        all.payee = page.payee;
        all.earned = all.earned.saturating_add(page.earned);
        all.claimed = all.claimed.saturating_add(page.claimed);
        all.claimable = all.claimable.saturating_add(page.claimable);
        all.payouts.extend(page.payouts);
        if page.cursor.is_none() {
            return Ok(all);
        }
        filter.cursor = page.cursor;
    }
}
