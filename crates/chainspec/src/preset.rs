//! Rules of the public chains: fork times and EIP-1559 parameters.
//!
//! Times are those of the superchain registry (`superchain/configs/{mainnet,sepolia}`).

use alloy_hardforks::ForkCondition;
use alloy_op_hardforks::OpHardfork;

/// Names that `--chain` takes.
pub(crate) const NAMES: [&str; 3] = ["devnet", "op-mainnet", "op-sepolia"];

/// A public chain.
pub(crate) struct Preset {
    pub(crate) chain_id: u64,
    pub(crate) bedrock_block: u64,
    /// Regolith to Karst, in seconds.
    times: [u64; 9],
}

pub(crate) const OP_MAINNET: Preset = Preset {
    chain_id: 10,
    bedrock_block: 105_235_063,
    times: [
        0,
        1_704_992_401,
        1_710_374_401,
        1_720_627_201,
        1_726_070_401,
        1_736_445_601,
        1_746_806_401,
        1_764_691_201,
        1_783_526_401,
    ],
};

pub(crate) const OP_SEPOLIA: Preset = Preset {
    chain_id: 11_155_420,
    bedrock_block: 0,
    times: [
        0,
        1_699_981_200,
        1_708_534_800,
        1_716_998_400,
        1_723_478_400,
        1_732_633_200,
        1_744_905_600,
        1_763_568_001,
        1_781_712_001,
    ],
};

/// Forks with a time, oldest first, as `Preset::times` and the genesis fields order them.
pub(crate) const TIMED_FORKS: [(OpHardfork, &str); 9] = [
    (OpHardfork::Regolith, "regolithTime"),
    (OpHardfork::Canyon, "canyonTime"),
    (OpHardfork::Ecotone, "ecotoneTime"),
    (OpHardfork::Fjord, "fjordTime"),
    (OpHardfork::Granite, "graniteTime"),
    (OpHardfork::Holocene, "holoceneTime"),
    (OpHardfork::Isthmus, "isthmusTime"),
    (OpHardfork::Jovian, "jovianTime"),
    (OpHardfork::Karst, "karstTime"),
];

impl Preset {
    /// Activation of every fork, Bedrock first.
    pub(crate) fn forks(&self) -> Vec<(OpHardfork, ForkCondition)> {
        let timed = TIMED_FORKS
            .iter()
            .zip(self.times)
            .map(|((fork, _), time)| (*fork, ForkCondition::Timestamp(time)));
        std::iter::once((OpHardfork::Bedrock, ForkCondition::Block(self.bedrock_block)))
            .chain(timed)
            .collect()
    }
}
