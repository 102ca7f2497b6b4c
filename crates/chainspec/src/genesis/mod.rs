//! A chain that does not exist yet: `genesis.json` and `rollup.json` from a configuration, an L1
//! block, and contracts.
//!
//! The state is laid out as op-deployer lays it out: proxies at all 2,048 addresses of the predeploy
//! namespace, implementations at `0xc0D3…`, preinstalls, the system contracts of Ethereum, and a wei
//! at each precompile. Where the contracts come from is the caller's choice: [`alloc_from_artifacts`]
//! takes them from the forge project in `contracts/`, [`alloc_from_file`] from an official alloc.

mod artifacts;
mod config;
mod error;
mod predeploys;
mod preinstalls;

use std::{collections::BTreeMap, path::Path};

use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, U256};
use serde_json::Value;

pub use artifacts::Artifacts;
pub use config::{
    AttributionConfig, ContractConfig, DevAccount, DevnetConfig, FeeConfig, FollowConfig,
    ForkOffsets, L1Config, L2Config,
};
pub use error::GenesisError;

use crate::{
    BlockId, ChainOpConfig, ChainSpec, FileError, GenesisIds, RollupConfig, SystemConfig,
    extra_data, file,
    predeploys::{L1_BLOCK, L2_TO_L1_MESSAGE_PASSER, SEQUENCER_FEE_VAULT},
};

/// Largest alloc that is read, in bytes.
const MAX_ALLOC_BYTES: u64 = 1 << 30;
/// Wei in an ether.
const ETHER: u64 = 1_000_000_000_000_000_000;
/// EIP-1559 denominator before Canyon; no block of a new chain is that old, but clients want it.
const DENOMINATOR_BEFORE_CANYON: u64 = 50;

/// Accounts of a genesis, by address.
pub type Alloc = BTreeMap<Address, GenesisAccount>;

/// The L1 block that a rollup begins after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L1Start {
    /// Hash.
    pub hash: B256,
    /// Number.
    pub number: u64,
    /// Time, in seconds; also that of L2's block 0.
    pub timestamp: u64,
}

/// A new chain.
#[derive(Debug, Clone)]
pub struct NewChain {
    /// What op-geth, op-reth and we begin a database with.
    pub genesis: Genesis,
    /// What op-node and we follow L1 by.
    pub rollup: RollupConfig,
}

/// The predeploys and preinstalls from the forge project in `dir`, built and with its packages.
pub fn alloc_from_artifacts(config: &DevnetConfig, dir: &Path) -> Result<Alloc, GenesisError> {
    let artifacts = Artifacts::new(dir);
    let mut alloc = predeploys::alloc(config, &artifacts)?;
    alloc.append(&mut preinstalls::alloc(config.l2.chain_id, &artifacts)?);
    Ok(alloc)
}

/// The predeploys and preinstalls from a file: an alloc, or a genesis that has one. Proxies that it
/// leaves out are added, with the code of those it has.
pub fn alloc_from_file(path: &Path) -> Result<Alloc, GenesisError> {
    let what = "genesis alloc";
    let mut file: Value = file::read_json(path, what, MAX_ALLOC_BYTES)?;
    let alloc = file.get_mut("alloc").map(Value::take).unwrap_or(file);
    let json = |source| FileError::Json { path: path.to_owned(), what, source };
    let mut alloc: Alloc = serde_json::from_value(alloc).map_err(json)?;
    let missing =
        |name, address| GenesisError::NoPredeploy { path: path.to_owned(), name, address };
    predeploys::proxy_code(&alloc, L1_BLOCK).ok_or_else(|| missing("L1Block", L1_BLOCK))?;
    let passer = L2_TO_L1_MESSAGE_PASSER;
    let proxy = predeploys::proxy_code(&alloc, passer);
    let proxy = proxy.ok_or_else(|| missing("L2ToL1MessagePasser", passer))?;
    predeploys::fill_proxies(&mut alloc, &proxy);
    Ok(alloc)
}

/// The chain that `config` describes, with the contracts in `alloc`, after the L1 block `l1`.
///
/// # Errors
/// What [`DevnetConfig::check`] refuses, and forks or fees that make no chain.
pub fn new_chain(
    config: &DevnetConfig,
    mut alloc: Alloc,
    l1: L1Start,
) -> Result<NewChain, GenesisError> {
    config.check()?;
    preinstalls::add_system_contracts(&mut alloc);
    let balance = U256::from(config.l2.balance) * U256::from(ETHER);
    for account in &config.accounts {
        alloc.entry(account.address).or_default().balance = balance;
    }
    let fees = &config.fees;
    let params = extra_data::join_params(fees.eip1559_denominator, fees.eip1559_elasticity);
    let at_genesis = alloy_eips::eip1559::BaseFeeParams::new(
        fees.eip1559_denominator.into(),
        fees.eip1559_elasticity.into(),
    );
    let extra = if config.forks.jovian_at_genesis() {
        extra_data::encode_jovian(params, at_genesis, fees.min_base_fee)
    } else {
        extra_data::encode_holocene(params, at_genesis)
    };
    let genesis = Genesis {
        config: chain_config(config, l1.timestamp),
        nonce: 0,
        timestamp: l1.timestamp,
        extra_data: extra.map_err(crate::ChainSpecError::GenesisExtraData)?,
        gas_limit: config.l2.gas_limit,
        coinbase: SEQUENCER_FEE_VAULT,
        alloc,
        base_fee_per_gas: Some(config.l2.base_fee.into()),
        excess_blob_gas: Some(0),
        blob_gas_used: Some(0),
        number: Some(0),
        ..Default::default()
    };
    let chain = ChainSpec::from_genesis(genesis)?;
    let rollup = rollup_config(config, &chain, l1);
    rollup.check()?;
    rollup.check_chain(&chain)?;
    Ok(NewChain { genesis: chain.genesis().clone(), rollup })
}

/// `config` of `genesis.json`, in geth's words.
fn chain_config(config: &DevnetConfig, start: u64) -> ChainConfig {
    let karst = time_of(config.forks.karst, start);
    let mut chain = ChainConfig {
        chain_id: config.l2.chain_id,
        homestead_block: Some(0),
        eip150_block: Some(0),
        eip155_block: Some(0),
        eip158_block: Some(0),
        byzantium_block: Some(0),
        constantinople_block: Some(0),
        petersburg_block: Some(0),
        istanbul_block: Some(0),
        muir_glacier_block: Some(0),
        berlin_block: Some(0),
        london_block: Some(0),
        arrow_glacier_block: Some(0),
        gray_glacier_block: Some(0),
        merge_netsplit_block: Some(0),
        shanghai_time: Some(0),
        cancun_time: Some(0),
        prague_time: Some(0),
        osaka_time: karst,
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        ..Default::default()
    };
    let from_start = ["regolith", "canyon", "ecotone", "fjord", "granite", "holocene", "isthmus"];
    let fields = &mut chain.extra_fields;
    fields.insert("bedrockBlock".to_owned(), 0.into());
    for fork in from_start {
        fields.insert(format!("{fork}Time"), 0.into());
    }
    let later = [
        ("jovianTime", time_of(config.forks.jovian, start)),
        ("karstTime", karst),
        ("attributionTime", time_of(config.forks.attribution, start)),
    ];
    for (field, time) in later {
        if let Some(time) = time {
            fields.insert(field.to_owned(), time.into());
        }
    }
    let defaults = op_config(config);
    let optimism = serde_json::to_value(defaults).expect("invariant: numbers become JSON");
    fields.insert("optimism".to_owned(), optimism);
    chain
}

/// The time of a fork that begins `offset` seconds after `start`. What holds from the start has held
/// since time 0, as op-deployer writes it.
const fn time_of(offset: Option<u64>, start: u64) -> Option<u64> {
    match offset {
        Some(0) => Some(0),
        Some(offset) => Some(start.saturating_add(offset)),
        None => None,
    }
}

fn op_config(config: &DevnetConfig) -> ChainOpConfig {
    ChainOpConfig {
        eip1559_elasticity: config.fees.eip1559_elasticity.into(),
        eip1559_denominator: DENOMINATOR_BEFORE_CANYON,
        eip1559_denominator_canyon: Some(config.fees.eip1559_denominator.into()),
    }
}

fn rollup_config(config: &DevnetConfig, chain: &ChainSpec, l1: L1Start) -> RollupConfig {
    let (fees, follow, start) = (&config.fees, &config.rollup, Some(0));
    let jovian = config.forks.jovian_at_genesis();
    RollupConfig {
        genesis: GenesisIds {
            l1: BlockId { hash: l1.hash, number: l1.number },
            l2: BlockId { hash: chain.genesis_hash(), number: 0 },
            l2_time: l1.timestamp,
            system_config: SystemConfig {
                batcher_addr: follow.batcher,
                overhead: B256::ZERO,
                scalar: scalar(fees),
                gas_limit: config.l2.gas_limit,
                eip1559_params: extra_data::join_params(
                    fees.eip1559_denominator,
                    fees.eip1559_elasticity,
                ),
                operator_fee_params: operator_fee_params(fees),
                min_base_fee: if jovian { fees.min_base_fee } else { 0 },
                da_footprint_gas_scalar: if jovian { fees.da_footprint_gas_scalar } else { 0 },
            },
        },
        block_time: config.l2.block_time,
        max_sequencer_drift: follow.max_sequencer_drift,
        seq_window_size: follow.sequencing_window,
        channel_timeout: follow.channel_timeout,
        l1_chain_id: config.l1.chain_id,
        l2_chain_id: config.l2.chain_id,
        regolith_time: start,
        canyon_time: start,
        delta_time: start,
        ecotone_time: start,
        fjord_time: start,
        granite_time: start,
        holocene_time: start,
        isthmus_time: start,
        jovian_time: time_of(config.forks.jovian, l1.timestamp),
        karst_time: time_of(config.forks.karst, l1.timestamp),
        keep_karst_upgrade_gas: false,
        batch_inbox_address: follow.batch_inbox,
        deposit_contract_address: follow.deposit_contract,
        l1_system_config_address: follow.system_config,
        chain_op_config: Some(op_config(config)),
        alt_da: None,
        pectra_blob_schedule_time: None,
    }
}

/// The scalar word of version 1: blob base fee scalar and base fee scalar in the last eight bytes.
fn scalar(fees: &FeeConfig) -> B256 {
    let mut word = B256::ZERO;
    word.0[0] = 1;
    word.0[24..28].copy_from_slice(&fees.l1_blob_base_fee_scalar.to_be_bytes());
    word.0[28..].copy_from_slice(&fees.l1_base_fee_scalar.to_be_bytes());
    word
}

/// The word of the operator fee: scalar and constant in the last twelve bytes.
fn operator_fee_params(fees: &FeeConfig) -> B256 {
    let mut word = B256::ZERO;
    word.0[20..24].copy_from_slice(&fees.operator_fee_scalar.to_be_bytes());
    word.0[24..].copy_from_slice(&fees.operator_fee_constant.to_be_bytes());
    word
}

#[cfg(test)]
mod tests {
    use alloy_op_hardforks::{OpHardfork, OpHardforks};
    use alloy_primitives::{Bytes, address};

    use super::*;
    use crate::predeploys::PROXY_ADMIN;

    const START: L1Start =
        L1Start { hash: B256::repeat_byte(7), number: 3, timestamp: 1_700_000_000 };

    /// The least that a file of predeploys may hold: two of them behind proxies.
    fn two_predeploys() -> serde_json::Value {
        let mut alloc = serde_json::Map::new();
        for (proxy, code) in [(L1_BLOCK, "0x60"), (L2_TO_L1_MESSAGE_PASSER, "0x61")] {
            let implementation = predeploys::implementation_address(proxy);
            let storage = serde_json::json!({
                "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc":
                    implementation.into_word(),
                "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103":
                    PROXY_ADMIN.into_word(),
            });
            let account = serde_json::json!({"balance": "0x0", "code": "0x5f", "storage": storage});
            alloc.insert(proxy.to_string(), account);
            let account = serde_json::json!({"balance": "0x0", "code": code});
            alloc.insert(implementation.to_string(), account);
        }
        alloc.into()
    }

    fn read(alloc: &serde_json::Value) -> Result<Alloc, GenesisError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), alloc.to_string()).expect("written");
        alloc_from_file(file.path())
    }

    fn chain(config: &DevnetConfig) -> NewChain {
        let alloc = read(&two_predeploys()).expect("an alloc");
        new_chain(config, alloc, START).expect("a chain")
    }

    #[test]
    fn an_alloc_and_a_genesis_with_one_are_the_same() {
        let alloc = two_predeploys();
        let genesis = serde_json::json!({ "config": {}, "alloc": alloc });
        let read_alloc = read(&alloc).expect("an alloc");
        assert_eq!(read(&genesis).expect("a genesis"), read_alloc);
        // Proxies everywhere but at WETH and GovernanceToken, and two implementations.
        assert_eq!(read_alloc.len(), 2_046 + 2);
        let added = &read_alloc[&address!("4200000000000000000000000000000000000777")];
        assert_eq!(added.code, Some(Bytes::from_static(&[0x5f])));
    }

    #[test]
    fn an_alloc_without_the_message_passer_is_refused() {
        let mut alloc = two_predeploys();
        let map = alloc.as_object_mut().expect("an object");
        map.remove(&L2_TO_L1_MESSAGE_PASSER.to_string());
        let error = read(&alloc).expect_err("refused").to_string();
        assert!(error.contains("has no L2ToL1MessagePasser (0x4200"), "{error}");
        let error = read(&serde_json::json!({"0x12": {}})).expect_err("refused").to_string();
        assert!(error.contains("is not a genesis alloc: invalid"), "{error}");
    }

    #[test]
    fn both_files_describe_one_chain() {
        let config = DevnetConfig::devnet();
        let NewChain { genesis, rollup } = chain(&config);
        let text = serde_json::to_string(&genesis).expect("JSON");
        let read: Genesis = serde_json::from_str(&text).expect("a genesis");
        let chain = ChainSpec::from_genesis(read).expect("a chain");
        assert_eq!(chain.genesis_hash(), rollup.genesis.l2.hash);
        assert_eq!(chain.genesis_header().timestamp, START.timestamp);
        assert!(chain.is_karst_active_at_timestamp(START.timestamp));
        assert_ne!(chain.genesis_header().withdrawals_root, Some(B256::ZERO));
        let rich = config.accounts[0].address;
        assert_eq!(genesis.alloc[&rich].balance, U256::from(10_000) * U256::from(ETHER));
        assert_eq!(genesis.alloc[&Address::with_last_byte(1)].balance, U256::ONE);
        let scalars = rollup.genesis.system_config;
        assert_eq!(&scalars.scalar[28..], 909_u32.to_be_bytes());
        assert_eq!(&scalars.operator_fee_params[20..24], 3_500_u32.to_be_bytes());
        assert_eq!(&scalars.operator_fee_params[24..], 1_400_000_000_u64.to_be_bytes());
    }

    #[test]
    fn forks_begin_when_the_configuration_says() {
        let mut config = DevnetConfig::devnet();
        config.forks = ForkOffsets { jovian: Some(0), karst: Some(20), attribution: None };
        let NewChain { genesis, rollup } = chain(&config);
        let spec = ChainSpec::from_genesis(genesis).expect("a chain");
        let karst = spec.op_fork_activation(OpHardfork::Karst);
        assert_eq!(karst.as_timestamp(), Some(START.timestamp + 20));
        assert_eq!((rollup.jovian_time, rollup.karst_time), (Some(0), karst.as_timestamp()));

        config.forks = ForkOffsets::default();
        let isthmus = chain(&config);
        assert_eq!(isthmus.genesis.extra_data.len(), extra_data::HOLOCENE_LEN);
        assert_eq!(isthmus.rollup.genesis.system_config.da_footprint_gas_scalar, 0);

        config.forks.karst = Some(0);
        let alloc = read(&two_predeploys()).expect("an alloc");
        assert!(matches!(new_chain(&config, alloc, START), Err(GenesisError::Chain(_))));
    }
}
