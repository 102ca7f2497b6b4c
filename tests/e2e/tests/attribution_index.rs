//! The attribution index against the chain it is of: through reorgs in memory and on disk, restarts, and batches that
//! contracts pass on.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::SolCall;
use ascribe_attribution::{
    ListId, Payee,
    hub::{Claim, IAttributionHub as Hub},
    merkle,
};
use ascribe_e2e::{
    Account, AscribeNode, Built, Driver, HUB, HubBatch, NodeOptions, PATIENCE, TestChain, artifact,
    hub_rates, runtime, say,
};
use jsonrpsee::{
    core::client::{Subscription, SubscriptionClientT},
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::time::timeout;

const CHAIN: u64 = 901;
const ETHER: u64 = 1_000_000_000_000_000_000;
const GAS: u64 = 3_000_000;

mod operator {
    alloy_sol_types::sol! {
        contract ContractOperator {
            function register() external payable;
            function submit(bytes batch) external payable;
            function submitBoth(bytes one, bytes other, uint256 valueOfOne) external payable;
            function submitInverted(bytes inverted) external payable;
        }
    }
}
use operator::ContractOperator;

fn call(from: &mut Account, to: Address, value: U256, call: &impl SolCall) -> Bytes {
    from.send(TxKind::Call(to), value, call.abi_encode().into(), GAS)
}

fn submit(from: &mut Account, made: &HubBatch) -> Bytes {
    call(from, HUB, made.value, &Hub::submitBatchCall { batch: made.bytes.clone() })
}

/// A block whose transactions all succeed.
fn extend(node: &AscribeNode, driver: &mut Driver, transactions: Vec<Bytes>) -> Built {
    let built = driver.extend(transactions).expect("a block");
    let hash = built.payload.block_hash;
    let receipts: Vec<Value> = node.rpc.call("eth_getBlockReceipts", json!([hash]));
    assert!(receipts.iter().all(|receipt| receipt["status"] == "0x1"), "{receipts:?}");
    built
}

/// Registers a model, three adapters and the operator in a block.
fn register(node: &AscribeNode, driver: &mut Driver, owner: &mut Account, operator: &mut Account) {
    let generations = vec![B256::repeat_byte(1); 3];
    let adapters = Hub::registerAdaptersCall {
        model: 0,
        owner: owner.address(),
        corpusRoots: generations.clone(),
        generations,
    };
    let transactions = vec![
        call(owner, HUB, U256::ZERO, &Hub::registerModelCall { rates: hub_rates() }),
        call(owner, HUB, U256::ZERO, &adapters),
        call(operator, HUB, U256::from(ETHER), &Hub::registerOperatorCall {}),
    ];
    extend(node, driver, transactions);
}

/// That the index knows these batches and no others.
fn check(node: &AscribeNode, batches: &[HubBatch]) {
    let stats: Value = node.rpc.call("attribution_stats", json!([]));
    let number = |value: &Value| serde_json::from_value::<U256>(value.clone()).expect("a number");
    let sum = |of: fn(&HubBatch) -> usize| U256::from(batches.iter().map(of).sum::<usize>());
    assert_eq!(number(&stats["batches"]), U256::from(batches.len()), "{stats}");
    assert_eq!(number(&stats["records"]), sum(|made| made.settled.columns.record_count()));
    assert_eq!(number(&stats["bytes"]), sum(|made| made.bytes.len()), "{stats}");
    for made in batches {
        let batch: Value = node.rpc.call("attribution_getBatch", json!([made.list]));
        assert_eq!(batch["recordRoot"], json!(made.settled.record_root), "{batch}");
        let canonical = node.canonical(number(&batch["blockNumber"]).to());
        assert_eq!(batch["blockHash"], json!(canonical));
        let receipt: Value =
            node.rpc.call("eth_getTransactionReceipt", json!([batch["transactionHash"]]));
        assert_eq!(receipt["blockHash"], batch["blockHash"]);
        let proof: Value = node.rpc.call("attribution_getRecordProof", json!([made.list, "0x7"]));
        let field = |name: &str| proof[name].clone();
        let path: Vec<B256> = serde_json::from_value(field("proof")).expect("hashes");
        let leaf: B256 = serde_json::from_value(field("leaf")).expect("a hash");
        assert_eq!(merkle::root_from_proof(leaf, &path), made.settled.record_root);
    }
    // Every record of one adapter, by pages.
    let mut expected: Vec<(String, U256)> = Vec::new();
    for made in batches {
        let records = made.settled.columns.records().enumerate();
        let of_adapter = records.filter(|(_, record)| record.adapter == 2);
        expected.extend(of_adapter.map(|(at, _)| (made.list.to_string(), U256::from(at))));
    }
    let (mut found, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let filter = json!({"model": "0x0", "adapter": "0x2", "limit": "0x11", "cursor": cursor});
        let page: Value = node.rpc.call("attribution_getRecords", json!([filter]));
        for record in page["records"].as_array().expect("a list") {
            let list = record["list"].as_str().expect("a number").to_owned();
            found.push((list, number(&record["index"])));
        }
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    // Batches of one block may be in any order of lists, so that both are sorted.
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    // Earnings of a source, over all batches.
    let payee = Payee::Source { model: 0, adapter: 1, source: 9 };
    let earned: u128 = batches
        .iter()
        .flat_map(|made| made.settled.payouts.list())
        .filter(|payout| payout.payee == payee)
        .map(|payout| payout.amount)
        .sum();
    let earnings: Value = node.rpc.call("attribution_getEarnings", json!([payee]));
    assert_eq!(number(&earnings["earned"]), U256::from(earned), "{earnings}");
}

/// What the hub says was submitted is what the index says, whichever way it was.
fn check_contract_batches(
    node: &AscribeNode,
    driver: &mut Driver,
    sender: &mut Account,
) -> Vec<HubBatch> {
    let code = artifact("ContractOperator", "bytecode").expect("a build of the contracts");
    let contract = sender.address().create(sender.nonce);
    let register = ContractOperator::registerCall {};
    let deploy = sender.send(TxKind::Create, U256::ZERO, code, GAS);
    let transactions = vec![deploy, call(sender, contract, U256::from(ETHER), &register)];
    extend(node, driver, transactions);

    let made: Vec<_> =
        (0..4).map(|sequence| HubBatch::new(CHAIN, contract, sequence, 500 + sequence)).collect();
    let bytes = |at: usize| made[at].bytes.clone();
    let inverted: Bytes = made[3].bytes.iter().map(|byte| !byte).collect::<Vec<_>>().into();
    let both = ContractOperator::submitBothCall {
        one: bytes(1),
        other: bytes(2),
        valueOfOne: made[1].value,
    };
    let transactions = vec![
        call(sender, contract, made[0].value, &ContractOperator::submitCall { batch: bytes(0) }),
        call(sender, contract, made[1].value + made[2].value, &both),
        call(sender, contract, made[3].value, &ContractOperator::submitInvertedCall { inverted }),
    ];
    extend(node, driver, transactions);
    made
}

/// Claims a payout and merges what is left of two lists; the earnings are the same, and can be claimed of the new list.
fn check_claims(
    node: &AscribeNode,
    driver: &mut Driver,
    owner: &mut Account,
    parts: [&HubBatch; 2],
) {
    let payee = Payee::Model { model: 0 };
    let proof = |list: ListId| -> Value {
        node.rpc.call("attribution_getPayoutProof", json!([list, payee]))
    };
    let claim = |proof: &Value| {
        let word = |name: &str| serde_json::from_value(proof[name].clone()).expect("a number");
        let proof = serde_json::from_value(proof["proof"].clone()).expect("hashes");
        let (list, position, payee, amount) =
            (word("list"), word("position"), word("payee"), word("amount"));
        Hub::claimCall { claim: Claim { list, position, payee, amount, proof } }
    };
    let first = proof(parts[0].list);
    extend(node, driver, vec![call(owner, HUB, U256::ZERO, &claim(&first))]);
    assert_eq!(proof(parts[0].list)["claimed"], json!(true));

    let lists = parts.map(|made| made.list);
    let payouts = lists.map(|list| -> Bytes {
        let answer: Value = node.rpc.call("attribution_getPayouts", json!([list]));
        serde_json::from_value(answer["data"].clone()).expect("bytes")
    });
    let merge = Hub::mergePayoutsCall {
        lists: lists.iter().map(ListId::number).collect(),
        payouts: payouts.to_vec(),
    };
    extend(node, driver, vec![call(owner, HUB, U256::ZERO, &merge)]);
    let merged = ListId::of_merge(0);
    assert_eq!(proof(parts[1].list)["mergedInto"], json!(merged));
    let last = proof(merged);
    extend(node, driver, vec![call(owner, HUB, U256::ZERO, &claim(&last))]);
    let earnings: Value = node.rpc.call("attribution_getEarnings", json!([payee]));
    let number = |name: &str| serde_json::from_value::<U256>(earnings[name].clone()).expect("wei");
    assert_eq!(number("earned"), number("claimed") + number("claimable"), "{earnings}");
    assert_eq!(number("claimed"), {
        let amount = |made: &HubBatch| {
            let found = made.settled.payouts.list().iter().find(|it| it.payee == payee);
            U256::from(found.expect("the model earns").amount)
        };
        amount(parts[0]) + amount(parts[1])
    });
}

/// What a subscription has told so far: the batches that are there, by list and block.
struct Told {
    subscription: Subscription<Value>,
    there: BTreeSet<(String, String)>,
}

impl Told {
    fn new(client: &WsClient) -> Self {
        let subscribe =
            client.subscribe("eth_subscribe", rpc_params!["attribution"], "eth_unsubscribe");
        let subscription = runtime().block_on(subscribe).expect("subscribed");
        Self { subscription, there: BTreeSet::new() }
    }

    /// Waits until it has told just what `node` has.
    fn wait_for(&mut self, node: &AscribeNode, batches: &[HubBatch]) {
        let place = |batch: &Value| {
            let text = |name: &str| batch[name].as_str().expect("a string").to_owned();
            (text("list"), text("blockHash"))
        };
        let expected: BTreeSet<_> = batches
            .iter()
            .map(|made| place(&node.rpc.call("attribution_getBatch", json!([made.list]))))
            .collect();
        let all = async {
            while self.there != expected {
                let notice = self.subscription.next().await.expect("it goes on").expect("JSON");
                let known = if notice["removed"] == json!(true) {
                    self.there.remove(&place(&notice))
                } else {
                    self.there.insert(place(&notice))
                };
                assert!(known, "a batch comes and goes once: {notice}");
            }
        };
        runtime().block_on(async { timeout(PATIENCE, all).await }).expect("told in time");
    }
}

#[test]
fn the_index_follows_the_chain() {
    let Some(chain) = TestChain::with_hub("attribution_index") else { return };
    let node = NodeOptions::new(&chain).start();
    let mut driver = Driver::new(&node);
    let (mut owner, mut operator) = (Account::dev(0, CHAIN), Account::dev(1, CHAIN));
    let mut sender = Account::dev(2, CHAIN);
    register(&node, &mut driver, &mut owner, &mut operator);
    let client = runtime().block_on(WsClientBuilder::default().build(&node.ws)).expect("connected");
    let mut told = Told::new(&client);

    let mut batches = check_contract_batches(&node, &mut driver, &mut sender);
    check(&node, &batches);
    told.wait_for(&node, &batches);

    // One batch a block for long enough that the first are on disk.
    let address = operator.address();
    for sequence in 0..20 {
        let made = HubBatch::new(CHAIN, address, sequence, sequence);
        extend(&node, &mut driver, vec![submit(&mut operator, &made)]);
        batches.push(made);
    }
    check(&node, &batches);
    told.wait_for(&node, &batches);

    // Other batches from some block on: near the head, and deep below what is on disk.
    let mut reorgs = 0;
    for depth in [1_usize, 3, 16] {
        let (head, trunk) = (driver.head(), batches.len());
        let fork = driver.block(head.number - depth as u64);
        let mut branch_operator = operator.clone();
        branch_operator.nonce -= depth as u64;
        let mut branch = batches[..trunk - depth].to_vec();
        driver.set_head(fork.hash).expect("rewound");
        check(&node, &branch);
        for at in 0..=depth as u64 {
            let sequence = branch_operator.nonce - 1;
            let made = HubBatch::new(CHAIN, address, sequence, 1_000 * depth as u64 + at);
            extend(&node, &mut driver, vec![submit(&mut branch_operator, &made)]);
            branch.push(made);
        }
        check(&node, &branch);
        // There, back, and there.
        let tip = driver.head();
        for (hash, expected) in [(head.hash, &batches), (tip.hash, &branch), (head.hash, &batches)]
        {
            driver.set_head(hash).expect("a reorg");
            check(&node, expected);
            reorgs += 1;
        }
        told.wait_for(&node, &batches);
    }

    let parts = [&batches[5], &batches[3]];
    check_claims(&node, &mut driver, &mut owner, parts);
    check(&node, &batches);
    let stats: Value = node.rpc.call("attribution_stats", json!([]));

    // What is on disk is what was in memory; made again, it is the same.
    let options = node.stop();
    options.assert_verifies();
    let node = options.start();
    check(&node, &batches);
    let options = node.stop();
    let (status, output) = options.run(&["attribution", "reindex"], &[]);
    assert!(status.success(), "{output}");
    options.assert_verifies();
    let node = options.start();
    check(&node, &batches);
    assert_eq!(node.rpc.call::<Value>("attribution_stats", json!([])), stats);
    say(&format!("attribution: {reorgs} reorgs, {} batches", batches.len()));
}
