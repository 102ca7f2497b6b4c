//! What import is measured against: alloy-op-evm's own block executor over a database in memory.
//!
//! It finds senders on all cores and executes; it computes no root and writes nothing. The state of
//! the block before is still in its cache, as large as it has to be.

use std::time::{Duration, Instant};

use alloy_consensus::transaction::{Recovered, SignerRecoverable};
use alloy_eips::eip2718::{Encodable2718, WithEncoded};
use alloy_evm::{
    EvmFactory,
    block::{BlockExecutor, BlockExecutorFactory},
};
use alloy_op_evm::{
    OpBlockExecutionCtx, OpBlockExecutorFactory, OpEvmFactory, OpTx, block::OpAlloyReceiptBuilder,
};
use alloy_primitives::{Bytes, keccak256};
use ascribe_chainspec::ChainSpec;
use ascribe_evm::EvmConfig;
use op_alloy_consensus::{OpBlock, OpTxEnvelope};
use rayon::prelude::*;
use reth_primitives_traits::RecoveredBlock;
use revm::{
    bytecode::Bytecode,
    database::{CacheDB, EmptyDB, State},
    state::AccountInfo,
};
use std::sync::Arc;

use crate::BenchError;

/// Time that execution alone takes, part by part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Baseline {
    pub(crate) recovery: Duration,
    pub(crate) execution: Duration,
}

impl Baseline {
    pub(crate) fn total(&self) -> Duration {
        self.recovery + self.execution
    }
}

/// The genesis state in maps.
pub(crate) fn database(spec: &ChainSpec) -> CacheDB<EmptyDB> {
    let mut db = CacheDB::default();
    for (address, account) in spec.genesis_accounts() {
        let code = account.code.clone().unwrap_or_default();
        let info = AccountInfo {
            balance: account.balance,
            nonce: account.nonce.unwrap_or_default(),
            code_hash: keccak256(&code),
            code: Some(Bytecode::new_raw(code)),
            account_id: None,
        };
        db.insert_account_info(address, info);
        let storage = account.storage.iter().flatten();
        let storage = storage.map(|(slot, value)| ((*slot).into(), (*value).into())).collect();
        db.replace_account_storage(address, storage)
            .expect("invariant: an empty database has no errors");
    }
    db
}

/// Executes `blocks`, which follow genesis; of the first `warm` ones the time does not count.
pub(crate) fn execute(
    spec: &Arc<ChainSpec>,
    genesis: &CacheDB<EmptyDB>,
    blocks: &[Arc<RecoveredBlock<OpBlock>>],
    warm: usize,
) -> Result<Baseline, BenchError> {
    let environments = EvmConfig::new(spec.clone());
    let evms = OpEvmFactory::<OpTx>::default();
    let executors =
        OpBlockExecutorFactory::new(OpAlloyReceiptBuilder::default(), (**spec).clone(), evms);
    let mut state = State::builder().with_database_ref(genesis).build();
    let mut times = Baseline::default();
    for (index, block) in blocks.iter().enumerate() {
        let transactions = block.body().transactions.iter();
        let transactions = transactions.map(|tx| (tx.clone(), tx.encoded_2718().into())).collect();
        let header = block.header();

        let started = Instant::now();
        let recovered = recover(transactions)?;
        let recovery = started.elapsed();

        let started = Instant::now();
        let evm = evms.create_evm(&mut state, environments.evm_env(header));
        let context = OpBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            extra_data: header.extra_data.clone(),
        };
        let executor = executors.create_executor(evm, context);
        let output = executor
            .execute_block(recovered)
            .map_err(|error| BenchError::setup("the baseline", error))?;
        if index >= warm {
            times.execution += started.elapsed();
            times.recovery += recovery;
        }
        if output.gas_used != header.gas_used {
            let text = format!("{} gas in a block of {}", output.gas_used, header.gas_used);
            return Err(BenchError::setup("the baseline", text));
        }
    }
    Ok(times)
}

/// Transactions as the executor takes them.
type Recoveries = Vec<WithEncoded<Recovered<OpTxEnvelope>>>;

fn recover(transactions: Vec<(OpTxEnvelope, Bytes)>) -> Result<Recoveries, BenchError> {
    transactions
        .into_par_iter()
        .with_min_len(4)
        .map(|(tx, encoded)| {
            let sender =
                tx.recover_signer().map_err(|error| BenchError::setup("a signature", error))?;
            Ok(WithEncoded::new(encoded, Recovered::new_unchecked(tx, sender)))
        })
        .collect()
}
