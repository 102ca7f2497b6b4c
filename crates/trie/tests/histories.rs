//! Random histories against alloy-trie's hash builder: every root, and the node set on "disk".

use alloy_primitives::{B256, U256, keccak256, map::B256Map};
use alloy_trie::HashBuilder;
use ascribe_trie::{
    Cached, EMPTY_ROOT_HASH, HashedAccount, HashedPostState, Layered, MemoryState, Nibbles,
    StateLayer, TrieAccount, TrieCache, TrieReader, WitnessState, state_root, witness,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

/// Keys that share long prefixes, or part at the last nibble, or are spread.
fn key() -> impl Strategy<Value = B256> {
    let base = prop_oneof![Just([0u8; 32]), Just([0x11; 32]), Just([0xf0; 32])];
    let close = (
        base,
        0..64usize,
        0..16u8,
        prop_oneof![3 => Just(None), 1 => (0..64usize, 0..3u8).prop_map(Some)],
    )
        .prop_map(|(mut key, depth, nibble, second)| {
            set_nibble(&mut key, depth, nibble);
            if let Some((depth, nibble)) = second {
                set_nibble(&mut key, depth, nibble);
            }
            B256::from(key)
        });
    let ends = (0..4u8, 0..4u8).prop_map(|(one, other)| {
        let mut key = [0x22; 32];
        set_nibble(&mut key, 62, one);
        set_nibble(&mut key, 63, other);
        B256::from(key)
    });
    prop_oneof![3 => close, 2 => ends, 2 => (0..40u8).prop_map(|n| keccak256([n]))]
}

fn set_nibble(key: &mut [u8; 32], depth: usize, nibble: u8) {
    let byte = &mut key[depth / 2];
    *byte =
        if depth.is_multiple_of(2) { *byte & 0x0f | nibble << 4 } else { *byte & 0xf0 | nibble };
}

#[derive(Debug, Clone)]
enum Op {
    Put(B256, u64),
    Destroy(B256),
    /// Destroyed and made again in one block.
    Renew(B256, u64),
    Store(B256, B256, U256),
}

fn value() -> impl Strategy<Value = U256> {
    // Short values make leaves and branches that are inlined in their parents.
    prop_oneof![
        3 => Just(U256::ZERO),
        4 => (1..4u64).prop_map(U256::from),
        1 => any::<u64>().prop_map(U256::from),
        1 => any::<[u8; 32]>().prop_map(U256::from_be_bytes),
    ]
}

/// An operation on one of `accounts` and `slots`: few of each, so that they meet again.
fn op(accounts: Vec<B256>, slots: Vec<B256>) -> impl Strategy<Value = Op> {
    let account = || prop::sample::select(accounts.clone());
    prop_oneof![
        3 => (account(), 0..3u64).prop_map(|(key, nonce)| Op::Put(key, nonce)),
        2 => account().prop_map(Op::Destroy),
        1 => (account(), 0..3u64).prop_map(|(key, nonce)| Op::Renew(key, nonce)),
        8 => (account(), prop::sample::select(slots), value())
            .prop_map(|(key, slot, value)| Op::Store(key, slot, value)),
    ]
}

fn history() -> impl Strategy<Value = Vec<(Vec<Op>, bool)>> {
    let keys = |most| prop::collection::vec(key(), 1..most);
    (keys(24), keys(24)).prop_flat_map(|(accounts, slots)| {
        let block = prop::collection::vec(op(accounts, slots), 0..24);
        prop::collection::vec((block, prop::bool::weighted(0.3)), 1..12)
    })
}

/// The state as plain sorted maps.
#[derive(Debug, Clone, Default)]
struct Model {
    accounts: BTreeMap<B256, HashedAccount>,
    storages: BTreeMap<B256, BTreeMap<B256, U256>>,
}

impl Model {
    fn run(&mut self, ops: &[Op]) -> HashedPostState {
        let mut changes = HashedPostState::default();
        for op in ops {
            match op {
                Op::Put(key, nonce) => {
                    self.accounts.insert(*key, account(*nonce));
                    changes.accounts.insert(*key, Some(account(*nonce)));
                }
                Op::Destroy(key) => self.destroy(*key, &mut changes),
                Op::Renew(key, nonce) => {
                    self.destroy(*key, &mut changes);
                    self.accounts.insert(*key, account(*nonce));
                    changes.accounts.insert(*key, Some(account(*nonce)));
                }
                Op::Store(key, slot, value) => {
                    if !self.accounts.contains_key(key) {
                        self.accounts.insert(*key, account(9));
                        changes.accounts.insert(*key, Some(account(9)));
                    }
                    self.storages.entry(*key).or_default().insert(*slot, *value);
                    changes.storages.entry(*key).or_default().slots.insert(*slot, *value);
                }
            }
        }
        for slots in self.storages.values_mut() {
            slots.retain(|_, value| !value.is_zero());
        }
        changes
    }

    fn destroy(&mut self, key: B256, changes: &mut HashedPostState) {
        self.accounts.remove(&key);
        self.storages.remove(&key);
        changes.accounts.insert(key, None);
        let storage = changes.storages.entry(key).or_default();
        storage.slots.clear();
        storage.wiped = true;
    }

    fn storage_root(&self, key: &B256) -> B256 {
        let empty = BTreeMap::new();
        root(
            self.storages
                .get(key)
                .unwrap_or(&empty)
                .iter()
                .map(|(k, v)| (*k, alloy_rlp::encode(v))),
        )
    }

    fn account(&self, key: &B256) -> Option<TrieAccount> {
        Some(self.accounts.get(key)?.with_storage_root(self.storage_root(key)))
    }

    fn state_root(&self) -> B256 {
        root(
            self.accounts
                .keys()
                .map(|key| (*key, alloy_rlp::encode(self.account(key).expect("there")))),
        )
    }

    fn on_disk(&self) -> (MemoryState, B256) {
        let accounts = self.accounts.keys().map(|key| (*key, self.account(key).expect("there")));
        let storages = self.storages.iter().map(|(key, slots)| {
            (*key, slots.iter().map(|(slot, value)| (*slot, *value)).collect::<B256Map<_>>())
        });
        MemoryState::build(accounts.collect(), storages.collect()).expect("sorted keys")
    }
}

fn account(nonce: u64) -> HashedAccount {
    HashedAccount { nonce, balance: U256::from(nonce) << 70, code_hash: B256::repeat_byte(0xcc) }
}

fn root(leaves: impl Iterator<Item = (B256, Vec<u8>)>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack(key), &value);
    }
    builder.root()
}

/// A chain whose newest blocks are layers in memory over a disk, with a cache before both.
struct Chain {
    disk: MemoryState,
    layers: Vec<Arc<StateLayer>>,
    cache: Arc<TrieCache>,
    root: B256,
}

impl Chain {
    fn view(&self) -> Layered<&MemoryState> {
        Layered::new(self.layers.clone(), &self.disk)
    }

    fn extend(&mut self, changes: HashedPostState) {
        let plain = state_root(&self.view(), self.root, &changes).expect("sound state");
        let cached = Cached::new(self.cache.clone(), self.view());
        let output = state_root(&cached, self.root, &changes).expect("sound state");
        assert_eq!(plain, output);
        let root = output.state_root;
        let layer = StateLayer::new(changes, output);
        self.layers.insert(0, Arc::new(layer));
        self.root = root;
    }

    /// Writes all layers but the newest `keep` as one.
    fn persist(&mut self, keep: usize) {
        let keep = keep.min(self.layers.len());
        let mut merged = StateLayer::default();
        for layer in self.layers.split_off(keep).iter().rev() {
            merged.extend(layer);
        }
        self.disk.apply(&merged);
    }
}

/// The witness of a block is enough to compute the block's root.
fn check_witness(chain: &Chain, changes: &HashedPostState, expected: B256) {
    let view = chain.view();
    let nodes = witness(&view, chain.root, &B256Map::default(), changes).expect("sound state");
    let stateless = WitnessState::new(chain.root, nodes);
    let output = state_root(&stateless, chain.root, changes).expect("a whole witness");
    assert_eq!(output.state_root, expected);
    for (address, account) in &output.accounts {
        let before = view.account(*address).expect("in memory");
        assert_eq!(stateless.account(*address).expect("witnessed"), before);
        assert_ne!(before, *account);
    }
}

fn run(history: &[(Vec<Op>, bool)], cache_bytes: u64) {
    let mut model = Model::default();
    let mut chain = Chain {
        disk: MemoryState::default(),
        layers: Vec::new(),
        cache: Arc::new(TrieCache::new(cache_bytes)),
        root: EMPTY_ROOT_HASH,
    };
    for (ops, persist) in history {
        let changes = model.run(ops);
        check_witness(&chain, &changes, model.state_root());
        chain.extend(changes);
        assert_eq!(chain.root, model.state_root());
        if *persist {
            chain.persist(2);
        }
    }
    chain.persist(0);
    let (expected, root) = model.on_disk();
    assert_eq!(root, chain.root);
    assert_eq!(chain.disk, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn roots_and_nodes_are_those_of_a_trie_from_scratch(history in history(), cache in prop_oneof![Just(0), Just(4096), Just(1 << 20)]) {
        run(&history, cache);
    }
}

/// Enough keys that branches are walked and levels hashed in parallel.
#[test]
fn big_blocks_take_the_parallel_way() {
    let key = |n: u64| keccak256(n.to_be_bytes());
    let contract = key(0);
    let mut history = Vec::new();
    for block in 0..4u64 {
        let mut ops = Vec::new();
        for n in 0..3000 {
            let n = n * (block + 1);
            ops.push(if n % 7 == 3 { Op::Destroy(key(n + 1)) } else { Op::Put(key(n + 1), block) });
            let value = U256::from(if n % 5 == block { 0 } else { n });
            ops.push(Op::Store(contract, key(n), value));
            if n % 11 == 0 {
                ops.push(Op::Store(key(n + 1), key(block), U256::from(n)));
            }
        }
        history.push((ops, block.is_multiple_of(2)));
    }
    let mut model = Model::default();
    let mut chain = Chain {
        disk: MemoryState::default(),
        layers: Vec::new(),
        cache: Arc::new(TrieCache::new(1 << 20)),
        root: EMPTY_ROOT_HASH,
    };
    for (ops, persist) in &history {
        chain.extend(model.run(ops));
        assert_eq!(chain.root, model.state_root());
        if *persist {
            chain.persist(1);
        }
    }
    chain.persist(0);
    assert_eq!(chain.disk, model.on_disk().0);
}
