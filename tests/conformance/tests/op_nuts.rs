//! The Karst activation block on top of the official Jovian predeploys.

use alloy_consensus::{Header, transaction::Recovered};
use alloy_primitives::{
    Address, B256, Bytes, TxKind, U256, address, b256, bytes, keccak256, map::HashMap,
};
use ascribe_chainspec::ChainSpec;
use ascribe_conformance::{report, vectors};
use ascribe_evm::{EvmConfig, NextBlock};
use op_alloy_consensus::{OpTxEnvelope, OpTxReceipt, TxDeposit, UpgradeDepositSource};
use reth_primitives_traits::SealedHeader;
use revm::{
    Database,
    bytecode::Bytecode,
    database::{InMemoryDB, State},
    state::AccountInfo,
};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

const L1_BLOCK: Address = address!("4200000000000000000000000000000000000015");
/// Deploys the implementations, one a nonce.
const CREATE2_DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
const DEPOSITOR: Address = address!("DeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001");
const KARST_TIME: u64 = 1_000;
const GAS_LIMIT: u64 = 60_000_000;
/// What the bundle adds to the activation block's gas limit.
const UPGRADE_GAS: u64 = 55_370_657;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Account {
    #[serde(default)]
    balance: U256,
    #[serde(default)]
    nonce: U256,
    #[serde(default)]
    code: Bytes,
    #[serde(default)]
    storage: BTreeMap<B256, B256>,
}

#[derive(Deserialize)]
struct Bundle {
    transactions: Vec<Upgrade>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Upgrade {
    intent: String,
    from: Address,
    to: Option<Address>,
    data: Bytes,
    gas_limit: u64,
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn op_nuts() {
    let Some(folder) = vectors("op_nuts", "op-nuts") else { return };
    let before: BTreeMap<Address, Account> = read(&folder.join("jovian_state.json"));
    let after: BTreeMap<Address, Account> = read(&folder.join("karst_state.json"));
    let bundle: Bundle = read(&folder.join("karst_nut_bundle.json"));
    let upgrades = deposits(&bundle);

    let mut db = InMemoryDB::default();
    for (address, account) in before.iter().chain(&bare_proxies(&before)) {
        let code = Bytecode::new_raw(account.code.clone());
        db.insert_account_info(
            *address,
            AccountInfo::new(account.balance, account.nonce.to(), code.hash_slow(), code),
        );
        for (slot, value) in &account.storage {
            db.insert_account_storage(*address, (*slot).into(), (*value).into())
                .expect("memory does not fail");
        }
    }
    let mut state = State::builder().with_database(db).with_bundle_update().build();
    activate(&mut state, &upgrades);

    let before: BTreeMap<_, _> = before.clone().into_iter().chain(bare_proxies(&before)).collect();
    for (address, want) in &after {
        let info = state
            .basic(*address)
            .expect("memory does not fail")
            .unwrap_or_else(|| panic!("{address} is missing"));
        assert_eq!(info.balance, want.balance, "balance of {address}");
        assert_eq!(U256::from(info.nonce), want.nonce, "nonce of {address}");
        assert_eq!(info.code_hash, keccak256(&want.code), "code of {address}");
        assert_eq!(storage(&state, &before, *address), want.storage, "storage of {address}");
    }
    // What else came into being: the senders of the upgrades, and implementations for which this
    // chain has no use (the bundle deploys those for custom gas tokens and interop as well).
    let mut senders = Vec::new();
    let mut deployed = 0;
    let pointers: BTreeSet<_> =
        after.values().flat_map(|account| account.storage.values()).copied().collect();
    for (address, account) in &state.bundle_state.state {
        let Some(info) = account.info.as_ref().filter(|_| !before.contains_key(address)) else {
            continue;
        };
        if info.is_empty_code_hash() {
            senders.push(*address);
            continue;
        }
        deployed += 1;
        if !after.contains_key(address) {
            assert!(!pointers.contains(&address.into_word()), "{address} is in use");
        }
    }
    senders.sort();
    assert_eq!(senders, [Address::ZERO, DEPOSITOR], "senders of the upgrade");
    let deployments = after[&CREATE2_DEPLOYER].nonce - before[&CREATE2_DEPLOYER].nonce;
    assert_eq!(U256::from(deployed), deployments, "contracts made by the CREATE2 deployer");
    // And what karst_state no longer lists is still there, unchanged.
    for (address, account) in before.iter().filter(|(address, _)| !after.contains_key(*address)) {
        assert!(!state.bundle_state.state.contains_key(address), "{address} changed");
        assert!(!account.code.is_empty(), "{address} was a contract");
    }
    report("op_nuts", upgrades.len(), "upgrade transactions");
}

/// The proxies without an implementation, which the snapshots leave out: the official genesis has
/// one at each of the 2,048 addresses of the predeploy namespace, and the bundle upgrades two.
fn bare_proxies(before: &BTreeMap<Address, Account>) -> BTreeMap<Address, Account> {
    const GOVERNANCE_TOKEN: Address = address!("4200000000000000000000000000000000000042");
    const ADMIN_SLOT: B256 =
        b256!("b53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103");
    let proxy = &before[&L1_BLOCK];
    let bare = Account {
        storage: BTreeMap::from([(ADMIN_SLOT, proxy.storage[&ADMIN_SLOT])]),
        ..proxy.clone()
    };
    let namespace = address!("4200000000000000000000000000000000000000");
    (0..0x800_u16)
        .map(|index| {
            let mut address = namespace;
            address[18..].copy_from_slice(&index.to_be_bytes());
            address
        })
        .filter(|address| !before.contains_key(address) && *address != GOVERNANCE_TOKEN)
        .map(|address| (address, bare.clone()))
        .collect()
}

/// The bundle as deposits: reference "Karst <i>: <intent>".
fn deposits(bundle: &Bundle) -> Vec<TxDeposit> {
    let deposits: Vec<_> = bundle
        .transactions
        .iter()
        .enumerate()
        .map(|(index, upgrade)| TxDeposit {
            source_hash: UpgradeDepositSource {
                intent: format!("Karst {index}: {}", upgrade.intent),
            }
            .source_hash(),
            from: upgrade.from,
            to: upgrade.to.map_or(TxKind::Create, TxKind::Call),
            mint: 0,
            value: U256::ZERO,
            gas_limit: upgrade.gas_limit,
            is_system_transaction: false,
            input: upgrade.data.clone(),
        })
        .collect();
    assert_eq!(deposits.len(), 31);
    assert_eq!(deposits.iter().map(|tx| tx.gas_limit).sum::<u64>(), UPGRADE_GAS);
    let first = deposits[0].source_hash;
    assert_eq!(
        (&first[..4], &first[29..]),
        (&[0x7e, 0x71, 0xce, 0xb6][..], &[0x6e, 0xba, 0x74][..])
    );
    deposits
}

/// Builds the activation block.
fn activate(state: &mut State<InMemoryDB>, upgrades: &[TxDeposit]) {
    let mut config = json!({
        "chainId": 901, "bedrockBlock": 0, "karstTime": KARST_TIME,
        "optimism": {
            "eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250
        },
    });
    for fork in [
        "regolithTime",
        "canyonTime",
        "deltaTime",
        "ecotoneTime",
        "fjordTime",
        "graniteTime",
        "holoceneTime",
        "isthmusTime",
        "jovianTime",
    ] {
        config[fork] = json!(0);
    }
    let extra_data = bytes!("01000000fa000000060000000000000000");
    let genesis = json!({
        "config": config, "alloc": {}, "difficulty": "0x0", "timestamp": "0x0",
        "gasLimit": "0x3938700", "extraData": extra_data, "baseFeePerGas": "0x3b9aca00",
    });
    let spec = ChainSpec::from_genesis(serde_json::from_value(genesis).expect("a genesis"))
        .expect("a chain");
    let parent = SealedHeader::seal_slow(Header {
        number: 499,
        timestamp: KARST_TIME - 2,
        gas_limit: GAS_LIMIT,
        base_fee_per_gas: Some(1_000_000_000),
        blob_gas_used: Some(0),
        extra_data: extra_data.clone(),
        ..Header::default()
    });
    let next = NextBlock {
        timestamp: KARST_TIME,
        fee_recipient: address!("4200000000000000000000000000000000000011"),
        prev_randao: B256::ZERO,
        gas_limit: GAS_LIMIT + UPGRADE_GAS,
        parent_beacon_block_root: Some(B256::ZERO),
        extra_data,
    };
    let config = EvmConfig::new(Arc::new(spec));
    let mut builder = config.builder(state, &parent, next).expect("the block starts");
    for (index, deposit) in std::iter::once(&l1_attributes()).chain(upgrades).enumerate() {
        let tx = Recovered::new_unchecked(OpTxEnvelope::from(deposit.clone()), deposit.from);
        let pushed = builder.push(tx).expect("a deposit is always included");
        assert!(pushed.success, "transaction {index} failed");
    }
    let parts = builder.finish().expect("the block ends");
    assert_eq!(parts.output.blob_gas_used, 0);
    for receipt in &parts.output.receipts {
        assert_eq!(receipt.deposit_receipt_version(), Some(1));
    }
    // The block's changes went out with its parts; put them back where the test reads them.
    state.bundle_state = parts.output.bundle;
}

/// A Jovian L1-attributes deposit; what it writes is zeroed in the official states.
fn l1_attributes() -> TxDeposit {
    let mut calldata = vec![0x3d, 0xb6, 0xbe, 0x2b];
    calldata.extend([0; 172]);
    calldata.extend(400_u16.to_be_bytes());
    TxDeposit {
        source_hash: b256!("00000000000000000000000000000000000000000000000000000000000000aa"),
        from: DEPOSITOR,
        to: TxKind::Call(L1_BLOCK),
        mint: 0,
        value: U256::ZERO,
        gas_limit: 1_000_000,
        is_system_transaction: false,
        input: calldata.into(),
    }
}

/// The non-zero storage of an account after the block, `L1Block`'s slots 0 to 8 left out.
fn storage(
    state: &State<InMemoryDB>,
    before: &BTreeMap<Address, Account>,
    address: Address,
) -> BTreeMap<B256, B256> {
    let mut storage: HashMap<U256, U256> = before
        .get(&address)
        .into_iter()
        .flat_map(|account| &account.storage)
        .map(|(slot, value)| ((*slot).into(), (*value).into()))
        .collect();
    if let Some(account) = state.bundle_state.state.get(&address) {
        storage.extend(account.storage.iter().map(|(slot, value)| (*slot, value.present_value)));
    }
    storage
        .into_iter()
        .filter(|(_, value)| !value.is_zero())
        .filter(|(slot, _)| address != L1_BLOCK || *slot > U256::from(8))
        .map(|(slot, value)| (slot.into(), value.into()))
        .collect()
}
