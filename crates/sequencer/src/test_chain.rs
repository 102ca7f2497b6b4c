//! An L1 and an L2 of which only what the sequencer sees is there.

use crate::ports::{ChainError, L1Source, L2Block, L2Chain, Labels};
use alloy_consensus::{Header, Transaction};
use alloy_eips::{BlockNumHash, Decodable2718};
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{Address, B64, B256, Bytes, U256, keccak256};
use alloy_rpc_types_engine::{ForkchoiceState, PayloadId};
use ascribe_chainspec::{
    BlockId, ChainOpConfig, GenesisIds, L1Attributes, RollupConfig, SystemConfig,
    attributes::Format, extra_data,
};
use ascribe_l1::{L1Block, L1Error, L1Heads, L1Receipt};
use futures::{StreamExt, stream::BoxStream};
use op_alloy_consensus::OpTxEnvelope;
use op_alloy_rpc_types_engine::OpPayloadAttributes;
use reth_primitives_traits::SealedHeader;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

/// Time of both genesis blocks.
pub(crate) const GENESIS_TIME: u64 = 1_000_000;
/// Seconds from one L1 block to the next.
pub(crate) const L1_BLOCK_TIME: u64 = 12;

/// Karst from genesis on, blocks every two seconds.
pub(crate) fn rollup() -> RollupConfig {
    let mut system_config = SystemConfig {
        batcher_addr: Address::repeat_byte(0xba),
        gas_limit: 60_000_000,
        ..SystemConfig::default()
    };
    system_config.set_ecotone_scalars(1_368, 810_949);
    RollupConfig {
        genesis: GenesisIds {
            l1: BlockId { hash: l1_genesis(0).hash, number: 0 },
            l2: BlockId { hash: l2_genesis().hash(), number: 0 },
            l2_time: GENESIS_TIME,
            system_config,
        },
        block_time: 2,
        max_sequencer_drift: 600,
        seq_window_size: 3_600,
        channel_timeout: 300,
        l1_chain_id: 900,
        l2_chain_id: 901,
        regolith_time: Some(0),
        canyon_time: Some(0),
        delta_time: Some(0),
        ecotone_time: Some(0),
        fjord_time: Some(0),
        granite_time: Some(0),
        holocene_time: Some(0),
        isthmus_time: Some(0),
        jovian_time: Some(0),
        karst_time: Some(0),
        keep_karst_upgrade_gas: false,
        batch_inbox_address: Address::repeat_byte(1),
        deposit_contract_address: Address::repeat_byte(2),
        l1_system_config_address: Address::repeat_byte(3),
        chain_op_config: Some(ChainOpConfig {
            eip1559_elasticity: 6,
            eip1559_denominator: 50,
            eip1559_denominator_canyon: Some(250),
        }),
        alt_da: None,
        pectra_blob_schedule_time: None,
    }
}

fn l1_genesis(branch: u8) -> L1Block {
    l1_block(Header { timestamp: GENESIS_TIME, ..Header::default() }, branch)
}

fn l2_genesis() -> SealedHeader {
    SealedHeader::seal_slow(Header {
        timestamp: GENESIS_TIME,
        gas_limit: 60_000_000,
        extra_data: Bytes::from_static(&[1, 0, 0, 0, 250, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]),
        ..Header::default()
    })
}

fn l1_block(header: Header, branch: u8) -> L1Block {
    let header = Header {
        extra_data: vec![branch].into(),
        mix_hash: keccak256([branch, header.number as u8]),
        parent_beacon_block_root: Some(keccak256([header.number as u8, branch])),
        base_fee_per_gas: Some(1_000_000_000 + header.number),
        excess_blob_gas: Some(0),
        ..header
    };
    L1Block { hash: header.hash_slow(), header, transactions: Vec::new() }
}

#[derive(Debug, Default)]
struct L1State {
    canonical: Vec<Arc<L1Block>>,
    known: HashMap<B256, Arc<L1Block>>,
    receipts: HashMap<u64, Arc<Vec<L1Receipt>>>,
    branch: u8,
    failing: bool,
}

/// An L1 that can be extended, reorged and switched off.
#[derive(Debug, Clone)]
pub(crate) struct FakeL1 {
    state: Arc<Mutex<L1State>>,
    heads: Arc<watch::Sender<L1Heads>>,
}

impl FakeL1 {
    pub(crate) fn new() -> Self {
        Self::of(l1_genesis(0))
    }

    pub(crate) fn on_another_genesis() -> Self {
        let l1 = Self::of(l1_genesis(9));
        l1.extend(10);
        l1
    }

    fn of(genesis: L1Block) -> Self {
        let l1 = Self { state: Arc::default(), heads: Arc::new(watch::Sender::default()) };
        l1.with(|state| state.push(genesis));
        l1.announce(false);
        l1
    }

    fn with<T>(&self, f: impl FnOnce(&mut L1State) -> T) -> T {
        f(&mut self.state.lock().expect("no test panics with it"))
    }

    /// Adds blocks.
    pub(crate) fn extend(&self, blocks: u64) {
        for _ in 0..blocks {
            self.add(L1_BLOCK_TIME);
        }
        self.announce(false);
    }

    /// Adds a block that is so many seconds later than the last.
    pub(crate) fn extend_after(&self, seconds: u64) {
        self.add(seconds);
        self.announce(false);
    }

    fn add(&self, seconds: u64) {
        self.with(|state| {
            let parent = state.canonical.last().expect("a genesis");
            let header = Header {
                parent_hash: parent.hash,
                number: parent.header.number + 1,
                timestamp: parent.header.timestamp + seconds,
                ..Header::default()
            };
            let block = l1_block(header, state.branch);
            state.push(block);
        });
    }

    /// Replaces the blocks above a number by that many others.
    pub(crate) fn reorg(&self, above: usize, blocks: u64) {
        self.with(|state| {
            state.canonical.truncate(above + 1);
            state.branch += 1;
        });
        self.announce(true);
        self.extend(blocks);
    }

    /// Forgets the blocks above a number, as a node that fell behind.
    pub(crate) fn truncate(&self, above: usize) {
        self.with(|state| state.canonical.truncate(above + 1));
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.with(|state| state.failing = failing);
    }

    pub(crate) fn set_receipts(&self, number: u64, receipts: Vec<L1Receipt>) {
        self.with(|state| _ = state.receipts.insert(number, Arc::new(receipts)));
    }

    pub(crate) fn block(&self, number: u64) -> Arc<L1Block> {
        self.with(|state| state.canonical[number as usize].clone())
    }

    pub(crate) fn id(&self, number: u64) -> BlockNumHash {
        BlockNumHash::new(number, self.block(number).hash)
    }

    fn announce(&self, reorg: bool) {
        let latest = self.with(|state| state.canonical.last().map(|block| block.block_ref()));
        self.heads.send_modify(|heads| {
            heads.latest = latest;
            heads.reorgs += u64::from(reorg);
        });
    }

    fn answer<T>(&self, f: impl FnOnce(&L1State) -> T) -> Result<T, L1Error> {
        self.with(|state| match state.failing {
            true => Err(L1Error::Request { method: "any", message: "out of order".to_owned() }),
            false => Ok(f(state)),
        })
    }
}

impl L1State {
    fn push(&mut self, block: L1Block) {
        let block = Arc::new(block);
        self.known.insert(block.hash, block.clone());
        self.canonical.push(block);
    }
}

impl L1Source for FakeL1 {
    fn heads(&self) -> watch::Receiver<L1Heads> {
        self.heads.subscribe()
    }

    async fn follow_heads(&self) {
        std::future::pending().await
    }

    async fn block_by_hash(&self, hash: B256) -> Result<Option<Arc<L1Block>>, L1Error> {
        self.answer(|state| state.known.get(&hash).cloned())
    }

    async fn block_by_number(&self, number: u64) -> Result<Option<Arc<L1Block>>, L1Error> {
        self.answer(|state| state.canonical.get(number as usize).cloned())
    }

    async fn receipts(&self, hash: B256) -> Result<Arc<Vec<L1Receipt>>, L1Error> {
        self.answer(|state| {
            let number = state.known.get(&hash).map(|block| block.header.number);
            number.and_then(|number| state.receipts.get(&number).cloned()).unwrap_or_default()
        })
    }
}

#[derive(Debug)]
struct L2State {
    blocks: HashMap<B256, L2Block>,
    head: B256,
    labels: Labels,
    jobs: HashMap<PayloadId, (B256, OpPayloadAttributes)>,
    /// Errors of the next calls.
    errors: Vec<ChainError>,
    /// Errors of the next calls that set a head only.
    insert_errors: Vec<ChainError>,
    /// Blocks that became the head, with the attributes they were made of.
    sequenced: Vec<(L2Block, OpPayloadAttributes)>,
    made: HashMap<B256, OpPayloadAttributes>,
}

/// An L2 whose engine puts attributes into blocks without executing anything.
#[derive(Debug, Clone)]
pub(crate) struct FakeChain {
    state: Arc<Mutex<L2State>>,
    changes: Arc<watch::Sender<()>>,
}

impl FakeChain {
    pub(crate) fn new() -> Self {
        let header = l2_genesis();
        let genesis = L2Block { header, attributes: Bytes::new(), transactions: 0 };
        let state = L2State {
            head: genesis.header.hash(),
            blocks: [(genesis.header.hash(), genesis)].into(),
            labels: Labels::default(),
            jobs: HashMap::new(),
            errors: Vec::new(),
            insert_errors: Vec::new(),
            sequenced: Vec::new(),
            made: HashMap::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), changes: Arc::default() }
    }

    fn with<T>(&self, f: impl FnOnce(&mut L2State) -> T) -> T {
        f(&mut self.state.lock().expect("no test panics with it"))
    }

    /// Adds a block that somebody else made.
    pub(crate) fn append(&self, l1_origin: BlockNumHash, sequence_number: u64) -> B256 {
        let attributes = L1Attributes {
            number: l1_origin.number,
            hash: l1_origin.hash,
            sequence_number,
            batcher_hash: rollup().genesis.system_config.batcher_addr.into_word(),
            base_fee_scalar: 1_368,
            blob_base_fee_scalar: 810_949,
            da_footprint_gas_scalar: 400,
            ..L1Attributes::default()
        };
        let attributes = attributes.encode(Format::Jovian);
        let hash = self.with(|state| {
            let parent = &state.blocks[&state.head].header;
            let header = SealedHeader::seal_slow(Header {
                parent_hash: parent.hash(),
                number: parent.number + 1,
                timestamp: parent.timestamp + 2,
                ..parent.header().clone()
            });
            state.head = header.hash();
            state.blocks.insert(header.hash(), L2Block { header, attributes, transactions: 1 });
            state.head
        });
        self.changes.send_replace(());
        hash
    }

    /// Makes a block of the chain final.
    pub(crate) fn finalize(&self, number: u64) {
        let id = self.canonical(number);
        self.with(|state| state.labels = Labels { safe: Some(id), finalized: Some(id) });
        self.changes.send_replace(());
    }

    pub(crate) fn set_safe(&self, number: u64) {
        let id = self.canonical(number);
        self.with(|state| state.labels.safe = Some(id));
        self.changes.send_replace(());
    }

    fn canonical(&self, number: u64) -> BlockNumHash {
        self.with(|state| {
            let mut header = &state.blocks[&state.head].header;
            while header.number > number {
                header = &state.blocks[&header.parent_hash].header;
            }
            BlockNumHash::new(header.number, header.hash())
        })
    }

    pub(crate) fn labels_now(&self) -> Labels {
        self.with(|state| state.labels)
    }

    pub(crate) fn head_now(&self) -> L2Block {
        self.with(|state| state.blocks[&state.head].clone())
    }

    /// The next calls fail with these errors, the last first.
    pub(crate) fn fail_with(&self, errors: Vec<ChainError>) {
        self.with(|state| state.errors = errors);
    }

    /// The next calls that set a head only fail with these errors, the last first.
    pub(crate) fn fail_inserts(&self, errors: Vec<ChainError>) {
        self.with(|state| state.insert_errors = errors);
    }

    /// Blocks that were made and became the head, with their attributes.
    pub(crate) fn sequenced(&self) -> Vec<(L2Block, OpPayloadAttributes)> {
        self.with(|state| state.sequenced.clone())
    }

    /// Builds that nobody waits for.
    pub(crate) fn jobs(&self) -> usize {
        self.with(|state| state.jobs.len())
    }
}

impl L2Chain for FakeChain {
    fn head(&self) -> Result<L2Block, ChainError> {
        Ok(self.head_now())
    }

    fn block(&self, hash: B256) -> Result<Option<L2Block>, ChainError> {
        Ok(self.with(|state| state.blocks.get(&hash).cloned()))
    }

    fn labels(&self) -> Labels {
        self.labels_now()
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        WatchStream::from_changes(self.changes.subscribe()).boxed()
    }

    async fn set_forkchoice(
        &self,
        choice: ForkchoiceState,
        attributes: Option<OpPayloadAttributes>,
    ) -> Result<Option<PayloadId>, ChainError> {
        let id = self.with(|state| {
            if let Some(error) = state.errors.pop() {
                return Err(error);
            }
            if attributes.is_none()
                && let Some(error) = state.insert_errors.pop()
            {
                return Err(error);
            }
            let label = |state: &L2State, hash: B256| {
                let block = state.blocks.get(&hash);
                let block = block.ok_or_else(|| ChainError::Inconsistent("label".to_owned()))?;
                Ok::<_, ChainError>(BlockNumHash::new(block.header.number, hash))
            };
            let head = label(state, choice.head_block_hash)?;
            let safe = label(state, choice.safe_block_hash)?;
            let finalized = label(state, choice.finalized_block_hash)?;
            assert!(finalized.number <= safe.number && safe.number <= head.number);
            state.labels = Labels { safe: Some(safe), finalized: Some(finalized) };
            state.head = head.hash;
            if let Some(attributes) = state.made.remove(&head.hash) {
                state.sequenced.push((state.blocks[&head.hash].clone(), attributes));
            }
            Ok(attributes.map(|attributes| {
                let id = attributes.payload_id(&head.hash, 3);
                state.jobs.insert(id, (head.hash, attributes));
                id
            }))
        })?;
        self.changes.send_replace(());
        Ok(id)
    }

    async fn seal(&self, id: PayloadId) -> Result<L2Block, ChainError> {
        self.with(|state| {
            let (parent, attributes) = state.jobs.remove(&id).ok_or(ChainError::UnknownPayload)?;
            if let Some(error) = state.errors.pop() {
                return Err(error);
            }
            let parent = state.blocks[&parent].header.clone();
            let transactions = attributes.transactions.clone().unwrap_or_default();
            let first = OpTxEnvelope::decode_2718_exact(&transactions[0]).expect("a deposit");
            let params = attributes.eip_1559_params.unwrap_or_default();
            let (denominator, elasticity) = match params {
                B64::ZERO => (250, 6),
                params => extra_data::split_params(params),
            };
            let mut extra = vec![1];
            extra.extend(denominator.to_be_bytes());
            extra.extend(elasticity.to_be_bytes());
            extra.extend(attributes.min_base_fee.unwrap_or_default().to_be_bytes());
            let header = SealedHeader::seal_slow(Header {
                parent_hash: parent.hash(),
                number: parent.number + 1,
                timestamp: attributes.payload_attributes.timestamp,
                gas_limit: attributes.gas_limit.expect("always set"),
                mix_hash: attributes.payload_attributes.prev_randao,
                extra_data: extra.into(),
                ..Header::default()
            });
            let block = L2Block {
                attributes: first.input().clone(),
                transactions: transactions.len(),
                header,
            };
            state.blocks.insert(block.header.hash(), block.clone());
            state.made.insert(block.header.hash(), attributes);
            Ok(block)
        })
    }
}

/// A log as L1 contracts write them: ABI-encoded bytes.
pub(crate) fn log(address: Address, topics: Vec<B256>, payload: &[u8]) -> alloy_primitives::Log {
    let mut data = U256::from(32).to_be_bytes::<32>().to_vec();
    data.extend(U256::from(payload.len()).to_be_bytes::<32>());
    data.extend(payload);
    data.resize(64 + payload.len().next_multiple_of(32), 0);
    alloy_primitives::Log::new_unchecked(address, topics, data.into())
}

/// A rollup that activates a fork, and all later ones, at a time; earlier ones at genesis.
pub(crate) fn rollup_with_fork(fork: OpHardfork, time: Option<u64>) -> RollupConfig {
    let mut rollup = rollup();
    let mut later = false;
    for (of, at) in [
        (OpHardfork::Regolith, &mut rollup.regolith_time),
        (OpHardfork::Canyon, &mut rollup.canyon_time),
        (OpHardfork::Ecotone, &mut rollup.ecotone_time),
        (OpHardfork::Fjord, &mut rollup.fjord_time),
        (OpHardfork::Granite, &mut rollup.granite_time),
        (OpHardfork::Holocene, &mut rollup.holocene_time),
        (OpHardfork::Isthmus, &mut rollup.isthmus_time),
        (OpHardfork::Jovian, &mut rollup.jovian_time),
        (OpHardfork::Karst, &mut rollup.karst_time),
    ] {
        if of == fork {
            *at = time;
            later = true;
        } else if later {
            *at = None;
        }
    }
    assert_eq!(rollup.op_fork_activation(fork).as_timestamp(), time);
    rollup
}
