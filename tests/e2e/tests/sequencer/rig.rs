//! anvil as L1, and a node that sequences on it.

use std::{path::Path, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256, address, b256, hex, keccak256};
use ascribe_e2e::{
    Account, Anvil, AscribeNode, Fork, NodeOptions, Rpc, TestChain, free_port, wait_until,
};
use serde_json::{Value, json};

/// `OptimismPortal` on L1.
pub(crate) const PORTAL: Address = address!("00000000000000000000000000000000000000de");
/// `SystemConfig` on L1.
pub(crate) const SYSTEM_CONFIG: Address = address!("000000000000000000000000000000000000005c");
/// Chain id of the L1.
pub(crate) const L1_CHAIN: u64 = 900;
/// Chain id of the L2.
pub(crate) const L2_CHAIN: u64 = 901;
/// Seconds from one L2 block to the next.
pub(crate) const BLOCK_TIME: u64 = 1;
/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Logs what it is called with: four topics, then data.
const LOG4: &[u8] = &hex!("60803603806080600037606035604035602035600035846000a400");
/// Logs what it is called with: three topics, then data.
const LOG3: &[u8] = &hex!("60603603806060600037604035602035600035836000a300");

/// An L1, the files of a rollup on it, and how a node is started on both.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) l1: Anvil,
    /// How a node is started that follows the L1.
    pub(crate) options: NodeOptions,
    /// The same node as an execution client alone.
    pub(crate) execution: NodeOptions,
    /// What `rollup.json` says.
    pub(crate) rollup_config: Value,
    /// Where the rollup RPC will be.
    rollup_port: u16,
}

impl Rig {
    /// An L1 with a block a second and a rollup that begins with its first block. `None` if there
    /// is no anvil here.
    pub(crate) fn new(anvil: &[&str]) -> Option<Self> {
        let id = L1_CHAIN.to_string();
        let args = ["--block-time", "1", "--slots-in-an-epoch", "2", "--chain-id", &id];
        let l1 = Anvil::start(&[&args[..], anvil].concat())?;
        for (address, code) in [(PORTAL, LOG4), (SYSTEM_CONFIG, LOG3)] {
            let _: Value = l1.rpc.call("anvil_setCode", json!([address, Bytes::from(code)]));
        }
        let genesis: Value = l1.rpc.call("eth_getBlockByNumber", json!(["0x0", false]));
        let time = quantity(&genesis["timestamp"]);

        let mut l2 = TestChain::genesis(Fork::Karst, L2_CHAIN);
        l2["timestamp"] = json!(format!("{time:#x}"));
        let chain = NodeOptions::preset("", Fork::Karst);
        let file = chain.folder().join("genesis.json");
        std::fs::write(&file, l2.to_string()).expect("the genesis can be written");
        let mut options = chain;
        options.chain = path(&file);
        let (status, printed) = options.run(&["init"], &["--db.cache-size", "32"]);
        assert!(status.success(), "{printed}");
        let (_, hash) = printed.split_once("genesis ").expect("the hash is told");
        let hash: B256 = hash[..66].parse().expect("a hash");

        let rollup_config = rollup_config(&genesis["hash"], hash, time);
        let file = options.folder().join("rollup.json");
        std::fs::write(&file, rollup_config.to_string()).expect("the config can be written");
        let rollup_port = free_port();
        let (url, file, port) = (l1.http(), path(&file), rollup_port.to_string());
        let execution = options.clone();
        options = options
            .with(&["--l1", &url, "--l1.http-poll-interval", "100ms"])
            .with(&["--l1.epoch-poll-interval", "100ms", "--rollup.config", &file])
            .with(&["--rpc.port", &port, "--rpc.enable-admin"]);
        Some(Self { l1, options, execution, rollup_config, rollup_port })
    }

    /// Starts a node that makes blocks, with no confirmations of L1 blocks unless `args` say so.
    pub(crate) fn sequence(&self, args: &[&str]) -> Sequencing {
        let defaults: &[&str] = if args.contains(&"--sequencer.l1-confs") {
            &[]
        } else {
            &["--sequencer.l1-confs", "0"]
        };
        let flags = [&["--sequencer.enabled"], defaults, args].concat();
        let node = self.options.clone().with(&flags).start();
        let rollup = Rpc::new(format!("http://127.0.0.1:{}", self.rollup_port));
        Sequencing { node, rollup }
    }

    /// Writes a changed rollup config; returns its file.
    pub(crate) fn other_config(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut config = self.rollup_config.clone();
        change(&mut config);
        let file = self.options.folder().join("other.json");
        std::fs::write(&file, config.to_string()).expect("the config can be written");
        path(&file)
    }

    /// Number and hash of an L1 block.
    pub(crate) fn l1_block(&self, tag: &str) -> (u64, B256) {
        let block: Value = self.l1.rpc.call("eth_getBlockByNumber", json!([tag, false]));
        (quantity(&block["number"]), hash(&block["hash"]))
    }

    /// Lets the portal log a deposit: `value` wei minted and sent to `to`.
    pub(crate) fn deposit(&self, to: Address, value: U256) -> Value {
        let opaque = [
            &value.to_be_bytes::<32>()[..],
            &value.to_be_bytes::<32>()[..],
            &100_000_u64.to_be_bytes(),
            &[0],
        ]
        .concat();
        let event = keccak256("TransactionDeposited(address,address,uint256,bytes)");
        let topics = [event, depositor().into_word(), to.into_word(), B256::ZERO];
        self.log(PORTAL, &topics, &opaque)
    }

    /// Lets the SystemConfig log an update.
    pub(crate) fn update_config(&self, kind: u64, payload: B256) -> Value {
        let topics =
            [keccak256("ConfigUpdate(uint256,uint8,bytes)"), B256::ZERO, U256::from(kind).into()];
        self.log(SYSTEM_CONFIG, &topics, &payload[..])
    }

    /// Lets a contract on L1 log topics and ABI-encoded bytes. Returns the receipt.
    pub(crate) fn log(&self, contract: Address, topics: &[B256], bytes: &[u8]) -> Value {
        let mut input = topics.iter().flat_map(|topic| topic.0).collect::<Vec<_>>();
        input.extend(U256::from(32).to_be_bytes::<32>());
        input.extend(U256::from(bytes.len()).to_be_bytes::<32>());
        input.extend(bytes);
        input.resize(input.len().next_multiple_of(32), 0);
        let request = json!({"from": depositor(), "to": contract, "input": Bytes::from(input), "gas": "0x30d40"});
        let sent: B256 = self.l1.rpc.call("eth_sendTransaction", json!([request]));
        wait_until("the receipt", PATIENCE, || {
            let receipt: Value = self.l1.rpc.call("eth_getTransactionReceipt", json!([sent]));
            (receipt["status"] == "0x1").then_some(receipt)
        })
    }
}

/// Who deposits: anvil's first account.
fn depositor() -> Address {
    Account::dev(0, L1_CHAIN).address()
}

fn rollup_config(l1: &Value, l2: B256, time: u64) -> Value {
    let mut config = json!({
        "genesis": {
            "l1": {"hash": l1, "number": 0},
            "l2": {"hash": l2, "number": 0},
            "l2_time": time,
            "system_config": {
                "batcherAddr": Account::dev(1, L1_CHAIN).address().to_string().to_lowercase(),
                "overhead": B256::ZERO,
                "scalar": b256!("010000000000000000000000000000000000000000000000000c5fc500000558"),
                "gasLimit": 60_000_000,
                "eip1559Params": "0x0000000000000000",
                "operatorFeeParams": B256::ZERO,
                "minBaseFee": 0,
                "daFootprintGasScalar": 0,
            },
        },
        "block_time": BLOCK_TIME,
        "max_sequencer_drift": 1800,
        "seq_window_size": 3600,
        "channel_timeout": 300,
        "l1_chain_id": L1_CHAIN,
        "l2_chain_id": L2_CHAIN,
        "batch_inbox_address": "0xff00000000000000000000000000000000000901",
        "deposit_contract_address": PORTAL.to_string().to_lowercase(),
        "l1_system_config_address": SYSTEM_CONFIG.to_string().to_lowercase(),
        "chain_op_config": {
            "eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250,
        },
    });
    for fork in [
        "regolith", "canyon", "delta", "ecotone", "fjord", "granite", "holocene", "isthmus",
        "jovian", "karst",
    ] {
        config[format!("{fork}_time")] = json!(0);
    }
    config
}

/// A node that makes blocks.
#[derive(Debug)]
pub(crate) struct Sequencing {
    pub(crate) node: AscribeNode,
    /// `optimism_` and `admin_`.
    pub(crate) rollup: Rpc,
}

impl Sequencing {
    /// A block, if there is one.
    pub(crate) fn block(&self, tag: &str) -> Option<Block> {
        let block: Value = self.node.rpc.call("eth_getBlockByNumber", json!([tag, true]));
        (!block.is_null()).then(|| Block::read(&block))
    }

    /// The head.
    pub(crate) fn head(&self) -> Block {
        self.block("latest").expect("there is always a head")
    }

    /// Waits until the head satisfies `wanted`.
    pub(crate) fn head_until(&self, what: &str, mut wanted: impl FnMut(&Block) -> bool) -> Block {
        wait_until(what, PATIENCE, || Some(self.head()).filter(|head| wanted(head)))
    }

    /// All blocks from 1 to the head.
    pub(crate) fn chain(&self) -> Vec<Block> {
        let head = self.head().number;
        (1..=head).map(|at| self.block(&format!("{at:#x}")).expect("below the head")).collect()
    }

    /// Waits for so many blocks more.
    pub(crate) fn advance(&self, blocks: u64) -> Block {
        let from = self.head().number;
        self.head_until("blocks", |head| head.number >= from + blocks)
    }
}

/// An L2 block, with what its L1-attributes deposit says.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) parent: B256,
    pub(crate) timestamp: u64,
    pub(crate) gas_limit: u64,
    pub(crate) extra_data: Bytes,
    pub(crate) transactions: Vec<Value>,
    pub(crate) l1_number: u64,
    pub(crate) l1_time: u64,
    pub(crate) l1_hash: B256,
    pub(crate) sequence_number: u64,
    pub(crate) batcher: B256,
}

impl Block {
    fn read(block: &Value) -> Self {
        let transactions = block["transactions"].as_array().expect("a list").clone();
        let input = transactions.first().map_or_else(
            || Bytes::from(vec![0; 178]),
            |first| serde_json::from_value(first["input"].clone()).expect("bytes"),
        );
        assert_eq!(input.len(), 178, "Jovian's form");
        let number = |at: usize| U256::from_be_slice(&input[at..at + 8]).to::<u64>();
        Self {
            number: quantity(&block["number"]),
            hash: hash(&block["hash"]),
            parent: hash(&block["parentHash"]),
            timestamp: quantity(&block["timestamp"]),
            gas_limit: quantity(&block["gasLimit"]),
            extra_data: serde_json::from_value(block["extraData"].clone()).expect("bytes"),
            sequence_number: number(12),
            l1_time: number(20),
            l1_number: number(28),
            l1_hash: B256::from_slice(&input[100..132]),
            batcher: B256::from_slice(&input[132..164]),
            transactions,
        }
    }
}

/// A hex quantity.
pub(crate) fn quantity(value: &Value) -> u64 {
    let text = value.as_str().expect("a quantity");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a quantity")
}

fn hash(value: &Value) -> B256 {
    serde_json::from_value(value.clone()).expect("a hash")
}

fn path(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}
