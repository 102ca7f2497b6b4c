//! Payloads: when they come, what is in them, what they cost.

use crate::node::{
    BuiltOrGenesis, FEE_VAULT, GAS_LIMIT, Node, STORE, Wallet, attributes, call, deposit, work,
};
use alloy_consensus::{Transaction, TxEip1559, TxReceipt};
use alloy_primitives::{Address, B64, B256, Bytes, TxKind, U256};
use alloy_rpc_types_engine::{PayloadId, PayloadStatusEnum};
use ascribe_engine::{BuilderConfig, EngineConfig, EngineError, payload_id};
use ascribe_txpool::TransactionOrigin;
use op_alloy_consensus::TxDeposit;
use op_alloy_rpc_types_engine::OpPayloadAttributes;
use std::time::Duration;

fn open(parent: &BuiltOrGenesis, salt: u64) -> OpPayloadAttributes {
    OpPayloadAttributes { no_tx_pool: None, ..attributes(parent, salt, vec![]) }
}

fn add(node: &Node, tx: Bytes) {
    node.pool.add_raw(tx, TransactionOrigin::External).unwrap();
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(600)).await;
}

/// Waits until the pool has followed the head.
async fn pool_at_head(node: &Node) {
    let number = node.view.head().number;
    for _ in 0..500 {
        let wallet = Wallet::new(63);
        // A pool that knows the head answers about accounts.
        let ready =
            node.pool.add_raw(wallet.transfer(u64::from(u32::MAX), STORE), origin()).is_ok();
        if ready {
            node.pool.clear();
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the pool never came to block {number}");
}

fn origin() -> TransactionOrigin {
    TransactionOrigin::External
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_block_is_not_executed_again() {
    let node = Node::new();
    let mut parent = node.genesis();
    for _ in 0..5 {
        let payload = node.build(&parent, 1, work(parent.number, 1)).await;
        node.import(&payload).await;
        parent = BuiltOrGenesis::from(&*payload);
        node.set_head(parent.hash).await;
    }
    let stats = node.handle.stats();
    assert_eq!(stats.blocks_imported, 0);
    assert_eq!((stats.payloads_sealed, stats.payloads_inserted, stats.blocks_known), (5, 5, 5));

    // And it is what another node makes of it.
    let other = Node::new();
    for number in 1..=5 {
        let block = node.view.block_by_number(number).unwrap().unwrap();
        let data = op_alloy_rpc_types_engine::OpExecutionData::from_block_slow(
            &block.sealed_block().clone_block(),
        );
        assert_eq!(other.new_payload(data).await.status, PayloadStatusEnum::Valid);
    }
    assert_eq!(other.handle.stats().blocks_imported, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_take_from_the_pool_by_tip() {
    let node = Node::new();
    pool_at_head(&node).await;
    for n in 0..8u64 {
        let tx = TxEip1559 {
            to: TxKind::Call(STORE),
            gas_limit: 30_000,
            max_priority_fee_per_gas: u128::from(n * 7 % 8 + 1) * 1_000_000,
            ..call(0)
        };
        add(&node, Wallet::new(n).sign(tx));
    }
    let genesis = node.genesis();
    let id = node.start(&genesis, open(&genesis, 1)).await.unwrap().payload_id.unwrap();
    settle().await;
    let payload = node.handle.get_payload(id).await.unwrap();
    let transactions = &payload.block.body().transactions;
    assert_eq!(transactions.len(), 9);
    assert!(transactions[0].is_deposit());
    let tips: Vec<_> =
        transactions[1..].iter().map(|tx| tx.max_priority_fee_per_gas().unwrap()).collect();
    assert!(tips.is_sorted_by(|a, b| a >= b), "{tips:?}");
    let gas = |index: usize| {
        let receipts = &payload.receipts;
        receipts[index].cumulative_gas_used() - receipts[index - 1].cumulative_gas_used()
    };
    let fees: U256 = (1..9).map(|n| U256::from(tips[n - 1]) * U256::from(gas(n))).sum();
    assert_eq!(payload.fees, fees);
    node.import(&payload).await;
    node.set_head(payload.block.hash()).await;
    let vault = node.view.state_latest().unwrap().balance(FEE_VAULT).unwrap();
    assert_eq!(vault, fees);
    assert_eq!(node.handle.stats().blocks_imported, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_improved_while_it_waits() {
    let node = Node::new();
    pool_at_head(&node).await;
    let genesis = node.genesis();
    let id = node.start(&genesis, open(&genesis, 1)).await.unwrap().payload_id.unwrap();
    settle().await;
    add(&node, Wallet::new(0).transfer(0, STORE));
    settle().await;
    add(&node, Wallet::new(0).transfer(1, STORE));
    settle().await;
    let payload = node.handle.get_payload(id).await.unwrap();
    assert_eq!(payload.block.body().transactions.len(), 3);
    // It is final now, and stays available.
    add(&node, Wallet::new(0).transfer(2, STORE));
    settle().await;
    let again = node.handle.get_payload(id).await.unwrap();
    assert_eq!(again.block.hash(), payload.block.hash());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_there_at_once() {
    let node = Node::new();
    let genesis = node.genesis();
    let id = node.start(&genesis, open(&genesis, 1)).await.unwrap().payload_id.unwrap();
    let payload = node.handle.get_payload(id).await.unwrap();
    assert_eq!(payload.block.body().transactions.len(), 1);
    assert_eq!(payload.block.header().gas_limit, GAS_LIMIT);
    assert_eq!(payload.parent_beacon_block_root(), Some(B256::ZERO));
    node.import(&payload).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_answers_while_a_payload_is_built() {
    let (maker, node) = (Node::new(), Node::new());
    pool_at_head(&node).await;
    let blocks = maker.extend(maker.genesis(), 1, 3).await;
    for n in 0..16 {
        for nonce in 0..16 {
            add(&node, Wallet::new(n).store(nonce, nonce, n));
        }
    }
    let genesis = node.genesis();
    let id = node.start(&genesis, open(&genesis, 1)).await.unwrap().payload_id.unwrap();
    for block in &blocks {
        node.import(block).await;
    }
    let payload = node.handle.get_payload(id).await.unwrap();
    node.import(&payload).await;
    node.set_head(payload.block.hash()).await;
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_stable_and_unknown_ones_are_unknown() {
    let node = Node::new();
    let genesis = node.genesis();
    let first = node.start(&genesis, open(&genesis, 1)).await.unwrap().payload_id.unwrap();
    let again = node.start(&genesis, open(&genesis, 1)).await.unwrap().payload_id.unwrap();
    let other = node.start(&genesis, open(&genesis, 2)).await.unwrap().payload_id.unwrap();
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(first, payload_id(&node.spec, &genesis.hash, &open(&genesis, 1)));
    assert_eq!(first.0[0], 3);
    // The first job was cancelled by the other; its payload is still there.
    assert!(node.handle.get_payload(first).await.is_ok());
    assert!(node.handle.get_payload(other).await.is_ok());
    let error = node.handle.get_payload(PayloadId::new([7; 8])).await.unwrap_err();
    assert!(matches!(error, EngineError::UnknownPayload));
    assert_eq!((error.code(), error.to_string().as_str()), (-38001, "Unknown payload"));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_payloads_are_forgotten() {
    let builder = BuilderConfig { payloads: 3, ..BuilderConfig::default() };
    let node = Node::with_config(EngineConfig { builder, ..EngineConfig::default() });
    let genesis = node.genesis();
    let mut ids = Vec::new();
    for salt in 0..5 {
        let started = node.start(&genesis, open(&genesis, salt)).await.unwrap();
        ids.push(started.payload_id.unwrap());
    }
    for (index, id) in ids.into_iter().enumerate() {
        assert_eq!(node.handle.get_payload(id).await.is_ok(), index >= 2, "{index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_forced_transaction_is_refused_at_the_update() {
    let node = Node::new();
    let genesis = node.genesis();
    let wallet = Wallet::new(0);
    let cases = [
        (vec![wallet.transfer(5, STORE)], "nonce"),
        (vec![wallet.transfer(0, STORE), wallet.transfer(0, STORE)], "nonce"),
        (vec![Wallet::new(999).transfer(0, STORE)], "fund"),
        (vec![wallet.sign(TxEip1559 { gas_limit: GAS_LIMIT * 2, ..call(0) })], "gas"),
    ];
    for (txs, expected) in cases {
        for no_tx_pool in [Some(true), None] {
            let attributes =
                OpPayloadAttributes { no_tx_pool, ..attributes(&genesis, 1, txs.clone()) };
            let error = node.start(&genesis, attributes).await.unwrap_err();
            assert_eq!(error.code(), -38003);
            let reason = error.reason().unwrap();
            assert!(reason.starts_with("failed to force-include tx"), "{reason}");
            assert!(reason.contains(expected), "expected {expected:?}, got {reason:?}");
        }
    }
    // The same attributes with deposits only go through: derivation's second try.
    assert!(node.start(&genesis, attributes(&genesis, 1, vec![])).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_only_never_fail() {
    let node = Node::new();
    let genesis = node.genesis();
    let failing = |n: u8| {
        deposit(TxDeposit {
            source_hash: B256::repeat_byte(n),
            from: Address::with_last_byte(n),
            // More than the sender has, to code that stops, with gas that does not suffice …
            value: U256::from(n),
            mint: u128::from(n / 2),
            to: if n.is_multiple_of(2) { TxKind::Create } else { TxKind::Call(STORE) },
            gas_limit: 21_000 + u64::from(n),
            input: vec![0xfe; n as usize].into(),
            ..TxDeposit::default()
        })
    };
    let deposits: Vec<Bytes> = (1..30).map(failing).collect();
    let payload = node.build(&genesis, 1, deposits).await;
    assert_eq!(payload.receipts.len(), 30);
    assert!(payload.receipts.iter().any(|receipt| !receipt.status()));
    let other = Node::new();
    other.import(&payload).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gas_limit_may_be_any_and_bounds_the_block() {
    let node = Node::new();
    pool_at_head(&node).await;
    for n in 0..20 {
        add(&node, Wallet::new(n).transfer(0, STORE));
    }
    let mut parent = node.genesis();
    let mut total = 0;
    for gas_limit in [1_200_000, 400_000_000, 1_065_000] {
        let attributes = OpPayloadAttributes { gas_limit: Some(gas_limit), ..open(&parent, 1) };
        let id = node.start(&parent, attributes).await.unwrap().payload_id.unwrap();
        settle().await;
        let payload = node.handle.get_payload(id).await.unwrap();
        let header = payload.block.header();
        assert_eq!(header.gas_limit, gas_limit);
        assert!(header.gas_used <= gas_limit);
        total += payload.block.body().transactions.len() - 1;
        parent = BuiltOrGenesis::from(&*payload);
        node.set_head(parent.hash).await;
    }
    assert_eq!(total, 20);
    assert_eq!(node.pool.status().pending.count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_limits_hold() {
    let node = Node::new();
    pool_at_head(&node).await;
    for n in 0..10 {
        add(&node, Wallet::new(n).transfer(0, STORE));
    }
    // Bytes that do not compress.
    let mut noise = vec![0u8; 4_000];
    for (n, chunk) in noise.chunks_mut(32).enumerate() {
        chunk.copy_from_slice(alloy_primitives::keccak256([n as u8]).as_slice());
    }
    let big = TxEip1559 {
        to: TxKind::Call(Address::with_last_byte(9)),
        input: noise.into(),
        gas_limit: 300_000,
        max_priority_fee_per_gas: 9_000_000,
        ..call(0)
    };
    add(&node, Wallet::new(11).sign(big));

    let count = async |salt: u64| {
        let genesis = node.genesis();
        let id = node.start(&genesis, open(&genesis, salt)).await.unwrap().payload_id.unwrap();
        settle().await;
        let payload = node.handle.get_payload(id).await.unwrap();
        payload.block.body().transactions.len() - 1
    };
    assert_eq!(count(1).await, 11);
    node.handle.da_limits().set(1_000, 0);
    assert_eq!(count(2).await, 10, "the big one is too big");
    node.handle.da_limits().set(0, 350);
    assert_eq!(count(3).await, 3, "three of 100 bytes each fit");
    node.handle.da_limits().set(0, 0);
    assert_eq!(count(4).await, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_parameters_reach_the_header() {
    let node = Node::new();
    let genesis = node.genesis();
    let extra_data = async |params: u64, min_base_fee: u64| {
        let attributes = OpPayloadAttributes {
            eip_1559_params: Some(B64::from(params)),
            min_base_fee: Some(min_base_fee),
            ..attributes(&genesis, 1, vec![])
        };
        let id = node.start(&genesis, attributes).await.unwrap().payload_id.unwrap();
        let payload = node.handle.get_payload(id).await.unwrap();
        payload.block.header().extra_data.to_vec()
    };
    // Zeros stand for the chain's parameters.
    let defaults = [1, 0, 0, 0, 250, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(extra_data(0, 0).await, defaults);
    let given = [1, 0, 0, 0, 125, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9];
    assert_eq!(extra_data(125 << 32 | 2, 9).await, given);
}

#[tokio::test(flavor = "multi_thread")]
async fn reverted_transactions_return_to_the_pool() {
    let node = Node::new();
    pool_at_head(&node).await;
    let genesis = node.genesis();
    add(&node, Wallet::new(0).transfer(0, STORE));
    let id = node.start(&genesis, open(&genesis, 1)).await.unwrap().payload_id.unwrap();
    settle().await;
    let payload = node.handle.get_payload(id).await.unwrap();
    assert_eq!(payload.block.body().transactions.len(), 2);
    node.set_head(payload.block.hash()).await;
    let pending = async |expected: usize| {
        for _ in 0..300 {
            if node.pool.status().pending.count == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", node.pool.status());
    };
    pending(0).await;
    let other = node.build(&genesis, 2, vec![]).await;
    node.set_head(other.block.hash()).await;
    pending(1).await;
}
