//! What the attribution precompile settled in a block, found by executing it once more.

use crate::{
    EvmConfig, ExecutionError,
    executor::{self, BlockExecutor},
};
use alloy_eips::Encodable2718;
use alloy_evm::{Database, Evm, FromTxWithEncoded};
use alloy_op_evm::OpTx;
use alloy_primitives::Bytes;
use ascribe_attribution::abi::batch_to_settle;
use ascribe_chainspec::predeploys::ATTRIBUTION;
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::RecoveredBlock;
use revm::{
    DatabaseCommit, Inspector,
    context::ContextTr,
    database::State,
    interpreter::{CallInputs, CallOutcome},
};

/// Collects batches that were settled.
#[derive(Debug, Default)]
struct Settled {
    batches: Vec<Bytes>,
}

impl<CTX: ContextTr> Inspector<CTX> for Settled {
    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        if inputs.bytecode_address != ATTRIBUTION || !outcome.result.is_ok() {
            return;
        }
        self.batches.extend(batch_to_settle(&inputs.input.bytes(context)));
    }
}

impl EvmConfig {
    /// The batches that the attribution precompile settled in the transactions at these places of a block, in order,
    /// also where what came of it was undone. `db` is the state of the block's parent.
    ///
    /// # Errors
    /// If the block doesn't execute.
    pub fn settled_batches<DB: Database>(
        &self,
        db: DB,
        block: &RecoveredBlock<OpBlock>,
        places: &[u32],
    ) -> Result<Vec<Bytes>, ExecutionError> {
        let Some(last) = places.iter().max() else { return Ok(Vec::new()) };
        let header = block.header();
        let mut state = State::builder().with_database(db).with_bundle_update().build();
        let mut settled = Settled::default();
        let env = self.evm_env(header);
        let (parent, beacon_root) = (header.parent_hash, header.parent_beacon_block_root);
        BlockExecutor::new(self, &mut state, env.clone())
            .apply_pre_execution(parent, beacon_root)?;
        let mut evm = self.evm_with_inspector(&mut state, env, &mut settled);
        let transactions = (0..=*last).zip(block.transactions_with_sender());
        for (index, (sender, tx)) in transactions {
            evm.set_inspector_enabled(places.contains(&index));
            let in_block = |error| executor::in_block(error, index as usize, tx.tx_hash());
            let op_tx = OpTx::from_encoded_tx(tx, *sender, tx.encoded_2718().into());
            let ran =
                evm.transact_raw(op_tx).map_err(|error| in_block(executor::evm_error(error)))?;
            evm.db_mut().commit(ran.state);
        }
        drop(evm);
        Ok(settled.batches)
    }
}
