//! `engine_forkchoiceUpdated`: which chain is it, and what is built on it?

use crate::{
    CanonUpdate, EngineError, ForkchoiceError, InvalidForkchoice, ProviderError,
    block::{CanonBlock, MemoryBlock},
    build::{BuildInput, ForkchoiceReply, Job, check, payload_id},
    engine::Engine,
    payload::{Connection, rejected},
    tree::Branch,
    view::load,
};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use alloy_rpc_types_engine::{
    ForkchoiceState, ForkchoiceUpdated, PayloadStatus, PayloadStatusEnum,
};
use ascribe_storage::{ExecutedBlock, Labels};
use op_alloy_rpc_types_engine::OpPayloadAttributes;
use std::{sync::Arc, time::Instant};
use tracing::{debug, info, warn};

impl Engine {
    /// In op-geth's order: attributes by themselves, the head, finalized, safe, then what the
    /// attributes mean on this head. What came before a refusal stays done.
    pub(crate) fn forkchoice_updated(
        &mut self,
        state: ForkchoiceState,
        attributes: Option<OpPayloadAttributes>,
        reply: ForkchoiceReply,
    ) {
        let started = Instant::now();
        let result = self.update_forkchoice(state, attributes.as_ref());
        metrics::histogram!("reth_consensus_engine_beacon_forkchoice_updated_latency")
            .record(started.elapsed());
        match (result, attributes) {
            (Ok(updated), Some(attributes)) if updated.payload_status.is_valid() => {
                self.start_job(state.head_block_hash, attributes, updated, reply);
            }
            (result, _) => {
                if let Err(error) = &result {
                    warn!(
                        target: "ascribe::engine",
                        %error,
                        reason = error.reason(),
                        ?state,
                        "Fork choice update refused"
                    );
                }
                let _ = reply.send(result);
            }
        }
    }

    fn update_forkchoice(
        &mut self,
        state: ForkchoiceState,
        attributes: Option<&OpPayloadAttributes>,
    ) -> Result<ForkchoiceUpdated, ForkchoiceError> {
        self.admit()?;
        if let Some(attributes) = attributes {
            check(&self.spec, attributes)?;
        }
        let head = state.head_block_hash;
        if head.is_zero() {
            let reason = "forkchoice requested update to zero hash".to_owned();
            let status = PayloadStatusEnum::Invalid { validation_error: reason };
            return Ok(ForkchoiceUpdated::from_status(status));
        }
        if let Some(invalid) = self.invalid.get(&head) {
            return Ok(ForkchoiceUpdated::new(rejected(invalid)));
        }
        match self.connect(head)? {
            Connection::Connected { .. } => {}
            Connection::Missing => {
                debug!(target: "ascribe::engine", %head, "Fork choice update to an unknown head");
                return Ok(ForkchoiceUpdated::from_status(PayloadStatusEnum::Syncing));
            }
            Connection::Invalid(invalid) => {
                return Ok(ForkchoiceUpdated::new(rejected(invalid)));
            }
        }
        self.set_head(head)?;
        self.set_labels(state)?;
        self.persist();
        let valid = PayloadStatus::from_status(PayloadStatusEnum::Valid);
        Ok(ForkchoiceUpdated::new(valid.with_latest_valid_hash(head)))
    }

    /// Makes an executed block the head.
    fn set_head(&mut self, hash: B256) -> Result<(), ForkchoiceError> {
        let current = self.tree.head_num_hash();
        if current.hash == hash {
            return Ok(());
        }
        let mut branch = self.branch(hash)?;
        if branch.ancestor != current {
            // What is being written now may have to be taken back.
            self.wait_persisted();
            branch = self.branch(hash)?;
        }
        let persisted = self.tree.reader().head().number;
        let old = if branch.ancestor.number < persisted {
            self.reorg_persisted(&branch)?
        } else {
            let old = self.tree.set_head(&branch);
            old.iter().map(|block| block.canon()).collect()
        };
        let lowered = self.lower_labels(branch.ancestor)?;
        self.tree.set_labels(lowered);
        self.move_caches(hash)?;
        self.builder.jobs().cancel_others(hash);
        self.publish();
        self.log_head(&branch, &old);
        self.announce(old, &branch.blocks)?;
        Ok(())
    }

    fn branch(&self, hash: B256) -> Result<Branch, ForkchoiceError> {
        let branch = self.tree.branch(hash)?;
        Ok(branch.ok_or(ProviderError::UnknownBlock(hash))?)
    }

    /// Takes blocks off the persisted chain and puts others in their place, in one atomic batch;
    /// a rewind alone goes in atomic steps. Returns the blocks that are no longer canonical.
    fn reorg_persisted(&mut self, branch: &Branch) -> Result<Vec<CanonBlock>, ForkchoiceError> {
        let reader = self.tree.reader().clone();
        let (ancestor, persisted) = (branch.ancestor, reader.head().number);
        if ancestor.number < reader.history_floor() {
            return Err(ForkchoiceError::TooDeepReorg(ancestor));
        }
        let depth = persisted - ancestor.number;
        let reported = depth.min(CanonUpdate::MAX_REPORTED);
        let mut old = Vec::new();
        for number in persisted - reported + 1..=persisted {
            let hash = self.tree.canonical_hash(number)?;
            let block = hash.map(|hash| load(&self.tree, hash)).transpose()?.flatten();
            old.extend(block);
        }
        old.extend(self.tree.canonical().iter().map(|block| block.canon()));

        let failed = |error| EngineError::Persistence(Arc::new(error));
        if branch.blocks.is_empty() {
            info!(target: "ascribe::engine", from = persisted, to = ancestor.number, "Unwinding");
            self.storage.unwind_to(ancestor.number, &mut |_| {}).map_err(failed)?;
        } else {
            let blocks: Vec<ExecutedBlock> =
                branch.blocks.iter().map(|block| block.executed().clone()).collect();
            let indexer = self.chain.indexer();
            indexer.prepare(&self.tree, &blocks).map_err(|error| failed(error.into()))?;
            self.storage.reorg(ancestor.number, &blocks).map_err(failed)?;
        }
        self.tree.set_reorganised(self.storage.reader(), &branch.blocks);
        // The other side may win again: its blocks wait to be executed once more.
        if depth == reported {
            for block in &old {
                if self.tree.block(&block.block.hash()).is_none() {
                    self.buffer.insert(block.block.clone());
                }
            }
        }
        metrics::counter!("ascribe_engine_persisted_reorgs").increment(1);
        Ok(old)
    }

    /// Labels that were on blocks above `ancestor`, and are not canonical any more, go down to it:
    /// whatever a safe block stands on is safe.
    fn lower_labels(&self, ancestor: BlockNumHash) -> Result<Labels, ProviderError> {
        let Labels { safe, finalized } = self.tree.labels();
        let lower = |label: Option<BlockNumHash>| match label {
            Some(block) if !self.tree.is_canonical(block)? => Ok(Some(ancestor)),
            label => Ok::<_, ProviderError>(label),
        };
        Ok(Labels { safe: lower(safe)?, finalized: lower(finalized)? })
    }

    /// Sets finalized, then safe. A zero hash leaves a label as it is.
    fn set_labels(&mut self, state: ForkchoiceState) -> Result<(), ForkchoiceError> {
        let before = self.tree.labels();
        let mut labels = before;
        let finalized = self.label(
            state.finalized_block_hash,
            InvalidForkchoice::FinalizedUnknown,
            InvalidForkchoice::FinalizedNotCanonical,
        );
        let result = finalized.and_then(|finalized| {
            labels.finalized = finalized.or(labels.finalized);
            self.label(
                state.safe_block_hash,
                InvalidForkchoice::SafeUnknown,
                InvalidForkchoice::SafeNotCanonical,
            )
        });
        if let Ok(safe) = &result {
            labels.safe = safe.or(labels.safe);
        }
        if labels != before {
            self.tree.set_labels(labels);
            self.publish();
        }
        // Also when they are as before: a reorg may have lowered them.
        if self.storage.labels() != labels {
            self.storage
                .set_forkchoice(labels)
                .map_err(|error| EngineError::Persistence(Arc::new(error)))?;
        }
        result.map(|_| ())
    }

    fn label(
        &self,
        hash: B256,
        unknown: InvalidForkchoice,
        not_canonical: InvalidForkchoice,
    ) -> Result<Option<BlockNumHash>, ForkchoiceError> {
        if hash.is_zero() {
            return Ok(None);
        }
        let number = self.tree.number(&hash)?.ok_or(unknown)?;
        let block = BlockNumHash { number, hash };
        if !self.tree.is_canonical(block)? {
            return Err(not_canonical.into());
        }
        Ok(Some(block))
    }

    /// Brings the caches to the head: block by block where all in between are in memory.
    fn move_caches(&self, head: B256) -> Result<(), ProviderError> {
        let caches = self.chain.caches();
        let mut back = caches.block();
        let mut forth = head;
        let mut path: Vec<Arc<MemoryBlock>> = Vec::new();
        while back != forth {
            let (Some(left), Some(right)) = (self.tree.number(&back)?, self.tree.number(&forth)?)
            else {
                caches.reset(head);
                return Ok(());
            };
            let step = if left >= right { back } else { forth };
            let Some(block) = self.tree.block(&step).cloned() else {
                caches.reset(head);
                return Ok(());
            };
            if left >= right {
                caches.revert(&block);
                back = block.parent_hash();
            } else {
                forth = block.parent_hash();
                path.push(block);
            }
        }
        for block in path.iter().rev() {
            caches.advance(block);
        }
        Ok(())
    }

    fn log_head(&self, branch: &Branch, old: &[CanonBlock]) {
        let head = self.tree.head_num_hash();
        if old.is_empty() {
            info!(
                target: "ascribe::engine",
                number = head.number,
                hash = %head.hash,
                "Canonical chain extended"
            );
        } else {
            metrics::counter!("ascribe_engine_reorgs").increment(1);
            metrics::histogram!("ascribe_engine_reorg_depth").record(old.len() as f64);
            info!(
                target: "ascribe::engine",
                number = head.number,
                hash = %head.hash,
                ancestor = branch.ancestor.number,
                removed = old.len(),
                added = branch.blocks.len(),
                "Canonical chain reorganised"
            );
        }
    }

    /// Starts building on the head, which `updated` says is valid. The builder answers once it has
    /// executed the forced transactions: a bad one must be known now.
    fn start_job(
        &self,
        head: B256,
        attributes: OpPayloadAttributes,
        updated: ForkchoiceUpdated,
        reply: ForkchoiceReply,
    ) {
        let id = payload_id(&self.spec, &head, &attributes);
        let updated = updated.with_payload_id(id);
        if let Some(job) = self.builder.jobs().get(id)
            && job.is_good()
        {
            job.answer(updated, reply);
            return;
        }
        let job = self.state(head).map_err(ForkchoiceError::from).and_then(|parent| {
            let input = BuildInput::new(&self.spec, parent.header().clone(), attributes)?;
            Ok(Job::new(id, input, parent))
        });
        match job {
            Ok(job) => {
                let job = Arc::new(job);
                job.answer(updated, reply);
                self.builder.start(job);
            }
            Err(error) => {
                warn!(
                    target: "ascribe::engine",
                    %error,
                    reason = error.reason(),
                    %head,
                    "Payload attributes refused"
                );
                let _ = reply.send(Err(error));
            }
        }
    }
}
