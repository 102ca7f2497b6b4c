//! op-node, op-batcher and op-geth, and the configuration that they share with the node.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, B256, U64, U256, hex};
use alloy_rpc_types_engine::JwtSecret;
use ascribe_e2e::{
    Account, Anvil, Engine, Folder, Fork, Process, Rpc, find_stock, free_port, l1_config,
    l2_config, op_forks, wait_until,
};
use serde_json::{Map, Value, json};

use crate::{asm::deploys, contracts};

/// The chain's id.
pub(crate) const CHAIN_ID: u64 = 901;
const L1_CHAIN_ID: u64 = 900;
/// Seconds per L2 block, and per L1 block.
pub(crate) const BLOCK_TIME: u64 = 1;
/// How long a program may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The account that posts batches.
const BATCHER: usize = 8;
const INBOX: &str = "0xff00000000000000000000000000000000000901";
const SECRET: [u8; 32] = [0x5e; 32];

/// The stock programs, which `ASCRIBE_STOCK` names a folder of.
#[derive(Debug)]
pub(crate) struct Stock {
    op_node: PathBuf,
    op_batcher: PathBuf,
    op_geth: PathBuf,
}

impl Stock {
    /// Looks for them; says what is missing.
    pub(crate) fn find() -> Result<Self, String> {
        let [op_node, op_batcher, op_geth] = ["op-node", "op-batcher", "op-geth"].map(find_stock);
        Ok(Self { op_node: op_node?, op_batcher: op_batcher?, op_geth: op_geth? })
    }
}

/// A chain on a running L1: the files that describe it, and the programs around it.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) stock: Stock,
    pub(crate) l1: Anvil,
    pub(crate) fork: Fork,
    folder: Folder,
}

impl Stack {
    /// Starts an L1 whose clock is `behind` seconds slow, so that a sequencer has as many blocks to
    /// catch up with, and writes the configuration of a chain that starts at its first block.
    pub(crate) fn new(stock: Stock, fork: Fork, behind: u64) -> Option<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let genesis = (now.as_secs() - behind).to_string();
        let l1 = Anvil::start(&[
            "--silent",
            "--chain-id",
            &L1_CHAIN_ID.to_string(),
            "--block-time",
            &BLOCK_TIME.to_string(),
            "--slots-in-an-epoch",
            "1",
            "--timestamp",
            &genesis,
        ])?;
        for (address, code) in [
            (contracts::PORTAL, contracts::logs()),
            (contracts::SYSTEM_CONFIG, contracts::logs_three()),
        ] {
            l1.rpc.call::<Value>("anvil_setCode", json!([address, hex::encode_prefixed(code)]));
        }
        let stack = Self { stock, l1, fork, folder: Folder::new() };
        stack.write_configuration();
        Some(stack)
    }

    /// The genesis file.
    pub(crate) fn genesis(&self) -> PathBuf {
        self.path("genesis.json")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, value: &Value) {
        let text = serde_json::to_string_pretty(value).expect("JSON");
        std::fs::write(self.path(name), text).expect("the file can be written");
    }

    fn write_configuration(&self) {
        let first: Value = self.l1.rpc.call("eth_getBlockByNumber", json!(["0x0", false]));
        let time = first["timestamp"].as_str().expect("a timestamp").trim_start_matches("0x");
        let time = u64::from_str_radix(time, 16).expect("a number");
        let optimism = json!({
            "eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250,
        });
        self.write("genesis.json", &genesis(self.fork, time, &optimism));
        self.write("rollup.json", &rollup(self.fork, time, &first["hash"], &optimism));
        self.write("l1.json", &l1_config(L1_CHAIN_ID));
        std::fs::write(self.path("jwt.hex"), hex::encode(SECRET)).expect("the file can be written");
    }

    /// Puts the hash of the L2 genesis into the rollup configuration.
    pub(crate) fn seal(&self, genesis: B256) {
        let text = std::fs::read(self.path("rollup.json")).expect("it was written");
        let mut rollup: Value = serde_json::from_slice(&text).expect("JSON");
        rollup["genesis"]["l2"]["hash"] = json!(genesis);
        self.write("rollup.json", &rollup);
    }

    /// An op-geth on the chain's genesis.
    pub(crate) fn op_geth(&self) -> OpGeth {
        let datadir = self.path("op-geth");
        let mut init = Command::new(&self.stock.op_geth);
        init.arg("--datadir").arg(&datadir).args(["init", "--state.scheme=hash"]);
        let done = init.arg(self.genesis()).output().expect("op-geth can be started");
        assert!(done.status.success(), "op-geth init: {}", String::from_utf8_lossy(&done.stderr));

        let (http, auth) = (free_port(), free_port());
        let mut command = Command::new(&self.stock.op_geth);
        command.arg("--datadir").arg(&datadir).args(
            "--syncmode full --gcmode archive --state.scheme hash --nodiscover --maxpeers 0 \
             --port 0 --ipcdisable --rollup.disabletxpoolgossip --cache 64 --http \
             --http.addr 127.0.0.1 --http.api eth,net,web3,debug,txpool,miner --authrpc.addr 127.0.0.1"
                .split_whitespace(),
        );
        command.arg(format!("--networkid={CHAIN_ID}")).arg(format!("--http.port={http}"));
        command.arg(format!("--authrpc.port={auth}"));
        command.arg("--authrpc.jwtsecret").arg(self.path("jwt.hex"));
        let mut process = Process::spawn("op-geth", command, &self.path("op-geth.log"));
        let secret = JwtSecret::from_hex(hex::encode(SECRET)).expect("32 bytes");
        let url = format!("http://127.0.0.1:{auth}");
        let engine = Rpc::new(&url).with_secret(secret);
        await_server(&mut process, &engine);
        OpGeth {
            rpc: Rpc::new(format!("http://127.0.0.1:{http}")),
            engine: Engine::new(engine, self.fork),
            url,
            secret: self.path("jwt.hex"),
            _process: process,
        }
    }

    /// An op-node that drives the execution client behind the authenticated port at `engine`.
    pub(crate) fn op_node(
        &self,
        name: &str,
        engine: &str,
        secret: &Path,
        sequence: bool,
    ) -> OpNode {
        let port = free_port();
        let mut command = Command::new(&self.stock.op_node);
        command.args([
            &format!("--l1={}", self.l1.http()),
            "--l1.rpckind=standard",
            "--l1.trustrpc",
            "--l1.beacon.ignore",
            "--l1.http-poll-interval=500ms",
            &format!("--l2={engine}"),
            "--p2p.disable",
            "--rpc.addr=127.0.0.1",
            &format!("--rpc.port={port}"),
            "--rpc.enable-admin",
            "--verifier.l1-confs=0",
        ]);
        command.arg("--l2.jwt-secret").arg(secret);
        command.arg("--rollup.config").arg(self.path("rollup.json"));
        command.arg("--rollup.l1-chain-config").arg(self.path("l1.json"));
        command.arg("--safedb.path").arg(self.path(&format!("safedb-{port}")));
        if sequence {
            command.args(["--sequencer.enabled", "--sequencer.l1-confs=0"]);
        }
        let mut process = Process::spawn(name, command, &self.path(&format!("{name}.log")));
        let rpc = Rpc::new(format!("http://127.0.0.1:{port}"));
        wait_until(name, PATIENCE, || {
            assert!(process.is_running(), "{name} has ended: {}", process.output_end());
            rpc.try_call::<Value>("optimism_version", json!([])).ok()
        });
        OpNode { process, rpc }
    }

    /// An op-batcher that posts as calldata what `node` and `execution` have.
    pub(crate) fn op_batcher(&self, execution: &Rpc, node: &OpNode) -> Process {
        let mut command = Command::new(&self.stock.op_batcher);
        command.args([
            &format!("--l1-eth-rpc={}", self.l1.http()),
            &format!("--l2-eth-rpc={}", execution.url()),
            &format!("--rollup-rpc={}", node.rpc.url()),
            &format!("--private-key={}", Account::dev(BATCHER, L1_CHAIN_ID).private_key()),
            "--data-availability-type=calldata",
            "--max-channel-duration=2",
            "--sub-safety-margin=4",
            "--poll-interval=500ms",
            "--num-confirmations=1",
            "--rpc.port=0",
            "--batch-type=1",
            "--compression-algo=brotli-10",
        ]);
        Process::spawn("op-batcher", command, &self.path("op-batcher.log"))
    }
}

/// A running op-geth.
#[derive(Debug)]
pub(crate) struct OpGeth {
    _process: Process,
    pub(crate) rpc: Rpc,
    pub(crate) engine: Engine,
    /// Of its authenticated port.
    pub(crate) url: String,
    /// The file of its secret.
    pub(crate) secret: PathBuf,
}

/// A running op-node.
#[derive(Debug)]
pub(crate) struct OpNode {
    pub(crate) process: Process,
    pub(crate) rpc: Rpc,
}

impl OpNode {
    /// Number of a head in `optimism_syncStatus`.
    pub(crate) fn number(&self, head: &str) -> u64 {
        let status: Value = self.rpc.call("optimism_syncStatus", json!([]));
        status[head]["number"].as_u64().unwrap_or_else(|| panic!("no {head} in {status}"))
    }
}

fn await_server(process: &mut Process, rpc: &Rpc) {
    wait_until("op-geth", PATIENCE, || {
        assert!(process.is_running(), "it has ended: {}", process.output_end());
        rpc.try_call::<U64>("eth_chainId", json!([])).ok()
    });
}

fn genesis(fork: Fork, time: u64, optimism: &Value) -> Value {
    let config = l2_config(CHAIN_ID, fork, optimism);
    json!({
        "config": config,
        "nonce": "0x0",
        "timestamp": U64::from(time),
        // version 1, denominator 250, elasticity 6, minimum base fee 1000
        "extraData": "0x01000000fa0000000600000000000003e8",
        "gasLimit": U64::from(60_000_000),
        "difficulty": "0x0",
        "mixHash": B256::ZERO,
        "coinbase": "0x4200000000000000000000000000000000000011",
        "number": "0x0",
        "gasUsed": "0x0",
        "parentHash": B256::ZERO,
        "baseFeePerGas": U64::from(1_000_000_000),
        "excessBlobGas": "0x0",
        "blobGasUsed": "0x0",
        "alloc": alloc(),
    })
}

fn alloc() -> Map<String, Value> {
    let mut alloc = Map::new();
    for index in 0..8 {
        let address = Account::dev(index, CHAIN_ID).address();
        alloc.insert(address.to_string(), json!({"balance": "0x21e19e0c9bab2400000"}));
    }
    let code = |code: &[u8]| json!({"balance": "0x0", "code": hex::encode_prefixed(code)});
    alloc.insert(contracts::L1_BLOCK.to_string(), code(&contracts::l1_block()));
    // EIP-2935 and EIP-4788.
    alloc.insert(
        "0x0000f90827f1c53a10cb7a02335b175320002935".to_owned(),
        json!({"balance": "0x0", "nonce": "0x1", "code": "0x3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"}),
    );
    alloc.insert(
        "0x000f3df6d732807ef1319fb7b8bb8522d0beac02".to_owned(),
        json!({"balance": "0x0", "nonce": "0x1", "code": "0x3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff810690815414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500"}),
    );
    // The message passer, with a message: op-geth leaves the root of an empty storage out of its
    // payloads and refuses them then.
    alloc.insert(
        "0x4200000000000000000000000000000000000016".to_owned(),
        json!({"balance": "0x0", "code": "0x00", "storage": {
            B256::ZERO.to_string(): B256::with_last_byte(1),
        }}),
    );
    // A contract from genesis with storage.
    alloc.insert(
        Address::repeat_byte(0xc0).to_string(),
        json!({"balance": "0x64", "nonce": "0x7", "code": hex::encode_prefixed(contracts::store()),
            "storage": { B256::ZERO.to_string(): B256::repeat_byte(0x11) }}),
    );
    // Init code as code, to be read only.
    let deployer = deploys(&contracts::takes());
    alloc.insert(Address::repeat_byte(0xc1).to_string(), code(&deployer));
    alloc
}

fn rollup(fork: Fork, time: u64, l1_genesis: &Value, optimism: &Value) -> Value {
    let operator_fee = (U256::from(2_000_000) << 64) | U256::from(7);
    let mut rollup = json!({
        "genesis": {
            "l1": {"hash": l1_genesis, "number": 0},
            "l2": {"hash": B256::ZERO, "number": 0},
            "l2_time": time,
            "system_config": {
                "batcherAddr": Account::dev(BATCHER, L1_CHAIN_ID).address(),
                "overhead": B256::ZERO,
                "scalar": format!("0x01{}{:08x}{:08x}", "00".repeat(23), 810_949, 1368),
                "gasLimit": 60_000_000,
                "eip1559Params": "0x000000fa00000006",
                "operatorFeeParams": B256::from(operator_fee),
                "minBaseFee": 1000,
                "daFootprintGasScalar": 400,
            },
        },
        "block_time": BLOCK_TIME,
        "max_sequencer_drift": 1800,
        "seq_window_size": 3600,
        "channel_timeout": 300,
        "l1_chain_id": L1_CHAIN_ID,
        "l2_chain_id": CHAIN_ID,
        "batch_inbox_address": INBOX,
        "deposit_contract_address": contracts::PORTAL,
        "l1_system_config_address": contracts::SYSTEM_CONFIG,
        "chain_op_config": optimism,
    });
    for name in op_forks(fork) {
        rollup[format!("{name}_time")] = json!(0);
    }
    rollup
}
