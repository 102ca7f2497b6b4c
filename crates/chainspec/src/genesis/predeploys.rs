//! The predeploys: a proxy at each of 2,048 addresses, and what is behind the ones in use.

use std::collections::BTreeMap;

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256, address, b256};

use super::{Alloc, Artifacts, AttributionConfig, DevnetConfig, ETHER, GenesisError};
use crate::predeploys as at;

/// First address of the namespace.
const NAMESPACE: Address = address!("4200000000000000000000000000000000000000");
/// How many addresses it has.
const PROXIES: u16 = 2_048;
/// Implementations are at this address, with the last two bytes of their proxy's.
const IMPLEMENTATIONS: Address = address!("c0D3C0d3C0d3C0D3c0d3C0d3c0D3C0d3c0d30000");
/// ERC-1967: where a proxy keeps its admin.
const ADMIN_SLOT: B256 = b256!("b53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103");
/// ERC-1967: where a proxy keeps its implementation.
const IMPLEMENTATION_SLOT: B256 =
    b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
/// ERC-7201: where OpenZeppelin 5 keeps whether a contract has been initialised.
const INITIALIZED_SLOT: B256 =
    b256!("f0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00");
/// What `xDomainMsgSender` is while no message is relayed.
const NO_SENDER: Address = address!("000000000000000000000000000000000000dEaD");

/// Storage, by slot.
type Slots = BTreeMap<B256, B256>;

/// A predeploy behind its proxy.
struct Predeploy {
    proxy: Address,
    code: Bytes,
    /// Storage of the proxy beyond what ERC-1967 puts there.
    storage: Slots,
    /// Storage of the implementation: that it can no longer be initialised.
    locked: Slots,
}

/// The address that an implementation has in a genesis.
pub(super) fn implementation_address(proxy: Address) -> Address {
    let mut address = IMPLEMENTATIONS;
    address.0[18..].copy_from_slice(&proxy.0[18..]);
    address
}

/// Every predeploy of a chain that begins with `config`.
pub(super) fn alloc(config: &DevnetConfig, artifacts: &Artifacts) -> Result<Alloc, GenesisError> {
    let mut alloc = Alloc::new();
    for it in predeploys(config, artifacts)? {
        let implementation = implementation_address(it.proxy);
        let behind = (IMPLEMENTATION_SLOT, implementation.into_word());
        let storage = it.storage.into_iter().chain([behind]).collect();
        alloc.insert(it.proxy, GenesisAccount::default().with_storage(Some(storage)));
        let account = GenesisAccount::default().with_code(Some(it.code));
        let locked = Some(it.locked).filter(|slots| !slots.is_empty());
        alloc.insert(implementation, account.with_storage(locked));
    }
    alloc.insert(at::WETH, contract(artifacts.official("WETH")?));
    fill_proxies(&mut alloc, &artifacts.official("Proxy")?);
    Ok(alloc)
}

/// Gives every address of the namespace that has no code a proxy, with the admin of all of them, and
/// the attribution hub, if there is one. An implementation that is already named stays; the two
/// contracts without proxies are left alone.
pub(super) fn fill_proxies(alloc: &mut Alloc, proxy: &Bytes) {
    let hub = alloc.contains_key(&at::ATTRIBUTION_HUB).then_some(at::ATTRIBUTION_HUB);
    let namespace = (0..PROXIES).map(|index| {
        let mut address = NAMESPACE;
        address.0[18..].copy_from_slice(&index.to_be_bytes());
        address
    });
    for address in namespace.chain(hub) {
        if matches!(address, at::WETH | at::GOVERNANCE_TOKEN) {
            continue;
        }
        let account = alloc.entry(address).or_default();
        if account.non_empty_code().is_none() {
            account.code = Some(proxy.clone());
            let storage = account.storage.get_or_insert_default();
            storage.insert(ADMIN_SLOT, at::PROXY_ADMIN.into_word());
        }
    }
}

/// The code of the proxies in `alloc`: that of an account with the admin of all of them and an
/// implementation that is there.
pub(super) fn proxy_code(alloc: &Alloc, proxy: Address) -> Option<Bytes> {
    let account = alloc.get(&proxy)?;
    let storage = account.storage.as_ref()?;
    let implementation = Address::from_word(*storage.get(&IMPLEMENTATION_SLOT)?);
    alloc.get(&implementation)?.non_empty_code()?;
    (storage.get(&ADMIN_SLOT) == Some(&at::PROXY_ADMIN.into_word()))
        .then(|| account.non_empty_code().cloned())?
}

fn predeploys(config: &DevnetConfig, from: &Artifacts) -> Result<Vec<Predeploy>, GenesisError> {
    let contracts = &config.contracts;
    let plain =
        |proxy, code| Predeploy { proxy, code, storage: Slots::new(), locked: Slots::new() };
    let vault = |proxy, code| Predeploy {
        storage: Slots::from([
            slot(1, U256::from(contracts.fee_min_withdrawal) * U256::from(ETHER)),
            // Paid out on L2: network 1, above the recipient.
            slot(2, U256::from_be_bytes(contracts.fee_recipient.into_word().0) | L2_NETWORK),
            (INITIALIZED_SLOT, B256::with_last_byte(1)),
        ]),
        locked: Slots::from([(INITIALIZED_SLOT, B256::from(U256::from(u64::MAX)))]),
        ..plain(proxy, code)
    };
    let messenger = at::L2_CROSS_DOMAIN_MESSENGER;
    // `_initialized`, above a slot of an older layout, and the sender of no message.
    let idle = Slots::from([slot(0, U256::ONE << 160), address_slot(0xcc, NO_SENDER)]);
    let bridge = Slots::from([slot(0, U256::ONE), address_slot(3, messenger)]);
    let erc721_bridge = Slots::from([slot(0, U256::ONE), address_slot(1, messenger)]);

    let mut all = vec![
        plain(at::LEGACY_MESSAGE_PASSER, from.official("LegacyMessagePasser")?),
        plain(at::DEPLOYER_WHITELIST, from.official("DeployerWhitelist")?),
        Predeploy {
            storage: with_address(&idle, 0xcf, contracts.l1_cross_domain_messenger),
            locked: idle,
            ..plain(messenger, from.official("L2CrossDomainMessenger")?)
        },
        Predeploy {
            storage: Slots::from([slot(0, oracle_flags(config))]),
            ..plain(at::GAS_PRICE_ORACLE, from.own("GasPriceOracle")?)
        },
        Predeploy {
            storage: with_address(&bridge, 4, contracts.l1_standard_bridge),
            locked: bridge,
            ..plain(at::L2_STANDARD_BRIDGE, from.official("L2StandardBridge")?)
        },
        vault(at::SEQUENCER_FEE_VAULT, from.own("SequencerFeeVault")?),
        Predeploy {
            storage: Slots::from([slot(0, U256::ONE), address_slot(1, at::L2_STANDARD_BRIDGE)]),
            locked: Slots::from([slot(0, U256::ONE)]),
            ..plain(at::ERC20_FACTORY, from.official("OptimismMintableERC20Factory")?)
        },
        plain(at::L1_BLOCK_NUMBER, from.official("L1BlockNumber")?),
        Predeploy {
            storage: with_address(&erc721_bridge, 2, contracts.l1_erc721_bridge),
            locked: erc721_bridge,
            ..plain(at::L2_ERC721_BRIDGE, from.official("L2ERC721Bridge")?)
        },
        plain(at::L1_BLOCK, from.own("L1Block")?),
        plain(at::L2_TO_L1_MESSAGE_PASSER, from.official("L2ToL1MessagePasser")?),
        plain(at::ERC721_FACTORY, from.erc721_factory(config.l1.chain_id)?),
        Predeploy {
            storage: Slots::from([address_slot(0, contracts.proxy_admin_owner)]),
            ..plain(at::PROXY_ADMIN, from.own("L2ProxyAdmin")?)
        },
        vault(at::BASE_FEE_VAULT, from.own("BaseFeeVault")?),
        vault(at::L1_FEE_VAULT, from.own("L1FeeVault")?),
        vault(at::OPERATOR_FEE_VAULT, from.own("OperatorFeeVault")?),
        plain(at::SCHEMA_REGISTRY, from.official("SchemaRegistry")?),
        plain(at::EAS, from.eas(config.l2.chain_id)?),
    ];
    if config.forks.karst_at_genesis() {
        all.push(plain(at::CONDITIONAL_DEPLOYER, from.own("ConditionalDeployer")?));
        all.push(plain(at::L2_DEV_FEATURE_FLAGS, from.own("L2DevFeatureFlags")?));
    }
    if config.forks.attribution.is_some() {
        all.push(Predeploy {
            storage: attribution_hub(&config.attribution),
            // As `_disableInitializers` leaves it.
            locked: Slots::from([slot(0, U256::from(u8::MAX))]),
            ..plain(at::ATTRIBUTION_HUB, from.own("AttributionHub")?)
        });
    }
    Ok(all)
}

/// What `initialize` would write: that it has been called, the owner, that nothing is entered, the terms of bonds.
fn attribution_hub(config: &AttributionConfig) -> Slots {
    Slots::from([
        slot(0, U256::ONE),
        address_slot(51, config.owner),
        slot(151, U256::ONE),
        slot(252, U256::from(config.minimum_bond) * U256::from(ETHER)),
        slot(253, U256::from(config.unbonding_delay)),
    ])
}

/// `WithdrawalNetwork.L2` beside a fee vault's recipient.
const L2_NETWORK: U256 = U256::from_limbs([0, 0, 1 << 32, 0]);

/// `isEcotone`, `isFjord`, `isIsthmus`, `isJovian`, a byte each.
fn oracle_flags(config: &DevnetConfig) -> U256 {
    U256::from(if config.forks.jovian_at_genesis() { 0x0101_0101 } else { 0x0001_0101 })
}

fn slot(index: u8, value: U256) -> (B256, B256) {
    (B256::with_last_byte(index), value.into())
}

fn address_slot(index: u8, value: Address) -> (B256, B256) {
    (B256::with_last_byte(index), value.into_word())
}

/// `slots` and an address, unless it is zero.
fn with_address(slots: &Slots, index: u8, value: Address) -> Slots {
    let more = (!value.is_zero()).then(|| address_slot(index, value));
    slots.iter().map(|(slot, value)| (*slot, *value)).chain(more).collect()
}

/// An account that is code.
pub(super) fn contract(code: Bytes) -> GenesisAccount {
    GenesisAccount::default().with_code(Some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implementations_are_named_after_their_proxies() {
        assert_eq!(
            implementation_address(at::GAS_PRICE_ORACLE),
            address!("c0d3c0d3c0d3c0d3c0d3c0d3c0d3c0d3c0d3000f")
        );
    }

    #[test]
    fn the_network_is_above_the_address() {
        assert_eq!(L2_NETWORK, U256::ONE << 160);
    }

    #[test]
    fn proxies_are_added_and_nothing_is_taken() {
        let own = contract(Bytes::from_static(&[1]));
        let mut alloc = Alloc::from([(at::L1_BLOCK, own.clone())]);
        fill_proxies(&mut alloc, &Bytes::from_static(&[2]));
        assert_eq!(alloc.len(), usize::from(PROXIES) - 2);
        assert_eq!(alloc[&at::L1_BLOCK], own);
        assert!(!alloc.contains_key(&at::WETH) && !alloc.contains_key(&at::GOVERNANCE_TOKEN));
        let last = &alloc[&address!("42000000000000000000000000000000000007ff")];
        let storage = last.storage.as_ref().expect("an admin");
        assert_eq!(storage[&ADMIN_SLOT], at::PROXY_ADMIN.into_word());
    }
}
