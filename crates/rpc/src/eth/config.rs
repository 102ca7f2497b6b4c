//! `eth_config` (EIP-7910): the rules in force, and the next ones.

use crate::{RpcContext, RpcError, hex::Hex};
use alloy_primitives::{Address, Bytes, address};
use ascribe_chainspec::ChainSpec;
use ascribe_evm::{OpSpecId, op_spec_id, precompiles};
use revm::primitives::hardfork::SpecId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// EIP-4788.
const BEACON_ROOTS: Address = address!("000F3df6D732807Ef1319fB7B8bB8522d0Beac02");
/// EIP-2935.
const HISTORY_STORAGE: Address = address!("0000F90827F1C53a10cb7A02335B175320002935");

/// The rules of a fork.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForkConfig {
    /// Seconds; 0 if it was active at genesis.
    activation_time: u64,
    /// There are no blobs.
    blob_schedule: (),
    chain_id: Hex<u64>,
    fork_id: Bytes,
    precompiles: BTreeMap<String, Address>,
    system_contracts: BTreeMap<&'static str, Address>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Config {
    current: ForkConfig,
    next: Option<ForkConfig>,
    last: Option<ForkConfig>,
}

/// `eth_config`
pub(super) fn config(context: &RpcContext, (): ()) -> Result<Config, RpcError> {
    let spec = &*context.spec;
    let now = context.chain.head().timestamp;
    let times = fork_times(spec);
    let of = |time| fork_config(spec, time);
    let next = times.iter().copied().find(|time| *time > now);
    Ok(Config {
        current: of(times.iter().copied().rfind(|time| *time <= now).unwrap_or_default()),
        next: next.map(of),
        last: next.and_then(|_| times.last().copied()).map(of),
    })
}

/// When the rules change, in order, each once.
fn fork_times(spec: &ChainSpec) -> BTreeSet<u64> {
    spec.hardforks().iter().filter_map(|(_, condition)| condition.as_timestamp()).collect()
}

fn fork_config(spec: &ChainSpec, time: u64) -> ForkConfig {
    let genesis = spec.genesis_header().timestamp;
    let rules = op_spec_id(spec, time);
    ForkConfig {
        activation_time: if time <= genesis { 0 } else { time },
        blob_schedule: (),
        chain_id: Hex(spec.chain_id()),
        // Blocks do not tell: every fork since Bedrock goes by time.
        fork_id: spec.fork_id(u64::MAX, time).hash.0.into(),
        precompiles: precompiles(rules)
            .inner()
            .iter()
            .map(|(address, precompile)| (precompile.id().name().to_owned(), *address))
            .collect(),
        system_contracts: system_contracts(rules),
    }
}

fn system_contracts(rules: OpSpecId) -> BTreeMap<&'static str, Address> {
    let rules = rules.into_eth_spec();
    let mut contracts = BTreeMap::new();
    if rules.is_enabled_in(SpecId::CANCUN) {
        contracts.insert("BEACON_ROOTS_ADDRESS", BEACON_ROOTS);
    }
    if rules.is_enabled_in(SpecId::PRAGUE) {
        contracts.insert("HISTORY_STORAGE_ADDRESS", HISTORY_STORAGE);
    }
    contracts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_come_with_their_forks() {
        let names = |rules| system_contracts(rules).into_keys().collect::<Vec<_>>();
        assert!(names(OpSpecId::CANYON).is_empty());
        assert_eq!(names(OpSpecId::ECOTONE), ["BEACON_ROOTS_ADDRESS"]);
        assert_eq!(names(OpSpecId::KARST), ["BEACON_ROOTS_ADDRESS", "HISTORY_STORAGE_ADDRESS"]);
    }

    #[test]
    fn rules_change_at_the_forks() {
        let spec = ChainSpec::op_sepolia();
        let times = fork_times(&spec);
        assert!(times.len() > 5);
        let genesis = fork_config(&spec, spec.genesis_header().timestamp);
        assert_eq!(genesis.activation_time, 0);
        assert!(!genesis.precompiles.contains_key("P256VERIFY"));
        let last = fork_config(&spec, times.last().copied().expect("there are forks"));
        assert!(last.precompiles.contains_key("P256VERIFY"));
        assert_ne!(last.fork_id, genesis.fork_id);
        let json = serde_json::to_value(&last).expect("it serializes");
        assert_eq!(json["blobSchedule"], serde_json::Value::Null);
        assert_eq!(json["precompiles"]["ECREC"], "0x0000000000000000000000000000000000000001");
    }
}
