//! Following the canonical chain from where one last looked.

use crate::{RpcContext, RpcError};
use alloy_eips::BlockNumHash;
use ascribe_engine::CanonBlock;

/// Where someone has seen the chain up to.
///
/// What happened since is found by walking the chain, so nothing is lost however long nobody
/// looks, and nothing is kept meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    seen: BlockNumHash,
}

/// Blocks on the way from one head to another, each list in ascending order.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// Blocks that are canonical no longer.
    pub(crate) removed: Vec<CanonBlock>,
    /// Blocks that have become so.
    pub(crate) added: Vec<CanonBlock>,
}

impl Steps {
    pub(super) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

impl Cursor {
    /// At the head.
    pub(super) fn at_head(context: &RpcContext) -> Self {
        Self { seen: context.chain.head().num_hash() }
    }

    /// Moves towards the head, over `limit` new blocks at most.
    ///
    /// Blocks of an abandoned chain that are known no longer are not reported.
    pub(super) fn advance(&mut self, context: &RpcContext, limit: u64) -> Result<Steps, RpcError> {
        let mut steps = Steps::default();
        let mut at = self.seen;
        while !context.chain.is_canonical(at)? {
            let Some(block) = context.canon_block(at.hash)? else {
                // All that is left to know is the height.
                let number = at.number.min(context.chain.head().number);
                let hash = context.chain.canonical_hash(number)?.unwrap_or_default();
                at = BlockNumHash { number, hash };
                break;
            };
            let header = block.block.header();
            at = BlockNumHash { number: header.number.saturating_sub(1), hash: header.parent_hash };
            steps.removed.push(block);
        }
        steps.removed.reverse();
        let goal = context.chain.head().number.min(at.number.saturating_add(limit));
        for number in at.number + 1..=goal {
            let Some(hash) = context.chain.canonical_hash(number)? else { break };
            let Some(block) = context.canon_block(hash)? else { break };
            if block.block.header().parent_hash != at.hash {
                // The chain changed under our feet: the rest is for the next time.
                break;
            }
            at = BlockNumHash { number, hash };
            steps.added.push(block);
        }
        self.seen = at;
        Ok(steps)
    }
}
