//! A node, by its JSON-RPC: questions to the index, calls of the hub, transactions.

use crate::refusal::Refusal;
use alloy_eips::BlockId;
use alloy_network::{EthereumWallet, TransactionBuilder};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_provider::{DynProvider, Provider, ProviderBuilder};
use alloy_rpc_types_eth::{
    Block, EIP1186AccountProofResponse, TransactionReceipt, TransactionRequest,
};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use alloy_transport::TransportError;
use ascribe_attribution::{ListId, Payee};
use ascribe_attribution_index::answer::{
    BlockRange, Earnings, EarningsFilter, PayoutList, PayoutProof, RecordFilter, RecordPage,
    RecordProof, SettledBatch, SettledRecord, Stats,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// How often a receipt is asked for.
const POLL: Duration = Duration::from_millis(500);

/// What a node does not do.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no connection.
    #[error("--rpc-url: no connection to {url}: {error}")]
    Connect {
        /// Where to.
        url: String,
        /// Why.
        error: TransportError,
    },
    /// A request has no answer, or not one that can be read.
    #[error("{method}: {error}")]
    Request {
        /// What was asked.
        method: &'static str,
        /// Why not.
        error: TransportError,
    },
    /// The node has not got what is asked for.
    #[error("the node knows no {0}")]
    Unknown(String),
    /// The hub reverts.
    #[error("the hub refuses {call}: {refusal}")]
    Refused {
        /// The call.
        call: &'static str,
        /// What it says.
        refusal: Refusal,
    },
    /// Nothing at the hub's address, or something else.
    #[error("--hub: {hub} on chain {chain_id} does not answer {call} as the hub does")]
    NoHub {
        /// The address.
        hub: Address,
        /// The chain.
        chain_id: u64,
        /// What it was asked.
        call: &'static str,
    },
    /// A transaction is not in a block in time.
    #[error("transaction {transaction} is not in a block after {} s{}; it may yet be", waited.as_secs(), told(error))]
    Pending {
        /// Its hash.
        transaction: B256,
        /// How long was waited.
        waited: Duration,
        /// What the last question for the receipt failed with, if it did.
        error: Option<TransportError>,
    },
    /// A transaction failed.
    #[error("transaction {transaction} failed in block {block_number}")]
    Failed {
        /// Its hash.
        transaction: B256,
        /// Where.
        block_number: u64,
    },
}

fn told(error: &Option<TransportError>) -> String {
    error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default()
}

/// The name of a call.
fn name<C: SolCall>() -> &'static str {
    C::SIGNATURE.split('(').next().unwrap_or(C::SIGNATURE)
}

/// A node and the hub on its chain.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    provider: DynProvider,
    pub(crate) hub: Address,
    pub(crate) chain_id: u64,
}

impl Node {
    /// Connects, with a key if there is something to sign.
    pub(crate) async fn connect(
        url: &str,
        hub: Address,
        signer: Option<PrivateKeySigner>,
    ) -> Result<Self, NodeError> {
        let failed = |error| NodeError::Connect { url: url.to_owned(), error };
        let builder = ProviderBuilder::new();
        let provider = match signer {
            Some(signer) => {
                let wallet = EthereumWallet::from(signer);
                builder.wallet(wallet).connect(url).await.map_err(failed)?.erased()
            }
            None => builder.connect(url).await.map_err(failed)?.erased(),
        };
        let chain_id = provider.get_chain_id().await.map_err(failed)?;
        Ok(Self { provider, hub, chain_id })
    }

    async fn ask<P, R>(&self, method: &'static str, params: P) -> Result<R, NodeError>
    where
        P: Serialize + Clone + Debug + Send + Sync + Unpin,
        R: DeserializeOwned + Debug + Send + Sync + Unpin + 'static,
    {
        let answer = self.provider.client().request(method, params).await;
        answer.map_err(|error| NodeError::Request { method, error })
    }

    pub(crate) async fn batch(&self, list: ListId) -> Result<SettledBatch, NodeError> {
        let batch: Option<_> = self.ask("attribution_getBatch", (list,)).await?;
        batch.ok_or_else(|| NodeError::Unknown(format!("batch {list}")))
    }

    pub(crate) async fn record(
        &self,
        list: ListId,
        index: u32,
    ) -> Result<SettledRecord, NodeError> {
        let record: Option<_> = self.ask("attribution_getRecord", (list, U64::from(index))).await?;
        record.ok_or_else(|| NodeError::Unknown(format!("record {index} of batch {list}")))
    }

    pub(crate) async fn records(&self, filter: &RecordFilter) -> Result<RecordPage, NodeError> {
        self.ask("attribution_getRecords", (filter.clone(),)).await
    }

    pub(crate) async fn record_proof(
        &self,
        list: ListId,
        index: u32,
    ) -> Result<RecordProof, NodeError> {
        let params = (list, U64::from(index));
        let proof: Option<_> = self.ask("attribution_getRecordProof", params).await?;
        proof.ok_or_else(|| NodeError::Unknown(format!("record {index} of batch {list}")))
    }

    pub(crate) async fn payouts(&self, list: ListId) -> Result<PayoutList, NodeError> {
        let payouts: Option<_> = self.ask("attribution_getPayouts", (list,)).await?;
        payouts.ok_or_else(|| NodeError::Unknown(format!("list {list}")))
    }

    pub(crate) async fn payout_proof(
        &self,
        list: ListId,
        payee: Payee,
    ) -> Result<PayoutProof, NodeError> {
        let proof: Option<_> = self.ask("attribution_getPayoutProof", (list, payee.key())).await?;
        let payee = crate::args::PayeeName(payee);
        proof.ok_or_else(|| NodeError::Unknown(format!("payout of list {list} to {payee}")))
    }

    pub(crate) async fn earnings(
        &self,
        payee: Payee,
        filter: &EarningsFilter,
    ) -> Result<Earnings, NodeError> {
        self.ask("attribution_getEarnings", (payee.key(), filter.clone())).await
    }

    pub(crate) async fn stats(&self, range: BlockRange) -> Result<Stats, NodeError> {
        self.ask("attribution_stats", (range,)).await
    }

    /// A block's header and hash; no transactions.
    pub(crate) async fn block(&self, block: BlockId) -> Result<Block, NodeError> {
        let found = self.provider.get_block(block).await;
        let found = found.map_err(|error| NodeError::Request { method: "eth_getBlock", error })?;
        found.ok_or_else(|| NodeError::Unknown(format!("block {block}")))
    }

    /// What the hub has in these slots after a block, with proofs.
    pub(crate) async fn hub_slots(
        &self,
        slots: Vec<B256>,
        block: B256,
    ) -> Result<EIP1186AccountProofResponse, NodeError> {
        let proof = self.provider.get_proof(self.hub, slots).hash(block).await;
        proof.map_err(|error| NodeError::Request { method: "eth_getProof", error })
    }

    fn request<C: SolCall>(&self, call: &C) -> TransactionRequest {
        TransactionRequest::default().with_to(self.hub).with_input(call.abi_encode())
    }

    /// What a call fails with: what the hub says, if it is the hub that refuses.
    fn refused<C: SolCall>(method: &'static str, error: TransportError) -> NodeError {
        match error.as_error_resp().and_then(Refusal::of_response) {
            Some(refusal) => NodeError::Refused { call: name::<C>(), refusal },
            None => NodeError::Request { method, error },
        }
    }

    /// What a function of the hub answers.
    pub(crate) async fn call<C: SolCall>(&self, call: &C) -> Result<C::Return, NodeError> {
        let answer: Result<Bytes, _> = self.provider.call(self.request(call)).await;
        let answer = answer.map_err(|error| Self::refused::<C>("eth_call", error))?;
        C::abi_decode_returns_validate(&answer).map_err(|_| NodeError::NoHub {
            hub: self.hub,
            chain_id: self.chain_id,
            call: name::<C>(),
        })
    }

    /// The gas that a call of the hub takes.
    pub(crate) async fn estimate<C: SolCall>(
        &self,
        from: Address,
        call: &C,
        value: U256,
    ) -> Result<u64, NodeError> {
        let request = self.request(call).with_from(from).with_value(value);
        let gas = self.provider.estimate_gas(request).await;
        gas.map_err(|error| Self::refused::<C>("eth_estimateGas", error))
    }

    /// Sends a call of the hub, by the key given at [`Self::connect`], as an EIP-1559 transaction.
    pub(crate) async fn send<C: SolCall>(
        &self,
        from: Address,
        call: &C,
        value: U256,
        gas: u64,
    ) -> Result<B256, NodeError> {
        let request = self.request(call).with_from(from).with_value(value).with_gas_limit(gas);
        let sent = self.provider.send_transaction(request).await;
        sent.map(|pending| *pending.tx_hash())
            .map_err(|error| Self::refused::<C>("eth_sendRawTransaction", error))
    }

    /// Waits for a transaction to succeed.
    pub(crate) async fn receipt(
        &self,
        transaction: B256,
        patience: Duration,
    ) -> Result<TransactionReceipt, NodeError> {
        let started = Instant::now();
        loop {
            let answer = self.provider.get_transaction_receipt(transaction).await;
            let error = match answer {
                Ok(Some(receipt)) if receipt.status() => return Ok(receipt),
                Ok(Some(receipt)) => {
                    let block_number = receipt.block_number.unwrap_or_default();
                    return Err(NodeError::Failed { transaction, block_number });
                }
                Ok(None) => None,
                Err(error) => Some(error),
            };
            let waited = started.elapsed();
            if waited >= patience {
                return Err(NodeError::Pending { transaction, waited, error });
            }
            tokio::time::sleep(POLL.min(patience - waited)).await;
        }
    }
}
