//! Following the L1's head.

use crate::{L1Block, L1BlockRef, L1Client, L1Error, L1Tag, metrics};
use alloy_provider::Provider;
use alloy_transport::{RpcError, TransportErrorKind};
use futures::{StreamExt, future, stream};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};

/// Blocks that are looked at to tell how deep a reorg was.
const MAX_REORG_DEPTH: u64 = 64;
/// No endpoint is asked more often, whatever the settings.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// The blocks that the L1 names, as far as it named them yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct L1Heads {
    /// The newest block.
    pub latest: Option<L1BlockRef>,
    /// The newest safe block.
    pub safe: Option<L1BlockRef>,
    /// The newest finalized block.
    pub finalized: Option<L1BlockRef>,
    /// How many times the newest block did not follow the one before it.
    pub reorgs: u64,
}

impl L1Heads {
    /// The block with this name.
    pub const fn get(&self, tag: L1Tag) -> Option<L1BlockRef> {
        match tag {
            L1Tag::Latest => self.latest,
            L1Tag::Safe => self.safe,
            L1Tag::Finalized => self.finalized,
        }
    }
}

impl L1Client {
    /// The heads, as [`follow_heads`](Self::follow_heads) finds them.
    pub fn heads(&self) -> watch::Receiver<L1Heads> {
        self.inner.heads.subscribe()
    }

    /// Keeps the heads up to date for as long as it is polled. An endpoint that fails leaves them as
    /// they were, and is asked again.
    pub async fn follow_heads(&self) {
        future::join(self.follow_latest(), self.follow_epochs()).await;
    }

    /// Asks for the newest block at an interval, and at once when the endpoint announces one.
    async fn follow_latest(&self) {
        let options = &self.inner.options;
        let mut announced = stream::pending().boxed();
        let mut subscribed = false;
        let mut ticks = interval(options.poll_interval.max(MIN_INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if !subscribed {
                announced = stream::pending().boxed();
                match self.inner.provider.subscribe_blocks().await {
                    Ok(blocks) => {
                        announced = blocks.into_stream().map(drop).boxed();
                        subscribed = true;
                    }
                    // Over HTTP polling has to do.
                    Err(RpcError::Transport(TransportErrorKind::PubsubUnavailable)) => {
                        subscribed = true;
                    }
                    Err(error) => {
                        tracing::debug!(target: "ascribe::l1", %error, "No subscription yet")
                    }
                }
            }
            tokio::select! {
                _ = ticks.tick() => {}
                announcement = announced.next() => {
                    if announcement.is_none() {
                        subscribed = false;
                        sleep(options.retry.pause(1)).await;
                        continue;
                    }
                }
            }
            if let Err(error) = self.update(L1Tag::Latest).await {
                tracing::warn!(target: "ascribe::l1", %error, "Newest L1 block not known");
            }
        }
    }

    /// Asks for the safe and finalized blocks at an interval.
    async fn follow_epochs(&self) {
        let mut ticks = interval(self.inner.options.epoch_poll_interval.max(MIN_INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for tag in [L1Tag::Safe, L1Tag::Finalized] {
                if let Err(error) = self.update(tag).await {
                    tracing::warn!(target: "ascribe::l1", %error, tag = tag.as_str(), "L1 block not known");
                }
            }
        }
    }

    /// Asks for a named block and tells everybody if it is another than before.
    async fn update(&self, tag: L1Tag) -> Result<(), L1Error> {
        let Some(block) = self.block_by_tag(tag).await? else { return Ok(()) };
        let (new, old) = (block.block_ref(), self.inner.heads.borrow().get(tag));
        if old == Some(new) {
            return Ok(());
        }
        let reorg = match old.filter(|_| tag == L1Tag::Latest) {
            Some(old) => self.reorg_depth(&old, &block).await,
            None => 0,
        };
        if reorg > 0 {
            metrics::reorg(reorg);
            tracing::warn!(
                target: "ascribe::l1",
                depth = reorg, number = new.number, hash = %new.hash, "L1 reorg"
            );
        }
        metrics::head(tag, &new);
        self.inner.heads.send_modify(|heads| {
            match tag {
                L1Tag::Latest => heads.latest = Some(new),
                L1Tag::Safe => heads.safe = Some(new),
                L1Tag::Finalized => heads.finalized = Some(new),
            }
            heads.reorgs += u64::from(reorg > 0);
        });
        Ok(())
    }

    /// How many blocks up to `old` are not ancestors of `new`; 0 if `old` is one itself.
    ///
    /// Where the endpoint does not answer, no more is counted than is known.
    async fn reorg_depth(&self, old: &L1BlockRef, new: &L1Block) -> u64 {
        let mut old = *old;
        let mut depth = 0;
        while depth < MAX_REORG_DEPTH {
            let canonical = if new.header.number == old.number {
                Some(new.hash)
            } else if new.header.number == old.number + 1 {
                Some(new.header.parent_hash)
            } else if new.header.number < old.number {
                None
            } else {
                match self.block_by_number(old.number).await {
                    Ok(block) => block.map(|block| block.hash),
                    Err(_) => break,
                }
            };
            if canonical == Some(old.hash) {
                break;
            }
            depth += 1;
            let Some(parent) = self.cached_block(&old.parent_hash) else { break };
            old = parent.block_ref();
        }
        depth
    }
}

#[cfg(test)]
mod tests {
    use crate::{L1Heads, L1Options, test_endpoint::Endpoint};
    use std::time::Duration;
    use tokio::time::timeout;

    /// Follows an endpoint until its heads are as wanted.
    async fn heads_until(endpoint: &Endpoint, wanted: impl FnMut(&L1Heads) -> bool) -> L1Heads {
        let client = endpoint.client();
        let mut heads = client.heads();
        let follow = client.follow_heads();
        tokio::select! {
            () = follow => unreachable!("heads are followed for ever"),
            found = timeout(Duration::from_secs(5), heads.wait_for(wanted)) => {
                *found.expect("in time").expect("the client lives")
            }
        }
    }

    fn options() -> L1Options {
        L1Options {
            poll_interval: Duration::from_millis(10),
            epoch_poll_interval: Duration::from_millis(10),
            ..L1Options::default()
        }
    }

    #[tokio::test]
    async fn heads_follow_the_chain() {
        let endpoint = Endpoint::start(options()).await;
        endpoint.extend(10, 0);
        let heads = heads_until(&endpoint, |heads| heads.safe.is_some()).await;
        assert_eq!(heads.latest.map(|block| block.number), Some(10));
        assert_eq!(heads.safe.map(|block| block.number), Some(8));
        assert_eq!(heads.finalized, None, "the chain is too short to name one");
        endpoint.extend(10, 0);
        let heads = heads_until(&endpoint, |heads| heads.finalized.is_some()).await;
        assert_eq!(heads.latest.map(|block| block.number), Some(20));
        assert_eq!(heads.reorgs, 0);
    }

    #[tokio::test]
    async fn reorgs_are_seen() {
        let endpoint = Endpoint::start(options()).await;
        endpoint.extend(10, 0);
        heads_until(&endpoint, |heads| heads.latest.is_some_and(|at| at.number == 10)).await;
        endpoint.extend(5, 0);
        let client = endpoint.client();
        let before = heads_until(&endpoint, |heads| heads.latest.is_some_and(|at| at.number == 15));
        let before = before.await.latest.expect("a head");
        // Blocks 13 to 15 are replaced by others up to 18.
        endpoint.truncate(12);
        endpoint.extend(6, 1);
        let heads = heads_until(&endpoint, |heads| heads.reorgs == 1).await;
        let latest = heads.latest.expect("a head");
        assert_eq!(latest.number, 18);
        // Only blocks that were seen can be counted.
        let new = client.block_by_hash(latest.hash).await.expect("answered").expect("there");
        assert_eq!(client.reorg_depth(&before, &new).await, 1);
        for number in 12..15 {
            client.block_by_hash(endpoint.hash_of(number, 0)).await.expect("answered");
        }
        assert_eq!(client.reorg_depth(&before, &new).await, 3);
    }

    #[tokio::test]
    async fn an_outage_leaves_the_heads() {
        let endpoint = Endpoint::start(options()).await;
        endpoint.extend(10, 0);
        let before = heads_until(&endpoint, |heads| heads.safe.is_some()).await;
        endpoint.fail(true);
        let client = endpoint.client();
        let follow = client.follow_heads();
        assert!(timeout(Duration::from_millis(200), follow).await.is_err());
        assert_eq!(*endpoint.client().heads().borrow(), before);
        endpoint.fail(false);
        endpoint.extend(1, 0);
        heads_until(&endpoint, |heads| heads.latest.is_some_and(|at| at.number == 11)).await;
    }
}
