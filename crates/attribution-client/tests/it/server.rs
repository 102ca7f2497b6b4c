//! The chain's JSON-RPC.

use crate::world::{CHAIN, HUB, World};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{Block, BlockTransactions, Header, Transaction, TransactionRequest};
use ascribe_attribution::ListId;
use ascribe_attribution_index::answer::{BlockRange, EarningsFilter, PayeeArg, RecordFilter};
use jsonrpsee::{
    RpcModule,
    server::{Server, ServerHandle},
    types::{ErrorObjectOwned, Params},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard},
};

type Shared = Arc<Mutex<World>>;
type Answer = Result<Value, ErrorObjectOwned>;

/// A node. It stops when this is dropped.
pub(crate) struct Node {
    pub(crate) url: String,
    world: Shared,
    _server: ServerHandle,
}

impl Node {
    pub(crate) async fn start() -> Self {
        let world = Arc::new(Mutex::new(World::new()));
        let server = Server::builder().build("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", server.local_addr().expect("bound"));
        let mut module = RpcModule::new(world.clone());
        let mut add = |name: &'static str, method: fn(&mut World, &Params<'_>) -> Answer| {
            let call = move |params: Params<'_>, world: &Shared, _: &_| {
                method(&mut world.lock().expect("no panic"), &params)
            };
            module.register_method(name, call).expect("once");
        };
        ethereum(&mut add);
        attribution(&mut add);
        Self { url, world, _server: server.start(module) }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no panic")
    }
}

type Add<'a> = &'a mut dyn FnMut(&'static str, fn(&mut World, &Params<'_>) -> Answer);

fn answer<T: Serialize>(value: T) -> Answer {
    Ok(serde_json::to_value(value).expect("JSON"))
}

fn refused(data: Vec<u8>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(3, "execution reverted", Some(Bytes::from(data)))
}

fn block(world: &World, number: Option<u64>) -> Answer {
    let header = number.and_then(|number| world.header(number)).cloned();
    answer(header.map(|header| {
        let transactions = BlockTransactions::Hashes(Vec::new());
        Block::<Transaction>::new(Header::new(header), transactions)
    }))
}

/// From, value and input.
fn request(params: &Params<'_>) -> (Address, U256, Bytes) {
    let request: TransactionRequest = params.sequence().next().expect("a request");
    assert_eq!(request.to, Some(HUB.into()));
    let input = request.input.into_input().expect("input");
    (request.from.unwrap_or_default(), request.value.unwrap_or_default(), input)
}

fn ethereum(add: Add<'_>) {
    add("eth_chainId", |_, _| answer(U64::from(CHAIN)));
    add("eth_blockNumber", |world, _| answer(U64::from(world.head())));
    add("eth_getTransactionCount", |world, _| answer(U64::from(world.sent.len())));
    add("eth_feeHistory", |_, _| {
        answer(json!({
            "oldestBlock": "0x0", "baseFeePerGas": ["0x7", "0x7"], "gasUsedRatio": [0.5],
            "reward": [["0x1"]],
        }))
    });
    add("eth_getBlockByNumber", |world, params| {
        let tag: BlockNumberOrTag = params.sequence().next()?;
        block(world, Some(tag.as_number().unwrap_or_else(|| world.head())))
    });
    add("eth_getBlockByHash", |world, params| {
        let hash: B256 = params.sequence().next()?;
        let numbers = 0..=world.head();
        let is = |number: &u64| world.header(*number).is_some_and(|it| it.hash_slow() == hash);
        let number = numbers.into_iter().find(is);
        block(world, number)
    });
    add("eth_call", |world, params| {
        let (_, _, input) = request(params);
        answer(Bytes::from(world.call(&input).map_err(refused)?))
    });
    add("eth_estimateGas", |world, params| {
        let (from, value, input) = request(params);
        answer(U64::from(world.estimate(from, value, &input).map_err(refused)?))
    });
    add("eth_sendRawTransaction", |world, params| {
        let raw: Bytes = params.one()?;
        answer(world.send(&raw))
    });
    add("eth_getTransactionReceipt", |world, params| {
        let hash: B256 = params.one()?;
        answer(world.receipt(hash))
    });
    add("eth_getProof", |world, params| {
        let (address, keys, block): (Address, Vec<B256>, BlockId) = params.parse()?;
        assert_eq!(address, HUB);
        let BlockId::Hash(block) = block else { panic!("{block}") };
        answer(world.proof(&keys, block.block_hash))
    });
}

fn range(
    world: &World,
    from: Option<BlockNumberOrTag>,
    to: Option<BlockNumberOrTag>,
) -> RangeInclusive<u64> {
    let number = |tag: BlockNumberOrTag| tag.as_number().unwrap_or_else(|| world.head());
    from.map_or(0, number)..=to.map_or_else(|| world.head(), number)
}

fn attribution(add: Add<'_>) {
    add("attribution_getBatch", |world, params| {
        let list: ListId = params.one()?;
        answer(world.index().batch(list).expect("rows"))
    });
    add("attribution_getRecord", |world, params| {
        let (list, index): (ListId, U64) = params.parse()?;
        answer(world.index().record(list, index.to()).expect("rows"))
    });
    add("attribution_getRecords", |world, params| {
        let filter: RecordFilter = params.one()?;
        let blocks = range(world, filter.from_block, filter.to_block);
        answer(world.index().records(&filter, &blocks).expect("rows"))
    });
    add("attribution_getRecordProof", |world, params| {
        let (list, index): (ListId, U64) = params.parse()?;
        answer(world.index().record_proof(list, index.to()).expect("rows"))
    });
    add("attribution_getPayouts", |world, params| {
        let list: ListId = params.one()?;
        answer(world.index().payouts(list).expect("rows"))
    });
    add("attribution_getPayoutProof", |world, params| {
        let (list, payee): (ListId, PayeeArg) = params.parse()?;
        let payee = payee.payee().expect("a payee");
        answer(world.index().payout_proof(list, &payee).expect("rows"))
    });
    add("attribution_getEarnings", |world, params| {
        let (payee, mut filter): (PayeeArg, EarningsFilter) = params.parse()?;
        // So that there are pages.
        filter.limit = filter.limit.or(Some(1));
        let blocks = range(world, filter.from_block, filter.to_block);
        let payee = payee.payee().expect("a payee");
        answer(world.index().earnings(&payee, &filter, &blocks).expect("rows"))
    });
    add("attribution_stats", |world, params| {
        let blocks: BlockRange = params.one()?;
        let blocks = range(world, blocks.from_block, blocks.to_block);
        answer(world.index().stats(&blocks).expect("rows"))
    });
}
