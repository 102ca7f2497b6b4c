//! What a block has to hold: the attributes that a build starts with.

use crate::{L2Block, L2BlockRef, SequencerConfig, UpgradeDeposits, origin::exceeds_drift};
use alloy_eips::eip2718::Encodable2718;
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::PayloadAttributes;
use ascribe_chainspec::{
    ConfigUpdate, DepositLogError, L1Attributes, L1Origin, RollupConfig, SystemConfig,
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
        let at = L2BlockRef::of_block(rollup, parent_hash, &parent.header, &parent.attributes)?;
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
                let upgrade =
                    self.upgrades.get(&fork).ok_or(AttributesError::Upgrade(fork.name()))?;
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
                    tracing::info!(target: "sequencer", ?update, "system config changed");
                    update.apply(system);
                }
                Err(error) => {
                    tracing::warn!(target: "sequencer", %error, "system config log skipped");
                }
            }
        }
    }
}

fn encode(deposit: TxDeposit) -> Bytes {
    deposit.encoded_2718().into()
}
