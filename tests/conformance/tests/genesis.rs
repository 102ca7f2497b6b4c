//! The genesis that is made here beside the official predeploys.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use alloy_primitives::{Address, B256, Bytes, address, b256};
use ascribe_chainspec::{
    ChainSpec,
    genesis::{Alloc, DevnetConfig, L1Start, alloc_from_artifacts, alloc_from_file, new_chain},
};
use ascribe_conformance::{report, vectors};

const IMPLEMENTATION: B256 =
    b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
const INITIALIZED: B256 = b256!("f0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00");

/// Implementations that are the official ones of the same fork up to this many bytes: their version,
/// and what the constructor writes about the chain and the address that it runs at.
const ALMOST: [(&str, Address, usize); 6] = [
    ("LegacyMessagePasser", address!("4200000000000000000000000000000000000000"), 1),
    ("DeployerWhitelist", address!("4200000000000000000000000000000000000002"), 1),
    ("L1BlockNumber", address!("4200000000000000000000000000000000000013"), 1),
    ("SchemaRegistry", address!("4200000000000000000000000000000000000020"), 9),
    // The version, the address (20) and the domain that follows from it (32).
    ("EAS", address!("4200000000000000000000000000000000000021"), 61),
    ("Proxy", address!("4200000000000000000000000000000000000022"), 0),
];

/// Implementations of the published release, older than Karst's. `contracts/README.md` says what each
/// lacks.
const OLDER: [&str; 7] = [
    "4200000000000000000000000000000000000006", // WETH
    "4200000000000000000000000000000000000007", // L2CrossDomainMessenger
    "4200000000000000000000000000000000000010", // L2StandardBridge
    "4200000000000000000000000000000000000012", // OptimismMintableERC20Factory
    "4200000000000000000000000000000000000014", // L2ERC721Bridge
    "4200000000000000000000000000000000000016", // L2ToL1MessagePasser: the version, other metadata
    "4200000000000000000000000000000000000017", // OptimismMintableERC721Factory
];

/// Implementations that are ours.
const OURS: [&str; 9] = [
    "420000000000000000000000000000000000000f", // GasPriceOracle
    "4200000000000000000000000000000000000011", // SequencerFeeVault
    "4200000000000000000000000000000000000015", // L1Block
    "4200000000000000000000000000000000000018", // L2ProxyAdmin
    "4200000000000000000000000000000000000019", // BaseFeeVault
    "420000000000000000000000000000000000001a", // L1FeeVault
    "420000000000000000000000000000000000001b", // OperatorFeeVault
    "420000000000000000000000000000000000002c", // ConditionalDeployer
    "420000000000000000000000000000000000002d", // L2DevFeatureFlags
];

/// The configuration that the official snapshot was made with, as far as it is one.
fn official_config() -> DevnetConfig {
    let mut config = DevnetConfig::devnet();
    config.forks.attribution = None;
    config.contracts.proxy_admin_owner = address!("90f79bf6eb2c4f870365e785982e1f101e93b906");
    config.contracts.fee_min_withdrawal = 10;
    config.contracts.l1_cross_domain_messenger =
        address!("003dd1d9a7d514130a8a0e2a04404e3c8e986e43");
    config.contracts.l1_standard_bridge = address!("78c478f15a59600f04afcebc201a73d20fa3e233");
    config.contracts.l1_erc721_bridge = address!("f0da80e1d86df00490065324055fcb96bd6a4260");
    config
}

fn ours(config: &DevnetConfig) -> Alloc {
    let contracts = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts"));
    alloc_from_artifacts(config, contracts).unwrap_or_else(|error| panic!("{error}"))
}

/// Code and storage without proxies' implementations.
fn parts(alloc: &Alloc, address: Address) -> (Bytes, BTreeMap<B256, B256>) {
    let account = alloc.get(&address).unwrap_or_else(|| panic!("{address} is not there"));
    let mut storage = account.storage.clone().unwrap_or_default();
    storage.retain(|slot, value| *slot != IMPLEMENTATION && !value.is_zero());
    (account.code.clone().unwrap_or_default(), storage)
}

/// The code behind a proxy, or of the account itself.
fn code_behind(alloc: &Alloc, address: Address) -> Bytes {
    let account = &alloc[&address];
    let storage = account.storage.as_ref();
    let behind = storage.and_then(|it| it.get(&IMPLEMENTATION)).map(|it| Address::from_word(*it));
    alloc[&behind.unwrap_or(address)].code.clone().unwrap_or_default()
}

fn different_bytes(one: &Bytes, other: &Bytes) -> usize {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other.iter()).filter(|(a, b)| a != b).count()
}

#[test]
fn genesis_beside_the_official_predeploys() {
    let Some(folder) = vectors("genesis", "op-nuts") else { return };
    let official = alloc_from_file(&folder.join("karst_state.json")).expect("an alloc");
    let ours = ours(&official_config());
    let known = |list: &[&str], address: Address| {
        list.iter().any(|it| it.parse::<Address>().is_ok_and(|it| it == address))
    };

    let mut compared = 0;
    let mut almost = BTreeSet::new();
    for address in official.keys().copied() {
        let predeploy =
            address.0[..18] == address!("4200000000000000000000000000000000000000").0[..18];
        let (code, mut storage) = parts(&official, address);
        if !predeploy {
            // Implementations are compared behind their proxies; the rest are preinstalls.
            let behind =
                official.values().filter_map(|it| it.storage.as_ref()?.get(&IMPLEMENTATION));
            if !behind.into_iter().any(|it| Address::from_word(*it) == address) {
                assert_eq!(parts(&ours, address).0, code, "preinstall {address}");
                assert_eq!(ours[&address].nonce, Some(1), "preinstall {address}");
                compared += 1;
            }
            continue;
        }
        let (our_code, mut our_storage) = parts(&ours, address);
        if known(&OLDER[..1], address) {
            assert!(our_storage.is_empty() && storage.is_empty());
            compared += 1;
            continue;
        }
        assert_eq!(our_code, code, "proxy {address}");
        if storage.contains_key(&INITIALIZED) {
            // Whom the vaults pay is a setting; official ones pay on L1, ours on L2, and the operator
            // fee's official one has no minimum.
            for slots in [&mut storage, &mut our_storage] {
                slots.remove(&B256::with_last_byte(1));
                slots.remove(&B256::with_last_byte(2));
            }
        }
        if address == address!("4200000000000000000000000000000000000017") {
            // The official factory has moved its settings from code to storage.
            storage.remove(&B256::with_last_byte(1));
            storage.remove(&B256::with_last_byte(2));
        }
        assert_eq!(our_storage, storage, "storage of {address}");

        let (theirs, mine) = (code_behind(&official, address), code_behind(&ours, address));
        if let Some((name, _, bytes)) = ALMOST.iter().find(|(_, it, _)| *it == address) {
            assert!(different_bytes(&mine, &theirs) <= *bytes, "{name} differs by more");
            almost.insert(*name);
        } else if !known(&OLDER, address) && !known(&OURS, address) {
            assert_eq!(mine, theirs, "implementation of {address}");
        } else {
            assert_ne!(mine, theirs, "{address} is the official one now: take it off the list");
        }
        compared += 1;
    }
    assert_eq!(almost.len(), ALMOST.len());
    // 2,047 proxies and WETH, 13 preinstalls.
    report("genesis", compared, "accounts beside the official ones");
}

#[test]
fn official_predeploys_make_a_chain() {
    let Some(folder) = vectors("genesis_official", "op-nuts") else { return };
    let config = DevnetConfig::devnet();
    let alloc = alloc_from_file(&folder.join("karst_state.json")).expect("an alloc");
    let start = L1Start { hash: B256::repeat_byte(1), number: 0, timestamp: 1_700_000_000 };
    let chain = new_chain(&config, alloc, start).expect("a chain");
    let spec = ChainSpec::from_genesis(chain.genesis).expect("a chain");
    assert_eq!(spec.genesis_hash(), chain.rollup.genesis.l2.hash);
    let made = new_chain(&config, ours(&config), start).expect("a chain");
    let text = serde_json::to_string(&made.genesis).expect("JSON");
    let read = ChainSpec::from_genesis(serde_json::from_str(&text).expect("a genesis"));
    assert_eq!(read.expect("a chain").genesis_hash(), made.rollup.genesis.l2.hash);
    report("genesis_official", 2, "chains");
}
