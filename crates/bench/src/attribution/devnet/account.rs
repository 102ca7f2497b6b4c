//! An account of a chain, that sends what is measured.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U64, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use ascribe_chainspec::predeploys::L1_BLOCK;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::limits::Blocks;
use crate::{BenchError, bars, client::Client};

alloy_sol_types::sol! {
    function daFootprintGasScalar() external view returns (uint16);
}

/// Gas that a transaction may use at most (EIP-7825).
pub(super) const GAS_CAP: u64 = 1 << 24;
/// Tip, in wei: what nodes of the OP Stack want at least.
const TIP: u128 = 1_000_000;
/// How much higher than now the base fee may become.
const BASE_FEES: u128 = 2;
/// How long a transaction may take to get into a block.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a receipt is asked for.
const POLL: Duration = Duration::from_millis(100);

/// What an account sends.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) to: TxKind,
    pub(super) value: U256,
    pub(super) input: Bytes,
}

impl Message {
    pub(super) fn call(to: Address, value: U256, call: &impl SolCall) -> Self {
        Self { to: TxKind::Call(to), value, input: call.abi_encode().into() }
    }
}

/// What a transaction of a Jovian block has paid, and for what.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    status: U64,
    pub(super) gas_used: U64,
    /// For L1's data, in wei.
    l1_fee: U256,
    /// Hundreds of wei for a unit of gas; absent if both parts of the operator fee are zero.
    #[serde(default)]
    operator_fee_scalar: U256,
    /// Wei.
    #[serde(default)]
    operator_fee_constant: U256,
    /// Gas of a byte of the DA footprint.
    pub(super) da_footprint_gas_scalar: U64,
    /// The DA footprint.
    pub(super) blob_gas_used: U64,
    pub(super) contract_address: Option<Address>,
    pub(super) logs: Vec<Log>,
}

impl Receipt {
    /// What the transaction has paid beside its gas, in wei: for L1's data, and to the operator.
    pub(super) fn da_fee(&self) -> U256 {
        let by_gas = self.operator_fee_scalar * U256::from(100) * U256::from(self.gas_used);
        self.l1_fee + by_gas + self.operator_fee_constant
    }
}

/// The part of a block that is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    number: U64,
    timestamp: U64,
    gas_limit: U64,
    base_fee_per_gas: U64,
}

/// Somebody who has ether.
#[derive(Debug)]
pub(super) struct Account {
    client: Client,
    signer: PrivateKeySigner,
    pub(super) chain_id: u64,
    nonce: u64,
}

impl Account {
    pub(super) fn connect(addr: SocketAddr, key: &B256) -> Result<Self, BenchError> {
        let signer =
            PrivateKeySigner::from_bytes(key).map_err(|error| BenchError::setup("a key", error))?;
        let mut client = Client::connect(addr)?;
        let chain_id: U64 = ask(&mut client, "eth_chainId", &json!([]))?;
        let pending = json!([signer.address(), "pending"]);
        let nonce: U64 = ask(&mut client, "eth_getTransactionCount", &pending)?;
        Ok(Self { client, signer, chain_id: chain_id.to(), nonce: nonce.to() })
    }

    pub(super) const fn address(&self) -> Address {
        self.signer.address()
    }

    /// What a function that only reads answers.
    pub(super) fn view<C: SolCall>(
        &mut self,
        to: Address,
        call: &C,
    ) -> Result<C::Return, BenchError> {
        let request = json!([{"to": to, "input": Bytes::from(call.abi_encode())}, "latest"]);
        let answer: Bytes = ask(&mut self.client, "eth_call", &request)?;
        C::abi_decode_returns_validate(&answer)
            .map_err(|error| BenchError::setup(C::SIGNATURE, error))
    }

    /// What the chain gives to its newest block.
    pub(super) fn blocks(&mut self) -> Result<Blocks, BenchError> {
        let scalar = self.view(L1_BLOCK, &daFootprintGasScalarCall {})?;
        let block = self.block(&json!("latest"))?;
        let before = self.block(&json!(block.number.saturating_sub(U64::ONE)))?;
        Ok(Blocks {
            gas_limit: block.gas_limit.to(),
            time: block.timestamp.saturating_sub(before.timestamp).to(),
            da_footprint_gas_scalar: scalar.into(),
        })
    }

    /// A block, by its number or tag.
    fn block(&mut self, block: &Value) -> Result<Block, BenchError> {
        ask(&mut self.client, "eth_getBlockByNumber", &json!([block, false]))
    }

    /// Sends messages one after the other and waits until all are in blocks. All must succeed.
    pub(super) fn send_all(
        &mut self,
        what: &'static str,
        messages: Vec<Message>,
    ) -> Result<Vec<Receipt>, BenchError> {
        let bar = bars::bar(what, messages.len() as u64);
        let hashes: Vec<B256> =
            messages.into_iter().map(|message| self.send(message)).collect::<Result<_, _>>()?;
        let mut receipts = Vec::new();
        for hash in hashes {
            let receipt = self.receipt(hash)?;
            if receipt.status.is_zero() {
                let text = format!("{hash} failed, with {} gas", receipt.gas_used);
                return Err(BenchError::setup(what, text));
            }
            receipts.push(receipt);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(receipts)
    }

    fn send(&mut self, message: Message) -> Result<B256, BenchError> {
        let base_fee: u128 = self.block(&json!("latest"))?.base_fee_per_gas.to();
        let tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: GAS_CAP,
            max_fee_per_gas: BASE_FEES * base_fee + TIP,
            max_priority_fee_per_gas: TIP,
            to: message.to,
            value: message.value,
            input: message.input,
            ..TxEip1559::default()
        };
        let signature = self
            .signer
            .sign_hash_sync(&tx.signature_hash())
            .map_err(|error| BenchError::setup("a signature", error))?;
        let raw = Bytes::from(TxEnvelope::from(tx.into_signed(signature)).encoded_2718());
        self.nonce += 1;
        ask(&mut self.client, "eth_sendRawTransaction", &json!([raw]))
    }

    fn receipt(&mut self, hash: B256) -> Result<Receipt, BenchError> {
        let sent = Instant::now();
        while sent.elapsed() < PATIENCE {
            let receipt: Option<Receipt> =
                ask(&mut self.client, "eth_getTransactionReceipt", &json!([hash]))?;
            if let Some(receipt) = receipt {
                return Ok(receipt);
            }
            std::thread::sleep(POLL);
        }
        let text = format!("{hash} is in no block after {} s", PATIENCE.as_secs());
        Err(BenchError::setup("a transaction", text))
    }
}

fn ask<T: DeserializeOwned>(
    client: &mut Client,
    method: &'static str,
    params: &Value,
) -> Result<T, BenchError> {
    let answer = client.call(method, params)?;
    serde_json::from_value(answer).map_err(|error| BenchError::setup(method, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(extra: &Value) -> Receipt {
        let mut receipt = json!({
            "status": "0x1", "gasUsed": "0x5208", "l1Fee": "0x3", "logs": [],
            "daFootprintGasScalar": "0x8", "blobGasUsed": "0x320", "contractAddress": null,
        });
        let fields = receipt.as_object_mut().expect("an object");
        fields.extend(extra.as_object().expect("an object").clone());
        serde_json::from_value(receipt).expect("a receipt")
    }

    #[test]
    fn a_chain_may_have_no_operator_fee() {
        assert_eq!(receipt(&json!({})).da_fee(), U256::from(3));
        let with = receipt(&json!({"operatorFeeScalar": "0xdac", "operatorFeeConstant": "0x5"}));
        assert_eq!(with.da_fee(), U256::from(3 + 3_500 * 100 * 21_000 + 5_u64));
    }
}
