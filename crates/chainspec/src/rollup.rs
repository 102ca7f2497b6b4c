//! `rollup.json`, as op-node writes it and as `optimism_rollupConfig` answers.

use std::path::Path;

use alloy_eips::BlockNumHash;
use alloy_primitives::{Address, B64, B256};
use serde::{Deserialize, Serialize};

/// Largest `rollup.json` that is read, in bytes.
const MAX_ROLLUP_BYTES: u64 = 1 << 20;

/// The part of a chain's configuration that L1 contracts can change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemConfig {
    /// Whose inbox transactions count.
    pub batcher_addr: Address,
    /// Overhead of the L1 fee, a word; zero from Ecotone.
    pub overhead: B256,
    /// Scalar of the L1 fee, a word: version 1 holds blob base fee and base fee scalars.
    pub scalar: B256,
    /// Gas limit of L2 blocks.
    pub gas_limit: u64,
    /// Denominator ‖ elasticity; zero means the chain's defaults.
    #[serde(default)]
    pub eip1559_params: B64,
    /// A word: scalar at bytes 20..24, constant at bytes 24..32.
    #[serde(default)]
    pub operator_fee_params: B256,
    /// Minimum base fee, in wei.
    #[serde(default)]
    pub min_base_fee: u64,
    /// Gas per byte of DA footprint; 0 means [`DEFAULT_DA_FOOTPRINT_GAS_SCALAR`].
    #[serde(default)]
    pub da_footprint_gas_scalar: u16,
}

/// What a DA footprint scalar of 0 in the system config means (Jovian specification).
pub const DEFAULT_DA_FOOTPRINT_GAS_SCALAR: u16 = 400;

impl SystemConfig {
    /// Base fee scalar and blob base fee scalar of the scalar word, as Ecotone reads it. A stored
    /// version-0 word with padding counts as the largest base fee scalar.
    pub fn ecotone_scalars(&self) -> (u32, u32) {
        let word = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&self.scalar[at..at + 4]);
            u32::from_be_bytes(bytes)
        };
        match self.scalar[0] {
            1 => (word(28), word(24)),
            _ if self.scalar[1..28] != [0; 27] => (u32::MAX, 0),
            _ => (word(28), 0),
        }
    }

    /// Sets the scalar word to version 1 with these scalars.
    pub fn set_ecotone_scalars(&mut self, base_fee: u32, blob_base_fee: u32) {
        let mut word = B256::ZERO;
        word[0] = 1;
        word[24..28].copy_from_slice(&blob_base_fee.to_be_bytes());
        word[28..32].copy_from_slice(&base_fee.to_be_bytes());
        self.scalar = word;
    }

    /// Scalar and constant (wei) of the operator fee.
    pub const fn operator_fee(&self) -> (u32, u64) {
        let w = &self.operator_fee_params.0;
        (
            u32::from_be_bytes([w[20], w[21], w[22], w[23]]),
            u64::from_be_bytes([w[24], w[25], w[26], w[27], w[28], w[29], w[30], w[31]]),
        )
    }

    /// Sets scalar and constant (wei) of the operator fee.
    pub const fn set_operator_fee(&mut self, scalar: u32, constant: u64) {
        let (s, c) = (scalar.to_be_bytes(), constant.to_be_bytes());
        let mut word = [0; 32];
        let mut i = 0;
        while i < 8 {
            if i < 4 {
                word[20 + i] = s[i];
            }
            word[24 + i] = c[i];
            i += 1;
        }
        self.operator_fee_params = B256::new(word);
    }

    /// The DA footprint scalar that the L1-attributes deposit carries: never zero.
    pub const fn effective_da_footprint_gas_scalar(&self) -> u16 {
        if self.da_footprint_gas_scalar == 0 {
            DEFAULT_DA_FOOTPRINT_GAS_SCALAR
        } else {
            self.da_footprint_gas_scalar
        }
    }
}

/// Where the rollup begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisIds {
    /// The L1 block that the first L2 block follows.
    pub l1: BlockId,
    /// The first L2 block.
    pub l2: BlockId,
    /// Time of the first L2 block, in seconds.
    pub l2_time: u64,
    /// The system configuration at the start.
    pub system_config: SystemConfig,
}

/// A block's hash and number, in op-node's order and with the number as a JSON number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockId {
    /// Hash.
    pub hash: B256,
    /// Number.
    pub number: u64,
}

impl From<BlockId> for BlockNumHash {
    fn from(id: BlockId) -> Self {
        Self::new(id.number, id.hash)
    }
}

impl From<BlockNumHash> for BlockId {
    fn from(id: BlockNumHash) -> Self {
        Self { hash: id.hash, number: id.number }
    }
}

/// `chain_op_config`: EIP-1559 defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainOpConfig {
    /// Elasticity multiplier.
    pub eip1559_elasticity: u64,
    /// Denominator before Canyon.
    pub eip1559_denominator: u64,
    /// Denominator from Canyon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eip1559_denominator_canyon: Option<u64>,
}

/// `alt_da`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AltDaConfig {
    /// L1 contract of challenges; zero or absent for generic commitments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub da_challenge_contract_address: Option<Address>,
    /// `KeccakCommitment` or `GenericCommitment`.
    pub da_commitment_type: String,
    /// L1 blocks in which a commitment can be challenged.
    pub da_challenge_window: u64,
    /// L1 blocks in which a challenge can be answered.
    pub da_resolve_window: u64,
    /// Largest input that derivation reads, in bytes; for keccak commitments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub da_max_input_size: Option<u64>,
}

/// The whole file. Fork times are in seconds; an absent one is never.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fork times are named after their forks")]
pub struct RollupConfig {
    /// Where the rollup begins.
    pub genesis: GenesisIds,
    /// Seconds from one L2 block to the next.
    pub block_time: u64,
    /// Seconds that L2 may be ahead of its L1 origin before Fjord (1,800 from then on).
    pub max_sequencer_drift: u64,
    /// L1 blocks in which a batch must be on L1.
    pub seq_window_size: u64,
    /// L1 blocks in which a channel must be complete, before Granite (50 from then on).
    pub channel_timeout: u64,
    /// Chain id of L1.
    pub l1_chain_id: u64,
    /// Chain id of L2.
    pub l2_chain_id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regolith_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canyon_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecotone_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fjord_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granite_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holocene_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pectra_blob_schedule_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isthmus_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jovian_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub karst_time: Option<u64>,
    /// Keeps the upgrade gas of Karst's activation block in later gas limits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_karst_upgrade_gas: bool,
    /// L1 address that batches are sent to.
    pub batch_inbox_address: Address,
    /// `OptimismPortal` on L1.
    pub deposit_contract_address: Address,
    /// `SystemConfig` on L1.
    pub l1_system_config_address: Address,
    /// EIP-1559 defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_op_config: Option<ChainOpConfig>,
    /// Alternative DA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt_da: Option<AltDaConfig>,
}

/// What op-node would refuse, with its reasons, and what cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum RollupConfigError {
    /// The file cannot be read.
    #[error("cannot read the rollup config {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any configuration is.
    #[error("the rollup config {path} has {bytes} bytes, more than the {MAX_ROLLUP_BYTES} allowed")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// The file is not a rollup configuration.
    #[error("the rollup config {path} is malformed: {source}")]
    Json {
        /// The file.
        path: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A field that has to be set is zero or absent.
    #[error("rollup config: {0} must be set")]
    Missing(&'static str),
    /// The sequencing window is too short.
    #[error("rollup config: seq_window_size must be at least 2, got {0}")]
    SequenceWindow(u64),
    /// L1 and L2 cannot be told apart.
    #[error("rollup config: {0} of L1 and L2 must differ")]
    SameIds(&'static str),
    /// A fork is set before an earlier one.
    #[error("rollup config: {later}_time is set, but {earlier}_time is {when}")]
    ForkOrder {
        /// The later fork.
        later: &'static str,
        /// The fork that has to come first.
        earlier: &'static str,
        /// "not set", or its time.
        when: String,
    },
    /// The configuration is of another chain than the genesis.
    #[error("rollup config is for {field} {config}, but the genesis has {genesis}")]
    OtherChain {
        /// What differs.
        field: &'static str,
        /// In the rollup config.
        config: String,
        /// In the genesis.
        genesis: String,
    },
}

impl RollupConfig {
    /// Reads and checks a file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, RollupConfigError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let read = |source| RollupConfigError::Read { path: name.clone(), source };
        let bytes = std::fs::metadata(path).map_err(read)?.len();
        if bytes > MAX_ROLLUP_BYTES {
            return Err(RollupConfigError::TooLarge { path: name, bytes });
        }
        let text = std::fs::read(path).map_err(read)?;
        let config: Self = serde_json::from_slice(&text)
            .map_err(|source| RollupConfigError::Json { path: name.clone(), source })?;
        config.check()?;
        Ok(config)
    }

    /// Forks with their times, oldest first, by the names of the fields.
    pub const fn fork_times(&self) -> [(&'static str, Option<u64>); 10] {
        [
            ("regolith", self.regolith_time),
            ("canyon", self.canyon_time),
            ("delta", self.delta_time),
            ("ecotone", self.ecotone_time),
            ("fjord", self.fjord_time),
            ("granite", self.granite_time),
            ("holocene", self.holocene_time),
            ("isthmus", self.isthmus_time),
            ("jovian", self.jovian_time),
            ("karst", self.karst_time),
        ]
    }

    /// What op-node checks at its start, and the order of Jovian and Karst, which it does not.
    pub fn check(&self) -> Result<(), RollupConfigError> {
        let system = &self.genesis.system_config;
        let set = [
            ("block_time", self.block_time != 0),
            ("channel_timeout", self.channel_timeout != 0),
            ("max_sequencer_drift", self.max_sequencer_drift != 0),
            ("genesis.l2_time", self.genesis.l2_time != 0),
            ("genesis.l1.hash", !self.genesis.l1.hash.is_zero()),
            ("genesis.l2.hash", !self.genesis.l2.hash.is_zero()),
            ("genesis.system_config.batcherAddr", !system.batcher_addr.is_zero()),
            ("genesis.system_config.scalar", !system.scalar.is_zero()),
            ("genesis.system_config.gasLimit", system.gas_limit != 0),
            ("batch_inbox_address", !self.batch_inbox_address.is_zero()),
            ("deposit_contract_address", !self.deposit_contract_address.is_zero()),
            ("l1_chain_id", self.l1_chain_id != 0),
            ("l2_chain_id", self.l2_chain_id != 0),
        ];
        if let Some((field, _)) = set.into_iter().find(|(_, is_set)| !is_set) {
            return Err(RollupConfigError::Missing(field));
        }
        if self.seq_window_size < 2 {
            return Err(RollupConfigError::SequenceWindow(self.seq_window_size));
        }
        if self.genesis.l1.hash == self.genesis.l2.hash {
            return Err(RollupConfigError::SameIds("genesis hashes"));
        }
        if self.l1_chain_id == self.l2_chain_id {
            return Err(RollupConfigError::SameIds("chain ids"));
        }
        for pair in self.fork_times().windows(2) {
            let ((earlier, before), (later, after)) = (pair[0], pair[1]);
            if let Some(after) = after
                && before.is_none_or(|before| before > after)
            {
                let when = before.map_or_else(|| "not set".to_owned(), |time| time.to_string());
                return Err(RollupConfigError::ForkOrder { later, earlier, when });
            }
        }
        Ok(())
    }

    /// Checks that this is the configuration of the chain with that genesis.
    pub fn check_chain(&self, chain_id: u64, genesis_hash: B256) -> Result<(), RollupConfigError> {
        let other = |field, config: String, genesis: String| {
            Err(RollupConfigError::OtherChain { field, config, genesis })
        };
        if self.l2_chain_id != chain_id {
            return other("chain id", self.l2_chain_id.to_string(), chain_id.to_string());
        }
        if self.genesis.l2.hash != genesis_hash {
            let config = self.genesis.l2.hash.to_string();
            return other("genesis hash", config, genesis_hash.to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn file() -> Value {
        let hash = |byte: u8| format!("0x{}", hex(byte));
        json!({
            "genesis": {
                "l1": {"hash": hash(1), "number": 0}, "l2": {"hash": hash(2), "number": 0}, "l2_time": 1_700_000_000,
                "system_config": {
                    "batcherAddr": "0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f", "overhead": hash(0),
                    "scalar": "0x010000000000000000000000000000000000000000000000000c5fc500000558",
                    "gasLimit": 60_000_000, "eip1559Params": "0x000000fa00000006",
                    "operatorFeeParams": hash(0), "minBaseFee": 0, "daFootprintGasScalar": 400,
                },
            },
            "block_time": 2, "max_sequencer_drift": 1800, "seq_window_size": 3600, "channel_timeout": 300,
            "l1_chain_id": 900, "l2_chain_id": 901,
            "regolith_time": 0, "canyon_time": 0, "delta_time": 0, "ecotone_time": 0, "fjord_time": 0,
            "granite_time": 0, "holocene_time": 0, "isthmus_time": 0, "jovian_time": 0, "karst_time": 0,
            "batch_inbox_address": "0xff00000000000000000000000000000000000901",
            "deposit_contract_address": "0x00000000000000000000000000000000000000de",
            "l1_system_config_address": "0x000000000000000000000000000000000000005c",
            "chain_op_config": {"eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250},
        })
    }

    fn hex(byte: u8) -> String {
        format!("{byte:02x}").repeat(32)
    }

    fn read(value: Value) -> RollupConfig {
        serde_json::from_value(value).expect("a rollup config")
    }

    #[test]
    fn a_file_is_written_as_it_was_read() {
        let config = read(file());
        assert!(config.check().is_ok());
        assert_eq!(serde_json::to_value(&config).expect("JSON"), file());
        assert_eq!(config.genesis.system_config.ecotone_scalars(), (1368, 810_949));
    }

    #[test]
    fn what_op_node_insists_on_is_checked() {
        let broken = |change: &dyn Fn(&mut Value)| {
            let mut value = file();
            change(&mut value);
            read(value).check().expect_err("refused").to_string()
        };
        let error = broken(&|v| v["max_sequencer_drift"] = json!(0));
        assert_eq!(error, "rollup config: max_sequencer_drift must be set");
        assert!(broken(&|v| v["seq_window_size"] = json!(1)).contains("at least 2"));
        assert!(broken(&|v| v["l2_chain_id"] = json!(900)).contains("chain ids"));
        assert!(
            broken(&|v| v["genesis"]["l2"] = v["genesis"]["l1"].clone()).contains("genesis hashes")
        );
        let error = broken(&|v| v["granite_time"] = Value::Null);
        assert_eq!(error, "rollup config: holocene_time is set, but granite_time is not set");
        assert!(
            broken(&|v| v["jovian_time"] = json!(9))
                .contains("karst_time is set, but jovian_time is 9")
        );
    }

    #[test]
    fn another_chain_is_refused() {
        let config = read(file());
        assert!(config.check_chain(901, B256::repeat_byte(2)).is_ok());
        assert!(config.check_chain(10, B256::repeat_byte(2)).is_err());
        assert!(config.check_chain(901, B256::repeat_byte(3)).is_err());
    }

    #[test]
    fn scalar_words() {
        let mut config = SystemConfig::default();
        config.set_ecotone_scalars(5, 6);
        assert_eq!(config.ecotone_scalars(), (5, 6));
        config.scalar = B256::with_last_byte(7);
        assert_eq!(config.ecotone_scalars(), (7, 0));
        config.scalar[5] = 1;
        assert_eq!(config.ecotone_scalars(), (u32::MAX, 0));
        config.set_operator_fee(8, 9);
        assert_eq!(config.operator_fee(), (8, 9));
        assert_eq!(config.effective_da_footprint_gas_scalar(), 400);
    }
}
