//! A block, executed again transaction by transaction.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use alloy_consensus::Transaction;
use alloy_eips::{eip2718::Encodable2718, eip7702::SignedAuthorization};
use alloy_evm::{Database, Evm, FromTxWithEncoded};
use alloy_op_evm::{OpTx, OpTxError};
use alloy_primitives::Address;
use ascribe_engine::StateView;
use ascribe_evm::{AscribeEvm, EvmConfig, EvmEnv, OpSpecId};
use op_alloy_consensus::{OpBlock, OpTxEnvelope};
use reth_primitives_traits::RecoveredBlock;
use revm::{
    DatabaseCommit,
    context::result::EVMError,
    database::{State, WrapDatabaseRef},
    state::EvmState,
};
use serde_json::value::RawValue;

use super::{
    authorizations,
    options::TraceOptions,
    tracer::{Budget, FinalState, Hooks, Stop, TraceError, TxEnd, TxPlace, TxStart, tracer},
};
use crate::{RpcContext, RpcError};

/// The state between two transactions of a block.
pub(super) type ReplayState = State<WrapDatabaseRef<StateView>>;

/// How traces are made, for all transactions of a request.
#[derive(Debug)]
pub(super) struct Tracing {
    pub(super) options: TraceOptions,
    /// Bytes that a trace may have.
    pub(super) max_size: usize,
    pub(super) cancelled: Arc<AtomicBool>,
}

/// What is traced, besides the transaction as the EVM takes it.
#[derive(Debug)]
pub(super) struct Traced {
    pub(super) from: Address,
    /// Nothing for a creation.
    pub(super) to: Option<Address>,
    pub(super) gas_limit: u64,
    pub(super) authorizations: Vec<SignedAuthorization>,
    pub(super) deposit: bool,
    pub(super) place: TxPlace,
    /// Logs that earlier transactions of the block wrote.
    pub(super) logs_before: u64,
}

impl From<TraceError> for RpcError {
    fn from(error: TraceError) -> Self {
        Self::server(error.to_string())
    }
}

/// Runs a transaction on `db` under a tracer, and leaves its changes there. Tells the trace and how
/// many logs were written.
///
/// # Errors
/// The tracer's, and, in the words of `refused`, why the transaction may not run.
pub(super) fn trace<DB: Database + DatabaseCommit>(
    evm_config: &EvmConfig,
    db: &mut DB,
    env: EvmEnv<OpSpecId>,
    (tx, traced): (OpTx, &Traced),
    tracing: &Tracing,
    prepare: impl FnOnce(&mut AscribeEvm<&mut DB, &mut Hooks>),
    refused: impl FnOnce(OpTxError) -> String,
) -> Result<(Box<RawValue>, u64), RpcError> {
    let Tracing { options, max_size, cancelled } = tracing;
    let stop = Stop { deadline: Instant::now() + options.timeout()?, cancelled: cancelled.clone() };
    let tracer = tracer(
        options.tracer.as_deref(),
        options.tracer_config.as_deref(),
        &options.logger,
        Budget::new(*max_size),
    )?;
    let mut hooks = Hooks::new(tracer, stop, traced.logs_before);
    let (coinbase, spec) = (env.block_env.beneficiary, env.cfg_env.spec.into_eth_spec());
    let chain_id = env.cfg_env.chain_id;
    let ran = {
        let mut evm = evm_config.evm_with_inspector(&mut *db, env, &mut hooks);
        prepare(&mut evm);
        let (db, hooks, precompiles) = evm.components_mut();
        let precompiles: BTreeSet<Address> = precompiles.addresses().copied().collect();
        let untouched = EvmState::default();
        let mut before = FinalState::new(&untouched, db);
        let authorized = authorizations::judge(traced, chain_id, &mut before)?;
        let start = TxStart {
            from: traced.from,
            to: traced.to,
            gas_limit: traced.gas_limit,
            coinbase,
            authorities: authorized.authorities,
            refund: authorized.refund,
            spec,
            precompiles: &precompiles,
            place: traced.place,
        };
        hooks.tx_start(&start, traced.deposit, &mut before)?;
        evm.transact_raw(tx)
    };
    let ran = ran.map_err(|error| {
        let reason = match error {
            EVMError::Transaction(error) => refused(error),
            other => other.to_string(),
        };
        RpcError::server(format!("tracing failed: {reason}"))
    })?;
    let end = TxEnd { gas_used: ran.result.tx_gas_used() };
    let result = hooks.tx_end(&end, &mut FinalState::new(&ran.state, db))?;
    let logs = ran.result.logs().len() as u64;
    db.commit(ran.state);
    Ok((result, logs))
}

/// A block whose transactions run one after the other.
#[derive(Debug)]
pub(super) struct Replay<'a> {
    evm: &'a EvmConfig,
    block: &'a RecoveredBlock<OpBlock>,
    env: EvmEnv<OpSpecId>,
    state: ReplayState,
    next: usize,
    logs: u64,
}

impl<'a> Replay<'a> {
    /// Starts on the state of the block's parent, with what comes before the first transaction.
    pub(super) fn new(
        context: &'a RpcContext,
        block: &'a RecoveredBlock<OpBlock>,
    ) -> Result<Self, RpcError> {
        let header = block.header();
        let parent = context.chain.state_at(header.parent_hash)?;
        let env = context.evm.evm_env(header);
        let mut state = State::builder().with_database_ref(parent).with_bundle_update().build();
        let mut evm = context.evm.evm(&mut state, env.clone());
        context
            .evm
            .apply_pre_execution(&mut evm, header.parent_hash, header.parent_beacon_block_root)
            .map_err(|error| RpcError::server(error.to_string()))?;
        drop(evm);
        Ok(Self { evm: &context.evm, block, env, state, next: 0, logs: 0 })
    }

    /// Runs the transactions before `index` that have not run yet.
    pub(super) fn run_to(&mut self, index: usize) -> Result<(), RpcError> {
        let Self { evm, block, env, state, next, logs } = self;
        let mut evm = evm.evm(&mut *state, env.clone());
        let rest = block.transactions_with_sender().take(index).skip(*next);
        for (sender, tx) in rest {
            let hash = tx.tx_hash();
            let ran = evm
                .transact_raw(op_tx(tx, *sender))
                .map_err(|error| RpcError::server(format!("transaction {hash} failed: {error}")))?;
            *logs += ran.result.logs().len() as u64;
            evm.db_mut().commit(ran.state);
        }
        *next = index.max(*next);
        Ok(())
    }

    /// Runs the next transaction under a tracer. There must be one.
    pub(super) fn trace_next(&mut self, tracing: &Tracing) -> Result<Box<RawValue>, RpcError> {
        let index = self.next;
        let (sender, tx) = self
            .block
            .transactions_with_sender()
            .nth(index)
            .ok_or_else(|| RpcError::internal("no transaction is left to trace"))?;
        let traced = Traced {
            from: *sender,
            to: tx.to(),
            gas_limit: tx.gas_limit(),
            authorizations: tx.authorization_list().unwrap_or_default().to_vec(),
            deposit: tx.is_deposit(),
            place: TxPlace {
                block_hash: Some(self.block.hash()),
                block_number: self.block.header().number,
                tx_hash: Some(tx.tx_hash()),
                tx_index: index as u64,
            },
            logs_before: self.logs,
        };
        let (trace, logs) = trace(
            self.evm,
            &mut self.state,
            self.env.clone(),
            (op_tx(tx, *sender), &traced),
            tracing,
            |_| (),
            |error| error.to_string(),
        )?;
        self.next += 1;
        self.logs += logs;
        Ok(trace)
    }

    /// Logs that were written so far.
    pub(super) const fn logs(&self) -> u64 {
        self.logs
    }

    /// The state now, to be looked at between two transactions.
    pub(super) const fn state_mut(&mut self) -> &mut ReplayState {
        &mut self.state
    }
}

/// A transaction as the EVM takes it.
fn op_tx(tx: &OpTxEnvelope, sender: Address) -> OpTx {
    OpTx::from_encoded_tx(tx, sender, tx.encoded_2718().into())
}
