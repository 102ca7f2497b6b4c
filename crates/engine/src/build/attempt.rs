//! One attempt at building a block.

use super::{
    attributes::BuildInput,
    job::{Candidate, Job, Wish},
};
use crate::{
    AttributesError, EngineError, ForkchoiceError, StateView,
    config::DaLimits,
    import::{Committed, Importer},
    state::ExecutionState,
    stats::Counters,
};
use alloy_consensus::Transaction;
use alloy_eips::Typed2718;
use alloy_evm::Database;
use ascribe_evm::{
    BlockBuilder, BuiltParts, ExecutionError, HeaderRoots, PushError, assemble_header,
    receipts_root_and_bloom, transactions_root,
};
use ascribe_txpool::TxPool;
use reth_primitives_traits::Recovered;
use revm::database::State;
use std::{sync::Arc, time::Instant};
use tracing::trace;

/// Gas below which no transaction fits any more.
const MIN_TX_GAS: u64 = 21_000;

/// Transactions in a row that do not fit into what is left, after which the block is full.
const MAX_MISFITS: u32 = 128;

/// What attempts at building need besides their job.
#[derive(Debug, Clone)]
pub(crate) struct Attempts {
    pub(crate) importer: Importer,
    pub(crate) pool: TxPool,
    pub(crate) da_limits: Arc<DaLimits>,
}

/// A block that an attempt made.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) candidate: Candidate,
    /// The lowest tip that made it into the block, if not everything in the pool did.
    pub(crate) lowest_tip: Option<u128>,
}

/// What came of filling a block from the pool.
#[derive(Debug, Default)]
struct Filled {
    transactions: usize,
    full: bool,
    lowest_tip: Option<u128>,
}

impl Attempts {
    /// Builds a block of the job's forced transactions alone.
    pub(crate) fn forced(&self, job: &Job, parent: &StateView) -> Result<Attempt, ForkchoiceError> {
        let attempt = self.run(job, parent, false)?;
        attempt.ok_or_else(|| EngineError::Stopped.into())
    }

    /// Builds a block of the job's forced transactions and as many of the pool's as fit before
    /// somebody wants the block. Nothing, if there is none of the pool's in it, or if the job is
    /// cancelled meanwhile.
    pub(crate) fn with_pool(
        &self,
        job: &Job,
        parent: &StateView,
    ) -> Result<Option<Attempt>, ForkchoiceError> {
        self.run(job, parent, true)
    }

    fn run(
        &self,
        job: &Job,
        parent: &StateView,
        use_pool: bool,
    ) -> Result<Option<Attempt>, ForkchoiceError> {
        let started = Instant::now();
        let BuildInput { parent: header, next, forced, .. } = &job.input;
        let mut state = State::builder()
            .with_database(ExecutionState::new(parent))
            .with_bundle_update()
            .build();
        let number = header.number + 1;
        let refused = |error| refused(number, error);
        let evm = &self.importer.evm;
        let mut builder = evm.builder(&mut state, header, next.clone()).map_err(refused)?;
        for tx in forced {
            builder.push(tx.clone()).map_err(|error| forced_refused(number, tx, error))?;
        }
        let lowest_tip = if use_pool {
            let filled = self.fill(job, &mut builder)?;
            if filled.transactions == 0 || job.is_cancelled() {
                return Ok(None);
            }
            filled.lowest_tip.filter(|_| filled.full)
        } else {
            None
        };
        let parts = builder.finish().map_err(refused)?;
        let candidate = self.seal(parts, parent, started)?;
        Ok(Some(Attempt { candidate, lowest_tip }))
    }

    /// Puts the pool's transactions into the block, best tip first.
    fn fill<DB: Database>(
        &self,
        job: &Job,
        builder: &mut BlockBuilder<'_, DB>,
    ) -> Result<Filled, ForkchoiceError> {
        let mut filled = Filled::default();
        let (max_tx, max_block) = (self.da_limits.max_tx_size(), self.da_limits.max_block_size());
        let mut da_size = 0;
        let mut misfits = 0;
        let mut best = self.pool.best(builder.base_fee());
        while let Some(tx) = best.next() {
            if job.wish() != Wish::Improve
                || builder.remaining_gas() < MIN_TX_GAS
                || misfits > MAX_MISFITS
            {
                filled.full = true;
                break;
            }
            let size = tx.estimated_size.bytes();
            let fits = max_tx.is_none_or(|max| size <= max)
                && max_block.is_none_or(|max| da_size + size <= max)
                && tx.tx.gas_limit() <= builder.remaining_gas();
            if !fits {
                misfits += 1;
                best.mark_invalid(tx.sender());
                continue;
            }
            match builder.push_sized(tx.tx.clone(), Some(tx.estimated_size)) {
                Ok(_) => {
                    da_size += size;
                    misfits = 0;
                    filled.transactions += 1;
                    let tip = tx.effective_tip(builder.base_fee());
                    filled.lowest_tip =
                        filled.lowest_tip.map_or(tip, |lowest| tip.min(Some(lowest)));
                }
                Err(PushError::BlockFull(reason)) => {
                    trace!(target: "ascribe::payload", hash = %tx.hash, %reason, "No room");
                    misfits += 1;
                    best.mark_invalid(tx.sender());
                }
                Err(PushError::Invalid(reason)) => {
                    trace!(target: "ascribe::payload", hash = %tx.hash, %reason, "Skipped");
                    // The sender's next one may be good if this one was only late.
                    if !reason.is_nonce_too_low() {
                        best.mark_invalid(tx.sender());
                    }
                }
                Err(PushError::Fatal(error)) => {
                    return Err(EngineError::execution(builder.number(), &error).into());
                }
            }
        }
        filled.full |= misfits > 0;
        Ok(filled)
    }

    /// Computes the roots and puts the block together.
    fn seal(
        &self,
        parts: BuiltParts,
        parent: &StateView,
        started: Instant,
    ) -> Result<Candidate, ForkchoiceError> {
        let spec = self.importer.evm.chain_spec();
        let (committed, ((receipts_root, logs_bloom), transactions_root)) = rayon::join(
            || Committed::new(parent, &self.importer.caches, &parts.output.bundle),
            || {
                rayon::join(
                    || receipts_root_and_bloom(&parts.output.receipts, spec, parts.next.timestamp),
                    || transactions_root(&parts.transactions),
                )
            },
        );
        let committed = committed?;
        let roots = HeaderRoots {
            state_root: committed.state_root,
            transactions_root,
            receipts_root,
            logs_bloom,
            message_passer_root: committed.message_passer_root,
        };
        let header = assemble_header(spec, &parts, &roots);
        let fees = parts.fees;
        let (block, output) = parts.into_block(header);
        let block = Arc::new(committed.into_block(Arc::new(block), output.receipts));
        Counters::add(&self.importer.counters.payloads_sealed, 1);
        Ok(Candidate { block, fees, started, sealed: Instant::now() })
    }
}

/// No block can be built from these attributes, or we failed.
fn refused(number: u64, error: ExecutionError) -> ForkchoiceError {
    match error {
        ExecutionError::Invalid(error) => AttributesError::Block(error.to_string()).into(),
        ExecutionError::Fatal(error) => EngineError::execution(number, &error).into(),
    }
}

/// A forced transaction that cannot be executed makes the attributes invalid.
fn forced_refused(
    number: u64,
    tx: &Recovered<op_alloy_consensus::OpTxEnvelope>,
    error: PushError,
) -> ForkchoiceError {
    let reason = match error {
        PushError::Invalid(reason) => reason.to_string(),
        PushError::BlockFull(reason) => reason.to_string(),
        PushError::Fatal(error) => return EngineError::execution(number, &error).into(),
    };
    AttributesError::Forced {
        hash: tx.tx_hash(),
        ty: tx.ty(),
        sender: tx.signer(),
        nonce: tx.nonce(),
        reason,
    }
    .into()
}
