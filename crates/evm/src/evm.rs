//! The EVM that runs this chain's transactions.

use alloy_evm::{Database, Evm, EvmEnv, precompiles::PrecompilesMap};
use alloy_op_evm::{OpEvm, OpEvmContext, OpTx, OpTxError};
use alloy_primitives::{Address, Bytes};
use op_revm::{OpHaltReason, OpSpecId, transaction::OpTxTr};
use revm::{
    Inspector,
    context::{
        BlockEnv, CfgEnv,
        result::{EVMError, ResultAndState},
    },
    inspector::NoOpInspector,
};

/// op-revm's EVM, with deposits exempt from EIP-7825 also while they run.
///
/// op-revm lets a deposit above the transaction gas cap in, as it must (specs:
/// `karst/exec-engine.md`), but revm 38 then gives it no more than the cap to spend and sets the
/// rest aside for state gas, which no active fork has. So a deposit runs without a cap.
#[allow(missing_debug_implementations, reason = "op-revm's context has none")]
pub struct AscribeEvm<DB: Database, I = NoOpInspector> {
    inner: OpEvm<DB, I, PrecompilesMap>,
}

impl<DB: Database, I> AscribeEvm<DB, I> {
    pub(crate) const fn new(inner: OpEvm<DB, I, PrecompilesMap>) -> Self {
        Self { inner }
    }

    /// The context: environment, journal and L1 fee parameters.
    pub const fn ctx(&self) -> &OpEvmContext<DB> {
        self.inner.ctx()
    }

    /// The context, to change it between transactions.
    pub const fn ctx_mut(&mut self) -> &mut OpEvmContext<DB> {
        self.inner.ctx_mut()
    }
}

impl<DB, I> Evm for AscribeEvm<DB, I>
where
    DB: Database,
    I: Inspector<OpEvmContext<DB>>,
{
    type DB = DB;
    type Tx = OpTx;
    type Error = EVMError<DB::Error, OpTxError>;
    type HaltReason = OpHaltReason;
    type Spec = OpSpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;
    type Inspector = I;

    fn block(&self) -> &BlockEnv {
        self.inner.block()
    }

    fn cfg_env(&self) -> &CfgEnv<OpSpecId> {
        self.inner.cfg_env()
    }

    fn chain_id(&self) -> u64 {
        self.inner.chain_id()
    }

    fn transact_raw(&mut self, tx: OpTx) -> Result<ResultAndState<OpHaltReason>, Self::Error> {
        if !tx.is_deposit() {
            return self.inner.transact_raw(tx);
        }
        let cap = self.inner.cfg.tx_gas_limit_cap.replace(u64::MAX);
        let result = self.inner.transact_raw(tx);
        self.inner.cfg.tx_gas_limit_cap = cap;
        result
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState<OpHaltReason>, Self::Error> {
        self.inner.transact_system_call(caller, contract, data)
    }

    fn finish(self) -> (DB, EvmEnv<OpSpecId>) {
        self.inner.finish()
    }

    fn set_inspector_enabled(&mut self, enabled: bool) {
        self.inner.set_inspector_enabled(enabled);
    }

    fn components(&self) -> (&DB, &I, &PrecompilesMap) {
        self.inner.components()
    }

    fn components_mut(&mut self) -> (&mut DB, &mut I, &mut PrecompilesMap) {
        self.inner.components_mut()
    }
}
