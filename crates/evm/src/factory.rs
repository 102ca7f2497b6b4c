//! The EVM itself: op-revm with this chain's precompiles.

use crate::precompiles::precompiles;
use alloy_evm::{
    Database, Evm, EvmEnv, EvmFactory,
    precompiles::{DynPrecompile, PrecompilesMap},
};
use alloy_op_evm::{OpEvm, OpEvmContext, OpEvmFactory, OpTx, OpTxError};
use alloy_primitives::Address;
use op_revm::{OpHaltReason, OpSpecId};
use revm::{
    Inspector,
    context::{BlockEnv, result::EVMError},
    inspector::NoOpInspector,
};
use std::sync::Arc;

/// The EVM that [`AscribeEvmFactory`] makes.
pub type AscribeEvm<DB, I = NoOpInspector> = OpEvm<DB, I, PrecompilesMap>;

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
        evm
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
        evm
    }
}
