//! Chains that are known by name.
//!
//! Fork times and EIP-1559 parameters of the public ones are those of the superchain registry
//! (`superchain/configs/{mainnet,sepolia}`). Their state is not here, only its root.

use alloy_primitives::{B256, b256};

/// Names that `--chain` takes.
pub(crate) const NAMES: [&str; 3] = ["devnet", "op-mainnet", "op-sepolia"];

/// A genesis in JSON.
pub(crate) struct Preset {
    pub(crate) genesis: &'static str,
    /// Where the alloc is left out: the root of the state it makes.
    pub(crate) state_root: Option<B256>,
}

impl Preset {
    pub(crate) fn by_name(name: &str) -> Option<&'static Self> {
        match name {
            "devnet" => Some(&DEVNET),
            "op-mainnet" | "optimism" => Some(&OP_MAINNET),
            "op-sepolia" | "optimism-sepolia" | "optimism_sepolia" => Some(&OP_SEPOLIA),
            _ => None,
        }
    }
}

pub(crate) static DEVNET: Preset =
    Preset { genesis: include_str!("../presets/devnet.json"), state_root: None };

pub(crate) static OP_MAINNET: Preset = Preset {
    genesis: include_str!("../presets/op-mainnet.json"),
    state_root: Some(b256!("eddb4c1786789419153a27c4c80ff44a2226b6eda04f7e22ce5bae892ea568eb")),
};

pub(crate) static OP_SEPOLIA: Preset = Preset {
    genesis: include_str!("../presets/op-sepolia.json"),
    state_root: Some(b256!("06787a17a3ed87c339a39dbbeeb311578a0c83ed29daa2db95da62b28efce8a9")),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChainSpec;

    #[test]
    fn public_chains_have_their_genesis_hash() {
        assert_eq!(
            ChainSpec::op_mainnet().genesis_hash(),
            b256!("7ca38a1916c42007829c55e69d3e9a73265554b586a499015373241b8a3fa48b")
        );
        assert_eq!(
            ChainSpec::op_sepolia().genesis_hash(),
            b256!("102de6ffb001480cc9b8b548fd05c34cd4f46ae4aa91759393db90ea0409887d")
        );
    }

    #[test]
    fn every_name_is_a_preset() {
        for name in NAMES {
            assert!(Preset::by_name(name).is_some(), "{name}");
        }
        assert!(!ChainSpec::op_sepolia().has_state() && !ChainSpec::op_mainnet().has_state());
        assert!(ChainSpec::devnet().has_state());
    }
}
