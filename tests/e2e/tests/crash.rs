//! `kill -9` at random moments while blocks are built, imported, reorganised and written.
//!
//! A block counts as reported once the metric `ascribe_storage_persisted_block` names it or one
//! above it. After each kill the database is in order from its leaves to its root, every reported
//! block is there, and the chain goes on from where it was.

use std::{
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Bytes, U64, keccak256};
use ascribe_e2e::{
    Account, AscribeNode, BlockRef, CallError, Driver, Fork, Load, NodeOptions, TestChain, say,
    send_signal,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

/// What must be on disk, whatever happens.
#[derive(Debug, Default)]
struct Reported {
    newest: Option<BlockRef>,
    /// While a fork choice that takes blocks off the chain is under way: the last block that stays.
    rewinding_to: Option<BlockRef>,
    reports: u64,
}

impl Reported {
    /// The newest block that has to be there.
    fn required(&self) -> Option<BlockRef> {
        match (self.newest, self.rewinding_to) {
            (Some(newest), Some(stays)) if stays.number < newest.number => Some(stays),
            (newest, _) => newest,
        }
    }

    /// Asks the node. Nothing else must be under way.
    fn ask(&mut self, node: &AscribeNode, driver: &Driver) {
        self.newest = self.required();
        self.rewinding_to = None;
        let Some(number) = node.metric("ascribe_storage_persisted_block") else { return };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a block number"
        )]
        let number = number as u64;
        if self.newest.is_none_or(|newest| newest.number < number) {
            self.reports += 1;
            self.newest = Some(driver.block(number));
        }
    }
}

/// One consensus client with a mind of its own.
struct Client {
    driver: Driver,
    load: Load,
    user: Account,
    rng: StdRng,
    reported: Reported,
    salt: u64,
    reorgs: u64,
    blocks: u64,
    /// Transactions taken from the pool.
    pooled: u64,
}

impl Client {
    /// Works until the node is gone.
    fn work(&mut self, node: &AscribeNode) {
        loop {
            let done = match self.rng.random_range(0..40) {
                0 => self.rewind_and_rebuild(),
                1 => self.change_sides(),
                2 => self.label(),
                3..=8 => self.extend_from_pool(),
                _ => self.extend(),
            };
            match done {
                Ok(()) => self.reported.ask(node, &self.driver),
                Err(CallError::Transport(_)) => return,
                Err(error) => panic!("the node refuses: {error}"),
            }
        }
    }

    fn extend(&mut self) -> Result<(), CallError> {
        let transactions = self.transactions()?;
        self.driver.extend(transactions)?;
        self.blocks += 1;
        Ok(())
    }

    /// Load on the head. What the pool gave to blocks may have used up nonces.
    fn transactions(&self) -> Result<Vec<Bytes>, CallError> {
        let head = self.driver.head();
        let nonces = self.load.senders().map(|sender| {
            let params = json!([sender, {"blockHash": head.hash}]);
            let nonce: U64 = self.driver.engine.rpc.try_call("eth_getTransactionCount", params)?;
            Ok(nonce.to())
        });
        let nonces = nonces.collect::<Result<Vec<u64>, CallError>>()?;
        Ok(self.load.block_at(&nonces, head.number + 1, self.salt))
    }

    /// A block of load, and of what the pool was given: transactions that come back after a reorg.
    fn extend_from_pool(&mut self) -> Result<(), CallError> {
        let rpc = self.driver.engine.rpc.clone();
        let nonce: U64 =
            rpc.try_call("eth_getTransactionCount", json!([self.user.address(), "pending"]))?;
        self.user.nonce = nonce.to();
        for _ in 0..8 {
            let raw = self.user.transfer(Address::with_last_byte(0x99), 1);
            match rpc.try_call::<B256>("eth_sendRawTransaction", json!([raw])) {
                // After a reorg the pool may have one of this nonce already.
                Ok(_) | Err(CallError::Rpc(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let transactions = self.transactions()?;
        let mut attributes = self.driver.attributes(self.driver.head(), transactions);
        attributes.no_tx_pool = None;
        let built = self.driver.extend_with(&attributes)?;
        self.blocks += 1;
        let forced = attributes.transactions.len();
        self.pooled += (built.payload.transactions.len() - forced) as u64;
        Ok(())
    }

    /// Somewhere up to 20 blocks below the head.
    fn below(&mut self) -> BlockRef {
        let head = self.driver.head().number;
        let depth = self.rng.random_range(1..=20).min(head);
        self.driver.block(head - depth)
    }

    /// Back to an older block, and another branch from there.
    fn rewind_and_rebuild(&mut self) -> Result<(), CallError> {
        let fork = self.below();
        self.salt += 1;
        self.reorgs += 1;
        self.reported.rewinding_to = Some(fork);
        self.driver.set_head(fork.hash)?;
        for _ in 0..self.rng.random_range(0..4) {
            self.extend()?;
        }
        Ok(())
    }

    /// To another branch and back again, with nothing built in between.
    fn change_sides(&mut self) -> Result<(), CallError> {
        let (old, fork) = (self.driver.head(), self.below());
        self.salt += 1;
        self.reorgs += 2;
        self.reported.rewinding_to = Some(fork);
        self.driver.set_head(fork.hash)?;
        for _ in 0..self.rng.random_range(1..4) {
            self.extend()?;
        }
        self.driver.set_head(old.hash)?;
        Ok(())
    }

    /// Moves safe and finalized.
    fn label(&mut self) -> Result<(), CallError> {
        let head = self.driver.head();
        let (safe, finalized) = (self.below(), self.driver.block(head.number / 2));
        let finalized = if finalized.number < safe.number { finalized } else { safe };
        let state = ascribe_e2e::ForkchoiceState {
            head_block_hash: head.hash,
            safe_block_hash: safe.hash,
            finalized_block_hash: finalized.hash,
        };
        let updated = self.driver.engine.forkchoice_updated(state, None)?;
        updated.payload_status.expect_valid(head.hash);
        Ok(())
    }

    /// What must hold when the node is up again. Returns how many blocks were lost from memory.
    fn check(&mut self, node: &AscribeNode) -> u64 {
        let (before, required) = (self.driver.head().number, self.reported.required());
        self.driver.engine = node.engine.clone();
        self.driver.reread();
        let head = self.driver.head();
        if let Some(block) = required {
            assert_eq!(
                node.canonical(block.number),
                Some(block.hash),
                "block {} was reported as persisted; the head is {head:?}",
                block.number
            );
        }
        self.reported.newest = required;
        self.reported.rewinding_to = None;
        for tag in ["safe", "finalized"] {
            if let Ok(Some(number)) = self.label_at(node, tag) {
                assert!(number <= head.number, "{tag} is {number}, above the head {}", head.number);
            }
        }
        before.saturating_sub(head.number)
    }

    fn label_at(&self, node: &AscribeNode, tag: &str) -> Result<Option<u64>, CallError> {
        let params = json!([tag, false]);
        let block: Value = node.rpc.try_call("eth_getBlockByNumber", params)?;
        let Some(hash) = block["hash"].as_str() else { return Ok(None) };
        let hash: B256 = hash.parse().expect("a hash");
        let found = self.driver.canonical().iter().find(|block| block.hash == hash);
        Ok(Some(found.unwrap_or_else(|| panic!("{tag} is not canonical: {block}")).number))
    }
}

/// The database of a node that is not running.
fn verify(options: &NodeOptions) -> Duration {
    let started = Instant::now();
    options.assert_verifies();
    started.elapsed()
}

#[test]
fn a_node_survives_being_killed() {
    let kills = if std::env::var_os("ASCRIBE_LONG").is_some() { 200 } else { 25 };
    let seed = std::env::var("ASCRIBE_SEED").ok().map(|text| text.parse().expect("a number"));
    let seed: u64 = seed.unwrap_or_else(rand::random);
    say(&format!("crash: ASCRIBE_SEED={seed}"));

    let chain = TestChain::new(Fork::Karst);
    let options = NodeOptions::new(&chain);
    let node = options.start();
    let mut client = Client {
        driver: Driver::new(&node),
        load: Load::new(&chain, 6, 8, 60),
        user: Account::dev(8, chain.chain_id),
        rng: StdRng::seed_from_u64(seed),
        reported: Reported::default(),
        salt: 0,
        reorgs: 0,
        blocks: 0,
        pooled: 0,
    };
    drop(node);

    let started = Instant::now();
    let (mut lost, mut verifying) = (0, Duration::ZERO);
    for kill in 1..=kills {
        // Now and then already while it opens the database.
        if client.rng.random_ratio(1, 5) {
            let mut opening = options.spawn();
            thread::sleep(Duration::from_millis(client.rng.random_range(0..400)));
            opening.kill();
        } else {
            let node = options.start();
            lost += client.check(&node);
            let after = Duration::from_millis(client.rng.random_range(0..2500));
            let pid = node.process.pid();
            thread::scope(|scope| {
                scope.spawn(move || {
                    thread::sleep(after);
                    assert!(send_signal(pid, "KILL"), "the node was gone before it was killed");
                });
                client.work(&node);
            });
        }
        verifying += verify(&options);
        if kill % 25 == 0 {
            say(&format!(
                "crash: {kill} kills, head {}, {} blocks built with {} transactions of the pool, {} reorgs, {} reports, {lost} blocks lost from memory, {:?}",
                client.driver.head().number,
                client.blocks,
                client.pooled,
                client.reorgs,
                client.reported.reports,
                started.elapsed()
            ));
        }
    }
    assert!(client.reported.reports > 0, "nothing was ever persisted");
    assert!(client.pooled > 0, "the pool gave nothing");

    // It goes on as if nothing had been, and a stop that is not a kill loses nothing.
    let node = options.start();
    client.check(&node);
    for _ in 0..10 {
        client.extend().expect("a block");
    }
    let head = client.driver.head();
    let node = node.stop().start();
    assert_eq!(node.head(), (head.number, head.hash));
    say(&format!("crash: {kills} kills, db verify took {verifying:?} in all"));
}

/// A genesis too large for one batch of the database, cut short again and again while it is written.
#[test]
fn a_genesis_survives_being_cut_short() {
    let chain = TestChain::new(Fork::Karst);
    let mut genesis = TestChain::genesis(chain.fork, chain.chain_id);
    for index in 0u64..40_000 {
        let address = Address::from_word(keccak256(index.to_be_bytes())).to_string();
        let slot = keccak256(address.as_bytes());
        genesis["alloc"][address] =
            json!({"balance": "0x1", "code": slot, "storage": {slot.to_string(): slot}});
    }
    std::fs::write(chain.genesis_file(), genesis.to_string()).expect("written");

    let whole = NodeOptions::new(&chain);
    let started = Instant::now();
    let (status, output) = whole.run(&["init"], &[]);
    assert!(status.success(), "{output}");
    let takes = started.elapsed();
    let expected = whole.start().head();

    let options = NodeOptions::new(&chain);
    let (mut rng, mut cut) = (StdRng::seed_from_u64(7), 0);
    let kills = if std::env::var_os("ASCRIBE_LONG").is_some() { 24 } else { 5 };
    for _ in 0..kills {
        let mut node = options.spawn();
        thread::sleep(takes.mul_f64(rng.random_range(0.5..1.0)));
        node.kill();
        let (status, output) = options.run(&["db", "verify"], &[]);
        // Opening finishes what was begun, or begins it, or says that there is nothing yet.
        assert!(status.success() || output.contains("there is no database"), "{output}");
        cut += usize::from(output.contains("cut short"));
        // The next one begins anew.
        if options.datadir().exists() {
            std::fs::remove_dir_all(options.datadir()).expect("removed");
        }
    }
    let mut node = options.spawn();
    thread::sleep(takes.mul_f64(0.7));
    node.kill();
    let node = options.start();
    assert_eq!(node.head(), expected);
    node.stop().assert_verifies();
    say(&format!("crash: genesis takes {takes:?}, {cut} of {kills} kills cut it short"));
}
