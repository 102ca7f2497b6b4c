//! `eth_estimateGas`: the least gas limit with which a call does not fail, or a little more.

use super::{
    block_id::BlockRef,
    call::{CallContext, CallError, Executed},
    message::{Message, MessageError},
    overrides::{BlockOverrides, StateOverrides},
    transaction_args::TransactionArgs,
};
use crate::{RpcContext, RpcError, hex::Hex};
use alloy_primitives::{TxKind, U256};
use revm::primitives::{eip7825::TX_GAS_LIMIT_CAP, hardfork::SpecId};

/// Gas of a transfer.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value hands on for free.
const CALL_STIPEND: u64 = 2_300;
/// How much an estimate may be too high: who sends a transaction adds a fifth of it anyway.
const TOLERANCE: f64 = 0.015;

/// `eth_estimateGas`
pub(super) fn estimate_gas(
    context: &RpcContext,
    (args, block, state_overrides, block_overrides): (
        TransactionArgs,
        Option<BlockRef>,
        Option<StateOverrides>,
        Option<BlockOverrides>,
    ),
) -> Result<Hex<u64>, RpcError> {
    let block = context.header_block(block.unwrap_or(BlockRef::LATEST))?;
    let mut call =
        CallContext::new(context, block, state_overrides.as_ref(), block_overrides.as_ref())?;
    estimate(context, args, &mut call).map(Hex)
}

/// Estimates the gas of `args` in `call`.
pub(super) fn estimate(
    context: &RpcContext,
    mut args: TransactionArgs,
    call: &mut CallContext,
) -> Result<u64, RpcError> {
    // Unlike a call, an estimate starts from the block's gas limit.
    args.gas.get_or_insert_default();
    let gas_cap = context.config.gas_cap;
    let message = args.to_message(gas_cap, call.base_fee(), context.spec.chain_id())?;
    Search { call, message }.run(gas_cap)
}

struct Search<'a> {
    call: &'a mut CallContext,
    message: Message,
}

impl Search<'_> {
    fn run(mut self, gas_cap: u64) -> Result<u64, RpcError> {
        let mut high = self.ceiling(gas_cap)?;
        if let TxKind::Call(to) = self.message.kind
            && self.message.data.is_empty()
            && !self.call.has_code(to)?
            && matches!(self.execute(TRANSFER_GAS), Ok(Some(Executed { failure: None, .. })))
        {
            // A transfer, if nothing of the message makes it more than that.
            return Ok(TRANSFER_GAS);
        }
        let exceeds = |high| RpcError::server(format!("gas required exceeds allowance ({high})"));
        let mut first = self.execute(high)?.ok_or_else(|| exceeds(high))?;
        self.call.explain(&self.message, &mut first).map_err(|error| match error {
            CallError::Refused(error) => RpcError::server(error.to_string()),
            CallError::Failed(error) => error,
        })?;
        if let Some(failure) = first.failure {
            return Err(if first.out_of_gas { exceeds(high) } else { failure.into() });
        }
        // What it used is a lower bound, but for code that looks at the gas it is given.
        let mut low = first.gas_used.saturating_sub(1);
        let likely = first.max_gas_used.saturating_add(CALL_STIPEND).saturating_mul(64) / 63;
        if likely < high {
            if self.succeeds(likely)? { high = likely } else { low = likely }
        }
        while low.saturating_add(1) < high {
            if ((high - low) as f64) / (high as f64) < TOLERANCE {
                break;
            }
            // Most need little more than they use: look low first.
            let middle = (low + (high - low) / 2).min(low.saturating_mul(2));
            if self.succeeds(middle)? { high = middle } else { low = middle }
        }
        Ok(high)
    }

    /// The most gas that the sender can be allowed.
    fn ceiling(&mut self, gas_cap: u64) -> Result<u64, RpcError> {
        let mut high = match self.message.gas_limit {
            gas if gas >= TRANSFER_GAS => gas,
            _ => self.call.header().gas_limit,
        };
        if self.call.spec().into_eth_spec().is_enabled_in(SpecId::OSAKA) {
            high = high.min(TX_GAS_LIMIT_CAP);
        }
        if !self.message.fee_cap.is_zero() {
            let balance = self.call.balance(self.message.from)?;
            if self.message.value >= balance {
                return Err(RpcError::server("insufficient funds for transfer"));
            }
            let available = balance - self.message.value;
            let affordable = available / self.message.fee_cap;
            if affordable < U256::from(high) {
                high = affordable.to();
            }
        }
        Ok(if gas_cap == 0 { high } else { high.min(gas_cap) })
    }

    fn succeeds(&mut self, gas: u64) -> Result<bool, RpcError> {
        Ok(self.execute(gas)?.is_some_and(|executed| executed.failure.is_none()))
    }

    /// What comes of the message with this much gas; nothing if the limit alone kept it from
    /// starting.
    fn execute(&mut self, gas: u64) -> Result<Option<Executed>, RpcError> {
        self.message.gas_limit = gas;
        match self.call.execute(&self.message) {
            Ok(executed) => Ok(Some(executed)),
            Err(CallError::Refused(error)) if is_about_gas(&error) => Ok(None),
            Err(CallError::Refused(error)) => {
                Err(RpcError::server(format!("failed with {gas} gas: {error}")))
            }
            Err(CallError::Failed(error)) => Err(error),
        }
    }
}

const fn is_about_gas(error: &MessageError) -> bool {
    error.needs_more_gas() || error.needs_less_gas()
}
