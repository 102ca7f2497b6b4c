//! Random chains, and what their state must be at every height.

use alloy_consensus::{Block, BlockBody, Eip658Value, Header, Receipt, Sealable, TxReceipt};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, LogData, TxKind, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount, root};
use ascribe_chainspec::ChainSpec;
use ascribe_storage::{
    AttributionCell, ExecutedBlock, HistoryRetention, Storage, StorageError, StorageOptions,
    StorageReader, SyncPolicy,
};
use ascribe_trie::{
    HashedAccount, HashedPostState, HashedStorage, Layered, StateLayer, TrieReader, state_root,
};
use op_alloy_consensus::{OpDepositReceipt, OpReceipt, OpTxEnvelope, TxDeposit};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IteratorRandom};
use reth_primitives_traits::{RecoveredBlock, SealedHeader};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// An account of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code_hash: B256,
    pub(crate) storage: BTreeMap<B256, U256>,
}

impl Account {
    pub(crate) fn leaf(&self) -> TrieAccount {
        TrieAccount {
            nonce: self.nonce,
            balance: self.balance,
            storage_root: root::storage_root(self.storage.clone()),
            code_hash: self.code_hash,
        }
    }
}

/// The whole state by hashed address.
pub(crate) type State = BTreeMap<B256, Account>;

/// State root from scratch, by the reference hash builder.
pub(crate) fn reference_root(state: &State) -> B256 {
    root::state_root(state.iter().map(|(key, account)| (*key, account.leaf())))
}

/// A chain that remembers its state at every height from its root on.
#[derive(Clone)]
pub(crate) struct Chain {
    rng: StdRng,
    /// What the blocks stand on: genesis, or the head that was found on disk.
    root: SealedHeader,
    pub(crate) blocks: Vec<ExecutedBlock>,
    /// State at the root, after the first block, and so on.
    pub(crate) states: Vec<Arc<State>>,
}

pub(crate) fn spec(salt: u64) -> ChainSpec {
    let config = serde_json::json!({
        "chainId": 901, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
        "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
        "berlinBlock": 0, "londonBlock": 0, "mergeNetsplitBlock": 0, "bedrockBlock": 0,
        "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
        "regolithTime": 0, "canyonTime": 0, "shanghaiTime": 0, "cancunTime": 0, "ecotoneTime": 0,
        "optimism": {
            "eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250,
        },
    });
    let alloc = (1..=40u64)
        .map(|n| {
            let mut account = GenesisAccount::default()
                .with_balance(U256::from(n * 1_000 + salt))
                .with_nonce((n % 3 == 0).then_some(n));
            if n % 4 == 0 {
                account = account.with_code(Some(Bytes::from(vec![n as u8; n as usize])));
                let slots = (0..n).map(|slot| {
                    (B256::with_last_byte(slot as u8), B256::with_last_byte(slot as u8 + 1))
                });
                account = account.with_storage(Some(slots.collect()));
            }
            (Address::with_last_byte(n as u8), account)
        })
        .collect();
    let genesis = Genesis {
        config: serde_json::from_value(config).unwrap(),
        timestamp: 1_700_000_000,
        gas_limit: 30_000_000,
        base_fee_per_gas: Some(1_000_000_000),
        alloc,
        ..Default::default()
    };
    ChainSpec::from_genesis(genesis).unwrap()
}

/// The model's view of the genesis state of [`spec`].
fn genesis_state(spec: &ChainSpec) -> State {
    spec.genesis_accounts()
        .map(|(address, account)| {
            let storage = account.storage.iter().flatten();
            let storage = storage
                .filter(|(_, value)| !value.is_zero())
                .map(|(slot, value)| (keccak256(slot), U256::from_be_bytes(value.0)))
                .collect();
            let account = Account {
                nonce: account.nonce.unwrap_or_default(),
                balance: account.balance,
                code_hash: keccak256(account.code.clone().unwrap_or_default()),
                storage,
            };
            (keccak256(address), account)
        })
        .collect()
}

impl Chain {
    pub(crate) fn new(spec: &ChainSpec, seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            blocks: Vec::new(),
            states: vec![Arc::new(genesis_state(spec))],
            root: spec.genesis_header().clone(),
        }
    }

    /// A chain that goes on from what is on disk.
    pub(crate) fn resume(reader: &StorageReader, seed: u64) -> Self {
        let accounts = reader.accounts_from(B256::ZERO, usize::MAX).unwrap();
        let state = accounts.into_iter().map(|(key, account)| {
            let storage = reader.storages_from(key, B256::ZERO, usize::MAX).unwrap();
            let TrieAccount { nonce, balance, code_hash, .. } = account;
            (key, Account { nonce, balance, code_hash, storage: storage.into_iter().collect() })
        });
        Self {
            rng: StdRng::seed_from_u64(seed),
            blocks: Vec::new(),
            states: vec![Arc::new(state.collect())],
            root: reader.head().clone(),
        }
    }

    pub(crate) fn head(&self) -> SealedHeader {
        self.blocks.last().map_or_else(|| self.root.clone(), ExecutedBlock::sealed_header)
    }

    pub(crate) fn height(&self) -> u64 {
        self.root.number + self.blocks.len() as u64
    }

    /// Number of the root.
    pub(crate) fn root(&self) -> u64 {
        self.root.number
    }

    fn hash(&self, number: u64) -> B256 {
        match number - self.root.number {
            0 => self.root.hash(),
            above => self.blocks[above as usize - 1].hash(),
        }
    }

    /// Blocks above `number`.
    pub(crate) fn above(&self, number: u64) -> &[ExecutedBlock] {
        &self.blocks[(number - self.root.number) as usize..]
    }

    /// This chain up to `number`, growing differently from there.
    pub(crate) fn fork(&self, number: u64, seed: u64) -> Self {
        let kept = (number - self.root.number) as usize;
        Self {
            rng: StdRng::seed_from_u64(seed),
            blocks: self.blocks[..kept].to_vec(),
            states: self.states[..=kept].to_vec(),
            root: self.root.clone(),
        }
    }

    /// The state at this chain's head as an engine sees it: blocks that are not on disk over what
    /// is, turned back to the last common block.
    pub(crate) fn view(&self, reader: &StorageReader) -> Layered<StorageReader> {
        let persisted = reader.head();
        let ancestor = (self.root.number..=self.height().min(persisted.number))
            .rev()
            .find(|number| reader.canonical_hash(*number).unwrap() == Some(self.hash(*number)))
            .unwrap();
        let mut layers: Vec<_> =
            self.above(ancestor).iter().rev().map(|block| block.layer.clone()).collect();
        if ancestor < persisted.number {
            let revert = reader.revert_state(ancestor).unwrap();
            let output = state_root(reader, persisted.state_root, &revert).unwrap();
            layers.push(Arc::new(StateLayer::new(revert, output)));
        }
        Layered::new(layers, reader.clone())
    }

    /// Makes a block of random changes.
    pub(crate) fn grow(&mut self, reader: &StorageReader, changes: usize) {
        let mut state = State::clone(self.states.last().unwrap());
        let changes = random_changes(&mut self.rng, &mut state, changes);
        self.push(reader, state, changes);
    }

    /// Makes a block of given changes.
    pub(crate) fn push(&mut self, reader: &StorageReader, state: State, changes: Changes) {
        let parent = self.head();
        let view = self.view(reader);
        let output = state_root(&view, parent.state_root, &changes.state).unwrap();

        let number = parent.number + 1;
        let (transactions, receipts): (Vec<_>, Vec<_>) =
            (0..self.rng.random_range(1..4)).map(|index| transaction(&mut self.rng, index)).unzip();
        let senders = transactions.iter().map(|(_, sender)| *sender).collect();
        let transactions: Vec<_> = transactions.into_iter().map(|(tx, _)| tx).collect();
        let mut logs_bloom = Bloom::ZERO;
        for receipt in &receipts {
            logs_bloom |= receipt.bloom();
        }
        let header = Header {
            parent_hash: parent.hash(),
            gas_used: 21_000 * transactions.len() as u64,
            logs_bloom,
            number,
            timestamp: parent.timestamp + 2,
            gas_limit: parent.gas_limit,
            state_root: output.state_root,
            transactions_root: alloy_consensus::proofs::calculate_transaction_root(&transactions),
            base_fee_per_gas: Some(1),
            withdrawals_root: Some(EMPTY_ROOT_HASH),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            ..Default::default()
        };
        let hash = header.hash_slow();
        let body =
            BlockBody { transactions, ommers: Vec::new(), withdrawals: Some(Default::default()) };
        let layer = StateLayer::new(changes.state, output);
        // Of some accounts execution knows what it replaced, of others the disk must be asked.
        let known = layer.storages.iter().filter(|(_, storage)| !storage.wiped);
        let replaced = known.filter(|_| self.rng.random()).map(|(account, storage)| {
            let old = |slot: &B256| (*slot, view.storage(*account, *slot).unwrap());
            (*account, storage.slots.keys().map(old).collect())
        });
        let replaced = Arc::new(replaced.collect());
        self.blocks.push(ExecutedBlock {
            block: Arc::new(RecoveredBlock::new(Block::new(header, body), senders, hash)),
            receipts: Arc::new(receipts),
            layer: Arc::new(layer),
            replaced,
            codes: Arc::new(changes.codes),
            attribution: AttributionCell::default(),
        });
        self.states.push(Arc::new(state));
    }
}

fn transaction(rng: &mut StdRng, index: u64) -> ((OpTxEnvelope, Address), OpReceipt) {
    let from = Address::from(rng.random::<[u8; 20]>());
    let mut input = vec![0; rng.random_range(0..200)];
    rng.fill(&mut input[..]);
    let tx = TxDeposit {
        source_hash: B256::from(rng.random::<[u8; 32]>()),
        from,
        to: TxKind::Call(Address::from(rng.random::<[u8; 20]>())),
        mint: rng.random(),
        value: U256::from(rng.random::<u64>()),
        gas_limit: 21_000,
        is_system_transaction: false,
        input: input.into(),
    };
    let log = Log {
        address: from,
        data: LogData::new(vec![B256::repeat_byte(1)], Bytes::from(vec![7; 40])).unwrap(),
    };
    let receipt = OpReceipt::Deposit(OpDepositReceipt {
        inner: Receipt {
            status: Eip658Value::Eip658(rng.random()),
            cumulative_gas_used: 21_000 * (index + 1),
            logs: vec![log; rng.random_range(0..3)],
        },
        deposit_nonce: Some(rng.random()),
        deposit_receipt_version: Some(1),
    });
    ((OpTxEnvelope::Deposit(tx.seal_slow()), from), receipt)
}

/// Changes of a block, and the codes they need.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) state: HashedPostState,
    pub(crate) codes: Vec<(B256, Bytes)>,
}

/// Applies up to `count` random changes to `state`: new accounts and contracts, updates, slots
/// set and cleared, destruction, destruction followed by a new creation.
fn random_changes(rng: &mut StdRng, state: &mut State, count: usize) -> Changes {
    let mut changes = Changes::default();
    let mut wiped = BTreeSet::new();
    let before = state.clone();
    for _ in 0..rng.random_range(0..=count) {
        let existing = state.keys().choose(rng).copied();
        match (rng.random_range(0..10), existing) {
            (0, Some(key)) => {
                state.remove(&key);
                wiped.insert(key);
            }
            (1, Some(key)) => {
                state.insert(key, contract(rng, &mut changes.codes));
                wiped.insert(key);
            }
            (2 | 3, _) | (_, None) => {
                // Few keys, so that accounts come back.
                let key = keccak256([rng.random_range(0..100u8)]);
                state.entry(key).or_insert_with(|| Account {
                    nonce: 1,
                    balance: U256::from(rng.random::<u128>()),
                    code_hash: keccak256([]),
                    storage: BTreeMap::new(),
                });
            }
            (4..=6, Some(key)) => {
                let account = state.get_mut(&key).unwrap();
                account.nonce += 1;
                account.balance = U256::from(rng.random::<u64>());
            }
            (_, Some(key)) => {
                let account = state.get_mut(&key).unwrap();
                for _ in 0..rng.random_range(1..8) {
                    let slot = keccak256([rng.random_range(0..30u8)]);
                    if rng.random_bool(0.3) {
                        account.storage.remove(&slot);
                    } else {
                        account.storage.insert(slot, U256::from(rng.random::<u64>()));
                    }
                }
            }
        }
    }
    changes.state = difference(&before, state, &wiped);
    changes
}

fn contract(rng: &mut StdRng, codes: &mut Vec<(B256, Bytes)>) -> Account {
    let code = Bytes::from(rng.random::<[u8; 24]>().to_vec());
    let code_hash = keccak256(&code);
    codes.push((code_hash, code));
    let storage = (0..rng.random_range(0..5u8))
        .map(|_| {
            (keccak256([rng.random_range(0..30u8)]), U256::from(rng.random::<u32>()) + U256::ONE)
        })
        .collect();
    Account { nonce: 1, balance: U256::ZERO, code_hash, storage }
}

/// What leads from one state to the other, in the way execution reports it.
pub(crate) fn difference(before: &State, after: &State, wiped: &BTreeSet<B256>) -> HashedPostState {
    let mut changes = HashedPostState::default();
    for key in before.keys().chain(after.keys()) {
        let (old, new) = (before.get(key), after.get(key));
        if old == new {
            continue;
        }
        let Some(new) = new else {
            changes.accounts.insert(*key, None);
            changes.storages.insert(*key, HashedStorage { wiped: true, ..Default::default() });
            continue;
        };
        let info = |account: &Account| HashedAccount {
            nonce: account.nonce,
            balance: account.balance,
            code_hash: account.code_hash,
        };
        if old.map(info) != Some(info(new)) {
            changes.accounts.insert(*key, Some(info(new)));
        }
        let wiped = wiped.contains(key) && old.is_some();
        let empty = BTreeMap::new();
        let old = if wiped { &empty } else { old.map_or(&empty, |account| &account.storage) };
        let mut slots: alloy_primitives::map::B256Map<U256> = old
            .keys()
            .filter(|slot| !new.storage.contains_key(*slot))
            .map(|slot| (*slot, U256::ZERO))
            .collect();
        slots.extend(
            new.storage
                .iter()
                .filter(|(slot, word)| old.get(*slot) != Some(word))
                .map(|(s, w)| (*s, *w)),
        );
        if wiped || !slots.is_empty() {
            changes.storages.insert(*key, HashedStorage { wiped, slots });
        }
    }
    changes
}

pub(crate) fn options() -> StorageOptions {
    StorageOptions {
        cache_bytes: 16 << 20,
        write_buffer_bytes: 4 << 20,
        sync: SyncPolicy::Never,
        history: HistoryRetention::Archive,
        max_open_files: 256,
    }
}

pub(crate) fn open(path: &Path, spec: &ChainSpec) -> Storage {
    try_open(path, spec).unwrap()
}

pub(crate) fn try_open(path: &Path, spec: &ChainSpec) -> Result<Storage, StorageError> {
    Storage::open(path, options(), spec, &mut |_| {})
}

/// Checks everything a reader says about the chain against the model: all of the chain, the state
/// at each height from `floor` on, for every account and slot that ever was.
pub(crate) fn check(reader: &StorageReader, chain: &Chain, floor: u64) {
    assert_eq!(reader.head().num_hash(), chain.head().num_hash());
    assert_eq!(reader.history_floor(), floor);
    for executed in &chain.blocks {
        check_block(reader, executed);
    }
    assert!(reader.header(chain.height() + 1).unwrap().is_none());

    let mut keys: BTreeMap<B256, BTreeSet<B256>> = BTreeMap::new();
    for (key, account) in chain.states.iter().flat_map(|state| state.iter()) {
        keys.entry(*key).or_default().extend(account.storage.keys());
    }
    for (number, state) in chain.states.iter().enumerate().skip(floor as usize) {
        let number = number as u64;
        for (key, slots) in &keys {
            let account = state.get(key);
            assert_eq!(
                reader.account_at(*key, number).unwrap(),
                account.map(Account::leaf),
                "account {key} at {number}"
            );
            for slot in slots {
                let word = account.and_then(|account| account.storage.get(slot));
                assert_eq!(
                    reader.storage_at(*key, *slot, number).unwrap(),
                    word.copied().unwrap_or_default(),
                    "slot {slot} of {key} at {number}"
                );
            }
        }
    }
}

fn check_block(reader: &StorageReader, executed: &ExecutedBlock) {
    let (number, hash) = (executed.number(), executed.hash());
    assert_eq!(reader.number(hash).unwrap(), Some(number));
    assert_eq!(reader.canonical_hash(number).unwrap(), Some(hash));
    assert_eq!(reader.header_by_hash(hash).unwrap().unwrap().header(), executed.header());
    let block = reader.block_by_hash(hash).unwrap().unwrap();
    assert_eq!(block.hash(), hash);
    assert_eq!(block.body(), executed.block.body());
    assert_eq!(block.senders(), executed.block.senders());
    assert_eq!(reader.receipts(number).unwrap().as_ref(), Some(&*executed.receipts));
    for (index, transaction) in block.body().transactions.iter().enumerate() {
        let found = reader.transaction(transaction.tx_hash()).unwrap();
        assert_eq!(found, Some((number, index as u32)));
    }
    for (hash, code) in executed.codes.iter() {
        assert_eq!(reader.code(*hash).unwrap().as_ref(), Some(code));
    }
}

/// Checks that nothing of a block is found any more.
pub(crate) fn check_gone(reader: &StorageReader, executed: &ExecutedBlock) {
    assert_eq!(reader.number(executed.hash()).unwrap(), None);
    assert!(reader.block_by_hash(executed.hash()).unwrap().is_none());
    for transaction in &executed.block.body().transactions {
        assert_eq!(reader.transaction(transaction.tx_hash()).unwrap(), None);
    }
}
