//! `configs/devnet.toml`.

use std::path::Path;

use alloy_primitives::{Address, B256};
use serde::Deserialize;

use super::GenesisError;
use crate::{RollupConfigError, file};

/// Largest configuration file that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// Most accounts with ether.
const MAX_ACCOUNTS: usize = 10_000;
/// Least gas limit: the L1-attributes deposit takes up to a million, and a transaction has to fit.
const MIN_GAS_LIMIT: u64 = 5_000_000;

/// A rollup that does not exist yet, and its L1.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevnetConfig {
    /// The L1 that `ascribe devnet` starts.
    pub l1: L1Config,
    /// The rollup.
    pub l2: L2Config,
    /// Its forks.
    pub forks: ForkOffsets,
    /// Its fees.
    pub fees: FeeConfig,
    /// How it follows L1.
    pub rollup: FollowConfig,
    /// Settings of its predeploys.
    pub contracts: ContractConfig,
    /// Settings of its attribution hub.
    #[serde(default)]
    pub attribution: AttributionConfig,
    /// Who has ether on it.
    #[serde(default)]
    pub accounts: Vec<DevAccount>,
}

/// `[l1]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L1Config {
    /// Chain id.
    pub chain_id: u64,
    /// Seconds from one block to the next.
    pub block_time: u64,
    /// Who creates the contracts of the rollup there; one of the accounts that have a key.
    pub deployer: Address,
}

/// `[l2]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L2Config {
    /// Chain id.
    pub chain_id: u64,
    /// Seconds from one block to the next.
    pub block_time: u64,
    /// Gas limit of a block.
    pub gas_limit: u64,
    /// Base fee of block 0, in wei.
    pub base_fee: u64,
    /// Balance of each account, in ether.
    pub balance: u64,
}

/// `[forks]`: seconds after genesis; absent is never. Everything up to Isthmus is active at genesis.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkOffsets {
    /// Jovian.
    pub jovian: Option<u64>,
    /// Karst; not before Jovian.
    pub karst: Option<u64>,
    /// The attribution precompile.
    pub attribution: Option<u64>,
}

/// `[fees]`: what `SystemConfig` on L1 says at the start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeConfig {
    /// How slowly the base fee moves.
    pub eip1559_denominator: u32,
    /// Gas limit over gas target.
    pub eip1559_elasticity: u32,
    /// Least base fee, in wei, from Jovian.
    #[serde(default)]
    pub min_base_fee: u64,
    /// Weight of L1's base fee, in millionths of a sixteenth.
    pub l1_base_fee_scalar: u32,
    /// Weight of L1's blob base fee, in millionths.
    #[serde(default)]
    pub l1_blob_base_fee_scalar: u32,
    /// Part of the operator fee that grows with gas: hundreds of wei from Jovian, millionths before.
    #[serde(default)]
    pub operator_fee_scalar: u32,
    /// Part of the operator fee that does not, in wei.
    #[serde(default)]
    pub operator_fee_constant: u64,
    /// Gas that an estimated byte counts in a block's DA footprint, from Jovian; 0 means 400.
    #[serde(default)]
    pub da_footprint_gas_scalar: u16,
}

/// `[rollup]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowConfig {
    /// L1 blocks in which a batch must be on L1.
    pub sequencing_window: u64,
    /// Seconds that L2 may be ahead of its L1 origin; a constant from Fjord, but op-node wants it.
    pub max_sequencer_drift: u64,
    /// L1 blocks in which a channel must be complete; a constant from Granite, but op-node wants it.
    pub channel_timeout: u64,
    /// Whose batches count.
    pub batcher: Address,
    /// Where on L1 they are sent.
    pub batch_inbox: Address,
    /// `SystemConfig` on L1.
    pub system_config: Address,
    /// `OptimismPortal` on L1.
    pub deposit_contract: Address,
}

/// `[contracts]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractConfig {
    /// Who may upgrade the predeploys.
    pub proxy_admin_owner: Address,
    /// Who earns the fees, on L2.
    pub fee_recipient: Address,
    /// Least amount that a fee vault pays out, in ether.
    pub fee_min_withdrawal: u64,
    /// The messenger on L1.
    pub l1_cross_domain_messenger: Address,
    /// The bridge on L1.
    pub l1_standard_bridge: Address,
    /// The bridge of non-fungible tokens on L1.
    pub l1_erc721_bridge: Address,
}

/// `[attribution]`: how the hub begins, if there is a time for attribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributionConfig {
    /// Who may pause the hub, set the terms of bonds and slash operators.
    pub owner: Address,
    /// Least bond of an operator, in ether.
    pub minimum_bond: u64,
    /// Seconds between an operator's notice and the return of its bond.
    pub unbonding_delay: u64,
}

/// `[[accounts]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevAccount {
    /// Address.
    pub address: Address,
    /// Its private key, which everybody knows.
    pub key: Option<B256>,
}

impl DevnetConfig {
    /// The configuration in `configs/devnet.toml`.
    pub fn devnet() -> Self {
        toml::from_str(include_str!("../../../../configs/devnet.toml"))
            .expect("invariant: the embedded configuration is valid")
    }

    /// The private key of an account.
    pub fn key_of(&self, address: Address) -> Option<B256> {
        self.accounts.iter().find(|account| account.address == address)?.key
    }

    /// Reads and checks a file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, GenesisError> {
        let path = path.as_ref();
        let toml = |source| GenesisError::Toml { path: path.to_owned(), source: Box::new(source) };
        let bytes = file::read(path, "devnet configuration", MAX_CONFIG_BYTES)?;
        let config: Self = toml::from_slice(&bytes).map_err(toml)?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the fields alone can tell; the rest follows from the chain that results.
    pub fn check(&self) -> Result<(), GenesisError> {
        let (l1, l2, fees) = (&self.l1, &self.l2, &self.fees);
        let wrong = |field, given: &dyn ToString, allowed| {
            Err(GenesisError::Config { field, given: given.to_string(), allowed })
        };
        if l1.block_time == 0 {
            return wrong("l1.block_time", &l1.block_time, "1 or more seconds");
        }
        if l2.block_time == 0 {
            return wrong("l2.block_time", &l2.block_time, "1 or more seconds");
        }
        if l1.chain_id == l2.chain_id {
            return Err(RollupConfigError::SameChainIds.into());
        }
        if l2.gas_limit < MIN_GAS_LIMIT {
            return wrong("l2.gas_limit", &l2.gas_limit, "5,000,000 or more");
        }
        if fees.eip1559_denominator == 0 {
            return wrong("fees.eip1559_denominator", &0, "1 or more");
        }
        if fees.eip1559_elasticity == 0 {
            return wrong("fees.eip1559_elasticity", &0, "1 or more");
        }
        if self.forks.attribution.is_some() && self.attribution.owner.is_zero() {
            return wrong(
                "attribution.owner",
                &self.attribution.owner,
                "an address, if attribution has a time",
            );
        }
        if self.accounts.len() > MAX_ACCOUNTS {
            return wrong("accounts", &self.accounts.len(), "at most 10,000 of them");
        }
        for (field, address) in [
            ("rollup.batcher", self.rollup.batcher),
            ("rollup.batch_inbox", self.rollup.batch_inbox),
            ("rollup.system_config", self.rollup.system_config),
            ("rollup.deposit_contract", self.rollup.deposit_contract),
            ("contracts.proxy_admin_owner", self.contracts.proxy_admin_owner),
            ("contracts.fee_recipient", self.contracts.fee_recipient),
        ] {
            if address.is_zero() {
                return wrong(field, &address, "any address but zero");
            }
        }
        Ok(())
    }
}

impl ForkOffsets {
    /// Whether Jovian's rules hold in block 0.
    pub(super) fn jovian_at_genesis(&self) -> bool {
        self.jovian == Some(0)
    }

    /// Whether Karst's rules hold in block 0.
    pub(super) fn karst_at_genesis(&self) -> bool {
        self.karst == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut DevnetConfig)) -> String {
        let mut config = DevnetConfig::devnet();
        change(&mut config);
        config.check().expect_err("refused").to_string()
    }

    #[test]
    fn the_embedded_configuration_is_valid() {
        let config = DevnetConfig::devnet();
        config.check().expect("valid");
        assert_eq!(config.accounts.len(), 10);
        assert!(config.key_of(config.l1.deployer).is_some());
        assert!(config.key_of(config.rollup.batcher).is_some());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = refused(|it| it.l2.block_time = 0);
        assert!(error.ends_with("l2.block_time = 0, allowed is 1 or more seconds"), "{error}");
        assert!(refused(|it| it.l1.block_time = 0).contains("l1.block_time"));
        assert!(refused(|it| it.l2.gas_limit = 9).contains("l2.gas_limit = 9"));
        assert!(refused(|it| it.fees.eip1559_elasticity = 0).contains("eip1559_elasticity"));
        assert!(refused(|it| it.fees.eip1559_denominator = 0).contains("eip1559_denominator"));
        assert!(refused(|it| it.rollup.batcher = Address::ZERO).contains("rollup.batcher"));
        assert!(refused(|it| it.l1.chain_id = it.l2.chain_id).contains("must be different"));
        let many = vec![DevnetConfig::devnet().accounts[0].clone(); MAX_ACCOUNTS + 1];
        assert!(refused(|it| it.accounts = many).contains("accounts = 10001"));
    }

    #[test]
    fn unknown_and_missing_fields_are_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = include_str!("../../../../configs/devnet.toml");
        let wrong = |text: &str| {
            std::fs::write(file.path(), text).expect("written");
            DevnetConfig::from_file(file.path()).expect_err("refused").to_string()
        };
        assert!(
            wrong(&text.replace("jovian = 0", "jovial = 0")).contains("unknown field `jovial`")
        );
        assert!(wrong(&text.replace("gas_limit =", "# ")).contains("missing field `gas_limit`"));
        assert!(wrong(&text.replace("deployer = \"0xa0", "deployer = \"a0!")).contains("deployer"));
        std::fs::write(file.path(), text).expect("written");
        assert_eq!(DevnetConfig::from_file(file.path()).expect("valid"), DevnetConfig::devnet());
    }
}
