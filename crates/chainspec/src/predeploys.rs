//! Addresses with a meaning (OP Stack specs, `predeploys.md`, `preinstalls.md`).

use alloy_primitives::{Address, address};

/// Sender of the L1-attributes deposit; no one has its key.
pub const DEPOSITOR: Address = address!("DeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001");
/// `LegacyMessagePasser`.
pub const LEGACY_MESSAGE_PASSER: Address = address!("4200000000000000000000000000000000000000");
/// `DeployerWhitelist`.
pub const DEPLOYER_WHITELIST: Address = address!("4200000000000000000000000000000000000002");
/// `WETH`, without a proxy.
pub const WETH: Address = address!("4200000000000000000000000000000000000006");
/// `L2CrossDomainMessenger`.
pub const L2_CROSS_DOMAIN_MESSENGER: Address = address!("4200000000000000000000000000000000000007");
/// `GasPriceOracle`.
pub const GAS_PRICE_ORACLE: Address = address!("420000000000000000000000000000000000000F");
/// `L2StandardBridge`.
pub const L2_STANDARD_BRIDGE: Address = address!("4200000000000000000000000000000000000010");
/// `SequencerFeeVault`: tips; also the fee recipient of every block.
pub const SEQUENCER_FEE_VAULT: Address = address!("4200000000000000000000000000000000000011");
/// `OptimismMintableERC20Factory`.
pub const ERC20_FACTORY: Address = address!("4200000000000000000000000000000000000012");
/// `L1BlockNumber`.
pub const L1_BLOCK_NUMBER: Address = address!("4200000000000000000000000000000000000013");
/// `L2ERC721Bridge`.
pub const L2_ERC721_BRIDGE: Address = address!("4200000000000000000000000000000000000014");
/// `L1Block`: what L2 knows of L1.
pub const L1_BLOCK: Address = address!("4200000000000000000000000000000000000015");
/// `L2ToL1MessagePasser`: its storage root is a header's withdrawals root from Isthmus.
pub const L2_TO_L1_MESSAGE_PASSER: Address = address!("4200000000000000000000000000000000000016");
/// `OptimismMintableERC721Factory`.
pub const ERC721_FACTORY: Address = address!("4200000000000000000000000000000000000017");
/// `ProxyAdmin`.
pub const PROXY_ADMIN: Address = address!("4200000000000000000000000000000000000018");
/// `BaseFeeVault`: the base fee, which is not burnt.
pub const BASE_FEE_VAULT: Address = address!("4200000000000000000000000000000000000019");
/// `L1FeeVault`: the L1 data fee.
pub const L1_FEE_VAULT: Address = address!("420000000000000000000000000000000000001A");
/// `OperatorFeeVault`: the operator fee, from Isthmus.
pub const OPERATOR_FEE_VAULT: Address = address!("420000000000000000000000000000000000001b");
/// `SchemaRegistry` of the Ethereum Attestation Service.
pub const SCHEMA_REGISTRY: Address = address!("4200000000000000000000000000000000000020");
/// The Ethereum Attestation Service.
pub const EAS: Address = address!("4200000000000000000000000000000000000021");
/// `ConditionalDeployer`, from Karst.
pub const CONDITIONAL_DEPLOYER: Address = address!("420000000000000000000000000000000000002C");
/// `L2DevFeatureFlags`, from Karst.
pub const L2_DEV_FEATURE_FLAGS: Address = address!("420000000000000000000000000000000000002d");
/// `GovernanceToken`, without a proxy, where there is one.
pub const GOVERNANCE_TOKEN: Address = address!("4200000000000000000000000000000000000042");
/// The precompile that settles batches of attribution records.
pub const ATTRIBUTION: Address = address!("0000000000000000000000000000000000000a77");
/// The contract that settles those batches, with registries of models, adapters, sources and operators. Outside the
/// namespace of OP's predeploys, behind the same proxy.
pub const ATTRIBUTION_HUB: Address = address!("4200000000000000000000000000000000000a77");
