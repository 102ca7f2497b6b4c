//! Transactions that nobody puts into a block.

use alloy_consensus::{TxEip2930, TxLegacy};
use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use ascribe_e2e::Account;
use serde_json::json;

use super::{Facts, Questions};
use crate::{compare::Question, contracts, programs::CHAIN_ID, story::SPINS};

/// Transactions to be sent to both, good ones and all that a pool refuses. `nonces` are those of
/// the funded accounts.
pub(crate) fn queue(facts: &Facts, nonces: &[u64]) -> Vec<Question> {
    let mut questions = Questions::default();
    let account = |index: usize| {
        let mut account = Account::dev(index, CHAIN_ID);
        account.nonce = nonces[index];
        account
    };
    let to = TxKind::Call(Address::repeat_byte(0xab));
    let mut send = |raw: Bytes| questions.ask("eth_sendRawTransaction", json!([raw]));

    // Executable, twice the same, replaced by too little and by enough.
    let mut one = account(3);
    let first = one.transaction(to, U256::from(1), Bytes::new(), 21_000);
    send(one.sign(first.clone()));
    send(one.sign(first.clone()));
    let mut dearer = first.clone();
    dearer.max_fee_per_gas += 1;
    send(one.sign(dearer.clone()));
    dearer.max_fee_per_gas *= 2;
    dearer.max_priority_fee_per_gas *= 2;
    send(one.sign(dearer));
    send(one.sign(first));
    one.nonce += 1;
    let second = one.transaction(TxKind::Create, U256::ZERO, Bytes::from_static(&[0]), 60_000);
    send(one.sign(second));
    // Behind a gap.
    one.nonce += 5;
    let waits = one.transaction(to, U256::from(2), Bytes::from_static(&[1, 2]), 30_000);
    send(one.sign(waits));

    let two = account(1);
    let legacy = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce: two.nonce,
        gas_price: 3_000_000_000,
        gas_limit: 50_000,
        to,
        value: U256::ZERO,
        input: Bytes::new(),
    };
    send(two.sign(legacy.clone()));
    send(two.sign(TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: two.nonce + 1,
        gas_price: 3_000_000_000,
        gas_limit: 50_000,
        to,
        value: U256::ZERO,
        input: Bytes::new(),
        access_list: Default::default(),
    }));

    // Of an account that delegates: see `late`.
    send(account(0).transfer(Address::repeat_byte(0xab), 1));

    // Refused.
    let three = account(2);
    let good = three.transaction(to, U256::ZERO, Bytes::new(), 21_000);
    let mut bad = Vec::new();
    let mut with = |change: &dyn Fn(&mut alloy_consensus::TxEip1559)| {
        let mut tx = good.clone();
        change(&mut tx);
        bad.push(three.sign(tx));
    };
    with(&|tx| tx.nonce = 0);
    with(&|tx| tx.chain_id = 1);
    with(&|tx| tx.gas_limit = 20_999);
    with(&|tx| tx.gas_limit = 46_000_000);
    with(&|tx| tx.gas_limit = 17_000_000);
    with(&|tx| tx.gas_limit = u64::MAX);
    with(&|tx| tx.value = U256::MAX);
    with(&|tx| tx.value = U256::from(10_u128.pow(22)));
    with(&|tx| tx.max_priority_fee_per_gas = 0);
    with(&|tx| tx.max_priority_fee_per_gas = tx.max_fee_per_gas + 1);
    with(&|tx| tx.max_fee_per_gas = 1);
    with(&|tx| tx.max_fee_per_gas = u128::MAX);
    with(&|tx| {
        tx.max_fee_per_gas = 10_u128.pow(15);
        tx.gas_limit = 10_000_000;
    });
    with(&|tx| tx.input = vec![1; 200_000].into());
    with(&|tx| tx.input = vec![0; 2_000].into());
    with(&|tx| {
        tx.to = TxKind::Create;
        tx.input = vec![0; 49_153].into();
        tx.gas_limit = 5_000_000;
    });
    with(&|tx| tx.nonce = u64::MAX);
    let poor = Account::from_seed("poor", CHAIN_ID);
    bad.push(poor.sign(poor.transaction(to, U256::ZERO, Bytes::new(), 21_000)));
    bad.push(two.sign(TxLegacy { chain_id: None, nonce: two.nonce + 2, ..legacy.clone() }));
    bad.push(two.sign(TxLegacy { chain_id: Some(1), nonce: two.nonce + 2, ..legacy }));
    let whole = three.sign(good);
    bad.push(whole.slice(..whole.len() - 1));
    bad.push([&whole[..], &[0]].concat().into());
    bad.push([&[0x7e_u8][..], &whole[1..]].concat().into());
    for kind in [0x00, 0x03, 0x04, 0x05, 0x7d, 0x7e, 0x7f, 0x80, 0xc0, 0xff] {
        bad.push([&[kind][..], &whole[1..]].concat().into());
        bad.push(vec![kind].into());
    }
    bad.push(Bytes::new());
    for raw in bad {
        questions.ask("eth_sendRawTransaction", json!([raw]));
    }
    let spins = json!({"from": three.address(), "to": facts.told.contracts[SPINS]});
    for method in ["eth_sendTransaction", "eth_signTransaction"] {
        questions.ask(method, json!([spins]));
    }
    questions.ask("eth_sign", json!([three.address(), "0x00"]));
    questions.0
}

/// To be sent when what was sent before has its place in the pool, for which op-geth takes a moment:
/// an account that delegates may have one transaction there.
pub(crate) fn late(nonces: &[u64]) -> Vec<Question> {
    let mut questions = Questions::default();
    let mut delegated = Account::dev(0, CHAIN_ID);
    delegated.nonce = nonces[0] + 1;
    for _ in 0..2 {
        let raw = delegated.transfer(Address::repeat_byte(0xab), 1);
        questions.ask("eth_sendRawTransaction", json!([raw]));
    }
    questions.0
}

/// What is said of the pool after that, and of `sent`.
pub(crate) fn replies(sent: &[Question]) -> Vec<Question> {
    let mut questions = Questions::default();
    for method in ["txpool_status", "txpool_content", "txpool_inspect", "eth_pendingTransactions"] {
        questions.ask(method, json!([]));
    }
    for index in 0..4 {
        let address = Account::dev(index, CHAIN_ID).address();
        questions.ask("txpool_contentFrom", json!([address]));
        for tag in ["latest", "pending"] {
            questions.ask("eth_getTransactionCount", json!([address, tag]));
            questions.ask("eth_getBalance", json!([address, tag]));
        }
    }
    questions.ask("txpool_contentFrom", json!([contracts::L1_BLOCK]));
    for question in sent {
        let Some(raw) = question.params[0].as_str() else { continue };
        let Ok(raw) = raw.parse::<Bytes>() else { continue };
        let hash = keccak256(raw);
        for method in [
            "eth_getTransactionByHash",
            "eth_getTransactionReceipt",
            "eth_getRawTransactionByHash",
            "debug_getRawTransaction",
            "debug_traceTransaction",
        ] {
            questions.ask(method, json!([hash]));
        }
    }
    questions.ask("eth_getBlockByNumber", json!(["pending", true]));
    questions.ask("eth_getBlockTransactionCountByNumber", json!(["pending"]));
    questions.0
}
