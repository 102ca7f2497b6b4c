//! Which blob parameters an L1 has when: its blob base fee follows from them.

use alloy_eips::eip7840::BlobParams;
use alloy_genesis::ChainConfig;
use alloy_hardforks::EthereumHardfork;

/// Blob parameters (EIP-7840, EIP-7892) by the time from which they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobSchedule {
    /// In ascending order.
    steps: Vec<(u64, BlobParams)>,
}

impl BlobSchedule {
    /// The schedule of a public chain; `None` for any but mainnet (1), Holesky (17000), Hoodi
    /// (560048) and Sepolia (11155111).
    pub fn of_chain(chain_id: u64) -> Option<Self> {
        let activation = match chain_id {
            1 => EthereumHardfork::mainnet_activation_timestamp,
            17_000 => EthereumHardfork::holesky_activation_timestamp,
            560_048 => EthereumHardfork::hoodi_activation_timestamp,
            11_155_111 => EthereumHardfork::sepolia_activation_timestamp,
            _ => return None,
        };
        let steps = [
            (EthereumHardfork::Cancun, BlobParams::cancun()),
            (EthereumHardfork::Prague, BlobParams::prague()),
            (EthereumHardfork::Osaka, BlobParams::osaka()),
            (EthereumHardfork::Bpo1, BlobParams::bpo1()),
            (EthereumHardfork::Bpo2, BlobParams::bpo2()),
        ];
        let step = |(fork, params): (EthereumHardfork, _)| Some((activation(&fork)?, params));
        Some(Self { steps: steps.into_iter().filter_map(step).collect() })
    }

    /// The schedule that a chain configuration (geth's `config` of a genesis file) describes.
    pub fn of_config(config: &ChainConfig) -> Self {
        let params = config.blob_schedule_blob_params();
        let forks = [
            (config.cancun_time, params.cancun),
            (config.prague_time, params.prague),
            (config.osaka_time, params.osaka),
        ];
        let forks = forks.into_iter().filter_map(|(time, params)| Some((time?, params)));
        let mut steps: Vec<_> = forks.chain(params.scheduled).collect();
        steps.sort_by_key(|(time, _)| *time);
        Self { steps }
    }

    /// The parameters at a time, in seconds. Before the first step Cancun's, where nothing depends
    /// on them.
    pub fn at(&self, timestamp: u64) -> BlobParams {
        let step = self.steps.iter().rev().find(|(from, _)| *from <= timestamp);
        step.map_or_else(BlobParams::cancun, |(_, params)| *params)
    }
}

impl Default for BlobSchedule {
    /// Prague's parameters at all times: an L1 of one's own, such as anvil.
    fn default() -> Self {
        Self { steps: vec![(0, BlobParams::prague())] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_chains_step_by_time() {
        let mainnet = BlobSchedule::of_chain(1).expect("a public chain");
        for (time, params) in [
            (1_746_612_310, BlobParams::cancun()),
            (1_746_612_311, BlobParams::prague()),
            (1_765_290_070, BlobParams::osaka()),
            (1_765_290_071, BlobParams::bpo1()),
            (u64::MAX, BlobParams::bpo2()),
        ] {
            assert_eq!(mainnet.at(time).update_fraction, params.update_fraction, "{time}");
        }
        for chain_id in [17_000, 560_048, 11_155_111] {
            assert!(BlobSchedule::of_chain(chain_id).is_some());
        }
        assert_eq!(BlobSchedule::of_chain(900), None);
        assert_eq!(BlobSchedule::default().at(0), BlobParams::prague());
    }

    #[test]
    fn configurations_say_their_own() {
        let config = serde_json::json!({
            "chainId": 900, "cancunTime": 0, "pragueTime": 10, "osakaTime": 20, "bpo1Time": 30,
            "blobSchedule": {
                "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 1 },
                "prague": { "target": 6, "max": 9, "baseFeeUpdateFraction": 2 },
                "osaka": { "target": 6, "max": 9, "baseFeeUpdateFraction": 3 },
                "bpo1": { "target": 10, "max": 15, "baseFeeUpdateFraction": 4 },
            },
        });
        let config: ChainConfig = serde_json::from_value(config).expect("a chain configuration");
        let schedule = BlobSchedule::of_config(&config);
        let fractions: Vec<_> =
            [0, 10, 20, 30].iter().map(|time| schedule.at(*time).update_fraction).collect();
        assert_eq!(fractions, [1, 2, 3, 4]);
    }
}
