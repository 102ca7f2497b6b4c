//! Makes EVMs with the precompiles that their block has.

use crate::{evm::AscribeEvm, precompiles::precompiles};
use alloy_evm::{
    Database, Evm, EvmEnv, EvmFactory,
    precompiles::{DynPrecompile, PrecompilesMap},
};
use alloy_op_evm::{OpEvmContext, OpEvmFactory, OpTx, OpTxError};
use alloy_primitives::Address;
use op_revm::{OpHaltReason, OpSpecId};
use revm::{
    Inspector,
    context::{BlockEnv, result::EVMError},
    inspector::NoOpInspector,
};
use std::sync::Arc;

/// A precompile of this chain's own, standing beside those of the fork from a block time on.
#[derive(Debug, Clone)]
pub struct ScheduledPrecompile {
    /// Timestamp of the first block in which it can be called, in seconds.
    pub activation: u64,
    /// Where it stands.
    pub address: Address,
    /// What it does. One that reads or writes state must be a *stateful* `DynPrecompile`, or its
    /// results get cached.
    pub precompile: DynPrecompile,
}

/// Makes OP EVMs with the right precompiles for their block.
///
/// It is an [`EvmFactory`], so whatever is generic over one (alloy-op-evm's block executor,
/// op-reth's `OpEvmConfig`) can host it as it is.
#[derive(Debug, Clone, Default)]
pub struct AscribeEvmFactory {
    inner: OpEvmFactory<OpTx>,
    scheduled: Option<Arc<[ScheduledPrecompile]>>,
}

impl AscribeEvmFactory {
    /// A factory whose EVMs also have `scheduled` precompiles, each from its time on.
    pub fn new(scheduled: Vec<ScheduledPrecompile>) -> Self {
        Self {
            inner: OpEvmFactory::default(),
            scheduled: (!scheduled.is_empty()).then(|| scheduled.into()),
        }
    }

    fn precompiles_at(&self, spec: OpSpecId, timestamp: u64) -> PrecompilesMap {
        let mut map = PrecompilesMap::from_static(precompiles(spec));
        // Untouched, the map stays a reference to the fork's static set.
        for scheduled in self.scheduled.iter().flat_map(|all| all.iter()) {
            if scheduled.activation <= timestamp {
                map.apply_precompile(&scheduled.address, |_| Some(scheduled.precompile.clone()));
            }
        }
        map
    }
}

impl EvmFactory for AscribeEvmFactory {
    type Evm<DB: Database, I: Inspector<OpEvmContext<DB>>> = AscribeEvm<DB, I>;
    type Context<DB: Database> = OpEvmContext<DB>;
    type Tx = OpTx;
    type Error<DBError: std::error::Error + Send + Sync + 'static> = EVMError<DBError, OpTxError>;
    type HaltReason = OpHaltReason;
    type Spec = OpSpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;

    fn create_evm<DB: Database>(
        &self,
        db: DB,
        env: EvmEnv<OpSpecId>,
    ) -> AscribeEvm<DB, NoOpInspector> {
        let precompiles =
            self.precompiles_at(env.cfg_env.spec, env.block_env.timestamp.saturating_to());
        let mut evm = self.inner.create_evm(db, env);
        *evm.precompiles_mut() = precompiles;
        AscribeEvm::new(evm)
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<OpEvmContext<DB>>>(
        &self,
        db: DB,
        env: EvmEnv<OpSpecId>,
        inspector: I,
    ) -> AscribeEvm<DB, I> {
        let precompiles =
            self.precompiles_at(env.cfg_env.spec, env.block_env.timestamp.saturating_to());
        let mut evm = self.inner.create_evm_with_inspector(db, env, inspector);
        *evm.precompiles_mut() = precompiles;
        AscribeEvm::new(evm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{op_spec_id, precompiles::KARST_BN254_PAIR_MAX_INPUT_SIZE};
    use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
    use alloy_op_hardforks::{OpHardfork, OpHardforks};
    use alloy_primitives::{Bytes, TxKind, U256, address};
    use op_revm::OpTransaction;
    use revm::{
        context::{CfgEnv, TxEnv},
        database::EmptyDB,
        precompile::{PrecompileId, PrecompileOutput},
    };

    const AT: Address = address!("0000000000000000000000000000000000000a77");

    fn env(spec: OpSpecId, timestamp: u64) -> EvmEnv<OpSpecId> {
        let mut env = EvmEnv::new(CfgEnv::new_with_spec(spec), BlockEnv::default());
        env.block_env.timestamp = U256::from(timestamp);
        env.block_env.gas_limit = u64::MAX;
        env
    }

    /// Calls `to` from a deposit, which needs no balance and has no gas cap.
    fn call(to: Address, input: Bytes) -> OpTx {
        let mut tx = OpTransaction::new(TxEnv {
            tx_type: op_alloy_consensus::DEPOSIT_TX_TYPE_ID,
            kind: TxKind::Call(to),
            data: input,
            gas_limit: 500_000_000,
            ..TxEnv::default()
        });
        tx.deposit.source_hash.0[0] = 1;
        OpTx(tx)
    }

    #[test]
    fn scheduled_precompiles_wait_for_their_time() {
        let factory = AscribeEvmFactory::new(vec![ScheduledPrecompile {
            activation: 100,
            address: AT,
            precompile: DynPrecompile::new_stateful(PrecompileId::custom("answer"), |input| {
                Ok(PrecompileOutput::new(42, Bytes::from_static(b"42"), input.reservoir))
            }),
        }]);
        for (timestamp, active) in [(99, false), (100, true), (101, true)] {
            let mut evm = factory.create_evm(EmptyDB::default(), env(OpSpecId::KARST, timestamp));
            let result = evm.transact_raw(call(AT, Bytes::new())).expect("the EVM works").result;
            let output = result.output().expect("the call succeeds");
            assert_eq!(output.as_ref() == b"42", active, "at {timestamp}");
            // The fork's own set is there in either case.
            assert!(evm.precompiles().get(&revm::precompile::bn254::pair::ADDRESS).is_some());
        }
    }

    #[test]
    fn evms_have_the_karst_pairing() {
        let at = revm::precompile::bn254::pair::ADDRESS;
        let factory = AscribeEvmFactory::default();
        for (len, success) in [
            (KARST_BN254_PAIR_MAX_INPUT_SIZE, true),
            (KARST_BN254_PAIR_MAX_INPUT_SIZE + 192, false),
        ] {
            let input = Bytes::from(vec![0; len]);
            let mut evm = factory.create_evm(EmptyDB::default(), env(OpSpecId::KARST, 0));
            let result = evm.transact_raw(call(at, input.clone())).expect("the EVM works");
            assert_eq!(result.result.is_success(), success, "{len}");
            let mut evm = factory.create_evm_with_inspector(
                EmptyDB::default(),
                env(OpSpecId::KARST, 0),
                NoOpInspector {},
            );
            let result = evm.transact_raw(call(at, input)).expect("the EVM works");
            assert_eq!(result.result.is_success(), success, "{len}, inspected");
        }
    }

    #[test]
    fn no_time_has_the_interop_rules() {
        /// Every fork is active, Interop included.
        struct Everything;
        impl EthereumHardforks for Everything {
            fn ethereum_fork_activation(&self, _: EthereumHardfork) -> ForkCondition {
                ForkCondition::Timestamp(0)
            }
        }
        impl OpHardforks for Everything {
            fn op_fork_activation(&self, fork: OpHardfork) -> ForkCondition {
                ForkCondition::Timestamp(fork as u64)
            }
        }
        let mut last = OpSpecId::BEDROCK;
        for timestamp in 0..100 {
            let spec = op_spec_id(Everything, timestamp);
            assert_ne!(spec, OpSpecId::INTEROP);
            assert!(spec >= last && spec.into_eth_spec() >= last.into_eth_spec());
            last = spec;
        }
        assert_eq!(last, OpSpecId::KARST);
    }
}
