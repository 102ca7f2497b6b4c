//! A consensus client in a few lines.

use std::{collections::HashMap, thread::sleep, time::Duration};

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B64, B256, Bytes, TxKind, U256, address, hex, keccak256};
use op_alloy_consensus::TxDeposit;
use serde_json::{Value, json};

use crate::{
    AscribeNode, Attributes, CallError, Engine, ForkchoiceState, Load, Payload, PayloadStatus,
    UpdatedForkchoice,
};

/// Seconds between blocks.
const BLOCK_TIME: u64 = 2;

/// How long a node may fill a block from its pool: one that is fetched at once has what got into it.
const FILLING: Duration = Duration::from_millis(500);

/// A block as a consensus client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they say what they are")]
pub struct BlockRef {
    pub number: u64,
    pub hash: B256,
    pub parent: B256,
    pub timestamp: u64,
}

/// A block that a node built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The payload.
    pub payload: Payload,
    /// Goes with it.
    pub parent_beacon_block_root: B256,
}

impl Built {
    /// Its block.
    pub const fn block(&self) -> BlockRef {
        BlockRef {
            number: self.payload.block_number,
            hash: self.payload.block_hash,
            parent: self.payload.parent_hash,
            timestamp: self.payload.timestamp,
        }
    }

    /// `engine_newPayloadV4` of it.
    ///
    /// # Errors
    /// If there is no status.
    pub fn import(&self, engine: &Engine) -> Result<PayloadStatus, CallError> {
        engine.new_payload(&self.payload, self.parent_beacon_block_root)
    }

    /// The same block with one thing changed, and the hash that it has then.
    #[must_use]
    pub fn bent(&self, bend: impl FnOnce(&mut Payload)) -> Self {
        let root = self.parent_beacon_block_root;
        Self { payload: self.payload.bent(root, bend), parent_beacon_block_root: root }
    }
}

/// Drives one node through its Engine API, and keeps track of which blocks should be canonical.
#[derive(Debug)]
pub struct Driver {
    /// The node's Engine API.
    pub engine: Engine,
    /// Gas limit of blocks.
    pub gas_limit: u64,
    canonical: Vec<BlockRef>,
    known: HashMap<B256, BlockRef>,
}

impl Driver {
    /// Begins at a node's head, which it reads back to the genesis.
    ///
    /// # Panics
    /// If the node does not answer.
    pub fn new(node: &AscribeNode) -> Self {
        let mut driver = Self {
            engine: node.engine.clone(),
            gas_limit: 60_000_000,
            canonical: Vec::new(),
            known: HashMap::new(),
        };
        driver.reread();
        driver
    }

    /// Forgets what should be canonical, and reads what is.
    ///
    /// # Panics
    /// If the node does not answer, or with blocks that are no chain.
    pub fn reread(&mut self) {
        let read = |tag: &str| -> BlockRef {
            let block: Value = self.engine.rpc.call("eth_getBlockByNumber", json!([tag, false]));
            block_ref(&block)
        };
        let head = read("latest");
        let mut chain = std::mem::take(&mut self.canonical);
        while let Some(last) = chain.last()
            && (last.number >= head.number || read(&format!("{:#x}", last.number)) != *last)
        {
            chain.pop();
        }
        for number in chain.len() as u64..head.number {
            chain.push(read(&format!("{number:#x}")));
        }
        chain.push(head);
        for pair in chain.windows(2) {
            assert_eq!(pair[1].parent, pair[0].hash, "canonical blocks must be a chain");
        }
        self.known.extend(chain.iter().map(|block| (block.hash, *block)));
        self.canonical = chain;
    }

    /// The head.
    ///
    /// # Panics
    /// Never: there is always a genesis.
    pub fn head(&self) -> BlockRef {
        *self.canonical.last().expect("invariant: there is a genesis")
    }

    /// The canonical block of a number.
    ///
    /// # Panics
    /// If there is none.
    pub fn block(&self, number: u64) -> BlockRef {
        self.canonical[usize::try_from(number).expect("small numbers")]
    }

    /// All canonical blocks from the genesis on.
    pub fn canonical(&self) -> &[BlockRef] {
        &self.canonical
    }

    /// Attributes of a block on `parent`: the L1 attributes, `transactions`, and nothing from the
    /// pool.
    pub fn attributes(&self, parent: BlockRef, transactions: Vec<Bytes>) -> Attributes {
        let l1 = l1_attributes(parent.number + 1);
        Attributes {
            timestamp: parent.timestamp + BLOCK_TIME,
            prev_randao: keccak256((parent.number + 1).to_be_bytes()),
            suggested_fee_recipient: address!("4200000000000000000000000000000000000011"),
            withdrawals: Some(Vec::new()),
            parent_beacon_block_root: Some(keccak256([7])),
            transactions: [vec![l1], transactions].concat(),
            no_tx_pool: Some(true),
            gas_limit: Some(self.gas_limit),
            eip1559_params: Some(B64::ZERO),
            min_base_fee: Some(0),
        }
    }

    /// Has the node build a block on `parent`. This makes `parent` the head.
    ///
    /// # Errors
    /// If the node does not build it.
    ///
    /// # Panics
    /// If the head is not VALID, or the payload does not hash to what it says.
    pub fn build(&mut self, parent: BlockRef, attributes: &Attributes) -> Result<Built, CallError> {
        let id = self.start_build(parent, attributes)?;
        self.finish_build(id)
    }

    /// The first half of [`Self::build`].
    ///
    /// # Errors
    /// If the node does not start to build.
    ///
    /// # Panics
    /// If the head is not VALID.
    pub fn start_build(
        &mut self,
        parent: BlockRef,
        attributes: &Attributes,
    ) -> Result<B64, CallError> {
        let state = ForkchoiceState::head(parent.hash);
        let updated = self.engine.forkchoice_updated(state, Some(attributes))?;
        updated.payload_status.expect_valid(parent.hash);
        self.note_head(parent.hash);
        Ok(updated.payload_id.expect("a payload id"))
    }

    /// The second half of [`Self::build`].
    ///
    /// # Errors
    /// If the node has no such payload.
    ///
    /// # Panics
    /// If the payload does not hash to what it says.
    pub fn finish_build(&mut self, id: B64) -> Result<Built, CallError> {
        let (payload, parent_beacon_block_root) = self.engine.get_payload(id)?;
        let hash = payload.hash(parent_beacon_block_root);
        assert_eq!(payload.block_hash, hash, "{payload:?}");
        Ok(Built { payload, parent_beacon_block_root })
    }

    /// Has the node import a block.
    ///
    /// # Errors
    /// If there is no status.
    ///
    /// # Panics
    /// If it is not VALID.
    pub fn import(&mut self, built: &Built) -> Result<(), CallError> {
        built.import(&self.engine)?.expect_valid(built.payload.block_hash);
        self.known.insert(built.payload.block_hash, built.block());
        Ok(())
    }

    /// Makes a block the head, with safe and finalized as they are.
    ///
    /// # Errors
    /// If it is refused.
    ///
    /// # Panics
    /// If it is not VALID.
    pub fn set_head(&mut self, hash: B256) -> Result<UpdatedForkchoice, CallError> {
        let updated = self.engine.forkchoice_updated(ForkchoiceState::head(hash), None)?;
        updated.payload_status.expect_valid(hash);
        self.note_head(hash);
        Ok(updated)
    }

    /// Builds a block with these transactions on the head, imports it, makes it the head.
    ///
    /// # Errors
    /// If any of this fails.
    pub fn extend(&mut self, transactions: Vec<Bytes>) -> Result<Built, CallError> {
        let parent = self.head();
        let attributes = self.attributes(parent, transactions);
        self.extend_with(&attributes)
    }

    /// Extends the head by `count` blocks of load.
    ///
    /// # Panics
    /// If any of them fails.
    pub fn extend_by(&mut self, load: &Load, salt: u64, count: u64) -> Vec<Built> {
        let block = |_| {
            let transactions = load.block(self.head().number + 1, salt);
            self.extend(transactions).expect("a block of load")
        };
        (0..count).map(block).collect()
    }

    /// Asserts that a node has the same canonical blocks, and none above.
    ///
    /// # Panics
    /// If it has not.
    #[track_caller]
    pub fn assert_agrees(&self, node: &AscribeNode) {
        assert_eq!(node.head(), (self.head().number, self.head().hash));
        for block in &self.canonical {
            assert_eq!(node.canonical(block.number), Some(block.hash), "block {}", block.number);
        }
        assert_eq!(node.canonical(self.head().number + 1), None);
    }

    /// The same with what the pool has.
    ///
    /// # Errors
    /// If any of this fails.
    pub fn extend_from_pool(&mut self) -> Result<Built, CallError> {
        let mut attributes = self.attributes(self.head(), Vec::new());
        attributes.no_tx_pool = None;
        let id = self.start_build(self.head(), &attributes)?;
        sleep(FILLING);
        let built = self.finish_build(id)?;
        self.make_head(built)
    }

    /// The same with attributes for a block on the head.
    ///
    /// # Errors
    /// If any of this fails.
    pub fn extend_with(&mut self, attributes: &Attributes) -> Result<Built, CallError> {
        let built = self.build(self.head(), attributes)?;
        self.make_head(built)
    }

    fn make_head(&mut self, built: Built) -> Result<Built, CallError> {
        self.import(&built)?;
        self.set_head(built.payload.block_hash)?;
        Ok(built)
    }

    /// Notes that a known block is the head now.
    fn note_head(&mut self, hash: B256) {
        let mut branch = Vec::new();
        let mut at = hash;
        loop {
            let block = *self.known.get(&at).expect("invariant: the head was imported");
            let index = usize::try_from(block.number).expect("small numbers");
            if self.canonical.get(index) == Some(&block) {
                self.canonical.truncate(index + 1);
                break;
            }
            branch.push(block);
            at = block.parent;
        }
        self.canonical.extend(branch.into_iter().rev());
    }
}

fn block_ref(block: &Value) -> BlockRef {
    let field = |name: &str| block[name].as_str().expect("a string");
    let number = |name: &str| {
        u64::from_str_radix(field(name).trim_start_matches("0x"), 16).expect("a quantity")
    };
    BlockRef {
        number: number("number"),
        hash: field("hash").parse().expect("a hash"),
        parent: field("parentHash").parse().expect("a hash"),
        timestamp: number("timestamp"),
    }
}

/// The L1-attributes deposit of the L2 block `number` on an L1 with a block for every six of L2,
/// in the form of Jovian.
pub fn l1_attributes(number: u64) -> Bytes {
    const DEPOSITOR: Address = address!("deaddeaddeaddeaddeaddeaddeaddeaddead0001");
    const L1_BLOCK: Address = address!("4200000000000000000000000000000000000015");
    let (l1_number, sequence_number) = (number / 6, number % 6);
    let l1_hash = keccak256(l1_number.to_be_bytes());

    let mut data = hex!("3db6be2b").to_vec();
    data.extend(1368u32.to_be_bytes());
    data.extend(810_949u32.to_be_bytes());
    data.extend(sequence_number.to_be_bytes());
    data.extend((l1_number * 12).to_be_bytes());
    data.extend(l1_number.to_be_bytes());
    data.extend(U256::from(1_000_000_000u64).to_be_bytes::<32>());
    data.extend(U256::from(1u64).to_be_bytes::<32>());
    data.extend(l1_hash);
    data.extend(B256::with_last_byte(9));
    // Operator fee: none. DA footprint scalar: 400, the default.
    data.extend(0u32.to_be_bytes());
    data.extend(0u64.to_be_bytes());
    data.extend(400u16.to_be_bytes());
    assert_eq!(data.len(), 178);

    let id = keccak256([l1_hash, U256::from(sequence_number).into()].concat());
    let source_hash = keccak256([B256::with_last_byte(1), id].concat());
    TxDeposit {
        source_hash,
        from: DEPOSITOR,
        to: TxKind::Call(L1_BLOCK),
        mint: 0,
        value: U256::ZERO,
        gas_limit: 1_000_000,
        is_system_transaction: false,
        input: data.into(),
    }
    .encoded_2718()
    .into()
}
