//! Telling the pool what the chain did.

use crate::{
    EngineError, ProviderError, StateView,
    block::{CanonBlock, MemoryBlock},
    cache::PlainAccount,
};
use alloy_primitives::{Address, B256, Bytes, map::AddressMap};
use ascribe_chainspec::ChainSpec;
use ascribe_evm::{l1_fee, op_spec_id};
use ascribe_txpool::{HeadUpdate, PoolAccount, PoolState, StateError, TxPool};
use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::{Condvar, Mutex};
use reth_primitives_traits::SealedHeader;
use revm::database::WrapDatabaseRef;
use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tracing::{error, warn};

impl From<PlainAccount> for PoolAccount {
    fn from(account: PlainAccount) -> Self {
        Self { nonce: account.nonce, balance: account.balance, code_hash: account.code_hash }
    }
}

impl PoolState for StateView {
    fn account(&self, address: Address) -> Result<PoolAccount, StateError> {
        let account = self.plain_account(address).map_err(|error| StateError(error.to_string()))?;
        Ok(account.map_or_else(PoolAccount::default, PoolAccount::from))
    }

    fn code(&self, code_hash: B256) -> Result<Bytes, StateError> {
        match self.bytecode(code_hash) {
            Ok(code) => Ok(code.original_bytes()),
            Err(error) => Err(StateError(error.to_string())),
        }
    }
}

/// A change of the canonical chain, as the pool has to hear of it.
#[derive(Debug)]
pub(crate) struct PoolUpdate {
    /// Blocks that left the chain, ascending.
    pub(crate) old: Vec<CanonBlock>,
    /// The head, if it was executed here.
    pub(crate) head: Option<Arc<MemoryBlock>>,
    /// State after the head.
    pub(crate) state: StateView,
}

/// The thread that keeps the pool at the head, so that neither the engine nor a reader waits for
/// it.
#[derive(Debug)]
pub(crate) struct PoolMaintenance {
    updates: Sender<PoolUpdate>,
    progress: Arc<PoolProgress>,
    thread: Option<JoinHandle<()>>,
}

/// The head that the pool has heard of last.
#[derive(Debug, Default)]
pub(crate) struct PoolProgress {
    head: Mutex<B256>,
    moved: Condvar,
}

impl PoolProgress {
    /// Waits until the pool is at `head`; false if it is not within `timeout`.
    pub(crate) fn wait_for(&self, head: B256, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut current = self.head.lock();
        while *current != head {
            if self.moved.wait_until(&mut current, deadline).timed_out() {
                return *current == head;
            }
        }
        true
    }

    fn set(&self, head: B256) {
        *self.head.lock() = head;
        self.moved.notify_all();
    }
}

impl PoolMaintenance {
    pub(crate) fn spawn(spec: Arc<ChainSpec>, pool: TxPool) -> Result<Self, EngineError> {
        let (updates, incoming) = unbounded();
        let progress = Arc::new(PoolProgress::default());
        let thread = std::thread::Builder::new()
            .name("pool-maintenance".to_owned())
            .spawn({
                let progress = progress.clone();
                move || run(&spec, &pool, &incoming, &progress)
            })
            .map_err(|error| EngineError::Thread {
                thread: "pool-maintenance",
                reason: error.to_string(),
            })?;
        Ok(Self { updates, progress, thread: Some(thread) })
    }

    pub(crate) fn update(&self, update: PoolUpdate) {
        if self.updates.send(update).is_err() {
            error!(target: "ascribe::engine", "The pool maintenance thread has ended");
        }
    }

    pub(crate) const fn progress(&self) -> &Arc<PoolProgress> {
        &self.progress
    }

    /// Ends the thread, after what it has been told.
    pub(crate) fn stop(&mut self) {
        self.updates = unbounded().0;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!(target: "ascribe::engine", "The pool maintenance thread panicked");
        }
    }
}

fn run(spec: &ChainSpec, pool: &TxPool, updates: &Receiver<PoolUpdate>, progress: &PoolProgress) {
    for update in updates {
        let head = update.state.header().clone();
        match head_update(spec, update) {
            Ok(update) => pool.on_new_head(update),
            Err(error) => {
                warn!(
                    target: "ascribe::engine",
                    %error,
                    number = head.number,
                    "The pool cannot follow the head"
                );
            }
        }
        progress.set(head.hash());
    }
}

fn head_update(spec: &ChainSpec, update: PoolUpdate) -> Result<HeadUpdate, ProviderError> {
    let PoolUpdate { old, head, state } = update;
    let header: SealedHeader = state.header().clone();
    let spec_id = op_spec_id(spec, header.timestamp);
    let l1 = l1_fee::l1_block_info(&mut WrapDatabaseRef(&state), header.number, spec_id)?;
    // The next block's timestamp is not known; it only matters in a block that activates a fork.
    let next_base_fee = spec
        .next_block_base_fee(&header, header.timestamp + 1)
        .unwrap_or_else(|_| header.base_fee_per_gas.unwrap_or_default());
    let changed_accounts: AddressMap<PoolAccount> = head
        .iter()
        .flat_map(|block| &block.changes().accounts)
        .map(|(address, account)| {
            (*address, account.map_or_else(PoolAccount::default, PoolAccount::from))
        })
        .collect();
    let reverted = old
        .iter()
        .flat_map(|block| block.block.clone_transactions_recovered())
        .filter(|tx| !tx.is_deposit())
        .collect();
    Ok(HeadUpdate {
        header,
        spec: spec_id,
        next_base_fee,
        l1,
        state: Arc::new(state),
        reverted,
        changed_accounts,
    })
}
