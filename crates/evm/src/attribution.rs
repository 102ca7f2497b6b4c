//! The attribution precompile.

use crate::ScheduledPrecompile;
use alloy_evm::precompiles::{DynPrecompile, PrecompileInput};
use alloy_primitives::Bytes;
use ascribe_attribution::{
    Meter,
    abi::{self, Failure},
};
use ascribe_chainspec::predeploys::ATTRIBUTION;
use revm::precompile::{PrecompileHalt, PrecompileId, PrecompileOutput, PrecompileResult};

/// The precompile at [`ATTRIBUTION`], from the block time `activation` on, in seconds.
pub fn attribution(activation: u64) -> ScheduledPrecompile {
    let id = PrecompileId::custom("attribution");
    ScheduledPrecompile {
        activation,
        address: ATTRIBUTION,
        precompile: DynPrecompile::new(id, run),
    }
}

fn run(input: PrecompileInput<'_>) -> PrecompileResult {
    let mut meter = Meter::new(input.gas);
    let reservoir = input.reservoir;
    Ok(match abi::call(input.data, &mut meter) {
        Ok(output) => PrecompileOutput::new(meter.used(), output.into(), reservoir),
        Err(Failure::OutOfGas) => PrecompileOutput::halt(PrecompileHalt::OutOfGas, reservoir),
        Err(refused @ Failure::Refused(_)) => {
            let data = refused.revert_data().map_or_else(Bytes::new, Bytes::from);
            PrecompileOutput::revert(meter.used(), data, reservoir)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AscribeEvmFactory, OpTx};
    use alloy_evm::{Evm, EvmEnv, EvmFactory};
    use alloy_primitives::{Address, B256, TxKind, U256, aliases::U96};
    use alloy_sol_types::{SolCall, SolError};
    use ascribe_attribution::{Batch, Header, Record, Share, abi::IAttribution, settle};
    use op_revm::{OpSpecId, OpTransaction};
    use revm::{
        context::{BlockEnv, CfgEnv, TxEnv, result::ExecutionResult},
        database::EmptyDB,
    };

    /// What a call by a deposit with `gas` at `timestamp` comes to, if the precompile is there from 100 on.
    fn call(timestamp: u64, input: Vec<u8>, gas: u64) -> ExecutionResult<op_revm::OpHaltReason> {
        let mut env = EvmEnv::new(CfgEnv::new_with_spec(OpSpecId::KARST), BlockEnv::default());
        env.block_env.timestamp = U256::from(timestamp);
        env.block_env.gas_limit = u64::MAX;
        let factory = AscribeEvmFactory::new(vec![attribution(100)]);
        let mut evm = factory.create_evm(EmptyDB::default(), env);
        let mut tx = OpTransaction::new(TxEnv {
            tx_type: op_alloy_consensus::DEPOSIT_TX_TYPE_ID,
            kind: TxKind::Call(ATTRIBUTION),
            data: input.into(),
            gas_limit: gas,
            ..TxEnv::default()
        });
        tx.deposit.source_hash.0[0] = 1;
        evm.transact_raw(OpTx(tx)).expect("the EVM works").result
    }

    fn settle_call(records: usize) -> IAttribution::settleCall {
        let record = Record {
            adapter: 0,
            prompt_tokens: 10,
            completion_tokens: 10,
            time: 0,
            shares: vec![Share { source: 0, weight: 10_000 }],
        };
        let header = Header {
            chain_id: 1,
            hub: Address::ZERO,
            model: 0,
            operator: Address::ZERO,
            sequence: 0,
            time_base: 0,
            detail_root: B256::ZERO,
        };
        IAttribution::settleCall {
            batch: Batch { header, records: vec![record; records] }
                .encode()
                .expect("valid records")
                .into(),
            rates: IAttribution::Rates {
                prompt: U96::from(1_000_000_u64),
                completion: U96::from(1_000_000_u64),
                record: U96::ZERO,
                modelShare: 10_000,
                adapterShare: 0,
                sourceShare: 0,
                operatorShare: 0,
            },
        }
    }

    #[test]
    fn settles_from_its_time_on() {
        let call_settle = settle_call(9);
        let before = call(99, call_settle.abi_encode(), 10_000_000);
        assert!(before.is_success() && before.output().is_some_and(|output| output.is_empty()));
        let result = call(100, call_settle.abi_encode(), 10_000_000);
        let output = result.output().filter(|_| result.is_success()).expect("settled");
        let settlement =
            IAttribution::settleCall::abi_decode_returns_validate(output).expect("a settlement");
        let settled =
            settle(&call_settle.batch, &call_settle.rates.into(), &mut Meter::unlimited())
                .expect("a batch");
        assert_eq!(settlement, settled.into());
    }

    #[test]
    fn refusals_revert_and_keep_the_rest_of_the_gas() {
        match call(100, vec![1, 2, 3], 10_000_000) {
            ExecutionResult::Revert { output, gas, .. } => {
                assert_eq!(output, IAttribution::InvalidInput {}.abi_encode());
                assert!(gas.tx_gas_used() < 100_000, "{gas:?}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_gas_it_halts() {
        let input = settle_call(2_000).abi_encode();
        assert!(call(100, input.clone(), 10_000_000).is_success());
        assert!(call(100, input, 100_000).is_halt());
    }
}
