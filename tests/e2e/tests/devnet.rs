//! `ascribe devnet` as a user has it: an L1, a rollup on it, a restart, an end. Once with the official
//! predeploys and once with ours, which have to say what the node charges.

use std::{fs, path::PathBuf, process::Command};

use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256, address, hex, keccak256};
use ascribe_e2e::{
    Account, Devnet, DevnetSetup, PATIENCE, ascribe_bin, contracts, find_stock, say, send_signal,
    skip, wait_until,
};
use serde_json::{Value, json};

const CHAIN: u64 = 901;
/// `GasPriceOracle`.
const ORACLE: Address = address!("420000000000000000000000000000000000000F");
const L1_BLOCK: Address = address!("4200000000000000000000000000000000000015");
const ETHER: u64 = 1_000_000_000_000_000_000;

fn quantity(value: &Value) -> U256 {
    serde_json::from_value(value.clone()).unwrap_or_else(|_| panic!("{value} is no quantity"))
}

/// Every block begins with the attributes deposit, it succeeds, and `L1Block` holds what it said.
fn check_attributes(devnet: &Devnet, blocks: u64) {
    for number in 1..=blocks {
        let at = json!(format!("{number:#x}"));
        let block: Value = devnet.l2.call("eth_getBlockByNumber", json!([at, true]));
        let deposit = &block["transactions"][0];
        assert_eq!(deposit["type"], "0x7e", "block {number}");
        let receipt: Value = devnet.l2.call("eth_getTransactionReceipt", json!([deposit["hash"]]));
        assert_eq!(receipt["status"], "0x1", "attributes of block {number}: {receipt}");
        let input: Bytes = serde_json::from_value(deposit["input"].clone()).expect("calldata");
        assert_eq!(input[..4], hex!("3db6be2b"), "setL1BlockValuesJovian in block {number}");
        for (getter, bytes) in [
            ("baseFeeScalar()", 4..8),
            ("blobBaseFeeScalar()", 8..12),
            ("sequenceNumber()", 12..20),
            ("timestamp()", 20..28),
            ("number()", 28..36),
            ("basefee()", 36..68),
            ("blobBaseFee()", 68..100),
            ("hash()", 100..132),
            ("batcherHash()", 132..164),
            ("operatorFeeScalar()", 164..168),
            ("operatorFeeConstant()", 168..176),
            ("daFootprintGasScalar()", 176..178),
        ] {
            let said = U256::from_be_slice(&input[bytes]);
            assert_eq!(devnet.view(L1_BLOCK, getter, &[], &at)[0], said, "{getter} of {number}");
        }
    }
}

/// The oracle and receipts name the same L1 fee and operator fee, and senders pay them.
fn check_fees(devnet: &Devnet) {
    let mut sender = Account::dev(1, CHAIN);
    // Bytes that compress a little, as calldata does.
    let data = |bytes: usize| -> Bytes {
        let words = (0..bytes.div_ceil(32)).flat_map(|it| {
            let word = keccak256(it.to_be_bytes()).0;
            if it % 4 == 3 { [0; 32] } else { word }
        });
        words.take(bytes).collect()
    };
    let to = TxKind::Call(address!("00000000000000000000000000000000deadbeef"));
    for bytes in [0, 40, 500, 3_000, 20_000] {
        let raw = sender.send(to, U256::from(7), data(bytes), 21_000 + 40 * bytes as u64);
        let receipt = devnet.receipt(&raw);
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        let at = receipt["blockNumber"].clone();
        let l1_fee = quantity(&receipt["l1Fee"]);
        assert_eq!(devnet.oracle("getL1Fee(bytes)", &twin(devnet, &raw, &at), &at), l1_fee);
        assert!(!l1_fee.is_zero());

        let gas = quantity(&receipt["gasUsed"]);
        let operator =
            devnet.view(ORACLE, "getOperatorFee(uint256)", &gas.to_be_bytes::<32>(), &at)[0];
        let scalar = quantity(&receipt["operatorFeeScalar"]);
        let constant = quantity(&receipt["operatorFeeConstant"]);
        assert_eq!(operator, gas * scalar * U256::from(100) + constant);
        assert!(!scalar.is_zero() && !constant.is_zero());

        let before = json!(format!("{:#x}", quantity(&at) - U256::ONE));
        let spent =
            devnet.balance(sender.address(), &before) - devnet.balance(sender.address(), &at);
        let execution = gas * quantity(&receipt["effectiveGasPrice"]);
        assert_eq!(spent, execution + l1_fee + operator + U256::from(7), "{bytes} bytes");
    }
}

/// Data that the oracle, which adds what a signature takes to unsigned transactions, counts as large as
/// the node counts the signed transaction `raw`. The oracle's own compressor tells how large that is.
fn twin(devnet: &Devnet, raw: &Bytes, at: &Value) -> Vec<u8> {
    /// Bytes that the oracle adds.
    const SIGNATURE: u64 = 68;
    let weight = |data: &[u8]| devnet.oracle("getL1GasUsed(bytes)", data, at);
    let weight_of = |size: u64| {
        let millionths = (836_500 * size).saturating_sub(42_585_600).max(100_000_000);
        U256::from(millionths * 16 / 1_000_000)
    };
    let with_signature = weight(raw);
    let Some(size) = (1..200_000).find(|size| weight_of(*size + SIGNATURE) == with_signature)
    else {
        panic!("no size weighs {with_signature}")
    };
    let wanted = weight_of(size);
    // Short transactions all count as 100 bytes.
    if weight(&[]) == wanted {
        return Vec::new();
    }
    let mut random = (0_u64..).flat_map(|it| keccak256(it.to_be_bytes()).0);
    let random: Vec<u8> = random.by_ref().take(usize::try_from(size).expect("small")).collect();
    // Random bytes take one more for every 32; zeros before them shift where that is.
    let start = random.len() * 30 / 33;
    let lengths = start.saturating_sub(100)..random.len();
    for zeros in [0, 8] {
        let (mut low, mut high) = (lengths.start, lengths.end);
        while low < high {
            let middle = usize::midpoint(low, high);
            let data = [&vec![0; zeros][..], &random[..middle]].concat();
            match weight(&data).cmp(&wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return data,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
    }
    panic!("no data is as large as a transaction of {size} bytes")
}

/// A transaction is in one of the next two blocks.
fn check_latency(devnet: &Devnet) {
    let mut sender = Account::dev(2, CHAIN);
    let receiver = address!("00000000000000000000000000000000000ca5e0");
    for round in 1..=5_u64 {
        let head = devnet.head();
        let receipt = devnet.receipt(&sender.transfer(receiver, 1));
        let included = quantity(&receipt["blockNumber"]);
        assert!(included <= U256::from(head + 2), "head {head}, included in {included}");
        assert_eq!(devnet.balance(receiver, &json!("latest")), U256::from(round));
    }
}

/// Ether that is sent to the portal on L1 arrives on L2.
fn check_deposit(devnet: &Devnet) {
    let from = Account::dev(5, CHAIN).address();
    let before = devnet.balance(from, &json!("latest"));
    let portal = devnet.rollup_config()["deposit_contract_address"].clone();
    let sent = json!([{"from": from, "to": portal, "value": U256::from(ETHER)}]);
    let _: B256 = devnet.l1.call("eth_sendTransaction", sent);
    wait_until("the deposit", PATIENCE, || {
        (devnet.balance(from, &json!("latest")) == before + U256::from(ETHER)).then_some(())
    });
}

/// What the owner of `SystemConfig` sets on L1 holds on L2.
fn check_system_config(devnet: &Devnet) {
    let system = devnet.rollup_config()["l1_system_config_address"].clone();
    let owner = Account::dev(9, CHAIN).address();
    let limit = U256::from(50_000_000);
    let input = [&keccak256("setGasLimit(uint64)")[..4], &limit.to_be_bytes::<32>()].concat();
    let sent = json!([{"from": owner, "to": system, "input": Bytes::from(input)}]);
    let _: B256 = devnet.l1.call("eth_sendTransaction", sent);
    wait_until("the new gas limit", PATIENCE, || {
        let block: Value = devnet.l2.call("eth_getBlockByNumber", json!(["latest", false]));
        (quantity(&block["gasLimit"]) == limit).then_some(())
    });
}

/// The processes that a process has started, and theirs.
fn descendants(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|it| it.parse().ok());
    children.flat_map(|child| [vec![child], descendants(child)].concat()).collect()
}

#[test]
fn official_predeploys() {
    let test = "devnet_official_predeploys";
    let Some(vectors) = std::env::var_os("ASCRIBE_VECTORS").filter(|it| !it.is_empty()) else {
        return skip(test, "ASCRIBE_VECTORS is not set");
    };
    let state = PathBuf::from(vectors).join("op-nuts/karst_state.json");
    let state = state.to_str().expect("a path in UTF-8");
    let Some(setup) = DevnetSetup::new(test, &["--predeploys", state]) else { return };
    let mut devnet = setup.start();
    check_fees(&devnet);
    devnet.wait_for_block(20);
    let blocks = devnet.head();
    check_attributes(&devnet, blocks);
    assert!(devnet.process.terminate(PATIENCE).success());
    say(&format!("{test}: {blocks} blocks, 5 transactions"));
}

#[test]
fn a_devnet_lives_and_lives_again() {
    let test = "devnet";
    let Some(setup) = DevnetSetup::new(test, &[]) else { return };
    let mut devnet = setup.start();
    let greeting = devnet.process.output();
    for said in ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "chain id 901", "L1: chain 900"] {
        assert!(greeting.contains(said), "{said} is not in {greeting}");
    }
    assert_eq!(devnet.l2.call::<U64>("eth_chainId", json!([])).to::<u64>(), CHAIN);
    assert_eq!(devnet.l1.call::<U64>("eth_chainId", json!([])).to::<u64>(), 900);
    check_latency(&devnet);
    check_fees(&devnet);
    check_deposit(&devnet);
    check_system_config(&devnet);
    let status: Value = devnet.rollup.call("optimism_syncStatus", json!([]));
    assert!(status["unsafe_l2"]["l1origin"]["number"].as_u64() > Some(0), "{status}");

    let other = setup.command().output().expect("started");
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(!other.status.success() && said.contains("is running already"), "{said}");

    // Ctrl-C, and again on the same folder.
    let before = devnet.head();
    let kept: Value =
        devnet.l2.call("eth_getBlockByNumber", json!([format!("{before:#x}"), false]));
    devnet.process.signal("INT");
    assert!(devnet.process.wait(PATIENCE).success());
    assert!(devnet.l1.try_call::<Value>("eth_chainId", json!([])).is_err(), "anvil still runs");
    let config = setup.folder.join("other.toml");
    let toml = fs::read_to_string(contracts().join("../configs/devnet.toml")).expect("devnet.toml");
    fs::write(&config, toml.replace("chain_id = 901", "chain_id = 77")).expect("written");
    let other = setup.command().arg("--config").arg(config).output().expect("started");
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains("has chain id 901, not 77"), "{said}");

    let mut devnet = setup.start();
    let again: Value =
        devnet.l2.call("eth_getBlockByNumber", json!([format!("{before:#x}"), false]));
    assert_eq!(again["hash"], kept["hash"], "the chain goes on");
    devnet.wait_for_block(before + 5);
    check_deposit(&devnet);
    check_attributes(&devnet, devnet.head());

    // Without its L1 a devnet ends, and says why.
    let anvil = descendants(devnet.process.pid());
    assert!(!anvil.is_empty(), "anvil is a child of the devnet");
    let blocks = devnet.head();
    for pid in anvil.iter().rev() {
        send_signal(*pid, "KILL");
    }
    assert!(!devnet.process.wait(PATIENCE).success());
    assert!(
        devnet.process.output_end().contains("the L1 is gone"),
        "{}",
        devnet.process.output_end()
    );
    say(&format!("{test}: {blocks} blocks, 2 starts"));
}

#[test]
fn op_geth_begins_with_our_genesis() {
    let test = "devnet_op_geth";
    let op_geth = match find_stock("op-geth") {
        Ok(program) => program,
        Err(why) => return skip(test, &why),
    };
    let Some(setup) = DevnetSetup::new(test, &[]) else { return };
    // The last fork that op-geth knows.
    let toml = fs::read_to_string(contracts().join("../configs/devnet.toml")).expect("devnet.toml");
    fs::write(setup.folder.join("jovian.toml"), toml.replace("\nkarst = 0", "")).expect("written");
    let block = json!({"hash": B256::repeat_byte(9), "number": "0x1", "timestamp": "0x65000000"});
    fs::write(setup.folder.join("block.json"), block.to_string()).expect("written");
    let made = Command::new(ascribe_bin())
        .current_dir(&*setup.folder)
        .args(["genesis", "--config", "jovian.toml", "--l1.block", "block.json", "--artifacts"])
        .arg(contracts())
        .output()
        .expect("started");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = fs::read_to_string(setup.folder.join("rollup.json")).expect("rollup.json");
    let rollup: Value = serde_json::from_str(&text).expect("JSON");
    let hash = rollup["genesis"]["l2"]["hash"].as_str().expect("a hash");
    let begun = Command::new(op_geth)
        .current_dir(&*setup.folder)
        .args(["--datadir", "geth", "init", "--state.scheme=hash", "genesis.json"])
        .output()
        .expect("started");
    let log = String::from_utf8_lossy(&begun.stderr);
    let short = format!("hash={}..{}", &hash[2..8], &hash[60..]);
    assert!(begun.status.success() && log.contains(&short), "{hash} is not in {log}");
    say(&format!("{test}: 1 genesis"));
}

#[test]
fn what_is_wrong_is_told() {
    let Some(setup) = DevnetSetup::new("devnet_refusals", &[]) else { return };
    let refused = |args: &[&str]| {
        let output = setup.command().args(args).output().expect("started");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let nowhere = setup.folder.join("nowhere");
    let nowhere = nowhere.to_str().expect("a path in UTF-8");
    let error = refused(&["--config", nowhere]);
    assert!(error.contains("cannot read") && error.contains("nowhere"), "{error}");
    let error = refused(&["--predeploys", nowhere]);
    assert!(error.contains("cannot read") && error.contains("nowhere"), "{error}");
    let toml = setup.folder.join("wrong.toml");
    fs::write(&toml, "[l1]\nchain_id = \"x\"\n").expect("written");
    let error = refused(&["--config", toml.to_str().expect("a path in UTF-8")]);
    assert!(error.contains("is not a devnet configuration"), "{error}");
}
