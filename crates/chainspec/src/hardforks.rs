//! When each fork begins.

use alloy_genesis::ChainConfig;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::U256;

use crate::ChainSpecError;

/// Forks with a time, oldest first, by the names of their fields in a genesis.
const TIMED_FORKS: [(OpHardfork, &str); 9] = [
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

/// Forks whose rules are not part of this node, by the names of their fields in a genesis.
const UNSUPPORTED: [&str; 2] = ["interopTime", "lagoonTime"];

/// The OP fork that brings an Ethereum fork.
pub(crate) const fn counterpart(fork: EthereumHardfork) -> Option<OpHardfork> {
    match fork {
        EthereumHardfork::Shanghai => Some(OpHardfork::Canyon),
        EthereumHardfork::Cancun => Some(OpHardfork::Ecotone),
        EthereumHardfork::Prague => Some(OpHardfork::Isthmus),
        EthereumHardfork::Osaka => Some(OpHardfork::Karst),
        _ => None,
    }
}

/// Activation of every fork of a chain.
///
/// Ethereum's forks are switched by their OP counterparts: Shanghai by Canyon, Cancun by Ecotone,
/// Prague by Isthmus, Osaka by Karst (OP Stack specs, `superchain-upgrades.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardforks {
    /// By [`OpHardfork::idx`].
    at: [ForkCondition; OpHardfork::Interop.idx() + 1],
    berlin_block: u64,
}

impl Hardforks {
    /// Reads the forks of `config`.
    ///
    /// # Errors
    /// A time that is no number, forks out of order, an Ethereum fork at another time than its OP
    /// counterpart, a fork that this node does not know.
    pub(crate) fn from_config(config: &ChainConfig) -> Result<Self, ChainSpecError> {
        let field = |name: &'static str| -> Result<Option<u64>, ChainSpecError> {
            match config.extra_fields.get_deserialized::<Option<u64>>(name) {
                None => Ok(None),
                Some(value) => value.map_err(|error| ChainSpecError::Field {
                    field: name,
                    reason: error.to_string(),
                }),
            }
        };
        if let Some(&name) = UNSUPPORTED.iter().find(|name| !matches!(field(name), Ok(None))) {
            let reason = "this fork is not supported".to_owned();
            return Err(ChainSpecError::Field { field: name, reason });
        }

        let mut at = [ForkCondition::Never; OpHardfork::Interop.idx() + 1];
        at[OpHardfork::Bedrock.idx()] =
            ForkCondition::Block(field("bedrockBlock")?.unwrap_or_default());
        let mut earlier: Option<(&'static str, Option<u64>)> = None;
        for (fork, name) in TIMED_FORKS {
            let time = field(name)?;
            if let (Some(time), Some((earlier, before))) = (time, earlier) {
                match before {
                    None => return Err(ChainSpecError::ForkGap { earlier, fork: name, time }),
                    Some(before) if before > time => {
                        return Err(ChainSpecError::ForkOrder {
                            earlier,
                            before,
                            fork: name,
                            time,
                        });
                    }
                    Some(_) => {}
                }
            }
            if let Some(time) = time {
                at[fork.idx()] = ForkCondition::Timestamp(time);
            }
            earlier = Some((name, time));
        }

        for (l1, l1_time, fork, op) in [
            ("shanghaiTime", config.shanghai_time, OpHardfork::Canyon, "canyonTime"),
            ("cancunTime", config.cancun_time, OpHardfork::Ecotone, "ecotoneTime"),
            ("pragueTime", config.prague_time, OpHardfork::Isthmus, "isthmusTime"),
            ("osakaTime", config.osaka_time, OpHardfork::Karst, "karstTime"),
        ] {
            let op_time = at[fork.idx()].as_timestamp();
            if let Some(l1_time) = l1_time
                && op_time != Some(l1_time)
            {
                return Err(ChainSpecError::Counterpart { l1, l1_time, op, op_time });
            }
        }
        Ok(Self { at, berlin_block: config.berlin_block.unwrap_or_default() })
    }

    /// Every fork that is set, with its activation, Bedrock first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (OpHardfork, ForkCondition)> {
        std::iter::once(OpHardfork::Bedrock)
            .chain(TIMED_FORKS.map(|(fork, _)| fork))
            .map(|fork| (fork, self.at[fork.idx()]))
            .filter(|(_, at)| *at != ForkCondition::Never)
    }

    fn bedrock_block(&self) -> u64 {
        self.at[OpHardfork::Bedrock.idx()].block_number().unwrap_or_default()
    }
}

impl EthereumHardforks for Hardforks {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        if let Some(fork) = counterpart(fork) {
            return self.op_fork_activation(fork);
        }
        match fork {
            EthereumHardfork::Dao => ForkCondition::Never,
            EthereumHardfork::Berlin => ForkCondition::Block(self.berlin_block),
            EthereumHardfork::London
            | EthereumHardfork::ArrowGlacier
            | EthereumHardfork::GrayGlacier => ForkCondition::Block(self.bedrock_block()),
            EthereumHardfork::Paris => ForkCondition::TTD {
                activation_block_number: self.bedrock_block(),
                fork_block: Some(self.bedrock_block()),
                total_difficulty: U256::ZERO,
            },
            before if before < EthereumHardfork::London => ForkCondition::ZERO_BLOCK,
            _ => ForkCondition::Never,
        }
    }
}

impl OpHardforks for Hardforks {
    fn op_fork_activation(&self, fork: OpHardfork) -> ForkCondition {
        self.at[fork.idx()]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn forks(change: &dyn Fn(&mut Value)) -> Result<Hardforks, ChainSpecError> {
        let mut config = json!({"chainId": 901, "bedrockBlock": 0});
        for (_, name) in TIMED_FORKS {
            config[name] = json!(7);
        }
        change(&mut config);
        Hardforks::from_config(&serde_json::from_value(config).expect("a config"))
    }

    #[test]
    fn ethereum_forks_come_with_their_counterparts() {
        let forks = forks(&|config| {
            config["karstTime"] = json!(9);
            config["berlinBlock"] = json!(3);
            config["bedrockBlock"] = json!(5);
        })
        .expect("valid");
        assert!(forks.is_prague_active_at_timestamp(7) && !forks.is_prague_active_at_timestamp(6));
        assert!(forks.is_osaka_active_at_timestamp(9) && !forks.is_osaka_active_at_timestamp(8));
        assert!(forks.is_berlin_active_at_block(3) && !forks.is_berlin_active_at_block(2));
        assert!(forks.is_london_active_at_block(5) && !forks.is_london_active_at_block(4));
        assert!(forks.is_paris_active_at_block(5) && !forks.is_paris_active_at_block(4));
        assert!(forks.is_istanbul_active_at_block(0));
        assert!(!forks.is_interop_active_at_timestamp(u64::MAX));
        assert!(!forks.is_amsterdam_active_at_timestamp(u64::MAX));
        assert_eq!(forks.iter().count(), 10);
    }

    #[test]
    fn order_is_checked_as_geth_does() {
        let error = |change: &dyn Fn(&mut Value)| forks(change).expect_err("refused").to_string();
        assert_eq!(
            error(&|config| config["graniteTime"] = Value::Null),
            "unsupported fork ordering: graniteTime not enabled, but holoceneTime enabled at timestamp 7"
        );
        assert_eq!(
            error(&|config| config["jovianTime"] = json!(9)),
            "unsupported fork ordering: jovianTime enabled at timestamp 9, but karstTime enabled at timestamp 7"
        );
        assert_eq!(
            error(&|config| config["cancunTime"] = json!(8)),
            "cancunTime (8) must equal ecotoneTime (7)"
        );
        assert_eq!(
            error(&|config| {
                config["karstTime"] = Value::Null;
                config["osakaTime"] = json!(0);
            }),
            "osakaTime (0) must equal karstTime (<nil>)"
        );
        assert!(error(&|config| config["fjordTime"] = json!("soon")).contains("config.fjordTime"));
        assert!(error(&|config| config["interopTime"] = json!(1)).contains("not supported"));
    }
}
