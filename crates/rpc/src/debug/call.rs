//! `debug_traceCall`.

use alloy_eips::BlockNumberOrTag;
use alloy_evm::Evm;
use ascribe_engine::StateView;
use ascribe_evm::precompiles;
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::RecoveredBlock;
use revm::{
    Database,
    database::{BundleState, CacheDB, states::bundle_state::BundleRetention},
};
use serde_json::value::RawValue;

use super::{
    options::TraceCallOptions,
    replay::{Replay, Traced, Tracing, trace},
    trace::{block_by_hash, block_by_number},
    tracer::TxPlace,
};
use crate::{
    RpcContext, RpcError,
    eth::{
        block_id::{BlockNumber, BlockRef},
        call::{free_of_l1_fees, unbound},
        message::Sender,
        overrides::{BlockOverrides, CallState, PrecompileChanges, StateOverrides},
        transaction_args::TransactionArgs,
    },
};

/// Where a call is made, and what is taken to be other than it is.
#[derive(Debug)]
pub(super) struct CallSite {
    pub(super) at: BlockRef,
    pub(super) state_overrides: Option<StateOverrides>,
    pub(super) block_overrides: Option<BlockOverrides>,
    pub(super) tx_index: Option<u64>,
}

impl CallSite {
    /// Takes apart the options of a call.
    pub(super) fn new(at: BlockRef, options: TraceCallOptions) -> (Self, super::TraceOptions) {
        let TraceCallOptions { trace, state_overrides, block_overrides, tx_index } = options;
        (Self { at, state_overrides, block_overrides, tx_index }, trace)
    }
}

/// Traces a call in the environment of a block, on the state after it or after some of its
/// transactions.
pub(super) fn trace_call(
    context: &RpcContext,
    args: &TransactionArgs,
    site: &CallSite,
    tracing: &Tracing,
) -> Result<Box<RawValue>, RpcError> {
    let block = match site.at {
        BlockRef::Hash { hash, .. } => block_by_hash(context, hash)?,
        BlockRef::Number(BlockNumberOrTag::Pending) => {
            return Err(RpcError::server("tracing on top of pending is not supported"));
        }
        BlockRef::Number(number) => block_by_number(context, BlockNumber(number))?,
        BlockRef::Neither => {
            return Err(RpcError::server("invalid arguments; neither block nor hash specified"));
        }
    };
    let (mut state, logs_before) = match site.tx_index {
        None => (CacheDB::new(context.chain.state_at(block.hash())?), 0),
        Some(index) => state_before(context, &block, index)?,
    };
    let mut env = match &site.block_overrides {
        None => context.evm.evm_env(block.header()),
        Some(overrides) => {
            overrides.check_for_call()?;
            let mut env = context.evm.evm_env(&overrides.header(block.header()));
            overrides.apply(&mut env.block_env);
            env
        }
    };
    unbound(&mut env, context.config.evm_memory_limit);
    let changes = match &site.state_overrides {
        Some(overrides) => {
            let known = precompiles(env.cfg_env.spec);
            overrides.apply(&mut state, |address| known.contains(address))?
        }
        None => PrecompileChanges::default(),
    };

    let chain_id = env.cfg_env.chain_id;
    let message = args.to_message(context.config.gas_cap, env.block_env.basefee, chain_id)?;
    message.waive_prices(&mut env.block_env);
    let info = state.basic(message.from)?.unwrap_or_default();
    let sender = Sender { nonce: info.nonce, balance: info.balance };
    message
        .check(sender, &env.block_env, false, false)
        .map_err(|error| RpcError::server(format!("tracing failed: {error}")))?;
    let traced = Traced {
        from: message.from,
        to: message.kind.to().copied(),
        gas_limit: message.gas_limit,
        authorizations: message.authorizations.clone().unwrap_or_default(),
        deposit: false,
        place: TxPlace::default(),
        logs_before,
    };
    let (result, _) = trace(
        &context.evm,
        &mut state,
        env,
        (message.to_tx(chain_id), &traced),
        tracing,
        |evm| {
            changes.apply(evm.precompiles_mut());
            free_of_l1_fees(evm);
        },
        |error| message.refused(error).to_string(),
    )?;
    Ok(result)
}

/// The state before a transaction of a block, and how many logs those before it wrote.
fn state_before(
    context: &RpcContext,
    block: &RecoveredBlock<OpBlock>,
    index: u64,
) -> Result<(CallState, u64), RpcError> {
    if block.header().number == 0 {
        return Err(RpcError::server("no transaction in genesis"));
    }
    let transactions = block.body().transactions.len();
    let index = usize::try_from(index)
        .ok()
        .filter(|index| *index < transactions || (*index == 0 && transactions == 0))
        .ok_or_else(|| {
            RpcError::server(format!(
                "transaction index {index} out of range for block {}",
                block.hash()
            ))
        })?;
    let mut replay = Replay::new(context, block)?;
    replay.run_to(index)?;
    let logs = replay.logs();
    let state = replay.state_mut();
    state.merge_transitions(BundleRetention::PlainState);
    let parent = context.chain.state_at(block.header().parent_hash)?;
    Ok((changed(parent, state.take_bundle())?, logs))
}

/// `state` with changes over it.
fn changed(state: StateView, changes: BundleState) -> Result<CallState, RpcError> {
    let mut db = CacheDB::new(state);
    db.cache.contracts.extend(changes.contracts);
    for (address, account) in changes.state {
        let destroyed = account.was_destroyed();
        db.insert_account_info(address, account.info.unwrap_or_default());
        let slots = account.storage.into_iter().map(|(key, slot)| (key, slot.present_value));
        if destroyed {
            db.replace_account_storage(address, slots.collect())?;
        } else {
            for (key, value) in slots {
                db.insert_account_storage(address, key, value)?;
            }
        }
    }
    Ok(db)
}
