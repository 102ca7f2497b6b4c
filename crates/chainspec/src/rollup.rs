//! `rollup.json`, as op-node writes it and as `optimism_rollupConfig` answers.

use std::path::Path;

use alloy_eips::BlockNumHash;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::{ChainSpec, FileError, SystemConfig, file, hardforks::counterpart};

/// Largest `rollup.json` that is read, in bytes.
const MAX_ROLLUP_BYTES: u64 = 1 << 20;
/// Sequencer drift from Fjord on, in seconds; a constant of the protocol.
const FJORD_MAX_SEQUENCER_DRIFT: u64 = 1_800;
/// Channel timeout from Granite on, in L1 blocks; a constant of the protocol.
const GRANITE_CHANNEL_TIMEOUT: u64 = 50;
/// `da_commitment_type` of keccak256 commitments.
const KECCAK_COMMITMENT: &str = "KeccakCommitment";
/// `da_commitment_type` of commitments that only the DA layer understands, such as EigenDA's.
const GENERIC_COMMITMENT: &str = "GenericCommitment";

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
    /// L1 contract of challenges; zero for generic commitments.
    #[serde(default)]
    pub da_challenge_contract_address: Address,
    /// `KeccakCommitment` or `GenericCommitment`.
    pub da_commitment_type: String,
    /// Largest input that derivation reads, in bytes; for keccak commitments only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub da_max_input_size: Option<u64>,
    /// L1 blocks in which a commitment can be challenged.
    pub da_challenge_window: u64,
    /// L1 blocks in which a challenge can be answered.
    pub da_resolve_window: u64,
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
    #[serde(default, skip_serializing_if = "is_zero")]
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
    /// Until which time of L1 origins the blob base fee is computed by Cancun's parameters although
    /// Prague is active on L1 (testnets whose L1 upgraded early).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pectra_blob_schedule_time: Option<u64>,
}

/// As Go's `omitempty` counts.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// What op-node would refuse, in its words, and what cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what they are")]
pub enum RollupConfigError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("block time cannot be 0")]
    BlockTime,
    #[error("channel timeout must be set, this should cover at least a L1 block time")]
    ChannelTimeout,
    #[error("sequencing window size must at least be 2")]
    SequenceWindow,
    #[error("maximum sequencer drift must be greater than 0")]
    SequencerDrift,
    #[error("genesis L1 hash cannot be empty")]
    GenesisL1Hash,
    #[error("genesis L2 hash cannot be empty")]
    GenesisL2Hash,
    #[error("L1 and L2 genesis cannot be the same")]
    SameGenesis,
    #[error("missing L2 genesis time")]
    GenesisL2Time,
    #[error("missing genesis system config batcher address")]
    BatcherAddress,
    #[error("missing genesis system config scalar")]
    Scalar,
    #[error("missing genesis system config gas limit")]
    GasLimit,
    #[error("missing batch inbox address")]
    BatchInbox,
    #[error("missing deposit contract address")]
    DepositContract,
    #[error("L1 chain ID must be non-zero and positive")]
    L1ChainId,
    #[error("L2 chain ID must be non-zero and positive")]
    L2ChainId,
    #[error("L1 and L2 chain IDs must be different")]
    SameChainIds,
    #[error("fork {later} set (to {time}), but prior fork {earlier} missing")]
    ForkGap { earlier: &'static str, later: &'static str, time: u64 },
    #[error("fork {later} set to {time}, but prior fork {earlier} has higher offset {before}")]
    ForkOrder { earlier: &'static str, before: u64, later: &'static str, time: u64 },
    #[error("missing chain_op_config")]
    ChainOpConfig,
    #[error("missing or zero eip1559DenominatorCanyon in chain_op_config")]
    DenominatorCanyon,
    #[error("invalid commitment type: {0}")]
    CommitmentType(String),
    #[error("must set da_challenge_contract_address for keccak commitments")]
    ChallengeAddress,
    #[error("must set empty da_challenge_contract_address for generic commitments")]
    NoChallengeAddress,
    #[error("altDA max input size must be omitted for generic commitments")]
    GenericInputSize,
    #[error("altDA max input size must be greater than zero")]
    InputSize,
    /// The configuration is of another chain than the genesis.
    #[error("rollup config has {field} {rollup}, but the genesis has {genesis}")]
    OtherChain { field: &'static str, rollup: String, genesis: String },
}

impl RollupConfig {
    /// Reads and checks a file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, RollupConfigError> {
        let config: Self = file::read_json(path.as_ref(), "rollup config", MAX_ROLLUP_BYTES)?;
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

    /// What op-node checks at its start, and what it does not and then stumbles over: the order of
    /// Jovian and Karst, and the EIP-1559 defaults.
    pub fn check(&self) -> Result<(), RollupConfigError> {
        use RollupConfigError as Error;
        let (genesis, system) = (&self.genesis, &self.genesis.system_config);
        let failed = [
            (self.block_time == 0, Error::BlockTime),
            (self.channel_timeout == 0, Error::ChannelTimeout),
            (self.seq_window_size < 2, Error::SequenceWindow),
            (self.max_sequencer_drift == 0, Error::SequencerDrift),
            (genesis.l1.hash.is_zero(), Error::GenesisL1Hash),
            (genesis.l2.hash.is_zero(), Error::GenesisL2Hash),
            (genesis.l1.hash == genesis.l2.hash, Error::SameGenesis),
            (genesis.l2_time == 0, Error::GenesisL2Time),
            (system.batcher_addr.is_zero(), Error::BatcherAddress),
            (system.scalar.is_zero(), Error::Scalar),
            (system.gas_limit == 0, Error::GasLimit),
            (self.batch_inbox_address.is_zero(), Error::BatchInbox),
            (self.deposit_contract_address.is_zero(), Error::DepositContract),
            (self.l1_chain_id == self.l2_chain_id, Error::SameChainIds),
            (self.l1_chain_id == 0, Error::L1ChainId),
            (self.l2_chain_id == 0, Error::L2ChainId),
        ];
        if let Some((_, error)) = failed.into_iter().find(|(failed, _)| *failed) {
            return Err(error);
        }
        if let Some(alt_da) = &self.alt_da {
            alt_da.check()?;
        }
        for pair in self.fork_times().windows(2) {
            let ((earlier, before), (later, time)) = (pair[0], pair[1]);
            match (before, time) {
                (None, Some(time)) => return Err(Error::ForkGap { earlier, later, time }),
                (Some(before), Some(time)) if before > time => {
                    return Err(Error::ForkOrder { earlier, before, later, time });
                }
                _ => {}
            }
        }
        let Some(defaults) = self.chain_op_config else { return Err(Error::ChainOpConfig) };
        if self.canyon_time.is_some()
            && defaults.eip1559_denominator_canyon.is_none_or(|it| it == 0)
        {
            return Err(Error::DenominatorCanyon);
        }
        Ok(())
    }

    /// Checks that this is the configuration of that chain: chain id, genesis hash and time, fork
    /// times. For a preset, whose rollup began after its genesis, the hash is not compared.
    pub fn check_chain(&self, chain: &ChainSpec) -> Result<(), RollupConfigError> {
        let same = |field, rollup: String, genesis: String| {
            if rollup == genesis {
                Ok(())
            } else {
                Err(RollupConfigError::OtherChain { field, rollup, genesis })
            }
        };
        same("chain id", self.l2_chain_id.to_string(), chain.chain_id().to_string())?;
        if self.genesis.l2.number == 0 {
            let hash = chain.genesis_hash().to_string();
            same("genesis hash", self.genesis.l2.hash.to_string(), hash)?;
            let time = chain.genesis_header().timestamp;
            same("genesis time", self.genesis.l2_time.to_string(), time.to_string())?;
        }
        for (fork, time) in self.timed_forks() {
            let show =
                |time: Option<u64>| time.map_or_else(|| "never".to_owned(), |t| t.to_string());
            let ours = chain.op_fork_activation(fork).as_timestamp();
            same(fork.name(), show(time), show(ours))?;
        }
        Ok(())
    }

    /// Time of the L2 block with that number, in seconds; the genesis time for blocks before it.
    pub const fn timestamp_of(&self, number: u64) -> u64 {
        let after = number.saturating_sub(self.genesis.l2.number);
        self.genesis.l2_time.saturating_add(after.saturating_mul(self.block_time))
    }

    /// Number of the newest L2 block that may exist at `timestamp`; `None` before genesis.
    pub fn number_at(&self, timestamp: u64) -> Option<u64> {
        let blocks = timestamp.checked_sub(self.genesis.l2_time)?.checked_div(self.block_time)?;
        self.genesis.l2.number.checked_add(blocks)
    }

    /// Whether the L2 block at `timestamp` is the first one of `fork`. A fork that is active at
    /// genesis has none.
    pub fn is_activation_block(&self, fork: OpHardfork, timestamp: u64) -> bool {
        let at = self.op_fork_activation(fork);
        let before = timestamp.checked_sub(self.block_time);
        at.active_at_timestamp(timestamp) && before.is_some_and(|t| !at.active_at_timestamp(t))
    }

    /// Whether Delta (span batches) is active at a time, in seconds.
    pub fn is_delta_active_at_timestamp(&self, timestamp: u64) -> bool {
        self.delta_time.is_some_and(|delta| timestamp >= delta)
    }

    /// How many seconds L2 may be ahead of an L1 origin of that time.
    pub fn max_sequencer_drift(&self, l1_origin_time: u64) -> u64 {
        if self.is_fjord_active_at_timestamp(l1_origin_time) {
            FJORD_MAX_SEQUENCER_DRIFT
        } else {
            self.max_sequencer_drift
        }
    }

    /// In how many L1 blocks a channel must be complete, by the time of an L1 block.
    pub fn channel_timeout(&self, l1_time: u64) -> u64 {
        if self.is_granite_active_at_timestamp(l1_time) {
            GRANITE_CHANNEL_TIMEOUT
        } else {
            self.channel_timeout
        }
    }

    /// Forks that change execution, with their times, oldest first.
    const fn timed_forks(&self) -> [(OpHardfork, Option<u64>); 9] {
        [
            (OpHardfork::Regolith, self.regolith_time),
            (OpHardfork::Canyon, self.canyon_time),
            (OpHardfork::Ecotone, self.ecotone_time),
            (OpHardfork::Fjord, self.fjord_time),
            (OpHardfork::Granite, self.granite_time),
            (OpHardfork::Holocene, self.holocene_time),
            (OpHardfork::Isthmus, self.isthmus_time),
            (OpHardfork::Jovian, self.jovian_time),
            (OpHardfork::Karst, self.karst_time),
        ]
    }
}

impl AltDaConfig {
    /// Whether commitments mean something to the DA layer only, as EigenDA's do.
    pub fn is_generic(&self) -> bool {
        self.da_commitment_type == GENERIC_COMMITMENT
    }

    fn check(&self) -> Result<(), RollupConfigError> {
        use RollupConfigError as Error;
        let address = !self.da_challenge_contract_address.is_zero();
        match (self.da_commitment_type.as_str(), self.da_max_input_size) {
            (GENERIC_COMMITMENT, Some(_)) => Err(Error::GenericInputSize),
            (_, Some(0)) => Err(Error::InputSize),
            (KECCAK_COMMITMENT, _) if !address => Err(Error::ChallengeAddress),
            (GENERIC_COMMITMENT, _) if address => Err(Error::NoChallengeAddress),
            (KECCAK_COMMITMENT | GENERIC_COMMITMENT, _) => Ok(()),
            (other, _) => Err(Error::CommitmentType(other.to_owned())),
        }
    }
}

/// By time. Bedrock is active from the rollup's first block on.
impl OpHardforks for RollupConfig {
    fn op_fork_activation(&self, fork: OpHardfork) -> ForkCondition {
        if fork == OpHardfork::Bedrock {
            return ForkCondition::Block(self.genesis.l2.number);
        }
        let time = self.timed_forks().into_iter().find(|(name, _)| *name == fork);
        time.and_then(|(_, time)| time).map_or(ForkCondition::Never, ForkCondition::Timestamp)
    }
}

impl EthereumHardforks for RollupConfig {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        counterpart(fork).map_or_else(
            || {
                if fork > EthereumHardfork::Paris {
                    ForkCondition::Never
                } else {
                    ForkCondition::Block(self.genesis.l2.number)
                }
            },
            |fork| self.op_fork_activation(fork),
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// As written by op-node's tools for a chain at Karst.
    pub(crate) fn file() -> Value {
        let hash = |byte: u8| B256::repeat_byte(byte);
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

    pub(crate) fn config(value: Value) -> RollupConfig {
        serde_json::from_value(value).expect("a rollup config")
    }

    #[test]
    fn a_file_is_written_as_it_was_read() {
        let read = config(file());
        assert!(read.check().is_ok());
        assert_eq!(serde_json::to_value(&read).expect("JSON"), file());
        assert_eq!(read.genesis.system_config.ecotone_scalars(), Ok((1368, 810_949)));
        // Order of the fields as in Go.
        let text = serde_json::to_string(&read).expect("JSON");
        let at = |field: &str| text.find(&format!("\"{field}\"")).expect(field);
        for pair in [
            "genesis",
            "block_time",
            "max_sequencer_drift",
            "seq_window_size",
            "channel_timeout",
            "l1_chain_id",
            "l2_chain_id",
            "regolith_time",
            "karst_time",
            "batch_inbox_address",
            "deposit_contract_address",
            "l1_system_config_address",
            "chain_op_config",
        ]
        .windows(2)
        {
            assert!(at(pair[0]) < at(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn alt_da_always_names_its_contract() {
        let mut value = file();
        value["alt_da"] = json!({
            "da_commitment_type": "GenericCommitment", "da_challenge_window": 5, "da_resolve_window": 6,
        });
        let read = config(value);
        assert!(read.check().is_ok());
        let written = serde_json::to_value(read.alt_da).expect("JSON");
        assert_eq!(written["da_challenge_contract_address"], json!(Address::ZERO));
        assert_eq!(written.get("da_max_input_size"), None);
    }

    fn error(change: &dyn Fn(&mut Value)) -> String {
        let mut value = file();
        change(&mut value);
        config(value).check().expect_err("refused").to_string()
    }

    #[test]
    fn what_op_node_insists_on_is_checked() {
        assert_eq!(
            error(&|v| {
                v.as_object_mut().expect("an object").remove("max_sequencer_drift");
            }),
            "maximum sequencer drift must be greater than 0"
        );
        assert!(error(&|v| v["seq_window_size"] = json!(1)).contains("at least be 2"));
        assert!(error(&|v| v["l2_chain_id"] = json!(900)).contains("chain IDs"));
        assert!(error(&|v| v["genesis"]["l2"] = v["genesis"]["l1"].clone()).contains("the same"));
        assert!(error(&|v| v["genesis"]["l2_time"] = json!(0)).contains("genesis time"));
        assert!(
            error(&|v| v["genesis"]["system_config"]["gasLimit"] = json!(0)).contains("gas limit")
        );
        assert!(error(&|v| v["chain_op_config"] = Value::Null).contains("chain_op_config"));
        assert!(
            error(&|v| v["chain_op_config"]["eip1559DenominatorCanyon"] = json!(0))
                .contains("eip1559DenominatorCanyon")
        );
        assert_eq!(
            error(&|v| v["granite_time"] = Value::Null),
            "fork holocene set (to 0), but prior fork granite missing"
        );
        assert_eq!(
            error(&|v| v["jovian_time"] = json!(9)),
            "fork karst set to 0, but prior fork jovian has higher offset 9"
        );
    }

    #[test]
    fn alt_da_is_checked() {
        let alt_da = |value: Value| error(&|v| v["alt_da"] = value.clone());
        let base = json!({"da_commitment_type": "KeccakCommitment", "da_challenge_window": 5, "da_resolve_window": 6});
        assert!(alt_da(base.clone()).contains("must set da_challenge_contract_address"));
        let with = |field: &str, value: Value| {
            let mut it = base.clone();
            it[field] = value;
            it
        };
        assert!(alt_da(with("da_commitment_type", json!("Magic"))).contains("Magic"));
        assert!(alt_da(with("da_max_input_size", json!(0))).contains("greater than zero"));
        let mut generic = with("da_commitment_type", json!(GENERIC_COMMITMENT));
        generic["da_challenge_contract_address"] = json!(Address::repeat_byte(1));
        assert!(alt_da(generic.clone()).contains("must set empty"));
        generic["da_max_input_size"] = json!(9);
        assert!(alt_da(generic).contains("must be omitted"));
    }

    #[test]
    fn another_chain_is_refused() {
        let chain = ChainSpec::devnet();
        let mut rollup = config(file());
        rollup.genesis.l2.hash = chain.genesis_hash();
        rollup.genesis.l2_time = chain.genesis_header().timestamp;
        assert!(rollup.check_chain(&chain).is_ok());
        let refused = |change: &dyn Fn(&mut RollupConfig)| {
            let mut other = rollup.clone();
            change(&mut other);
            other.check_chain(&chain).expect_err("refused").to_string()
        };
        assert!(refused(&|it| it.l2_chain_id = 10).contains("chain id 10"));
        assert!(refused(&|it| it.genesis.l2.hash.0[0] ^= 1).contains("genesis hash"));
        assert!(refused(&|it| it.genesis.l2_time += 1).contains("genesis time"));
        assert!(refused(&|it| it.karst_time = None).contains("Karst never"));
    }

    #[test]
    fn blocks_have_their_times() {
        let rollup = config(file());
        let start = rollup.genesis.l2_time;
        assert_eq!(rollup.timestamp_of(3), start + 6);
        assert_eq!(rollup.number_at(start + 7), Some(3));
        assert_eq!(rollup.number_at(start - 1), None);
    }

    #[test]
    fn forks_activate_once() {
        let mut rollup = config(file());
        let start = rollup.genesis.l2_time;
        rollup.karst_time = Some(start + 3);
        let first = |time| rollup.is_activation_block(OpHardfork::Karst, time);
        assert!(!first(start + 2) && first(start + 4) && !first(start + 6));
        assert!(!rollup.is_activation_block(OpHardfork::Jovian, start + 2));
        assert!(rollup.is_osaka_active_at_timestamp(start + 3));
        assert!(rollup.is_delta_active_at_timestamp(start));
        assert_eq!(rollup.max_sequencer_drift(0), 1_800);
        assert_eq!(RollupConfig::channel_timeout(&rollup, 0), 50);
        rollup.granite_time = None;
        assert_eq!(RollupConfig::channel_timeout(&rollup, 0), 300);
    }
}
