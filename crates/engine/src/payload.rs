//! `engine_newPayload`: is this block valid?

use crate::{
    EngineError, ProviderError,
    block::MemoryBlock,
    decode::{check_hash, decode},
    engine::Engine,
    error::ImportError,
    invalid::Invalid,
    senders::Senders,
    state::MAX_SIDE_DEPTH,
    stats::{Counters, Stage},
};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use alloy_rpc_types_engine::{PayloadStatus, PayloadStatusEnum};
use ascribe_evm::InvalidTx;
use op_alloy_consensus::OpBlock;
use op_alloy_rpc_types_engine::OpExecutionData;
use reth_primitives_traits::RecoveredBlock;
use std::{sync::Arc, time::Instant};
use tracing::{debug, info, warn};

/// Whether a block stands on executed ones down to the persisted chain.
#[derive(Debug)]
pub(crate) enum Connection {
    /// It does, and so it is valid.
    Connected {
        /// The persisted block at the bottom.
        base: u64,
    },
    /// Some block in between is not known.
    Missing,
    /// It is invalid, or some block in between is.
    Invalid(Invalid),
}

impl Engine {
    pub(crate) fn new_payload(
        &mut self,
        data: OpExecutionData,
    ) -> Result<PayloadStatus, EngineError> {
        let started = Instant::now();
        self.admit()?;
        let status = self.payload_status(data)?;
        metrics::histogram!("reth_consensus_engine_beacon_new_payload_latency")
            .record(started.elapsed());
        metrics::counter!(
            "ascribe_engine_new_payloads",
            "status" => status.status.as_str()
        )
        .increment(1);
        Ok(status)
    }

    fn payload_status(&mut self, data: OpExecutionData) -> Result<PayloadStatus, EngineError> {
        let hash = data.block_hash();
        if self.tree.number(&hash)?.is_some() {
            // What bears a known hash need not be what the hash was made of.
            if let Err(error) = check_hash(data) {
                return Ok(undecodable(error.to_string()));
            }
            Counters::add(&self.counters.blocks_known, 1);
            return Ok(match self.connect(hash)? {
                Connection::Connected { .. } => valid(hash),
                Connection::Missing => PayloadStatus::from_status(PayloadStatusEnum::Syncing),
                Connection::Invalid(invalid) => rejected(invalid),
            });
        }
        let payload = match self.counters.time(Stage::Recovery, || decode(data)) {
            Ok(payload) => payload,
            Err(reason) => {
                warn!(target: "ascribe::engine", %hash, reason, "Undecodable payload");
                return Ok(undecodable(reason));
            }
        };
        let parent = payload.block.header().parent_hash;
        if let Some(invalid) = self.invalid.get(&hash) {
            return Ok(rejected(invalid));
        }
        if let Some(invalid) = self.invalid.inherit(hash, &parent) {
            return Ok(rejected(invalid));
        }
        match self.connect(parent)? {
            Connection::Connected { base } if self.in_reach(base) && self.has_room(parent) => {}
            Connection::Connected { .. } | Connection::Missing => {
                debug!(
                    target: "ascribe::engine",
                    number = payload.block.header().number,
                    %hash,
                    %parent,
                    "Buffered a payload"
                );
                let Some(block) = Senders::find_all(payload, &self.pool) else {
                    return Ok(undecodable(InvalidTx::Signature.to_string()));
                };
                self.buffer.insert(Arc::new(block));
                return Ok(PayloadStatus::from_status(PayloadStatusEnum::Syncing));
            }
            Connection::Invalid(invalid) => {
                let invalid = invalid.inherited();
                self.invalid.insert(hash, invalid.clone());
                return Ok(rejected(invalid));
            }
        }
        let (started, state) = (Instant::now(), self.state(parent)?);
        let number = payload.block.header().number;
        let result = self.importer.import_payload(payload, &state, &self.pool);
        match self.executed(BlockNumHash { number, hash }, parent, started, result)? {
            Ok(()) => {
                self.execute_children(hash)?;
                Ok(valid(hash))
            }
            Err(invalid) => Ok(rejected(invalid)),
        }
    }

    /// Executes what must be executed for `hash` to stand on executed blocks: blocks that came
    /// before their parents, and blocks that a deep reorg took off the chain.
    pub(crate) fn connect(&mut self, hash: B256) -> Result<Connection, EngineError> {
        let mut waiting = Vec::new();
        let mut at = hash;
        let base = loop {
            if let Some(block) = self.tree.block(&at) {
                at = block.parent_hash();
            } else if let Some(number) =
                self.tree.reader().number(at).map_err(ProviderError::from)?
            {
                break number;
            } else if let Some(block) = self.buffer.get(&at) {
                waiting.push(block.clone());
                at = block.header().parent_hash;
            } else {
                return Ok(match self.invalid.get(&at) {
                    Some(invalid) => Connection::Invalid(invalid),
                    None => Connection::Missing,
                });
            }
        };
        while let Some(block) = waiting.pop() {
            if !self.in_reach(base) || !self.has_room(block.header().parent_hash) {
                return Ok(Connection::Missing);
            }
            match self.execute(block)? {
                Ok(()) => {}
                Err(invalid) => {
                    for block in waiting.iter().rev() {
                        self.invalid.inherit(block.hash(), &block.header().parent_hash);
                    }
                    return Ok(Connection::Invalid(invalid));
                }
            }
        }
        Ok(Connection::Connected { base })
    }

    /// Executes the buffered blocks that stand on `hash`, and those on them.
    fn execute_children(&mut self, hash: B256) -> Result<(), EngineError> {
        let mut parents = vec![hash];
        while let Some(parent) = parents.pop() {
            for child in self.buffer.children_of(&parent) {
                let hash = child.hash();
                if self.has_room(parent) && self.execute(child)?.is_ok() {
                    parents.push(hash);
                }
            }
        }
        Ok(())
    }

    /// Executes a block on its executed parent and takes it into the tree, or remembers it and all
    /// that stand on it as invalid.
    fn execute(
        &mut self,
        block: Arc<RecoveredBlock<OpBlock>>,
    ) -> Result<Result<(), Invalid>, EngineError> {
        let started = Instant::now();
        let (this, parent) = (block.num_hash(), block.header().parent_hash);
        let state = self.state(parent)?;
        let result = self.importer.import(block, &state);
        self.executed(this, parent, started, result)
    }

    /// Draws the consequences of an execution.
    fn executed(
        &mut self,
        BlockNumHash { number, hash }: BlockNumHash,
        parent: B256,
        started: Instant,
        result: Result<MemoryBlock, ImportError>,
    ) -> Result<Result<(), Invalid>, EngineError> {
        match result {
            Ok(block) => {
                info!(
                    target: "ascribe::engine",
                    number,
                    %hash,
                    transactions = block.block().body().transactions.len(),
                    gas = block.header().gas_used,
                    elapsed = ?started.elapsed(),
                    "Block added"
                );
                self.insert(Arc::new(block));
                Ok(Ok(()))
            }
            Err(ImportError::Invalid(reason)) => {
                warn!(target: "ascribe::engine", number, %hash, %parent, reason, "Invalid block");
                let invalid = Invalid { latest_valid: Some(parent), reason };
                self.invalid.insert(hash, invalid.clone());
                self.buffer.remove(&hash);
                for descendant in self.buffer.remove_descendants(hash) {
                    self.invalid.inherit(descendant, &hash);
                }
                Ok(Err(invalid))
            }
            Err(ImportError::Engine(error)) => Err(error),
        }
    }

    /// Whether blocks may be executed on a persisted block: if its state is kept, and not too
    /// far below the persisted head to be made in memory.
    fn in_reach(&self, number: u64) -> bool {
        let reader = self.tree.reader();
        number >= reader.history_floor() && reader.head().number - number <= MAX_SIDE_DEPTH
    }

    /// Whether another executed block may be kept on top of `parent`. Old side blocks make room.
    fn has_room(&mut self, parent: B256) -> bool {
        let excess = (self.tree.side_blocks() + 1).saturating_sub(self.config.side_blocks);
        if excess == 0 {
            return true;
        }
        let removable = self.tree.removable(parent);
        for block in removable.iter().take(excess) {
            self.tree.remove_side(&block.hash);
        }
        removable.len() >= excess
    }
}

fn valid(hash: B256) -> PayloadStatus {
    PayloadStatus::from_status(PayloadStatusEnum::Valid).with_latest_valid_hash(hash)
}

/// Nothing is known of what the payload stands on.
fn undecodable(reason: String) -> PayloadStatus {
    PayloadStatus::from_status(PayloadStatusEnum::Invalid { validation_error: reason })
}

pub(crate) fn rejected(invalid: Invalid) -> PayloadStatus {
    PayloadStatus::from_status(PayloadStatusEnum::Invalid { validation_error: invalid.reason })
        .maybe_latest_valid_hash(invalid.latest_valid)
}
