//! What a block has to hold: the attributes that a build starts with.

use crate::{L2Block, SequencerConfig, UpgradeDeposits, origin::exceeds_drift};
use alloy_eips::eip2718::Encodable2718;
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::PayloadAttributes;
use ascribe_chainspec::{
    ConfigUpdate, DepositLogError, L1Attributes, L1Origin, L2BlockRef, RollupConfig, SystemConfig,
    SystemConfigError, attributes::Format, config_update::CONFIG_UPDATE_TOPIC, decode_deposit_log,
    deposit::DEPOSIT_TOPIC, predeploys::SEQUENCER_FEE_VAULT,
};
use ascribe_l1::{BlobSchedule, L1Block, L1Receipt};
use op_alloy_consensus::TxDeposit;
use op_alloy_rpc_types_engine::OpPayloadAttributes;
use std::{collections::HashMap, sync::Arc};

/// Forks whose activation block executes upgrade deposits, with their names.
const FORKS_WITH_UPGRADES: [OpHardfork; 5] = [
    OpHardfork::Ecotone,
    OpHardfork::Fjord,
    OpHardfork::Isthmus,
    OpHardfork::Jovian,
    OpHardfork::Karst,
];

/// No attributes can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributesError {
    /// The origin does not fit to the parent: the L1 was reorged.
    #[error(
        "cannot create new block with L1 origin {epoch} (parent {parent}) on top of L1 origin {origin}"
    )]
    Origin {
        /// Hash of the origin wanted.
        epoch: B256,
        /// Hash of the L1 block before it.
        parent: B256,
        /// Hash of the parent block's origin.
        origin: B256,
    },
    /// The origin is later than the block.
    #[error("cannot build L2 block for time {time} before L1 origin {epoch} at time {origin_time}")]
    Early {
        /// Hash of the origin wanted.
        epoch: B256,
        /// Its time, in seconds.
        origin_time: u64,
        /// Time of the block, in seconds.
        time: u64,
    },
    /// The deposit contract wrote a log that is no deposit.
    #[error("malformatted L1 deposit log in receipt {receipt}, log {log}: {error}")]
    Deposit {
        /// Place of the receipt in the block.
        receipt: usize,
        /// Place of the log in the receipt.
        log: usize,
        /// What is wrong.
        error: DepositLogError,
    },
    /// The parent holds no system config, or one that no attributes can be made of.
    #[error("failed to create l1InfoTx: {0}")]
    SystemConfig(#[from] SystemConfigError),
    /// The block activates a fork whose upgrade deposits were not given.
    #[error("the block activates {0} after genesis, and its upgrade deposits are not known")]
    Upgrade(&'static str),
}

impl AttributesError {
    /// Whether starting over from what the L1 says now may help. Otherwise nothing does.
    pub const fn is_reset(&self) -> bool {
        matches!(self, Self::Origin { .. } | Self::Early { .. })
    }
}

/// Makes attributes.
#[derive(Debug, Clone)]
pub struct AttributesBuilder {
    rollup: Arc<RollupConfig>,
    blobs: BlobSchedule,
    upgrades: HashMap<OpHardfork, UpgradeDeposits>,
}

impl AttributesBuilder {
    /// For a rollup; blob parameters and upgrade deposits come from the settings.
    pub fn new(rollup: Arc<RollupConfig>, config: &SequencerConfig) -> Self {
        let blobs = config
            .l1_blobs
            .clone()
            .or_else(|| BlobSchedule::of_chain(rollup.l1_chain_id))
            .unwrap_or_default();
        Self { rollup, blobs, upgrades: config.upgrades.clone() }
    }

    /// Forks that activate after a time, in seconds, and whose upgrade deposits were not given. No
    /// block can be made that activates one of them.
    pub fn missing_upgrades(&self, after: u64) -> impl Iterator<Item = OpHardfork> {
        FORKS_WITH_UPGRADES.into_iter().filter(move |fork| {
            let time = self.rollup.op_fork_activation(*fork).as_timestamp();
            time.is_some_and(|time| time > after) && !self.upgrades.contains_key(fork)
        })
    }

    /// The attributes of the block after `parent` with the origin `epoch`. `receipts` are the
    /// origin's, and must be there if it is not the parent's.
    ///
    /// Transactions of the pool are admitted unless the block is too far ahead of its origin or
    /// activates a fork that does not admit them.
    pub fn prepare(
        &self,
        parent: &L2Block,
        epoch: &L1Block,
        receipts: Option<&[L1Receipt]>,
    ) -> Result<OpPayloadAttributes, AttributesError> {
        let rollup = &*self.rollup;
        let parent_hash = parent.header.hash();
        let at = L2BlockRef::of_header(rollup, parent_hash, &parent.header, &parent.attributes)?;
        let mut system =
            SystemConfig::after_block(rollup, parent_hash, &parent.header, &parent.attributes)?;
        let (origin_time, time) = (epoch.header.timestamp, at.timestamp + rollup.block_time);

        let same_epoch = at.l1_origin.hash == epoch.hash;
        if !same_epoch && epoch.header.parent_hash != at.l1_origin.hash {
            return Err(AttributesError::Origin {
                epoch: epoch.hash,
                parent: epoch.header.parent_hash,
                origin: at.l1_origin.hash,
            });
        }
        if time < origin_time {
            return Err(AttributesError::Early { epoch: epoch.hash, origin_time, time });
        }
        let mut deposits = Vec::new();
        let sequence_number = if same_epoch {
            at.sequence_number + 1
        } else {
            let receipts = receipts.unwrap_or_default();
            deposits = self.user_deposits(epoch.hash, receipts)?;
            self.update(&mut system, receipts, origin_time);
            0
        };

        let origin = L1Origin {
            hash: epoch.hash,
            header: &epoch.header,
            blob_params: self.blobs.at(origin_time),
        };
        let attributes = L1Attributes::new(rollup, &system, sequence_number, &origin, time)?;
        let regolith = rollup.is_regolith_active_at_timestamp(time);
        let attributes = attributes.deposit(Format::in_block(rollup, time), regolith);
        let mut transactions = Vec::with_capacity(1 + deposits.len());
        transactions.push(encode(attributes));
        transactions.extend(deposits.into_iter().map(encode));
        let mut gas_limit = system.gas_limit;
        for fork in FORKS_WITH_UPGRADES {
            if rollup.is_activation_block(fork, time) {
                let upgrade = self
                    .upgrades
                    .get(&fork)
                    .ok_or_else(|| AttributesError::Upgrade(fork.name()))?;
                transactions.extend(upgrade.transactions.iter().cloned());
                gas_limit = gas_limit.saturating_add(upgrade.gas);
            }
        }

        let header = &epoch.header;
        let no_tx_pool = exceeds_drift(rollup, time, origin_time)
            || FORKS_WITH_UPGRADES.iter().any(|fork| rollup.is_activation_block(*fork, time));
        Ok(OpPayloadAttributes {
            payload_attributes: PayloadAttributes {
                timestamp: time,
                prev_randao: header.mix_hash,
                suggested_fee_recipient: SEQUENCER_FEE_VAULT,
                withdrawals: rollup.is_canyon_active_at_timestamp(time).then(Vec::new),
                parent_beacon_block_root: rollup
                    .is_ecotone_active_at_timestamp(time)
                    .then(|| header.parent_beacon_block_root.unwrap_or_default()),
                ..PayloadAttributes::default()
            },
            transactions: Some(transactions),
            no_tx_pool: Some(no_tx_pool),
            gas_limit: Some(gas_limit),
            eip_1559_params: rollup
                .is_holocene_active_at_timestamp(time)
                .then_some(system.eip1559_params),
            min_base_fee: rollup.is_jovian_active_at_timestamp(time).then_some(system.min_base_fee),
        })
    }

    /// Deposits by users in the order of their logs. One that is malformed stops everything: no
    /// deposit may be left out.
    fn user_deposits(
        &self,
        l1_hash: B256,
        receipts: &[L1Receipt],
    ) -> Result<Vec<TxDeposit>, AttributesError> {
        let mut deposits = Vec::new();
        // Logs are counted over the block; those of failed transactions do not exist.
        let mut log_index = 0;
        for (at, receipt) in receipts.iter().enumerate() {
            for (log_at, log) in receipt.logs.iter().enumerate() {
                if receipt.success
                    && log.address == self.rollup.deposit_contract_address
                    && log.topics().first() == Some(&DEPOSIT_TOPIC)
                {
                    let deposit = decode_deposit_log(log, l1_hash, log_index).map_err(|error| {
                        AttributesError::Deposit { receipt: at, log: log_at, error }
                    })?;
                    deposits.push(deposit);
                }
                log_index += 1;
            }
        }
        Ok(deposits)
    }

    /// Applies the changes of the system config in the order of their logs. A malformed one is
    /// skipped: anybody else does so, too.
    fn update(&self, system: &mut SystemConfig, receipts: &[L1Receipt], l1_time: u64) {
        let ecotone = self.rollup.is_ecotone_active_at_timestamp(l1_time);
        let logs = receipts.iter().filter(|receipt| receipt.success).flat_map(|it| &it.logs);
        for log in logs.filter(|log| {
            log.address == self.rollup.l1_system_config_address
                && log.topics().first() == Some(&CONFIG_UPDATE_TOPIC)
        }) {
            match ConfigUpdate::decode(log, ecotone) {
                Ok(update) => {
                    tracing::info!(target: "ascribe::sequencer", ?update, "System config changed");
                    update.apply(system);
                }
                Err(error) => {
                    tracing::warn!(target: "ascribe::sequencer", %error, "System config log skipped");
                }
            }
        }
    }
}

fn encode(deposit: TxDeposit) -> Bytes {
    deposit.encoded_2718().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_chain::{FakeChain, FakeL1, GENESIS_TIME, log, rollup, rollup_with_fork};
    use alloy_eips::Decodable2718;
    use alloy_primitives::{B64, TxKind, U256, b64};
    use ascribe_chainspec::predeploys::{DEPOSITOR, L1_BLOCK};
    use op_alloy_consensus::OpTxEnvelope;

    fn builder(rollup: RollupConfig) -> AttributesBuilder {
        AttributesBuilder::new(Arc::new(rollup), &SequencerConfig::default())
    }

    fn deposits(attributes: &OpPayloadAttributes) -> Vec<TxDeposit> {
        let transactions = attributes.transactions.as_ref().expect("always set");
        let deposit = |bytes: &Bytes| match OpTxEnvelope::decode_2718_exact(bytes) {
            Ok(OpTxEnvelope::Deposit(deposit)) => deposit.into_inner(),
            other => panic!("{other:?}"),
        };
        transactions.iter().map(deposit).collect()
    }

    fn first(attributes: &OpPayloadAttributes) -> (L1Attributes, Format) {
        L1Attributes::decode(&deposits(attributes)[0].input).expect("L1 attributes")
    }

    /// A parent that no rollup config has as its genesis.
    fn parent(l1: &FakeL1, timestamp: u64, format: Format, extra_data: &'static [u8]) -> L2Block {
        let origin = l1.id(0);
        let attributes = L1Attributes {
            number: origin.number,
            hash: origin.hash,
            sequence_number: 4,
            batcher_hash: rollup().genesis.system_config.batcher_addr.into_word(),
            base_fee_scalar: 5,
            blob_base_fee_scalar: 6,
            operator_fee_scalar: 7,
            operator_fee_constant: 8,
            da_footprint_gas_scalar: 9,
            l1_fee_overhead: U256::from(188),
            l1_fee_scalar: U256::from(684_000),
            ..L1Attributes::default()
        };
        let header = alloy_consensus::Header {
            number: 77,
            timestamp,
            gas_limit: 45_000_000,
            extra_data: Bytes::from_static(extra_data),
            ..Default::default()
        };
        L2Block {
            header: reth_primitives_traits::SealedHeader::seal_slow(header),
            attributes: attributes.encode(format),
            transactions: 1,
        }
    }

    const HOLOCENE_EXTRA: [u8; 9] = [0, 0, 0, 0, 50, 0, 0, 0, 10];
    const JOVIAN_EXTRA: [u8; 17] = [1, 0, 0, 0, 50, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 3];

    #[test]
    fn the_first_block_carries_the_genesis_config() {
        let (l1, l2) = (FakeL1::new(), FakeChain::new());
        let it = builder(rollup()).prepare(&l2.head_now(), &l1.block(0), None).expect("valid");
        let payload = &it.payload_attributes;
        assert_eq!(payload.timestamp, GENESIS_TIME + 2);
        assert_eq!(payload.prev_randao, l1.block(0).header.mix_hash);
        assert_eq!(payload.suggested_fee_recipient, SEQUENCER_FEE_VAULT);
        assert_eq!(payload.withdrawals.as_deref(), Some(&[][..]));
        assert_eq!(payload.parent_beacon_block_root, l1.block(0).header.parent_beacon_block_root);
        assert_eq!(it.no_tx_pool, Some(false));
        assert_eq!(it.gas_limit, Some(60_000_000));
        assert_eq!(it.eip_1559_params, Some(B64::ZERO));
        assert_eq!(it.min_base_fee, Some(0));

        let all = deposits(&it);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].from, all[0].to), (DEPOSITOR, TxKind::Call(L1_BLOCK)));
        assert_eq!((all[0].gas_limit, all[0].is_system_transaction), (1_000_000, false));
        let (attributes, format) = first(&it);
        assert_eq!(format, Format::Jovian);
        let header = &l1.block(0).header;
        assert_eq!(
            attributes,
            L1Attributes {
                number: 0,
                timestamp: header.timestamp,
                base_fee: U256::from(1_000_000_000),
                blob_base_fee: U256::from(1),
                hash: l1.block(0).hash,
                sequence_number: 1,
                batcher_hash: rollup().genesis.system_config.batcher_addr.into_word(),
                base_fee_scalar: 1_368,
                blob_base_fee_scalar: 810_949,
                da_footprint_gas_scalar: 400,
                ..L1Attributes::default()
            }
        );
    }

    #[test]
    fn later_blocks_take_the_config_from_their_parent() {
        let l1 = FakeL1::new();
        let parent = parent(&l1, GENESIS_TIME + 8, Format::Jovian, &JOVIAN_EXTRA);
        let it = builder(rollup()).prepare(&parent, &l1.block(0), None).expect("valid");
        assert_eq!(it.gas_limit, Some(45_000_000));
        assert_eq!(it.eip_1559_params, Some(b64!("000000320000000a")));
        assert_eq!(it.min_base_fee, Some(3));
        let (attributes, _) = first(&it);
        assert_eq!(attributes.sequence_number, 5);
        assert_eq!((attributes.base_fee_scalar, attributes.blob_base_fee_scalar), (5, 6));
        assert_eq!((attributes.operator_fee_scalar, attributes.operator_fee_constant), (7, 8));
        assert_eq!(attributes.da_footprint_gas_scalar, 9);
    }

    #[test]
    fn a_new_epoch_brings_deposits_and_updates() {
        let l1 = FakeL1::new();
        l1.extend(1);
        let rollup = rollup();
        let mut opaque = U256::from(5).to_be_bytes::<32>().to_vec();
        opaque.extend(U256::from(4).to_be_bytes::<32>());
        opaque.extend(21_000_u64.to_be_bytes());
        opaque.extend([0, 0xaa]);
        let user = |address| {
            let topics =
                vec![DEPOSIT_TOPIC, B256::with_last_byte(1), B256::with_last_byte(2), B256::ZERO];
            log(address, topics, &opaque)
        };
        let update = |kind: u8, value: u64| {
            let topics = vec![CONFIG_UPDATE_TOPIC, B256::ZERO, B256::with_last_byte(kind)];
            log(rollup.l1_system_config_address, topics, &U256::from(value).to_be_bytes::<32>())
        };
        let portal = rollup.deposit_contract_address;
        let receipts = [
            L1Receipt { success: false, logs: vec![user(portal), update(2, 1)] },
            L1Receipt { success: true, logs: vec![user(rollup.batch_inbox_address), user(portal)] },
            // The second is too large for its field and is skipped; the rest is applied.
            L1Receipt {
                success: true,
                logs: vec![update(2, 30_000_000), update(7, 70_000), update(7, 55), user(portal)],
            },
            L1Receipt { success: true, logs: vec![update(6, 1_000), update(4, (8 << 32) | 2)] },
        ];
        let parent = parent(&l1, GENESIS_TIME + 10, Format::Jovian, &JOVIAN_EXTRA);
        let builder = builder(rollup);
        let it = builder.prepare(&parent, &l1.block(1), Some(&receipts)).expect("valid");
        assert_eq!(it.gas_limit, Some(30_000_000));
        assert_eq!(it.min_base_fee, Some(1_000));
        assert_eq!(it.eip_1559_params, Some(b64!("0000000800000002")));
        let (attributes, _) = first(&it);
        assert_eq!((attributes.number, attributes.sequence_number), (1, 0));
        assert_eq!(attributes.da_footprint_gas_scalar, 55);
        let all = deposits(&it);
        assert_eq!(all.len(), 3);
        // Logs are counted over the whole block, those of failed transactions too.
        let source = |index| {
            op_alloy_consensus::UserDepositSource::new(l1.block(1).hash, index).source_hash()
        };
        assert_eq!((all[1].source_hash, all[2].source_hash), (source(3), source(7)));
        assert_eq!((all[1].mint, all[1].value, all[1].gas_limit), (5, U256::from(4), 21_000));

        let mut malformed = receipts[1].clone();
        malformed.logs[1].data.data = Bytes::new();
        let error =
            builder.prepare(&parent, &l1.block(1), Some(&[malformed])).expect_err("no deposit");
        assert!(!error.is_reset());
        assert!(matches!(error, AttributesError::Deposit { receipt: 0, log: 1, .. }), "{error}");
    }

    #[test]
    fn every_fork_has_its_fields_and_its_form() {
        let l1 = FakeL1::new();
        l1.extend(1);
        let time = GENESIS_TIME + 4;
        // The newest fork, its L1 attributes, and what the parent has of them.
        let cases: [(OpHardfork, Format, &'static [u8]); 9] = [
            (OpHardfork::Regolith, Format::Bedrock, &[]),
            (OpHardfork::Canyon, Format::Bedrock, &[]),
            (OpHardfork::Ecotone, Format::Ecotone, &[]),
            (OpHardfork::Fjord, Format::Ecotone, &[]),
            (OpHardfork::Granite, Format::Ecotone, &[]),
            (OpHardfork::Holocene, Format::Ecotone, &HOLOCENE_EXTRA),
            (OpHardfork::Isthmus, Format::Isthmus, &HOLOCENE_EXTRA),
            (OpHardfork::Jovian, Format::Jovian, &JOVIAN_EXTRA),
            (OpHardfork::Karst, Format::Jovian, &JOVIAN_EXTRA),
        ];
        for (fork, format, extra_data) in cases {
            let parent = parent(&l1, time, format, extra_data);
            let it = builder(rollup_with_fork(fork, Some(0)))
                .prepare(&parent, &l1.block(0), None)
                .unwrap_or_else(|error| panic!("{fork}: {error}"));
            assert_eq!(first(&it).1, format, "{fork}");
            let has = |since| fork >= since;
            let payload = &it.payload_attributes;
            assert_eq!(payload.withdrawals.is_some(), has(OpHardfork::Canyon), "{fork}");
            assert_eq!(
                payload.parent_beacon_block_root.is_some(),
                has(OpHardfork::Ecotone),
                "{fork}"
            );
            assert_eq!(it.eip_1559_params.is_some(), has(OpHardfork::Holocene), "{fork}");
            assert_eq!(it.min_base_fee.is_some(), has(OpHardfork::Jovian), "{fork}");
            assert_eq!(it.gas_limit, Some(45_000_000));
            let (attributes, _) = first(&it);
            let header = &l1.block(0).header;
            assert_eq!(attributes.number, header.number);
            assert_eq!(attributes.hash, l1.block(0).hash);
            if fork < OpHardfork::Ecotone {
                assert_eq!(attributes.l1_fee_overhead, U256::from(188));
                assert_eq!(attributes.l1_fee_scalar, U256::from(684_000));
            } else {
                assert_eq!((attributes.base_fee_scalar, attributes.blob_base_fee_scalar), (5, 6));
            }
        }
        let bedrock = builder(rollup_with_fork(OpHardfork::Regolith, None));
        let parent = parent(&l1, time, Format::Bedrock, &[]);
        let it = bedrock.prepare(&parent, &l1.block(0), None).expect("valid");
        let deposit = &deposits(&it)[0];
        assert_eq!((deposit.gas_limit, deposit.is_system_transaction), (150_000_000, true));
    }

    #[test]
    fn activation_blocks_have_the_old_form_and_no_users() {
        let l1 = FakeL1::new();
        let time = GENESIS_TIME + 8;
        let cases: [(OpHardfork, Format, &'static [u8], bool); 6] = [
            (OpHardfork::Ecotone, Format::Bedrock, &[], true),
            (OpHardfork::Fjord, Format::Ecotone, &[], true),
            (OpHardfork::Granite, Format::Ecotone, &[], false),
            (OpHardfork::Isthmus, Format::Ecotone, &HOLOCENE_EXTRA, true),
            (OpHardfork::Jovian, Format::Isthmus, &HOLOCENE_EXTRA, true),
            (OpHardfork::Karst, Format::Jovian, &JOVIAN_EXTRA, true),
        ];
        for (fork, format, extra_data, closed) in cases {
            let rollup = Arc::new(rollup_with_fork(fork, Some(time + 2)));
            let parent = parent(&l1, time, format, extra_data);
            let mut config = SequencerConfig::default();
            let without = AttributesBuilder::new(rollup.clone(), &config);
            let missing = |after| without.missing_upgrades(after).collect::<Vec<_>>();
            assert_eq!(missing(time), if closed { vec![fork] } else { vec![] });
            assert_eq!(missing(time + 2), []);
            if closed {
                let error = without.prepare(&parent, &l1.block(0), None).expect_err("incomplete");
                assert!(matches!(error, AttributesError::Upgrade(_)), "{fork}: {error}");
            }
            let upgrade =
                UpgradeDeposits { transactions: vec![Bytes::from_static(&[0x7e, 1])], gas: 5 };
            config.upgrades.insert(fork, upgrade);
            let it = AttributesBuilder::new(rollup, &config)
                .prepare(&parent, &l1.block(0), None)
                .unwrap_or_else(|error| panic!("{fork}: {error}"));
            let transactions = it.transactions.expect("always set");
            let input = match OpTxEnvelope::decode_2718_exact(&transactions[0]) {
                Ok(OpTxEnvelope::Deposit(deposit)) => deposit.input.clone(),
                other => panic!("{other:?}"),
            };
            assert_eq!(L1Attributes::decode(&input).expect("attributes").1, format, "{fork}");
            assert_eq!(it.no_tx_pool, Some(closed), "{fork}");
            assert_eq!(transactions.len(), if closed { 2 } else { 1 }, "{fork}");
            assert_eq!(it.gas_limit, Some(if closed { 45_000_005 } else { 45_000_000 }), "{fork}");
        }
    }

    #[test]
    fn past_the_drift_there_are_no_users() {
        let l1 = FakeL1::new();
        for (ahead, closed) in [(1_798, false), (1_800, true)] {
            let parent = parent(&l1, GENESIS_TIME + ahead, Format::Jovian, &JOVIAN_EXTRA);
            let it = builder(rollup()).prepare(&parent, &l1.block(0), None).expect("valid");
            assert_eq!(it.no_tx_pool, Some(closed), "{ahead}");
        }
    }

    #[test]
    fn origins_that_do_not_fit_are_a_reset() {
        let l1 = FakeL1::new();
        l1.extend(2);
        let builder = builder(rollup());
        let parent = parent(&l1, GENESIS_TIME + 8, Format::Jovian, &JOVIAN_EXTRA);
        let skipped = builder.prepare(&parent, &l1.block(2), Some(&[])).expect_err("skips one");
        assert!(matches!(skipped, AttributesError::Origin { .. }) && skipped.is_reset());
        let early = builder.prepare(&parent, &l1.block(1), Some(&[])).expect_err("12 s later");
        assert!(matches!(early, AttributesError::Early { .. }) && early.is_reset());
    }
}
