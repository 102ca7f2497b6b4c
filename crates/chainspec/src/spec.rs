//! A chain: genesis, forks, fees.

use std::path::Path;

use alloy_consensus::{BlockHeader, Header};
use alloy_eips::{
    calc_next_block_base_fee,
    eip1559::BaseFeeParams,
    eip2124::{ForkHash, ForkId},
};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{Address, B256};
use reth_primitives_traits::SealedHeader;

use crate::{
    ChainOpConfig, ChainSpecError, Hardforks, extra_data, file,
    header::{genesis_header, state_root},
    preset::{DEVNET, OP_MAINNET, OP_SEPOLIA, Preset},
};

/// Largest genesis file that is read, in bytes.
const MAX_GENESIS_BYTES: u64 = 1 << 30;

/// Everything that two nodes must agree on before the first block.
#[derive(Debug, Clone)]
pub struct ChainSpec {
    genesis: Genesis,
    genesis_header: SealedHeader,
    has_state: bool,
    hardforks: Hardforks,
    before_canyon: BaseFeeParams,
    from_canyon: BaseFeeParams,
    attribution_time: Option<u64>,
}

impl ChainSpec {
    /// A chain from a genesis in the OP format: geth's alloc, `config.optimism`, fork times.
    ///
    /// # Errors
    /// Fork times that are no numbers or out of order, missing or zero EIP-1559 parameters, a
    /// number other than 0, an `extraData` from which block 1 could not have a base fee.
    pub fn from_genesis(genesis: Genesis) -> Result<Self, ChainSpecError> {
        let root = state_root(&genesis);
        Self::new(genesis, root, true)
    }

    fn new(genesis: Genesis, root: B256, has_state: bool) -> Result<Self, ChainSpecError> {
        if let Some(number) = genesis.number.filter(|number| *number != 0) {
            return Err(ChainSpecError::Number(number));
        }
        let hardforks = Hardforks::from_config(&genesis.config)?;
        let (before_canyon, from_canyon) = base_fee_params(&genesis, &hardforks)?;
        let attribution_time = extra_field(&genesis, "attributionTime")?.flatten();
        let header = genesis_header(&genesis, &hardforks, root)?;
        // op-geth would divide by what block 0 says here when it makes block 1.
        if hardforks.is_holocene_active_at_timestamp(header.timestamp) {
            extra_data::decode(&header.extra_data).map_err(ChainSpecError::GenesisExtraData)?;
        }
        Ok(Self {
            genesis,
            genesis_header: SealedHeader::seal_slow(header),
            has_state,
            hardforks,
            before_canyon,
            from_canyon,
            attribution_time,
        })
    }

    /// A chain from a genesis file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ChainSpecError> {
        Self::from_genesis(file::read_json(path.as_ref(), "genesis", MAX_GENESIS_BYTES)?)
    }

    /// What `--chain` names: a preset, or a genesis file.
    pub fn parse(chain: &str) -> Result<Self, ChainSpecError> {
        match Preset::by_name(chain) {
            Some(preset) => Ok(Self::preset(preset)),
            None if Path::new(chain).exists() => Self::from_file(chain),
            None => Err(ChainSpecError::UnknownChain(chain.to_owned())),
        }
    }

    /// Karst from genesis with nothing in it but anvil's ten funded accounts, a message passer and
    /// the two system contracts of Ethereum: no OP contracts, so no L1 fee. What a test or an
    /// execution client alone needs. The genesis of a whole devnet holds bytecode that is installed
    /// and not embedded: `ascribe genesis` makes it, [`Self::from_file`] reads it.
    pub fn devnet() -> Self {
        Self::preset(&DEVNET)
    }

    /// The rules and the genesis header of OP Mainnet, without its state.
    pub fn op_mainnet() -> Self {
        Self::preset(&OP_MAINNET)
    }

    /// The rules and the genesis header of OP Sepolia, without its state.
    pub fn op_sepolia() -> Self {
        Self::preset(&OP_SEPOLIA)
    }

    fn preset(preset: &Preset) -> Self {
        let genesis: Genesis =
            serde_json::from_str(preset.genesis).expect("invariant: embedded genesis is JSON");
        let root = preset.state_root.unwrap_or_else(|| state_root(&genesis));
        Self::new(genesis, root, preset.state_root.is_none())
            .expect("invariant: embedded genesis is valid")
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

    /// Header of block 0.
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

    /// Activation of every fork.
    pub const fn hardforks(&self) -> &Hardforks {
        &self.hardforks
    }

    /// The newest fork that is active at `timestamp`.
    pub fn active_fork(&self, timestamp: u64) -> OpHardfork {
        self.hardforks
            .iter()
            .rev()
            .find(|(_, at)| at.active_at_timestamp(timestamp))
            .map_or(OpHardfork::Bedrock, |(fork, _)| fork)
    }

    /// Fork identifier (EIP-2124, EIP-6122) at a block: what came before it and what comes next.
    pub fn fork_id(&self, number: u64, timestamp: u64) -> ForkId {
        let config = &self.genesis.config;
        let bedrock = self.op_fork_activation(OpHardfork::Bedrock).block_number();
        let mut blocks: Vec<u64> = [
            config.homestead_block,
            config.dao_fork_block,
            config.eip150_block,
            config.eip155_block,
            config.eip158_block,
            config.byzantium_block,
            config.constantinople_block,
            config.petersburg_block,
            config.istanbul_block,
            config.muir_glacier_block,
            config.berlin_block,
            config.london_block,
            config.arrow_glacier_block,
            config.gray_glacier_block,
            config.merge_netsplit_block,
            bedrock,
        ]
        .into_iter()
        .flatten()
        .filter(|block| *block != 0)
        .collect();
        blocks.sort_unstable();
        blocks.dedup();
        // Already sorted; a fork that is active at genesis does not count.
        let mut times: Vec<u64> = self
            .hardforks
            .iter()
            .filter_map(|(_, at)| at.as_timestamp())
            .filter(|time| *time > self.genesis.timestamp)
            .collect();
        times.dedup();

        let mut hash = ForkHash::from(self.genesis_hash());
        let steps = blocks
            .into_iter()
            .map(|block| (block, block <= number))
            .chain(times.into_iter().map(|time| (time, time <= timestamp)));
        for (at, passed) in steps {
            if !passed {
                return ForkId { hash, next: at };
            }
            hash += at;
        }
        ForkId { hash, next: 0 }
    }

    /// Time from which the attribution precompile is part of the chain, in seconds; `None` is never.
    pub const fn attribution_time(&self) -> Option<u64> {
        self.attribution_time
    }

    /// The chain's own EIP-1559 parameters for a block at `timestamp`: what counts before Holocene,
    /// and what zero in payload attributes means from then on.
    pub fn base_fee_params_at(&self, timestamp: u64) -> BaseFeeParams {
        if self.is_canyon_active_at_timestamp(timestamp) {
            self.from_canyon
        } else {
            self.before_canyon
        }
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

/// A field of `config` that geth's own configuration does not have.
fn extra_field<T: serde::de::DeserializeOwned>(
    genesis: &Genesis,
    field: &'static str,
) -> Result<Option<T>, ChainSpecError> {
    let value = genesis.config.extra_fields.get_deserialized(field).transpose();
    value.map_err(|error| ChainSpecError::Field { field, reason: error.to_string() })
}

/// EIP-1559 parameters of `config.optimism`, before and from Canyon.
fn base_fee_params(
    genesis: &Genesis,
    forks: &impl OpHardforks,
) -> Result<(BaseFeeParams, BaseFeeParams), ChainSpecError> {
    let invalid = |reason: &str| ChainSpecError::Field { field: "optimism", reason: reason.into() };
    let optimism: ChainOpConfig = extra_field(genesis, "optimism")?
        .ok_or_else(|| invalid("missing, so this is not the genesis of an OP Stack chain"))?;
    let fits = |value: u64, zero: &str| {
        // A header keeps these in 32 bits.
        match u32::try_from(value) {
            Ok(0) => Err(invalid(zero)),
            Ok(value) => Ok(u128::from(value)),
            Err(_) => Err(invalid(&format!("{value} does not fit into 32 bits"))),
        }
    };
    let elasticity = fits(optimism.eip1559_elasticity, "zero EIP1559Elasticity")?;
    let denominator = fits(optimism.eip1559_denominator, "zero EIP1559Denominator")?;
    let canyon = forks.op_fork_activation(OpHardfork::Canyon) != ForkCondition::Never;
    let from_canyon = if canyon {
        let denominator = optimism.eip1559_denominator_canyon.unwrap_or_default();
        fits(denominator, "missing or zero EIP1559DenominatorCanyon")?
    } else {
        denominator
    };
    Ok((BaseFeeParams::new(denominator, elasticity), BaseFeeParams::new(from_canyon, elasticity)))
}

impl EthereumHardforks for ChainSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.hardforks.ethereum_fork_activation(fork)
    }
}

impl OpHardforks for ChainSpec {
    fn op_fork_activation(&self, fork: OpHardfork) -> ForkCondition {
        self.hardforks.op_fork_activation(fork)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{U256, b256, hex};
    use serde_json::{Value, json};

    use super::*;

    fn genesis(last_fork: &str) -> Value {
        let mut config = json!({
            "chainId": 901, "bedrockBlock": 0,
            "optimism": {"eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250},
        });
        for fork in [
            "regolith", "canyon", "ecotone", "fjord", "granite", "holocene", "isthmus", "jovian",
            "karst",
        ] {
            let name = format!("{fork}Time");
            config[&name] = json!(0);
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
    fn the_newest_active_fork_rules() {
        let spec = ChainSpec::op_sepolia();
        let karst = 1_781_712_001;
        assert_eq!(spec.active_fork(0), OpHardfork::Regolith);
        assert_eq!(spec.active_fork(karst - 1), OpHardfork::Jovian);
        assert_eq!(spec.active_fork(karst), OpHardfork::Karst);
    }

    #[test]
    fn the_genesis_header_follows_its_fork() {
        let karst = spec(genesis("karstTime")).expect("valid");
        let header = karst.genesis_header();
        // As op-geth writes it where there is no message passer.
        assert_eq!(header.withdrawals_root, Some(B256::ZERO));
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
    fn bad_values_are_named() {
        let error = |change: &dyn Fn(&mut Value)| {
            let mut genesis = genesis("karstTime");
            change(&mut genesis);
            spec(genesis).expect_err("refused").to_string()
        };
        assert!(error(&|g| g["config"]["fjordTime"] = json!("soon")).contains("config.fjordTime"));
        assert!(
            error(&|g| g["config"]["optimism"]["eip1559Elasticity"] = json!(0))
                .contains("zero EIP1559Elasticity")
        );
        assert!(
            error(&|g| g["config"]["optimism"] =
                json!({"eip1559Elasticity": 6, "eip1559Denominator": 50}))
            .contains("missing or zero EIP1559DenominatorCanyon")
        );
        assert!(
            error(&|g| g["config"]["optimism"]["eip1559Denominator"] = json!(1u64 << 32))
                .contains("4294967296 does not fit")
        );
        assert!(
            error(&|g| {
                g["config"].as_object_mut().expect("an object").remove("optimism");
            })
            .contains("not the genesis of an OP Stack chain")
        );
        assert_eq!(error(&|g| g["number"] = json!("0x5")), "the genesis has number 5, must be 0");
        assert!(error(&|g| g["extraData"] = json!("0x")).contains("invalid extraData length 0"));
        assert!(error(&|g| g["config"]["attributionTime"] = json!(-1)).contains("attributionTime"));
        assert!(matches!(ChainSpec::parse("nowhere"), Err(ChainSpecError::UnknownChain(_))));
    }

    #[test]
    fn fork_ids_step_through_the_forks() {
        // All forks at genesis: the checksum of the genesis hash alone.
        let devnet = ChainSpec::devnet();
        let expected = ForkId { hash: ForkHash::from(devnet.genesis_hash()), next: 0 };
        assert_eq!(devnet.fork_id(0, 0), expected);
        assert_eq!(devnet.fork_id(9, 9), expected);

        let sepolia = ChainSpec::op_sepolia();
        let genesis = ForkHash::from(sepolia.genesis_hash());
        let (canyon, ecotone) = (1_699_981_200_u64, 1_708_534_800_u64);
        assert_eq!(sepolia.fork_id(0, canyon - 1), ForkId { hash: genesis, next: canyon });
        assert_eq!(sepolia.fork_id(0, canyon), ForkId { hash: genesis + canyon, next: ecotone });
        assert_eq!(sepolia.fork_id(0, u64::MAX).next, 0);
        // Berlin is the first block fork of OP Mainnet.
        assert_eq!(ChainSpec::op_mainnet().fork_id(0, 0).next, 3_950_000);
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
