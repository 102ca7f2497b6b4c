//! A chain with a hub, as far as the commands see it: what the hub does in the simplest way, its state in real tries,
//! the real index.

use crate::trie::Trie;
use alloy_consensus::{Header as BlockHeader, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, IntoLogData, Log, TxKind, U256, address, keccak256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_sol_types::{SolCall, SolError};
use alloy_trie::TrieAccount;
use ascribe_attribution::{
    Header, ListId, Meter, Payouts,
    hub::{self, Claim, HubRates, IAttributionHub as Hub},
    merge, merkle, settle,
};
use ascribe_attribution_index::{Block, Changes, Index, Layers, Nothing, Transaction, apply};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const CHAIN: u64 = 901;
pub(crate) const HUB: Address = address!("4200000000000000000000000000000000000a77");
/// The first two accounts of the mnemonic that development chains fund.
pub(crate) const OPERATOR: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
pub(crate) const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
pub(crate) const OTHER_KEY: &str =
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
/// Adapters of the only model.
pub(crate) const ADAPTERS: u32 = 10;
const GAS: u64 = 1_000_000;
/// Root of the message passer's storage, and of nothing here.
const PASSER: B256 = B256::repeat_byte(0x16);

type Logs = Vec<Log>;
/// What a call reverts with.
type Revert = Vec<u8>;

pub(crate) struct World {
    headers: Vec<BlockHeader>,
    /// The hub's slots after each block.
    states: Vec<BTreeMap<U256, U256>>,
    changes: Vec<Changes>,
    slots: BTreeMap<U256, U256>,
    lists: BTreeMap<ListId, Payouts>,
    merged: BTreeSet<ListId>,
    receipts: BTreeMap<B256, Value>,
    /// Sequence number, and when an operator may leave.
    pub(crate) operators: BTreeMap<Address, (u64, u64)>,
    pub(crate) payees: BTreeMap<U256, Address>,
    pub(crate) sent: Vec<TxEnvelope>,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self {
            headers: Vec::new(),
            states: Vec::new(),
            changes: Vec::new(),
            slots: (0..40_u64).map(|slot| (U256::from(slot), U256::from(slot + 1))).collect(),
            lists: BTreeMap::new(),
            merged: BTreeSet::new(),
            receipts: BTreeMap::new(),
            operators: [(OPERATOR, (0, u64::MAX))].into(),
            payees: BTreeMap::new(),
            sent: Vec::new(),
        };
        world.seal(&Bytes::new(), B256::ZERO, &[]);
        world
    }

    pub(crate) fn rates() -> HubRates {
        let price = |price: u64| price.to_string().parse().expect("a price");
        HubRates {
            prompt: price(1_000_000),
            completion: price(3_000_000),
            record: price(100),
            modelShare: 3_000,
            adapterShare: 2_000,
            sourceShare: 4_000,
            operatorShare: 1_000,
        }
    }

    pub(crate) fn head(&self) -> u64 {
        self.headers.len() as u64 - 1
    }

    pub(crate) fn header(&self, block: u64) -> Option<&BlockHeader> {
        self.headers.get(block as usize)
    }

    pub(crate) fn index(&self) -> Index<Layers<'_, Nothing>> {
        Index::new(Layers::new(&Nothing, &self.changes))
    }

    pub(crate) fn receipt(&self, transaction: B256) -> Option<&Value> {
        self.receipts.get(&transaction)
    }

    pub(crate) fn is_claimed(&self, list: ListId, position: u32) -> bool {
        let (slot, bit) = hub::claimed_slot(list, position);
        self.slots.get(&slot).is_some_and(|word| word.bit(bit.into()))
    }

    /// What the hub answers.
    pub(crate) fn call(&self, input: &[u8]) -> Result<Vec<u8>, Revert> {
        if let Ok(call) = Hub::operatorOfCall::abi_decode(input) {
            let (sequence, until) = self.operators.get(&call.operator).copied().unwrap_or_default();
            let answer = Hub::operatorOfReturn { bond: 1, sequence, until };
            return Ok(Hub::operatorOfCall::abi_encode_returns(&answer));
        }
        if let Ok(call) = Hub::modelOfCall::abi_decode(input) {
            if call.model > 0 {
                return Err(Hub::UnknownModel { model: call.model }.abi_encode());
            }
            let (adapters, rates) = (ADAPTERS, Self::rates());
            let answer = Hub::modelOfReturn { modelOwner: OPERATOR, adapters, rates };
            return Ok(Hub::modelOfCall::abi_encode_returns(&answer));
        }
        let call = Hub::payeeOfCall::abi_decode(input).expect("a function that is called");
        Ok(Hub::payeeOfCall::abi_encode_returns(&self.payee(call.payee)))
    }

    fn payee(&self, key: U256) -> Address {
        self.payees.get(&key).copied().unwrap_or_default()
    }

    /// What a transaction would log.
    pub(crate) fn execute(
        &mut self,
        from: Address,
        value: U256,
        input: &[u8],
    ) -> Result<Logs, Revert> {
        if let Ok(call) = Hub::submitBatchCall::abi_decode(input) {
            return self.submit(from, value, &call.batch);
        }
        let claims = match Hub::claimCall::abi_decode(input) {
            Ok(call) => vec![call.claim],
            Err(_) => Hub::claimManyCall::abi_decode(input).expect("claims").claims,
        };
        claims.into_iter().map(|claim| self.claim(claim)).collect()
    }

    /// The same, but nothing comes of it.
    pub(crate) fn estimate(
        &mut self,
        from: Address,
        value: U256,
        input: &[u8],
    ) -> Result<u64, Revert> {
        let kept = (self.slots.clone(), self.lists.clone(), self.operators.clone());
        let result = self.execute(from, value, input);
        (self.slots, self.lists, self.operators) = kept;
        result.map(|_| GAS)
    }

    fn submit(&mut self, from: Address, value: U256, batch: &[u8]) -> Result<Logs, Revert> {
        let (header, ..) = Header::from_batch(batch).expect("a batch");
        let sequence = &mut self.operators.get_mut(&from).expect("an operator").0;
        assert_eq!((header.chain_id, header.hub, header.operator), (CHAIN, HUB, from));
        assert_eq!((header.sequence, header.model), (*sequence, 0));
        let settled = settle(batch, &Self::rates().into(), &mut Meter::unlimited());
        let settled = settled.expect("a batch that can be settled");
        let records: Vec<_> = settled.columns.records().collect();
        if let Some(record) = records.iter().find(|record| record.adapter >= ADAPTERS) {
            let adapter = record.adapter.into();
            return Err(Hub::UnknownAdapter { model: 0, adapter }.abi_encode());
        }
        assert_eq!(U256::from(settled.payouts.total()), value);
        *sequence += 1;
        let list = ListId::of_batch(from, header.sequence);
        self.slots.insert(hub::payout_root_slot(list), settled.payout_root.into());
        self.slots.insert(hub::record_root_slot(list), settled.record_root.into());
        self.open(list, &settled.payouts);
        let event = Hub::BatchSettled {
            list: list.number(),
            model: header.model,
            operator: from,
            sequence: header.sequence,
            timeBase: header.time_base,
            timeEnd: header.time_base + records.last().map_or(0, |it| u64::from(it.time)),
            records: records.len() as u32,
            payouts: settled.payouts.list().len() as u32,
            promptTokens: records.iter().map(|it| u64::from(it.prompt_tokens)).sum(),
            completionTokens: records.iter().map(|it| u64::from(it.completion_tokens)).sum(),
            total: settled.payouts.total(),
            recordRoot: settled.record_root,
            payoutRoot: settled.payout_root,
            detailRoot: header.detail_root,
            rates: Self::rates(),
        };
        self.lists.insert(list, settled.payouts);
        Ok(vec![log(event)])
    }

    /// Stores any state of a list, in a block of its own.
    pub(crate) fn set_state(&mut self, list: ListId, state: U256) {
        self.slots.insert(hub::list_state_slot(list), state);
        self.seal(&Bytes::new(), B256::repeat_byte(0x5e), &[]);
    }

    /// Stores that a list is open and all of it unclaimed.
    fn open(&mut self, list: ListId, payouts: &Payouts) {
        let count = U256::from(payouts.list().len());
        let state = U256::ONE << 160 | count << 128 | U256::from(payouts.total());
        self.slots.insert(hub::list_state_slot(list), state);
    }

    fn claim(&mut self, claim: Claim) -> Result<Log, Revert> {
        let Claim { list, position, payee, amount, proof } = claim;
        let id = ListId::try_from(list).expect("a list");
        let index = position.to();
        if self.is_claimed(id, index) {
            return Err(Hub::AlreadyClaimed { list, position }.abi_encode());
        }
        if self.merged.contains(&id) {
            return Err(Hub::ListMerged { list }.abi_encode());
        }
        let message = [position, payee, amount].map(|word| word.to_be_bytes::<32>()).concat();
        let root = self.slots.get(&hub::payout_root_slot(id)).copied().unwrap_or_default();
        if merkle::root_from_proof(keccak256(message), &proof) != B256::from(root) {
            return Err(Hub::InvalidProof {}.abi_encode());
        }
        let to = self.payee(payee);
        if to.is_zero() {
            return Err(Hub::UnknownPayee { payee }.abi_encode());
        }
        let (slot, bit) = hub::claimed_slot(id, index);
        self.slots.entry(slot).or_default().set_bit(bit.into(), true);
        *self.slots.get_mut(&hub::list_state_slot(id)).expect("it is open") -= amount;
        Ok(log(Hub::Claimed { list, position, payee, to, amount }))
    }

    /// Merges lists, in a block of its own.
    pub(crate) fn merge(&mut self, parts: &[ListId]) -> ListId {
        let contents: Vec<_> = parts
            .iter()
            .map(|part| {
                let list = &self.lists[part];
                let words = (0..list.list().len().div_ceil(256) as u32).map(|word| {
                    let (slot, _) = hub::claimed_slot(*part, 256 * word);
                    self.slots.get(&slot).copied().unwrap_or_default()
                });
                (list.to_bytes(), words.collect::<Vec<_>>())
            })
            .collect();
        let contents: Vec<_> =
            contents.iter().map(|(list, words)| (&list[..], &words[..])).collect();
        let merged = merge(&contents, &mut Meter::unlimited()).expect("lists");
        let list = ListId::of_merge(0);
        assert!(self.merged.is_empty(), "one merge will do");
        self.merged.extend(parts);
        for part in parts {
            let state = self.slots.get_mut(&hub::list_state_slot(*part)).expect("it is open");
            *state = ((*state >> 128) + (U256::ONE << 32)) << 128;
        }
        self.slots.insert(hub::payout_root_slot(list), merged.root.into());
        self.open(list, &merged.payouts);
        let event = Hub::PayoutsMerged {
            list: list.number(),
            lists: parts.iter().map(ListId::number).collect(),
            payouts: merged.payouts.list().len() as u32,
            total: merged.payouts.total(),
            payoutRoot: merged.root,
        };
        self.lists.insert(list, merged.payouts);
        self.seal(&Bytes::new(), B256::repeat_byte(0x3e), &[log(event)]);
        list
    }

    /// Includes a transaction, in a block of its own.
    pub(crate) fn send(&mut self, raw: &[u8]) -> B256 {
        let transaction = TxEnvelope::decode_2718_exact(raw).expect("a transaction");
        let hash = *transaction.tx_hash();
        let from = transaction.recover_signer().expect("signed");
        let TxEnvelope::Eip1559(signed) = &transaction else { panic!("{transaction:?}") };
        let tx = signed.tx().clone();
        assert_eq!((tx.chain_id, tx.to, tx.gas_limit), (CHAIN, TxKind::Call(HUB), GAS));
        assert_eq!(tx.nonce, self.sent.len() as u64);
        let logs = self.execute(from, tx.value, &tx.input).expect("it was estimated");
        self.seal(&tx.input, hash, &logs);
        let (number, block) = (self.head(), self.headers.last().expect("it").hash_slow());
        let place = json!({
            "transactionHash": hash, "transactionIndex": "0x0", "blockHash": block,
            "blockNumber": U256::from(number),
        });
        let with_place = |mut value: Value| {
            let fields = value.as_object_mut().expect("an object");
            fields.extend(place.as_object().expect("an object").clone());
            value
        };
        let logs: Vec<Value> = logs
            .iter()
            .enumerate()
            .map(|(at, log)| {
                with_place(json!({
                    "address": log.address, "topics": log.topics(), "data": log.data.data,
                    "logIndex": U256::from(at), "removed": false,
                }))
            })
            .collect();
        let receipt = with_place(json!({
            "type": "0x2", "status": "0x1", "from": from, "to": HUB, "contractAddress": null,
            "cumulativeGasUsed": U256::from(GAS), "gasUsed": U256::from(GAS), "effectiveGasPrice": "0x1",
            "logs": logs, "logsBloom": alloy_primitives::Bloom::ZERO, "l1Fee": "0x1",
        }));
        self.receipts.insert(hash, receipt);
        self.sent.push(transaction);
        hash
    }

    /// Makes a block of what happened.
    fn seal(&mut self, input: &Bytes, hash: B256, logs: &[Log]) {
        let header = BlockHeader {
            number: self.headers.len() as u64,
            timestamp: 1_790_000_000 + 2 * self.headers.len() as u64,
            state_root: self.state(&self.slots).root(),
            withdrawals_root: Some(PASSER),
            base_fee_per_gas: Some(7),
            gas_limit: 30_000_000,
            ..BlockHeader::default()
        };
        let block = Block {
            chain_id: CHAIN,
            hub: HUB,
            number: header.number,
            hash: header.hash_slow(),
            timestamp: header.timestamp,
            transactions: vec![Transaction { hash, input, gas_used: GAS, logs }],
        };
        let applied = apply(&Layers::new(&Nothing, &self.changes), &block, &[]);
        self.changes.push(applied.expect("rows").changes);
        self.headers.push(header);
        self.states.push(self.slots.clone());
    }

    fn storage(slots: &BTreeMap<U256, U256>) -> Trie {
        let mut storage = Trie::default();
        for (slot, value) in slots {
            storage.insert(slot.to_be_bytes::<32>(), alloy_rlp::encode(value));
        }
        storage
    }

    fn hub_account(slots: &BTreeMap<U256, U256>) -> TrieAccount {
        TrieAccount {
            nonce: 1,
            balance: U256::from(12_345),
            storage_root: Self::storage(slots).root(),
            code_hash: B256::repeat_byte(0xc0),
        }
    }

    fn state(&self, slots: &BTreeMap<U256, U256>) -> Trie {
        let mut state = Trie::default();
        for byte in 0..30 {
            let account = TrieAccount { nonce: byte.into(), ..TrieAccount::default() };
            state.insert(Address::repeat_byte(byte), alloy_rlp::encode(account));
        }
        state.insert(HUB, alloy_rlp::encode(Self::hub_account(slots)));
        state
    }

    /// `eth_getProof` of the hub.
    pub(crate) fn proof(&self, keys: &[B256], block: B256) -> EIP1186AccountProofResponse {
        let at = self.headers.iter().position(|header| header.hash_slow() == block);
        let slots = &self.states[at.expect("a block")];
        let account = Self::hub_account(slots);
        let (_, mut account_proofs) = self.state(slots).prove(&[HUB.as_slice()]);
        let targets: Vec<&[u8]> = keys.iter().map(|key| key.as_slice()).collect();
        let (_, storage_proofs) = Self::storage(slots).prove(&targets);
        let value =
            |key: &B256| slots.get(&U256::from_be_bytes(key.0)).copied().unwrap_or_default();
        EIP1186AccountProofResponse {
            address: HUB,
            balance: account.balance,
            code_hash: account.code_hash,
            nonce: account.nonce,
            storage_hash: account.storage_root,
            account_proof: account_proofs.remove(0),
            storage_proof: keys
                .iter()
                .zip(storage_proofs)
                .map(|(key, proof)| EIP1186StorageProof::new((*key).into(), value(key), proof))
                .collect(),
        }
    }
}

fn log(event: impl IntoLogData) -> Log {
    Log { address: HUB, data: event.to_log_data() }
}
