//! Random histories of appending, reorganising and unwinding.

use crate::chain::{self, Chain};
use ascribe_storage::{HistoryRetention, Storage, StorageError, StorageOptions};
use ascribe_trie::{Layered, StateLayer, state_root};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::Arc;

#[test]
fn random_histories_match_the_model() {
    for seed in 0..6 {
        let spec = chain::spec(0);
        let dir = tempfile::tempdir().unwrap();
        let mut storage = chain::open(dir.path(), &spec);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut chain = Chain::new(&spec, seed);
        chain::check(&storage.reader(), &chain, 0);

        for step in 0..30 {
            match rng.random_range(0..10) {
                0..=4 => {
                    let persisted = chain.height();
                    for _ in 0..rng.random_range(1..5) {
                        chain.grow(&storage.reader(), 25);
                    }
                    storage.append(chain.above(persisted)).unwrap();
                }
                5..=7 => {
                    let ancestor = chain.height() - rng.random_range(0..=chain.height().min(12));
                    let gone = chain.above(ancestor).to_vec();
                    let mut fork = chain.fork(ancestor, rng.random());
                    for _ in 0..rng.random_range(0..6) {
                        fork.grow(&storage.reader(), 25);
                    }
                    storage.reorg(ancestor, fork.above(ancestor)).unwrap();
                    chain = fork;
                    for executed in &gone {
                        chain::check_gone(&storage.reader(), executed);
                    }
                }
                8 => {
                    let number = chain.height() - rng.random_range(0..=chain.height().min(12));
                    storage.unwind_to(number, &mut |_| {}).unwrap();
                    chain = chain.fork(number, rng.random());
                }
                _ => {
                    drop(storage);
                    storage = chain::open(dir.path(), &spec);
                }
            }
            if step % 6 == 5 {
                chain::check(&storage.reader(), &chain, 0);
                storage.reader().verify(&mut |_| {}).unwrap();
            }
            let state = chain.states.last().unwrap();
            assert_eq!(storage.reader().head().state_root, chain::reference_root(state));
        }
        chain::check(&storage.reader(), &chain, 0);
        storage.reader().verify(&mut |_| {}).unwrap();
    }
}

#[test]
fn a_range_in_one_batch_equals_one_block_at_a_time() {
    let spec = chain::spec(0);
    let (one, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, many) = (chain::open(one.path(), &spec), chain::open(many.path(), &spec));
    let mut chain = Chain::new(&spec, 7);
    for _ in 0..20 {
        chain.grow(&many.reader(), 30);
    }
    many.append(&chain.blocks).unwrap();
    for executed in &chain.blocks {
        one.append(std::slice::from_ref(executed)).unwrap();
    }
    for storage in [&one, &many] {
        chain::check(&storage.reader(), &chain, 0);
    }
    assert_eq!(
        one.reader().verify(&mut |_| {}).unwrap(),
        many.reader().verify(&mut |_| {}).unwrap()
    );
}

#[test]
fn reverting_over_the_head_gives_the_root_of_every_height() {
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    let storage = chain::open(dir.path(), &spec);
    let mut chain = Chain::new(&spec, 11);
    for _ in 0..25 {
        chain.grow(&storage.reader(), 30);
    }
    storage.append(&chain.blocks).unwrap();

    let reader = storage.reader();
    for number in 0..=25 {
        let revert = reader.revert_state(number).unwrap();
        let output = state_root(&reader, reader.head().state_root, &revert).unwrap();
        let expected = reader.header(number).unwrap().unwrap().state_root;
        assert_eq!(output.state_root, expected, "block {number}");
        // And blocks can be executed again on top of that view.
        if let Some(next) = chain.blocks.get(number as usize) {
            let layer = Arc::new(StateLayer::new(revert, output));
            let view = Layered::new(vec![layer], reader.clone());
            let mut again = chain.fork(number, 1).states[number as usize].as_ref().clone();
            let changes =
                chain::difference(&again, &chain.states[number as usize + 1], &Default::default());
            again.clone_from(&chain.states[number as usize + 1]);
            let output = state_root(&view, expected, &changes).unwrap();
            assert_eq!(output.state_root, next.header().state_root);
            assert_eq!(output.state_root, chain::reference_root(&again));
        }
    }
}

#[test]
fn pruning_keeps_what_it_promises() {
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    let open = |history| {
        let options = StorageOptions { history, ..chain::options() };
        Storage::open(dir.path(), options, &spec, &mut |_| {}).unwrap()
    };
    let storage = open(HistoryRetention::Archive);
    let mut chain = Chain::new(&spec, 3);
    for _ in 0..150 {
        chain.grow(&storage.reader(), 6);
    }
    storage.append(&chain.blocks).unwrap();
    drop(storage);

    // A distance set later is caught up with in steps.
    let storage = open(HistoryRetention::Blocks(10));
    let mut floors = Vec::new();
    for _ in 0..6 {
        chain.grow(&storage.reader(), 6);
        storage.append(chain.above(chain.height() - 1)).unwrap();
        floors.push(storage.reader().history_floor());
    }
    assert_eq!(floors, [65, 130, 143, 144, 145, 146]);
    let reader = storage.reader();
    chain::check(&reader, &chain, 146);
    reader.verify(&mut |_| {}).unwrap();

    let key = *chain.states[0].keys().next().unwrap();
    let pruned = reader.account_at(key, 145).unwrap_err();
    assert!(matches!(pruned, StorageError::Pruned { number: 145, floor: 146 }), "{pruned}");
    assert!(matches!(storage.reorg(145, &[]), Err(StorageError::Pruned { .. })));
    assert!(matches!(storage.unwind_to(145, &mut |_| {}), Err(StorageError::Pruned { .. })));
    storage.unwind_to(146, &mut |_| {}).unwrap();
    chain::check(&storage.reader(), &chain.fork(146, 0), 146);
    storage.reader().verify(&mut |_| {}).unwrap();
}

#[test]
fn blocks_that_do_not_fit_are_refused_whole() {
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    let storage = chain::open(dir.path(), &spec);
    let mut chain = Chain::new(&spec, 5);
    for _ in 0..4 {
        chain.grow(&storage.reader(), 20);
    }
    let refused = storage.append(&chain.blocks[1..]).unwrap_err();
    assert!(matches!(refused, StorageError::NotContiguous { number: 2, .. }), "{refused}");

    let mut short = chain.blocks[2].clone();
    short.receipts = Arc::new(Vec::new());
    let refused =
        storage.append(&[chain.blocks[0].clone(), chain.blocks[1].clone(), short]).unwrap_err();
    assert!(matches!(refused, StorageError::BadBlock { number: 3, .. }), "{refused}");

    let mut wrong = chain.blocks[0].clone();
    wrong.layer = chain.blocks[3].layer.clone();
    let refused = storage.append(&[wrong]).unwrap_err();
    assert!(matches!(refused, StorageError::BadBlock { number: 1, .. }), "{refused}");

    assert!(matches!(storage.reorg(9, &[]), Err(StorageError::AboveHead { number: 9, head: 0 })));
    chain::check(&storage.reader(), &chain.fork(0, 0), 0);
    storage.append(&chain.blocks).unwrap();
    chain::check(&storage.reader(), &chain, 0);
}

#[test]
fn a_reader_does_not_see_later_batches() {
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    let storage = chain::open(dir.path(), &spec);
    let mut chain = Chain::new(&spec, 9);
    for _ in 0..3 {
        chain.grow(&storage.reader(), 40);
    }
    storage.append(&chain.blocks).unwrap();
    let (old, old_chain) = (storage.reader(), chain.clone());
    for _ in 0..3 {
        chain.grow(&storage.reader(), 40);
    }
    storage.append(chain.above(3)).unwrap();
    chain::check(&old, &old_chain, 0);
    storage.unwind_to(1, &mut |_| {}).unwrap();
    chain::check(&old, &old_chain, 0);
    old.verify(&mut |_| {}).unwrap();
    chain::check(&storage.reader(), &chain.fork(1, 0), 0);
}
