//! Trees of blocks in random order. A consensus client sends blocks before and after their parents,
//! and chooses heads anywhere in the tree; a model that knows nothing but the tree says what the node
//! has to answer.

use std::collections::HashSet;

use alloy_primitives::B256;
use ascribe_e2e::{
    AscribeNode, BlockRef, Built, Driver, Fork, ForkchoiceState, Load, NodeOptions, TestChain, say,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Blocks in the tree.
const BLOCKS: usize = 120;
/// How far below the newest block of its branch a branch may leave.
const REACH: u64 = 40;

/// Has a node build a tree: mostly chains, with branches that leave them anywhere.
fn grow(driver: &mut Driver, load: &Load, rng: &mut StdRng) -> Vec<Built> {
    let mut tree: Vec<Built> = Vec::new();
    for salt in 0..BLOCKS as u64 {
        let parent = match tree.last() {
            Some(last) if rng.random_ratio(4, 5) => last.block(),
            Some(_) => {
                let tip = tree[rng.random_range(0..tree.len())].block();
                driver.set_head(tip.hash).expect("a block of the tree");
                let lowest = tip.number.saturating_sub(REACH);
                driver.block(rng.random_range(lowest..=tip.number))
            }
            None => driver.head(),
        };
        let transactions = load.block(parent.number + 1, salt);
        let attributes = driver.attributes(parent, transactions);
        let built = driver.build(parent, &attributes).expect("a block");
        driver.import(&built).expect("our own block");
        tree.push(built);
    }
    tree
}

/// What a node that is given blocks of a tree must know.
struct Model {
    genesis: BlockRef,
    tree: Vec<Built>,
    given: HashSet<B256>,
    head: BlockRef,
}

impl Model {
    fn block(&self, hash: B256) -> Option<BlockRef> {
        let known = self.tree.iter().map(Built::block).find(|block| block.hash == hash);
        known.or_else(|| (hash == self.genesis.hash).then_some(self.genesis))
    }

    /// The chain below and with a block, newest first, as far as it was given.
    fn ancestry(&self, hash: B256) -> Vec<BlockRef> {
        std::iter::successors(self.block(hash), |block| self.block(block.parent))
            .take_while(|block| block.number == 0 || self.given.contains(&block.hash))
            .collect()
    }

    /// Whether a block and all below it were given.
    fn connected(&self, hash: B256) -> bool {
        self.ancestry(hash).last().is_some_and(|block| block.number == 0)
    }

    #[track_caller]
    fn check(&self, node: &AscribeNode) {
        assert_eq!(node.head(), (self.head.number, self.head.hash));
        for block in self.ancestry(self.head.hash).iter().step_by(3) {
            assert_eq!(node.canonical(block.number), Some(block.hash), "{block:?}");
        }
        assert_eq!(node.canonical(self.head.number + 1), None);
    }
}

/// Gives a node the tree in random order and has it choose heads at random.
fn walk(mut node: AscribeNode, mut model: Model, rng: &mut StdRng) -> (NodeOptions, usize) {
    let (mut next, mut choices) = (0, 0);
    while next < model.tree.len() || choices < 2 * BLOCKS {
        // Mostly in the order in which they were made, with some far ahead, and some again.
        if next < model.tree.len() && rng.random_bool(0.6) {
            let ahead = if rng.random_ratio(1, 4) { rng.random_range(0..8) } else { 0 };
            let built = &model.tree[(next + ahead).min(model.tree.len() - 1)];
            let hash = built.payload.block_hash;
            if ahead == 0 {
                next += 1;
            }
            model.given.insert(hash);
            let status = built.import(&node.engine).expect("a status");
            if model.connected(hash) { status.expect_valid(hash) } else { status.expect_syncing() }
        } else {
            choices += 1;
            let hash = model.tree[rng.random_range(0..model.tree.len())].payload.block_hash;
            let chosen = ForkchoiceState::head(hash);
            let updated = node.engine.forkchoice_updated(chosen, None).expect("a status");
            if model.connected(hash) {
                updated.payload_status.expect_valid(hash);
                model.head = model.block(hash).expect("invariant: of the tree");
            } else {
                updated.payload_status.expect_syncing();
            }
            model.check(&node);
        }
        // A restart forgets what is not on the chain.
        if rng.random_ratio(1, 200) {
            node = node.stop().start();
            model.check(&node);
            model.given = model.ancestry(model.head.hash).iter().map(|it| it.hash).collect();
            next = 0;
        }
    }
    (node.stop(), choices)
}

#[test]
fn trees_of_blocks_in_any_order() {
    let seed = std::env::var("ASCRIBE_SEED").ok().map(|text| text.parse().expect("a number"));
    let seed: u64 = seed.unwrap_or_else(rand::random);
    say(&format!("trees: ASCRIBE_SEED={seed}"));
    let mut rng = StdRng::seed_from_u64(seed);
    let rounds = if std::env::var_os("ASCRIBE_LONG").is_some() { 10 } else { 1 };
    let mut choices = 0;
    for round in 0..rounds {
        let fork = if round % 2 == 0 { Fork::Karst } else { Fork::Jovian };
        let chain = TestChain::new(fork);
        let load = Load::new(&chain, 2, 2, 4);
        let author = NodeOptions::new(&chain).start();
        let mut driver = Driver::new(&author);
        let genesis = driver.head();
        let tree = grow(&mut driver, &load, &mut rng);

        let in_memory = ["--engine.persistence-threshold", "500"];
        let in_memory = [&in_memory[..], &["--engine.persistence-backpressure", "900"]].concat();
        for args in [&[][..], &in_memory] {
            let node = NodeOptions::new(&chain).with(args).start();
            let (given, tree) = (HashSet::new(), tree.clone());
            let model = Model { genesis, tree, given, head: genesis };
            let (options, made) = walk(node, model, &mut rng);
            options.assert_verifies();
            choices += made;
        }
    }
    say(&format!("trees: {choices} fork choices over {} trees of {BLOCKS} blocks", rounds));
}
