//! A node under test, and a wallet to give it work.

use alloy_consensus::{BlockHeader, SignableTransaction, TxEip1559};
use alloy_eips::{Encodable2718, eip1559::BaseFeeParams};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B64, B256, Bytes, TxKind, U256, address, keccak256};
use alloy_rpc_types_engine::{
    ForkchoiceState, ForkchoiceUpdated, PayloadAttributes, PayloadStatus, PayloadStatusEnum,
};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use ascribe_chainspec::ChainSpec;
use ascribe_engine::{BuiltPayload, ChainView, EngineConfig, EngineHandle, ForkchoiceError, spawn};
use ascribe_evm::EvmConfig;
use ascribe_storage::{Storage, StorageOptions};
use ascribe_txpool::{PoolConfig, TxPool};
use op_alloy_consensus::{OpTxEnvelope, TxDeposit, encode_jovian_extra_data};
use op_alloy_rpc_types_engine::{OpExecutionData, OpPayloadAttributes};
use std::{path::Path, sync::Arc};
use tempfile::TempDir;

pub(crate) const CHAIN_ID: u64 = 901;
pub(crate) const GAS_LIMIT: u64 = 30_000_000;
pub(crate) const FEE_VAULT: Address = address!("4200000000000000000000000000000000000011");
pub(crate) const L1_BLOCK: Address = address!("4200000000000000000000000000000000000015");
const MESSAGE_PASSER: Address = address!("4200000000000000000000000000000000000016");
const DEPOSITOR: Address = address!("DeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001");
/// Stores the second word of its input at the slot that the first one names.
pub(crate) const STORE: Address = address!("00000000000000000000000000000000005704e0");
pub(crate) const STORE_CODE: [u8; 8] = [0x60, 0x20, 0x35, 0x60, 0x00, 0x35, 0x55, 0x00];

/// A chain with every fork up to Karst active since genesis.
pub(crate) fn spec() -> Arc<ChainSpec> {
    spec_with_karst(0)
}

/// A chain with every fork up to Jovian active since genesis, and Karst at its time.
pub(crate) fn spec_with_karst(karst: u64) -> Arc<ChainSpec> {
    let config = serde_json::json!({
        "chainId": CHAIN_ID, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
        "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0,
        "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0, "mergeNetsplitBlock": 0,
        "bedrockBlock": 0, "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
        "regolithTime": 0, "canyonTime": 0, "shanghaiTime": 0, "cancunTime": 0, "ecotoneTime": 0,
        "deltaTime": 0, "fjordTime": 0, "graniteTime": 0, "holoceneTime": 0, "isthmusTime": 0,
        "pragueTime": 0, "jovianTime": 0, "karstTime": karst,
        "optimism": {
            "eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250,
        },
    });
    let rich = GenesisAccount::default().with_balance(U256::from(10).pow(U256::from(24)));
    let mut alloc: std::collections::BTreeMap<_, _> =
        (0..64).map(|n| (Wallet::new(n).address(), rich.clone())).collect();
    let passer_slots = std::iter::once((B256::ZERO, B256::with_last_byte(1))).collect();
    alloc.insert(
        MESSAGE_PASSER,
        GenesisAccount::default()
            .with_code(Some(Bytes::from_static(&[0])))
            .with_storage(Some(passer_slots)),
    );
    alloc.insert(STORE, GenesisAccount::default().with_code(Some(Bytes::from_static(&STORE_CODE))));
    let params = BaseFeeParams::new(250, 6);
    let genesis = Genesis {
        config: serde_json::from_value(config).unwrap(),
        timestamp: 1_000,
        gas_limit: GAS_LIMIT,
        base_fee_per_gas: Some(1_000_000_000),
        extra_data: encode_jovian_extra_data(B64::ZERO, params, 0).unwrap(),
        coinbase: FEE_VAULT,
        alloc: alloc.into_iter().collect(),
        ..Default::default()
    };
    Arc::new(ChainSpec::from_genesis(genesis).unwrap())
}

/// An account that signs.
#[derive(Debug, Clone)]
pub(crate) struct Wallet(PrivateKeySigner);

impl Wallet {
    pub(crate) fn new(n: u64) -> Self {
        let key = keccak256([b"wallet".as_slice(), &n.to_be_bytes()].concat());
        Self(PrivateKeySigner::from_bytes(&key).unwrap())
    }

    pub(crate) fn address(&self) -> Address {
        self.0.address()
    }

    pub(crate) fn sign(&self, tx: TxEip1559) -> Bytes {
        let signature = self.0.sign_hash_sync(&tx.signature_hash()).unwrap();
        OpTxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
    }

    pub(crate) fn transfer(&self, nonce: u64, to: Address) -> Bytes {
        self.sign(TxEip1559 {
            to: TxKind::Call(to),
            value: U256::ONE,
            gas_limit: 21_000,
            ..call(nonce)
        })
    }

    pub(crate) fn store(&self, nonce: u64, slot: u64, value: u64) -> Bytes {
        let input = [U256::from(slot), U256::from(value)].map(|word| word.to_be_bytes::<32>());
        self.sign(TxEip1559 {
            to: TxKind::Call(STORE),
            input: input.concat().into(),
            gas_limit: 60_000,
            ..call(nonce)
        })
    }

    pub(crate) fn create(&self, nonce: u64) -> Bytes {
        // Copies and returns the eight bytes that follow.
        let init = [0x60, 8, 0x60, 12, 0x60, 0, 0x39, 0x60, 8, 0x60, 0, 0xf3];
        self.sign(TxEip1559 {
            to: TxKind::Create,
            input: [init.as_slice(), &STORE_CODE].concat().into(),
            gas_limit: 200_000,
            ..call(nonce)
        })
    }
}

pub(crate) fn call(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        ..TxEip1559::default()
    }
}

/// The deposit that begins a block. `salt` makes blocks of the same height differ.
pub(crate) fn l1_attributes(number: u64, salt: u64) -> Bytes {
    let mut input = vec![0x3d, 0xb6, 0xbe, 0x2b];
    input.extend(0u32.to_be_bytes()); // baseFeeScalar
    input.extend(0u32.to_be_bytes()); // blobBaseFeeScalar
    input.extend(number.to_be_bytes()); // sequenceNumber
    input.extend(1_000u64.to_be_bytes()); // l1BlockTimestamp
    input.extend(salt.to_be_bytes()); // l1BlockNumber
    input.extend([0; 128]); // basefee, blobBaseFee, l1BlockHash, batcherHash
    input.extend([0; 12]); // operator fee
    input.extend(1u16.to_be_bytes()); // daFootprintGasScalar
    assert_eq!(input.len(), 178);
    deposit(TxDeposit {
        source_hash: keccak256([number.to_be_bytes(), salt.to_be_bytes()].concat()),
        from: DEPOSITOR,
        to: TxKind::Call(L1_BLOCK),
        gas_limit: 1_000_000,
        input: input.into(),
        ..TxDeposit::default()
    })
}

pub(crate) fn deposit(tx: TxDeposit) -> Bytes {
    OpTxEnvelope::from(tx).encoded_2718().into()
}

/// What a block is built from: deposits only, on top of `parent`.
pub(crate) fn attributes(
    parent: &BuiltOrGenesis,
    salt: u64,
    txs: Vec<Bytes>,
) -> OpPayloadAttributes {
    let mut transactions = vec![l1_attributes(parent.number + 1, salt)];
    transactions.extend(txs);
    OpPayloadAttributes {
        payload_attributes: PayloadAttributes {
            timestamp: parent.timestamp + 2,
            prev_randao: B256::with_last_byte(salt as u8),
            suggested_fee_recipient: FEE_VAULT,
            withdrawals: Some(Vec::new()),
            parent_beacon_block_root: Some(B256::ZERO),
            ..PayloadAttributes::default()
        },
        transactions: Some(transactions),
        no_tx_pool: Some(true),
        gas_limit: Some(GAS_LIMIT),
        eip_1559_params: Some(B64::ZERO),
        min_base_fee: Some(0),
    }
}

/// A block to build on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BuiltOrGenesis {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) timestamp: u64,
}

impl From<&BuiltPayload> for BuiltOrGenesis {
    fn from(payload: &BuiltPayload) -> Self {
        let header = payload.block.header();
        Self { number: header.number(), hash: payload.block.hash(), timestamp: header.timestamp() }
    }
}

/// An engine over a storage.
pub(crate) struct Node {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) handle: EngineHandle,
    pub(crate) view: ChainView,
    pub(crate) pool: TxPool,
    pub(crate) storage: Storage,
    dir: Option<TempDir>,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::with(spec(), EngineConfig::default())
    }

    pub(crate) fn with_config(config: EngineConfig) -> Self {
        Self::with(spec(), config)
    }

    pub(crate) fn with(spec: Arc<ChainSpec>, config: EngineConfig) -> Self {
        let dir = TempDir::new().unwrap();
        let mut node = Self::open(dir.path(), spec, config);
        node.dir = Some(dir);
        node
    }

    pub(crate) fn open(path: &Path, spec: Arc<ChainSpec>, config: EngineConfig) -> Self {
        let options = StorageOptions { cache_bytes: 8 << 20, ..StorageOptions::default() };
        let storage = Storage::open(path, options, &spec, &mut |_| {}).unwrap();
        let pool = TxPool::new(PoolConfig::default(), CHAIN_ID);
        let evm = EvmConfig::new(spec.clone());
        let (handle, view) = spawn(config, evm, storage.clone(), pool.clone()).unwrap();
        Self { spec, handle, view, pool, storage, dir: None }
    }

    /// Stops and opens again, on the same directory.
    pub(crate) async fn restart(self) -> Self {
        let Self { spec, handle, view, pool, storage, dir } = self;
        let dir = dir.expect("a node with a directory of its own");
        handle.shutdown().await.unwrap();
        drop((handle, view, pool, storage));
        let mut node = Self::open(dir.path(), spec, EngineConfig::default());
        node.dir = Some(dir);
        node
    }

    pub(crate) fn genesis(&self) -> BuiltOrGenesis {
        let header = self.spec.genesis_header();
        BuiltOrGenesis { number: 0, hash: header.hash(), timestamp: header.timestamp }
    }

    pub(crate) fn head(&self) -> B256 {
        self.view.head().hash()
    }

    pub(crate) async fn new_payload(&self, data: OpExecutionData) -> PayloadStatus {
        self.handle.new_payload(data).await.unwrap()
    }

    pub(crate) async fn update(
        &self,
        head: B256,
        safe: B256,
        finalized: B256,
    ) -> Result<ForkchoiceUpdated, ForkchoiceError> {
        let state = ForkchoiceState {
            head_block_hash: head,
            safe_block_hash: safe,
            finalized_block_hash: finalized,
        };
        self.handle.forkchoice_updated(state, None).await
    }

    /// Sets the head, which must be valid.
    pub(crate) async fn set_head(&self, head: B256) {
        let updated = self.update(head, B256::ZERO, B256::ZERO).await.unwrap();
        assert_eq!(updated.payload_status.status, PayloadStatusEnum::Valid);
        assert_eq!(updated.payload_status.latest_valid_hash, Some(head));
        assert_eq!(self.head(), head);
    }

    pub(crate) async fn start(
        &self,
        parent: &BuiltOrGenesis,
        attributes: OpPayloadAttributes,
    ) -> Result<ForkchoiceUpdated, ForkchoiceError> {
        let state = ForkchoiceState {
            head_block_hash: parent.hash,
            safe_block_hash: B256::ZERO,
            finalized_block_hash: B256::ZERO,
        };
        self.handle.forkchoice_updated(state, Some(attributes)).await
    }

    /// Builds a block of these transactions on `parent`. The head goes to the parent.
    pub(crate) async fn build(
        &self,
        parent: &BuiltOrGenesis,
        salt: u64,
        txs: Vec<Bytes>,
    ) -> Arc<BuiltPayload> {
        let updated = self.start(parent, attributes(parent, salt, txs)).await.unwrap();
        assert_eq!(updated.payload_status.status, PayloadStatusEnum::Valid);
        let id = updated.payload_id.expect("attributes were given");
        self.handle.get_payload(id).await.unwrap()
    }

    /// Builds `count` blocks on `parent`, with a few transactions in each, and makes the last one
    /// the head. `salt` tells chains apart.
    pub(crate) async fn extend(
        &self,
        parent: BuiltOrGenesis,
        salt: u64,
        count: u64,
    ) -> Vec<Arc<BuiltPayload>> {
        let mut parent = parent;
        let mut blocks = Vec::new();
        let state = self.view.state_at(parent.hash).unwrap();
        let nonce = state.nonce(Wallet::new(salt % 32).address()).unwrap();
        for nonce in nonce..nonce + count {
            let block = self.build(&parent, salt, work(nonce, salt)).await;
            parent = BuiltOrGenesis::from(&*block);
            blocks.push(block);
        }
        self.set_head(parent.hash).await;
        blocks
    }

    /// Takes a chain in as payloads, block by block, each becoming the head.
    pub(crate) async fn follow(&self, blocks: &[Arc<BuiltPayload>]) {
        for block in blocks {
            self.import(block).await;
            self.set_head(block.block.hash()).await;
        }
    }

    /// Takes in a valid payload.
    pub(crate) async fn import(&self, block: &BuiltPayload) {
        let status = self.new_payload(block.to_execution_data()).await;
        assert_eq!(status.status, PayloadStatusEnum::Valid);
        assert_eq!(status.latest_valid_hash, Some(block.block.hash()));
    }

    /// Waits until this block is on disk.
    pub(crate) async fn persisted(&self, number: u64) {
        let mut persisted = self.view.subscribe_persisted();
        let wait = persisted.wait_for(|head| head.number >= number);
        tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.unwrap().unwrap();
    }

    /// Checks that the chain's state hangs together: the head's root proves accounts and storage,
    /// and every block down to genesis is there with its receipts.
    pub(crate) fn check(&self) {
        let head = self.view.head();
        let state = self.view.state_latest().unwrap();
        assert_eq!(state.state_root(), head.state_root);
        state.proof(STORE, &[B256::ZERO, B256::with_last_byte(1)]).unwrap();
        let mut hash = head.hash();
        for number in (1..=head.number).rev() {
            assert_eq!(self.view.canonical_hash(number).unwrap(), Some(hash));
            let block = self.view.block_by_hash(hash).unwrap().unwrap();
            assert_eq!(block.hash(), hash);
            let receipts = self.view.receipts_by_hash(hash).unwrap().unwrap();
            assert_eq!(receipts.len(), block.body().transactions.len());
            for (index, tx) in block.body().transactions.iter().enumerate() {
                let (found, at) = self.view.transaction(tx.trie_hash()).unwrap().unwrap();
                assert_eq!((found.hash(), at), (hash, index));
            }
            hash = block.header().parent_hash;
        }
        assert_eq!(hash, self.spec.genesis_hash());
        assert_eq!(self.view.canonical_hash(head.number + 1).unwrap(), None);
    }
}

/// Transactions for a block: a transfer, and a storage write or now and then a creation, by two
/// wallets that only `salt`'s chain uses and whose nonces go together.
pub(crate) fn work(nonce: u64, salt: u64) -> Vec<Bytes> {
    let (wallet, other) = (Wallet::new(salt % 32), Wallet::new(32 + salt % 32));
    let second = if nonce % 5 == 4 {
        other.create(nonce)
    } else {
        other.store(nonce, nonce % 7, salt * 1_000 + nonce)
    };
    let to = Address::with_last_byte((nonce % 250) as u8 + 1);
    vec![wallet.transfer(nonce, to), second]
}
