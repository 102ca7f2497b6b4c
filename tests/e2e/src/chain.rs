//! Genesis files of test chains.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, Bytes, U256, address, bytes};
use serde_json::{Map, Value, json};

use crate::{Account, folder::Folder, l2_config};

/// The newest fork whose rules a chain has, from genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fork {
    /// `getPayloadV4`, 17 bytes of extraData.
    Jovian,
    /// `getPayloadV5`.
    Karst,
}

/// A chain for tests: the ten funded accounts, the system contracts that block execution calls,
/// L1 fee parameters, and [`TestChain::STORER`].
#[derive(Debug)]
pub struct TestChain {
    /// Its rules.
    pub fork: Fork,
    /// Its id.
    pub chain_id: u64,
    genesis: PathBuf,
    _folder: Folder,
}

impl TestChain {
    /// A contract that takes three words, *first*, *count* and *value*: it stores *value* in
    /// *count* slots from *first* on, and logs the slot after the last with topic 42.
    pub const STORER: Address = address!("00000000000000000000000000000000005704e5");
    const STORER_CODE: Bytes = bytes!(
        "6020356000355b8115601d5760403581556001019060019003906006565b600052602a60206000a100"
    );
    /// A contract that reverts with the text "no".
    pub const REVERTER: Address = address!("000000000000000000000000000000000000dead");
    const REVERTER_CODE: Bytes = bytes!(
        "7f08c379a000000000000000000000000000000000000000000000000000000000600052"
        "60206004526002602452616e6f60f01b60445260646000fd"
    );

    /// A chain of id 901 at these rules.
    pub fn new(fork: Fork) -> Self {
        Self::with_id(fork, 901)
    }

    /// A chain of any id.
    ///
    /// # Panics
    /// If the genesis file cannot be written.
    pub fn with_id(fork: Fork, chain_id: u64) -> Self {
        let folder = Folder::new();
        let genesis = folder.join("genesis.json");
        let text = Self::genesis(fork, chain_id).to_string();
        std::fs::write(&genesis, text).expect("the genesis can be written");
        Self { fork, chain_id, genesis, _folder: folder }
    }

    /// The genesis file.
    pub fn genesis_file(&self) -> &Path {
        &self.genesis
    }

    /// Input for [`Self::STORER`].
    pub fn store(first: U256, count: u64, value: U256) -> Bytes {
        [first, U256::from(count), value]
            .iter()
            .flat_map(|word| word.to_be_bytes::<32>())
            .collect::<Vec<_>>()
            .into()
    }

    /// The genesis in geth's format.
    pub fn genesis(fork: Fork, chain_id: u64) -> Value {
        let optimism = json!({
            "eip1559Elasticity": 6,
            "eip1559Denominator": 50,
            "eip1559DenominatorCanyon": 250,
        });
        let mut config = l2_config(chain_id, fork, &optimism);
        config["terminalTotalDifficultyPassed"] = json!(true);
        json!({
            "config": config,
            "timestamp": "0x0",
            // version 1, denominator 250, elasticity 6, no minimum
            "extraData": "0x01000000fa000000060000000000000000",
            "gasLimit": "0x3938700",
            "difficulty": "0x0",
            "coinbase": "0x4200000000000000000000000000000000000011",
            "baseFeePerGas": "0x3b9aca00",
            "excessBlobGas": "0x0",
            "blobGasUsed": "0x0",
            "alloc": Self::alloc(chain_id),
        })
    }

    fn alloc(chain_id: u64) -> Map<String, Value> {
        let word = |hex: &str| format!("0x{hex:0>64}");
        let mut alloc = Map::new();
        for index in 0..10 {
            let address = Account::dev(index, chain_id).address();
            alloc.insert(address.to_string(), json!({"balance": "0x21e19e0c9bab2400000"}));
        }
        // EIP-2935 and EIP-4788.
        alloc.insert(
            "0x0000f90827f1c53a10cb7a02335b175320002935".to_owned(),
            json!({"balance": "0x0", "nonce": "0x1", "code": "0x3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"}),
        );
        alloc.insert(
            "0x000f3df6d732807ef1319fb7b8bb8522d0beac02".to_owned(),
            json!({"balance": "0x0", "nonce": "0x1", "code": "0x3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff810690815414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500"}),
        );
        // L2ToL1MessagePasser, with one message so that its storage has a root.
        alloc.insert(
            "0x4200000000000000000000000000000000000016".to_owned(),
            json!({"balance": "0x0", "code": "0x00", "storage": {word("0"): word("1")}}),
        );
        // L1Block: base fee 1 gwei, blob base fee 1 wei, scalars 1368 and 810949.
        let scalars = "00000558000c5fc50000000000000000";
        alloc.insert(
            "0x4200000000000000000000000000000000000015".to_owned(),
            json!({"balance": "0x0", "code": "0x00", "storage": {
                word("1"): word("3b9aca00"), word("3"): word(scalars), word("7"): word("1"),
            }}),
        );
        let code = |code: Bytes| json!({"balance": "0x0", "nonce": "0x1", "code": code});
        alloc.insert(Self::STORER.to_string(), code(Self::STORER_CODE));
        alloc.insert(Self::REVERTER.to_string(), code(Self::REVERTER_CODE));
        alloc
    }
}
