//! Chain configurations in geth's format, as genesis files and stock programs take them.

use serde_json::{Value, json};

use crate::Fork;

/// Ethereum's forks by block.
const BLOCKS: [&str; 14] = [
    "homestead",
    "eip150",
    "eip155",
    "eip158",
    "byzantium",
    "constantinople",
    "petersburg",
    "istanbul",
    "muirGlacier",
    "berlin",
    "london",
    "arrowGlacier",
    "grayGlacier",
    "mergeNetsplit",
];

/// Forks of the OP Stack by time, up to the given one; `delta` changes derivation only, and no
/// genesis file has it.
pub fn op_forks(fork: Fork) -> Vec<&'static str> {
    let mut forks = vec![
        "regolith", "canyon", "delta", "ecotone", "fjord", "granite", "holocene", "isthmus",
        "jovian",
    ];
    if fork >= Fork::Karst {
        forks.push("karst");
    }
    forks
}

/// A chain with these rules from genesis; `optimism` holds its EIP-1559 parameters.
pub fn l2_config(chain_id: u64, fork: Fork, optimism: &Value) -> Value {
    let mut times = vec!["shanghai", "cancun", "prague"];
    times.extend(op_forks(fork).into_iter().filter(|name| *name != "delta"));
    if fork >= Fork::Karst {
        times.push("osaka");
    }
    let mut config = ethereum(chain_id, &times);
    config["bedrockBlock"] = json!(0);
    config["optimism"] = optimism.clone();
    config
}

/// An L1 with Prague's rules from genesis, as anvil has them.
pub fn l1_config(chain_id: u64) -> Value {
    let mut config = ethereum(chain_id, &["shanghai", "cancun", "prague"]);
    config["blobSchedule"] = json!({
        "cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477},
        "prague": {"target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716},
    });
    config
}

fn ethereum(chain_id: u64, times: &[&str]) -> Value {
    let mut config = json!({"chainId": chain_id, "terminalTotalDifficulty": 0});
    for name in BLOCKS {
        config[format!("{name}Block")] = json!(0);
    }
    for name in times {
        config[format!("{name}Time")] = json!(0);
    }
    config
}
