//! What happens on the test chain: everything that a block can hold.

use std::time::Duration;

use alloy_consensus::{TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256, keccak256};
use ascribe_e2e::{Account, Rpc, wait_until};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    asm::{asm, deploys, opcodes},
    contracts,
    programs::CHAIN_ID,
};

/// How long a transaction may take to be in a block.
const PATIENCE: Duration = Duration::from_secs(60);
const GAS_PRICE: u128 = 5_000_000_000;

/// What there is on the chain, to be asked about.
#[derive(Debug)]
pub(crate) struct Told {
    /// [`contracts::deployed`], in that order.
    pub(crate) contracts: Vec<Address>,
    /// Code from nowhere, which was deployed and can be called.
    pub(crate) random: Vec<Vec<u8>>,
    /// Accounts that delegate to a contract.
    pub(crate) delegated: Vec<Address>,
}

/// Index into [`Told::contracts`].
pub(crate) const STORE: usize = 0;
pub(crate) const REVERTS: usize = 1;
pub(crate) const SPINS: usize = 2;
pub(crate) const CALLER: usize = 3;
pub(crate) const FACTORY: usize = 4;
pub(crate) const DIES: usize = 5;
pub(crate) const LOOKS: usize = 6;
pub(crate) const RECURSES: usize = 7;
pub(crate) const COMPUTES: usize = 8;
pub(crate) const TAKES: usize = 9;

/// Who tells it.
struct Teller<'a> {
    rpc: &'a Rpc,
    l1: &'a Rpc,
    accounts: Vec<Account>,
    contracts: Vec<Address>,
    sent: Vec<B256>,
    rng: StdRng,
}

/// Sends transactions to the sequencer at `rpc` and deposits to `l1` until all has happened.
pub(crate) fn tell(rpc: &Rpc, l1: &Rpc, rounds: usize) -> Told {
    let accounts = (0..8).map(|index| Account::dev(index, CHAIN_ID)).collect();
    let rng = StdRng::seed_from_u64(0x5eed);
    let mut teller = Teller { rpc, l1, accounts, contracts: Vec::new(), sent: Vec::new(), rng };
    teller.deploy();
    teller.change_system_config();
    let mut random = Vec::new();
    for round in 0..rounds {
        teller.deposits(round as u64);
        teller.calls(round as u64);
        teller.settle();
        random.extend(teller.random_code());
        teller.precompiles();
        teller.settle();
    }
    let delegated = teller.delegations();
    Told { contracts: teller.contracts, random, delegated }
}

/// Two words.
fn words(first: u64, second: u64) -> Bytes {
    [first, second].map(|word| U256::from(word).to_be_bytes::<32>()).concat().into()
}

impl Teller<'_> {
    fn to(&self, index: usize) -> TxKind {
        TxKind::Call(self.contracts[index])
    }

    fn raw(&mut self, raw: &Bytes) {
        let hash: B256 = self.rpc.call("eth_sendRawTransaction", json!([raw]));
        assert_eq!(hash, keccak256(raw));
        self.sent.push(hash);
    }

    fn send(&mut self, from: usize, to: TxKind, value: u64, input: impl Into<Bytes>, gas: u64) {
        let raw = self.accounts[from].send(to, U256::from(value), input.into(), gas);
        self.raw(&raw);
    }

    /// Waits until everything that was sent is in a block.
    fn settle(&mut self) {
        let method = "eth_getTransactionReceipt";
        for hash in std::mem::take(&mut self.sent) {
            wait_until(&format!("the receipt of {hash}"), PATIENCE, || {
                // Right after its start op-geth says that it is still indexing.
                let receipt = self.rpc.try_call::<Option<Value>>(method, json!([hash]));
                receipt.ok().flatten().map(drop)
            });
        }
    }

    fn deploy(&mut self) {
        for init in contracts::deployed() {
            let deployer = &self.accounts[0];
            self.contracts.push(deployer.address().create(deployer.nonce));
            self.send(0, TxKind::Create, 0, init, 400_000);
        }
        self.settle();
    }

    fn calls(&mut self, round: u64) {
        // Slots that are new, change, and go.
        for (slot, value) in [(round, 1), (7, round), (1, 0), (100 + round, u64::MAX)] {
            self.send(0, self.to(STORE), 0, words(slot, value), 100_000);
        }
        for input in [Bytes::new(), contracts::error("no, thank you"), contracts::panics(0x11)] {
            self.send(1, self.to(REVERTS), 0, input, 60_000);
        }
        self.send(1, self.to(SPINS), 0, Bytes::new(), 90_000);
        self.send(1, self.to(LOOKS), 0, Bytes::new(), 200_000);
        self.send(1, self.to(COMPUTES), 0, words(round, 3), 100_000);
        self.send(1, self.to(RECURSES), 0, Bytes::new(), 400_000);
        self.send(1, self.to(TAKES), 1 + round, Bytes::new(), 30_000);
        // Every kind of call to contracts that do, fail and look.
        let caller = self.contracts[CALLER];
        for kind in 0..4 {
            for (callee, value, input) in [
                (STORE, 0, words(9, kind)),
                (REVERTS, 0, contracts::error("inner")),
                (LOOKS, 5, Bytes::new()),
                (SPINS, 0, Bytes::new()),
                (COMPUTES, 0, words(kind, round)),
            ] {
                let callee = self.contracts[callee];
                let input = contracts::call(kind, callee, 60_000, value, &input);
                self.send(2, TxKind::Call(caller), 10 * (kind % 2), input, 250_000);
            }
        }
        let nobody = Address::from_word(keccak256(round.to_be_bytes()));
        let value = contracts::call(0, nobody, 0, 3, &[]);
        self.send(2, TxKind::Call(caller), 3, value, 120_000);
        // Creations by a contract: good, reverting, with EOF magic, dying at once, and twice the same.
        let beyond = asm("0xef00 0 MSTORE 2 30 RETURN");
        let dies_at_once = asm("CALLER SELFDESTRUCT");
        for (salt, init) in [
            (0, deploys(&contracts::dies())),
            (1 + round, deploys(&contracts::store())),
            (1 + round, deploys(&contracts::store())),
            (0, asm("0 0 REVERT")),
            (0, beyond),
            (9, dies_at_once),
            (0, asm("INVALID")),
        ] {
            let input = contracts::create(salt, &init);
            self.send(3, self.to(FACTORY), round % 3, input, 300_000);
        }
        // Die, old and in the transaction that made it.
        let heir = self.accounts[4].address().into_word();
        self.send(3, self.to(DIES), 77, heir, 60_000);
        self.send(3, TxKind::Create, 5, asm("ORIGIN SELFDESTRUCT"), 100_000);
        self.send(3, TxKind::Create, 0, asm("0 0 REVERT"), 100_000);
        self.send(3, TxKind::Create, 0, Bytes::new(), 100_000);
        self.kinds();
    }

    /// Every type of transaction that the pool takes.
    fn kinds(&mut self) {
        let store = self.contracts[STORE];
        let account = &mut self.accounts[4];
        let legacy = TxLegacy {
            chain_id: Some(CHAIN_ID),
            nonce: account.nonce,
            gas_price: GAS_PRICE,
            gas_limit: 100_000,
            to: TxKind::Call(store),
            value: U256::ZERO,
            input: words(5, 5),
        };
        let slots = vec![B256::with_last_byte(5), B256::with_last_byte(6)];
        let access_list = AccessList(vec![
            AccessListItem { address: store, storage_keys: slots },
            AccessListItem { address: Address::ZERO, storage_keys: vec![] },
        ]);
        let listed = TxEip2930 {
            chain_id: CHAIN_ID,
            nonce: account.nonce + 1,
            gas_price: GAS_PRICE,
            gas_limit: 100_000,
            to: TxKind::Call(store),
            value: U256::ZERO,
            input: words(6, 5),
            access_list: access_list.clone(),
        };
        let mut dynamic =
            account.transaction(TxKind::Call(store), U256::ZERO, words(5, 6), 100_000);
        dynamic.nonce += 2;
        dynamic.access_list = access_list;
        let raws = [account.sign(legacy), account.sign(listed), account.sign(dynamic)];
        account.nonce += 3;
        for raw in raws {
            self.raw(&raw);
        }
    }

    /// Creations with code from nowhere, which mostly fail in some way.
    fn random_code(&mut self) -> Vec<Vec<u8>> {
        let codes: Vec<_> = (0..24).map(|_| random_code(&mut self.rng, &self.contracts)).collect();
        for (index, code) in codes.iter().enumerate() {
            self.send(5 + index % 2, TxKind::Create, (index % 4) as u64, code.clone(), 400_000);
        }
        codes
    }

    fn precompiles(&mut self) {
        let addresses = (1..=0x11).chain([0x100]);
        let sizes = [0, 96, 128, 160, 192, 213, 256, 288, 384, 512];
        let caller = TxKind::Call(self.contracts[CALLER]);
        for address in addresses {
            let to = Address::from_word(U256::from(address).into());
            let size = sizes[self.rng.random_range(0..sizes.len())];
            let mut input = vec![0; size];
            if self.rng.random() {
                self.rng.fill(&mut input[..]);
            }
            let input = contracts::call(0, to, 250_000, 0, &input);
            self.send(7, caller, 0, input, 500_000);
        }
    }

    /// EIP-7702: delegations that hold, that do not, and calls through them.
    fn delegations(&mut self) -> Vec<Address> {
        let (store, reverts) = (self.contracts[STORE], self.contracts[REVERTS]);
        let one = Account::from_seed("one", CHAIN_ID);
        let two = Account::from_seed("two", CHAIN_ID);
        let sign = |account: &Account, chain_id: u64, address, nonce| {
            let what = Authorization { chain_id: U256::from(chain_id), address, nonce };
            let signature = account.sign_hash(what.signature_hash());
            what.into_signed(signature)
        };
        let sender = self.accounts[0].clone();
        let lists: [(Address, Vec<SignedAuthorization>); 6] = [
            (one.address(), vec![sign(&one, CHAIN_ID, store, 0)]),
            (two.address(), vec![sign(&two, 0, reverts, 0), sign(&two, CHAIN_ID, reverts, 1)]),
            // Of another chain, of a used nonce, and none at all.
            (one.address(), vec![sign(&one, 1, reverts, 1), sign(&one, CHAIN_ID, reverts, 0)]),
            // The sender's own: its nonce has moved on by then.
            (sender.address(), vec![sign(&sender, CHAIN_ID, store, sender.nonce + 4)]),
            // Back to nothing.
            (two.address(), vec![sign(&two, CHAIN_ID, Address::ZERO, 2)]),
            (store, vec![sign(&two, CHAIN_ID, one.address(), 3)]),
        ];
        for (to, authorization_list) in lists {
            let account = &mut self.accounts[0];
            let tx = TxEip7702 {
                chain_id: CHAIN_ID,
                nonce: account.nonce,
                gas_limit: 300_000,
                max_fee_per_gas: GAS_PRICE,
                max_priority_fee_per_gas: 1_000_000,
                to,
                value: U256::ZERO,
                access_list: AccessList::default(),
                authorization_list,
                input: words(3, 4),
            };
            account.nonce += 1;
            let raw = account.sign(tx);
            self.raw(&raw);
            self.settle();
            // The sender's own authorization has moved its nonce.
            let nonce: U64 =
                self.rpc.call("eth_getTransactionCount", json!([sender.address(), "latest"]));
            self.accounts[0].nonce = nonce.to();
        }
        let addresses = vec![one.address(), two.address(), sender.address()];
        let through = contracts::call(0, one.address(), 80_000, 0, &words(8, 8));
        self.send(2, self.to(CALLER), 0, through, 200_000);
        let through = contracts::call(2, one.address(), 80_000, 0, &words(8, 9));
        self.send(2, self.to(CALLER), 0, through, 200_000);
        for &address in &addresses {
            self.send(1, TxKind::Call(address), 1, words(4, 4), 100_000);
        }
        self.settle();
        addresses
    }

    /// Logs on L1 as the system's contracts would.
    fn log_on_l1(&self, to: Address, topics: &[B256], data: &[u8]) {
        let mut input = topics.concat();
        input.extend(B256::from(U256::from(32)));
        input.extend(B256::from(U256::from(data.len())));
        input.extend(data);
        input.resize(input.len().next_multiple_of(32), 0);
        let from = Account::dev(9, 0).address();
        let tx = json!([{"from": from, "to": to, "input": Bytes::from(input), "gas": "0x493e0"}]);
        let _: B256 = self.l1.call("eth_sendTransaction", tx);
    }

    /// Deposits that do what they should and that fail in every way.
    fn deposits(&self, round: u64) {
        let topic = keccak256("TransactionDeposited(address,address,uint256,bytes)");
        let alias = |seed: u8| Address::with_last_byte(seed);
        let deposit = |from: Address, to: Option<Address>, mint, value, gas: u64, input: &[u8]| {
            let mut opaque = [mint, value].map(|wei| U256::from(wei).to_be_bytes::<32>()).concat();
            opaque.extend(gas.to_be_bytes());
            opaque.push(u8::from(to.is_none()));
            opaque.extend(input);
            let to = to.unwrap_or_default().into_word();
            let topics = [topic, from.into_word(), to, B256::ZERO];
            self.log_on_l1(contracts::PORTAL, &topics, &opaque);
        };
        let of = |index: usize| Some(self.contracts[index]);
        // A deposit moves its sender's nonce, so these send nothing else.
        let (rich, poor) = (alias(0xcf), alias(0xd0 + round as u8));
        deposit(rich, Some(poor), 10_u64.pow(18), 10_u64.pow(17), 21_000, &[]);
        deposit(poor, of(STORE), 0, 0, 100_000, &words(70 + round, 7));
        // Reverts: what it minted stays.
        deposit(alias(1), of(REVERTS), 1000, 0, 50_000, &contracts::error("deposit"));
        // Cannot pay what it sends.
        deposit(alias(2), of(TAKES), 5, 50, 50_000, &[]);
        deposit(alias(2), of(SPINS), 0, 0, 60_000, &[]);
        // Too little gas for its data.
        deposit(alias(3), of(STORE), 1, 0, 21_100, &[1; 64]);
        deposit(rich, None, 0, 9, 300_000, &deploys(&contracts::looks()));
        deposit(alias(4), None, 3, 0, 100_000, &asm("0 0 REVERT"));
        let inner = contracts::call(0, self.contracts[REVERTS], 50_000, 0, b"?");
        deposit(poor, of(CALLER), 0, 0, 200_000, &inner);
        deposit(alias(5), of(LOOKS), 1, 1, 300_000, &[]);
        deposit(alias(6), Some(alias(6)), 0, 0, 21_000, &[]);
    }

    /// The gas limit, the fee parameters and both fees change with the next L1 blocks.
    fn change_system_config(&self) {
        let topic = keccak256("ConfigUpdate(uint256,uint8,bytes)");
        let update = |kind: u8, word: U256| {
            let topics = [topic, B256::ZERO, B256::with_last_byte(kind)];
            self.log_on_l1(contracts::SYSTEM_CONFIG, &topics, &word.to_be_bytes::<32>());
        };
        update(2, U256::from(45_000_000));
        update(4, (U256::from(200) << 32) | U256::from(4));
        update(5, (U256::from(1_500_000) << 64) | U256::from(11));
        update(6, U256::from(2_000));
        update(7, U256::from(300));
    }
}

/// Code that starts with something on the stack and goes on as it likes.
fn random_code(rng: &mut StdRng, contracts: &[Address]) -> Vec<u8> {
    let known: Vec<u8> = opcodes().collect();
    let mut code = Vec::new();
    for step in 0..rng.random_range(20..90) {
        match rng.random_range(0..100) {
            at if at < 40 || step < 6 => code.extend([0x60, rng.random_range(0..72)]),
            at if at < 45 => {
                code.push(0x73);
                code.extend(contracts[rng.random_range(0..contracts.len())]);
            }
            at if at < 49 => code.extend([0x62, rng.random(), rng.random(), rng.random()]),
            at if at < 52 => {
                code.push(0x7f);
                code.extend(rng.random::<[u8; 32]>());
            }
            _ => {
                let op = known[rng.random_range(0..known.len())];
                // What ends it right away is rare enough for the rest to be reached.
                let ends = matches!(op, 0x00 | 0x0c | 0x21 | 0x56 | 0xe0 | 0xef..=0xef | 0xf3 | 0xfd..=0xff);
                if !ends || rng.random_range(0..5) == 0 {
                    code.push(op);
                }
            }
        }
    }
    code
}
