//! A chain: genesis, forks, fees.

use std::path::Path;

use alloy_consensus::{BlockHeader, Header};
use alloy_eips::{calc_next_block_base_fee, eip1559::BaseFeeParams};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{Address, B256, U256};
use reth_primitives_traits::SealedHeader;
use serde::Deserialize;

use crate::{
    ChainSpecError, extra_data,
    header::genesis_header,
    preset::{OP_MAINNET, OP_SEPOLIA, Preset, TIMED_FORKS},
};

/// Largest genesis file that is read, in bytes.
const MAX_GENESIS_BYTES: u64 = 1 << 30;

/// EIP-1559 parameters of OP Mainnet and of chains that name none: denominator 50 before Canyon and
/// 250 from it on, elasticity 6.
pub const DEFAULT_BASE_FEE_PARAMS: OptimismConfig =
    OptimismConfig { elasticity: 6, denominator: 50, denominator_canyon: 250 };

/// `config.optimism` of a genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct OptimismConfig {
    /// Elasticity multiplier of EIP-1559.
    #[serde(rename = "eip1559Elasticity")]
    pub elasticity: u64,
    /// Base fee change denominator before Canyon.
    #[serde(rename = "eip1559Denominator")]
    pub denominator: u64,
    /// Base fee change denominator from Canyon on.
    #[serde(rename = "eip1559DenominatorCanyon", default = "default_denominator_canyon")]
    pub denominator_canyon: u64,
}

const fn default_denominator_canyon() -> u64 {
    DEFAULT_BASE_FEE_PARAMS.denominator_canyon
}

/// Everything that two nodes must agree on before the first block.
#[derive(Debug, Clone)]
pub struct ChainSpec {
    genesis: Genesis,
    genesis_header: SealedHeader,
    has_state: bool,
    /// Bedrock first.
    forks: Vec<(OpHardfork, ForkCondition)>,
    optimism: OptimismConfig,
    attribution_time: Option<u64>,
}

impl ChainSpec {
    /// A chain from a genesis in the OP format.
    ///
    /// # Errors
    /// A fork time that is no number or out of order, EIP-1559 parameters of zero, and a genesis
    /// `extraData` that its fork does not allow.
    pub fn from_genesis(genesis: Genesis) -> Result<Self, ChainSpecError> {
        let extra = &genesis.config.extra_fields;
        let time = |name: &'static str| -> Result<Option<u64>, ChainSpecError> {
            match extra.get_deserialized::<Option<u64>>(name) {
                None => Ok(None),
                Some(value) => value.map_err(|error| ChainSpecError::Field {
                    field: name,
                    reason: error.to_string(),
                }),
            }
        };
        let bedrock = time("bedrockBlock")?.map_or(ForkCondition::Block(0), ForkCondition::Block);
        let mut forks = vec![(OpHardfork::Bedrock, bedrock)];
        let mut earlier: Option<(&'static str, Option<u64>)> = None;
        for (fork, name) in TIMED_FORKS {
            let at = time(name)?;
            if let (Some(at), Some((earlier, before))) = (at, earlier)
                && before.is_none_or(|before| before > at)
            {
                let when =
                    before.map_or_else(|| "is not set".to_owned(), |t| format!("only at {t}"));
                return Err(ChainSpecError::ForkOrder { fork: name, time: at, earlier, when });
            }
            if let Some(at) = at {
                forks.push((fork, ForkCondition::Timestamp(at)));
            }
            earlier = Some((name, at));
        }
        let optimism = match extra.get_deserialized::<OptimismConfig>("optimism") {
            None => DEFAULT_BASE_FEE_PARAMS,
            Some(value) => value.map_err(|error| ChainSpecError::Field {
                field: "optimism",
                reason: error.to_string(),
            })?,
        };
        if optimism.elasticity == 0 || optimism.denominator == 0 || optimism.denominator_canyon == 0
        {
            let reason = "elasticity and denominators must not be zero".to_owned();
            return Err(ChainSpecError::Field { field: "optimism", reason });
        }
        let attribution_time = time("attributionTime")?;

        let mut spec = Self {
            genesis_header: SealedHeader::default(),
            genesis,
            has_state: true,
            forks,
            optimism,
            attribution_time,
        };
        let header = genesis_header(&spec.genesis, &spec)?;
        // op-node and op-geth divide by what block 0 says here when they make block 1.
        if spec.is_holocene_active_at_timestamp(header.timestamp) {
            extra_data::decode(&header.extra_data)?;
        }
        spec.genesis_header = SealedHeader::seal_slow(header);
        Ok(spec)
    }

    /// A chain from a genesis file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ChainSpecError> {
        let path = path.as_ref();
        let read = |source| ChainSpecError::Read { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(read)?.len();
        if bytes > MAX_GENESIS_BYTES {
            let path = path.to_owned();
            return Err(ChainSpecError::TooLarge { path, bytes, limit: MAX_GENESIS_BYTES });
        }
        let text = std::fs::read(path).map_err(read)?;
        let genesis = serde_json::from_slice(&text)
            .map_err(|source| ChainSpecError::Json { path: path.to_owned(), source })?;
        Self::from_genesis(genesis)
    }

    /// What `--chain` names: a preset, or a genesis file.
    pub fn parse(chain: &str) -> Result<Self, ChainSpecError> {
        match chain {
            "op-mainnet" => Ok(Self::op_mainnet()),
            "op-sepolia" => Ok(Self::op_sepolia()),
            "devnet" => Ok(Self::devnet()),
            path if Path::new(path).exists() => Self::from_file(path),
            other => Err(ChainSpecError::UnknownChain(other.to_owned())),
        }
    }

    /// Karst from genesis with nothing in it but anvil's ten funded accounts and a message passer:
    /// no contracts. What a test or an execution client alone needs; `ascribe genesis` makes a
    /// devnet with all predeploys.
    pub fn devnet() -> Self {
        let genesis = serde_json::from_str(include_str!("../devnet.json"))
            .expect("invariant: the embedded genesis is valid");
        Self::from_genesis(genesis).expect("invariant: the embedded genesis is valid")
    }

    /// The rules of OP Mainnet, without its state.
    pub fn op_mainnet() -> Self {
        Self::preset(&OP_MAINNET)
    }

    /// The rules of OP Sepolia, without its state.
    pub fn op_sepolia() -> Self {
        Self::preset(&OP_SEPOLIA)
    }

    fn preset(preset: &Preset) -> Self {
        let mut genesis = Genesis::default();
        genesis.config.chain_id = preset.chain_id;
        Self {
            genesis,
            genesis_header: SealedHeader::default(),
            has_state: false,
            forks: preset.forks(),
            optimism: DEFAULT_BASE_FEE_PARAMS,
            attribution_time: None,
        }
    }

    /// Chain id (EIP-155).
    pub const fn chain_id(&self) -> u64 {
        self.genesis.config.chain_id
    }

    /// The genesis as it was read. Without alloc for presets.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Whether the genesis state is known, so that a database can begin with it.
    pub const fn has_state(&self) -> bool {
        self.has_state
    }

    /// Header of block 0; meaningless where [`Self::has_state`] is false.
    pub const fn genesis_header(&self) -> &SealedHeader {
        &self.genesis_header
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.genesis_header.hash()
    }

    /// The accounts of block 0, by address.
    pub fn genesis_accounts(&self) -> impl Iterator<Item = (Address, &GenesisAccount)> {
        self.genesis.alloc.iter().map(|(address, account)| (*address, account))
    }

    /// Every fork that is set, with its activation, Bedrock first.
    pub fn forks(&self) -> &[(OpHardfork, ForkCondition)] {
        &self.forks
    }

    /// The newest fork that is active at `timestamp`.
    pub fn active_fork(&self, timestamp: u64) -> OpHardfork {
        self.forks
            .iter()
            .rev()
            .find(|(_, at)| at.active_at_timestamp(timestamp))
            .map_or(OpHardfork::Bedrock, |(fork, _)| *fork)
    }

    /// `config.optimism`.
    pub const fn optimism(&self) -> OptimismConfig {
        self.optimism
    }

    /// Time from which the attribution precompile is part of the chain, in seconds; `None` is never.
    pub const fn attribution_time(&self) -> Option<u64> {
        self.attribution_time
    }

    /// The chain's own EIP-1559 parameters for a block at `timestamp`: what counts before Holocene,
    /// and what zero in payload attributes means from then on.
    pub fn base_fee_params_at(&self, timestamp: u64) -> BaseFeeParams {
        let denominator = if self.is_canyon_active_at_timestamp(timestamp) {
            self.optimism.denominator_canyon
        } else {
            self.optimism.denominator
        };
        BaseFeeParams::new(denominator.into(), self.optimism.elasticity.into())
    }

    /// Base fee, in wei, of the block at `timestamp` that follows `parent`.
    ///
    /// From Holocene the parameters are the parent's `extraData`; from Jovian the parent's DA
    /// footprint counts as gas when it is larger, and the parent's minimum base fee is a floor.
    pub fn next_block_base_fee(
        &self,
        parent: &Header,
        timestamp: u64,
    ) -> Result<u64, ChainSpecError> {
        let base_fee = parent.base_fee_per_gas.ok_or(ChainSpecError::NoBaseFee)?;
        if !self.is_holocene_active_at_timestamp(parent.timestamp()) {
            let params = self.base_fee_params_at(timestamp);
            return Ok(calc_next_block_base_fee(
                parent.gas_used,
                parent.gas_limit,
                base_fee,
                params,
            ));
        }
        let extra = extra_data::decode(&parent.extra_data)?;
        let mut gas_used = parent.gas_used;
        if self.is_jovian_active_at_timestamp(parent.timestamp()) {
            gas_used = gas_used.max(parent.blob_gas_used.unwrap_or_default());
        }
        let params = extra.base_fee_params();
        let next = calc_next_block_base_fee(gas_used, parent.gas_limit, base_fee, params);
        Ok(next.max(extra.min_base_fee.unwrap_or_default()))
    }
}

impl EthereumHardforks for ChainSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        match fork {
            EthereumHardfork::Shanghai => self.op_fork_activation(OpHardfork::Canyon),
            EthereumHardfork::Cancun => self.op_fork_activation(OpHardfork::Ecotone),
            EthereumHardfork::Prague => self.op_fork_activation(OpHardfork::Isthmus),
            EthereumHardfork::Osaka => self.op_fork_activation(OpHardfork::Karst),
            EthereumHardfork::London
            | EthereumHardfork::ArrowGlacier
            | EthereumHardfork::GrayGlacier => self.op_fork_activation(OpHardfork::Bedrock),
            EthereumHardfork::Paris => ForkCondition::TTD {
                activation_block_number: 0,
                fork_block: None,
                total_difficulty: U256::ZERO,
            },
            before if before < EthereumHardfork::London => ForkCondition::Block(0),
            _ => ForkCondition::Never,
        }
    }
}

impl OpHardforks for ChainSpec {
    /// The interop fork is never active: its rules are not part of this node.
    fn op_fork_activation(&self, fork: OpHardfork) -> ForkCondition {
        self.forks
            .iter()
            .find(|(name, _)| *name == fork)
            .map_or(ForkCondition::Never, |(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{b256, hex};
    use serde_json::{Value, json};

    use super::*;

    fn genesis(last_fork: &str) -> Value {
        let mut config = json!({
            "chainId": 901, "bedrockBlock": 0,
            "optimism": {"eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250},
        });
        for (_, name) in TIMED_FORKS {
            config[name] = json!(0);
            if name == last_fork {
                break;
            }
        }
        json!({
            "config": config, "alloc": {}, "difficulty": "0x0", "gasLimit": "0x3938700",
            "timestamp": "0x0", "extraData": "0x01000000fa000000060000000000000000",
            "baseFeePerGas": "0x3b9aca00",
        })
    }

    fn spec(genesis: Value) -> Result<ChainSpec, ChainSpecError> {
        ChainSpec::from_genesis(serde_json::from_value(genesis).expect("a genesis"))
    }

    #[test]
    fn forks_switch_their_ethereum_counterparts() {
        let spec = ChainSpec::op_sepolia();
        let karst = 1_781_712_001;
        assert_eq!(spec.active_fork(karst - 1), OpHardfork::Jovian);
        assert_eq!(spec.active_fork(karst), OpHardfork::Karst);
        assert!(spec.is_osaka_active_at_timestamp(karst));
        assert!(!spec.is_osaka_active_at_timestamp(karst - 1));
        assert!(spec.is_prague_active_at_timestamp(1_744_905_600));
        assert!(!spec.is_interop_active_at_timestamp(u64::MAX));
        assert!(!spec.has_state());
    }

    #[test]
    fn the_genesis_header_follows_its_fork() {
        let karst = spec(genesis("karstTime")).expect("valid");
        let header = karst.genesis_header();
        assert_eq!(header.withdrawals_root, Some(alloy_trie::EMPTY_ROOT_HASH));
        assert_eq!(
            header.requests_hash,
            Some(b256!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
        );
        assert_eq!(header.blob_gas_used, Some(0));
        let mut canyon = genesis("canyonTime");
        canyon["extraData"] = json!("0x");
        let canyon = spec(canyon).expect("valid");
        assert_eq!(canyon.genesis_header().parent_beacon_block_root, None);
        assert_eq!(canyon.genesis_header().requests_hash, None);
    }

    #[test]
    fn the_message_passer_is_the_withdrawals_root() {
        let mut with_slot = genesis("karstTime");
        with_slot["alloc"]["4200000000000000000000000000000000000016"] = json!({
            "balance": "0x0", "code": "0x00", "storage": {(B256::ZERO.to_string()): format!("0x{:064x}", 1)},
        });
        let spec = spec(with_slot).expect("valid");
        // The trie of the one leaf keccak(0) → 1.
        let leaf = alloy_trie::root::storage_root_unhashed([(B256::ZERO, U256::from(1))]);
        assert_eq!(spec.genesis_header().withdrawals_root, Some(leaf));
    }

    #[test]
    fn forks_out_of_order_are_refused() {
        let mut gap = genesis("karstTime");
        gap["config"].as_object_mut().expect("an object").remove("graniteTime");
        let error = spec(gap).expect_err("a gap").to_string();
        assert_eq!(error, "the genesis activates holoceneTime at 0, but graniteTime is not set");
        let mut late = genesis("karstTime");
        late["config"]["jovianTime"] = json!(9);
        assert!(matches!(spec(late), Err(ChainSpecError::ForkOrder { .. })));
    }

    #[test]
    fn bad_values_are_named() {
        let mut bad = genesis("karstTime");
        bad["config"]["fjordTime"] = json!("soon");
        assert!(spec(bad).expect_err("no number").to_string().contains("config.fjordTime"));
        let mut zero = genesis("karstTime");
        zero["config"]["optimism"]["eip1559Elasticity"] = json!(0);
        assert!(spec(zero).is_err());
        let mut extra = genesis("karstTime");
        extra["extraData"] = json!("0x");
        assert!(matches!(spec(extra), Err(ChainSpecError::ExtraData(_))));
        assert!(matches!(ChainSpec::parse("nowhere"), Err(ChainSpecError::UnknownChain(_))));
    }

    #[test]
    fn base_fees_follow_the_parent() {
        let spec = spec(genesis("karstTime")).expect("valid");
        let mut parent = Header {
            gas_limit: 60_000_000,
            gas_used: 0,
            base_fee_per_gas: Some(1_000_000_000),
            extra_data: hex!("01000000fa000000060000000000000000").into(),
            blob_gas_used: Some(0),
            ..Default::default()
        };
        // An empty block lowers the fee by 1/250.
        assert_eq!(spec.next_block_base_fee(&parent, 2).ok(), Some(996_000_000));
        // The footprint counts where it is larger than the gas.
        parent.blob_gas_used = Some(60_000_000);
        assert_eq!(spec.next_block_base_fee(&parent, 2).ok(), Some(1_020_000_000));
        // The parent's minimum is a floor.
        parent.blob_gas_used = Some(0);
        parent.extra_data = hex!("01000000fa000000060000000077359400").into();
        assert_eq!(spec.next_block_base_fee(&parent, 2).ok(), Some(2_000_000_000));
        parent.extra_data = Default::default();
        assert!(spec.next_block_base_fee(&parent, 2).is_err());
    }

    #[test]
    fn the_attribution_fork_is_off_until_it_is_set() {
        assert_eq!(spec(genesis("karstTime")).expect("valid").attribution_time(), None);
        let mut on = genesis("karstTime");
        on["config"]["attributionTime"] = json!(7);
        assert_eq!(spec(on).expect("valid").attribution_time(), Some(7));
    }
}
