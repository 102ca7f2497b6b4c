//! A chain of batches, claims and merges, made up at random: the index against answers worked out the slow way, and
//! back again to nothing.

use alloy_primitives::{Address, B256, Bytes, IntoLogData, Log, U256, address};
use ascribe_attribution::{
    Batch, Header, ListId, Meter, Payee, Payouts, Rates, Record, Settled, Share, header_leaf,
    hub::{HubRates, IAttributionHub},
    merge, merkle, settle,
};
use ascribe_attribution_index::{
    Block, Changes, Index, IndexError, Layers, Nothing, Rows, Table, Transaction,
    answer::{EarningsFilter, RecordFilter, SettledRecord},
    apply, batches, unwind,
};
use proptest::{prelude::*, test_runner::TestRng};
use std::collections::BTreeMap;

const HUB: Address = address!("4200000000000000000000000000000000000a77");
const CHAIN: u64 = 901;
const RATES: Rates = Rates {
    prompt: 1_000_000,
    completion: 3_000_000,
    record: 101,
    model_share: 3_000,
    adapter_share: 2_000,
    source_share: 4_000,
    operator_share: 1_000,
};

/// A transaction that owns what the index borrows.
#[derive(Clone, Debug)]
struct Tx {
    input: Bytes,
    logs: Vec<Log>,
}

/// What the hub would have, in the slowest way.
#[derive(Clone, Debug, Default)]
struct Model {
    blocks: Vec<Vec<Tx>>,
    batches: Vec<(ListId, Settled, Bytes, u64)>,
    /// Of all lists: payouts, what is claimed, and what it was merged into.
    lists: BTreeMap<ListId, (Payouts, Vec<bool>, Option<ListId>)>,
    merges: u64,
    sequences: BTreeMap<Address, u64>,
}

fn number(rng: &mut TestRng, below: u32) -> u32 {
    rng.random_range(0..below)
}

fn log(event: impl IntoLogData) -> Log {
    Log { address: HUB, data: event.to_log_data() }
}

impl Model {
    fn submit(&mut self, rng: &mut TestRng) -> Tx {
        let operator = Address::repeat_byte(1 + number(rng, 2) as u8);
        let sequence = self.sequences.entry(operator).or_default();
        let header = Header {
            chain_id: CHAIN,
            hub: HUB,
            model: number(rng, 2),
            operator,
            sequence: *sequence,
            time_base: 1_700_000_000,
            detail_root: B256::repeat_byte(7),
        };
        *sequence += 1;
        let count = 1 + number(rng, 12);
        let record = |time| {
            let source = number(rng, 3);
            Record {
                adapter: number(rng, 3),
                prompt_tokens: number(rng, 100),
                completion_tokens: number(rng, 100),
                time,
                shares: vec![
                    Share { source, weight: 4_000 },
                    Share { source: source + 1, weight: 6_000 },
                ],
            }
        };
        let batch = Batch { header, records: (0..count).map(record).collect() };
        let bytes: Bytes = batch.encode().expect("valid records").into();
        let settled = settle(&bytes, &RATES, &mut Meter::unlimited()).expect("a batch");
        let list = ListId::of_batch(operator, header.sequence);
        let event = IAttributionHub::BatchSettled {
            list: list.number(),
            model: header.model,
            operator,
            sequence: header.sequence,
            timeBase: header.time_base,
            timeEnd: header.time_base + u64::from(count - 1),
            records: count,
            payouts: settled.payouts.list().len() as u32,
            promptTokens: batch.records.iter().map(|it| u64::from(it.prompt_tokens)).sum(),
            completionTokens: batch.records.iter().map(|it| u64::from(it.completion_tokens)).sum(),
            total: settled.payouts.total(),
            recordRoot: settled.record_root,
            payoutRoot: settled.payout_root,
            detailRoot: header.detail_root,
            rates: rates(),
        };
        let claimed = vec![false; settled.payouts.list().len()];
        self.lists.insert(list, (settled.payouts.clone(), claimed, None));
        self.batches.push((list, settled, bytes.clone(), self.blocks.len() as u64));
        // Somebody else's log and a header that stands for nothing come before, a call's padding after.
        let decoy = &bytes[..ascribe_attribution::HEADER_LENGTH];
        Tx {
            input: [&[1, 2, 3, 4], decoy, &bytes, &[0; 9]].concat().into(),
            logs: vec![Log { address: Address::ZERO, data: event.to_log_data() }, log(event)],
        }
    }

    fn open_lists(&self) -> Vec<ListId> {
        let open = self.lists.iter().filter(|(_, (_, _, merged))| merged.is_none());
        open.map(|(list, _)| *list).collect()
    }

    fn claim(&mut self, rng: &mut TestRng) -> Option<Tx> {
        let open = self.open_lists();
        let list = *open.get(number(rng, open.len().max(1) as u32) as usize)?;
        let (payouts, claimed, _) = self.lists.get_mut(&list)?;
        let position = number(rng, claimed.len().max(1) as u32);
        let claimed = claimed.get_mut(position as usize).filter(|claimed| !**claimed)?;
        *claimed = true;
        let payout = payouts.list()[position as usize];
        let event = IAttributionHub::Claimed {
            list: list.number(),
            position: U256::from(position),
            payee: payout.payee.key(),
            to: Address::ZERO,
            amount: U256::from(payout.amount),
        };
        Some(Tx { input: Bytes::new(), logs: vec![log(event)] })
    }

    fn merge(&mut self, rng: &mut TestRng) -> Option<Tx> {
        let mut parts = self.open_lists();
        parts.retain(|_| number(rng, 3) > 0);
        if parts.len() < 2 {
            return None;
        }
        let contents: Vec<_> = parts
            .iter()
            .map(|part| {
                let (payouts, claimed, _) = &self.lists[part];
                let mut words = vec![U256::ZERO; claimed.len().div_ceil(256)];
                for (position, _) in claimed.iter().enumerate().filter(|(_, claimed)| **claimed) {
                    words[position / 256].set_bit(position % 256, true);
                }
                (payouts.to_bytes(), words)
            })
            .collect();
        let contents: Vec<_> =
            contents.iter().map(|(list, words)| (&list[..], &words[..])).collect();
        let merged = merge(&contents, &mut Meter::unlimited()).expect("lists");
        let list = ListId::of_merge(self.merges);
        self.merges += 1;
        for part in &parts {
            self.lists.get_mut(part).expect("it is there").2 = Some(list);
        }
        let claimed = vec![false; merged.payouts.list().len()];
        let event = IAttributionHub::PayoutsMerged {
            list: list.number(),
            lists: parts.iter().map(ListId::number).collect(),
            payouts: claimed.len() as u32,
            total: merged.payouts.total(),
            payoutRoot: merged.root,
        };
        self.lists.insert(list, (merged.payouts, claimed, None));
        Some(Tx { input: Bytes::new(), logs: vec![log(event)] })
    }

    fn block(&mut self, rng: &mut TestRng) {
        let mut block = Vec::new();
        for _ in 0..number(rng, 4) {
            block.extend(match number(rng, 8) {
                0..4 => Some(self.submit(rng)),
                4..7 => self.claim(rng),
                _ => self.merge(rng),
            });
        }
        self.blocks.push(block);
    }

    fn records(&self) -> Vec<(SettledRecordKey, Record)> {
        let batches = self.batches.iter().flat_map(|(list, settled, _, block)| {
            let key = (*list, settled.header.model, *block);
            (0..).zip(settled.columns.records()).map(move |(index, record)| ((key, index), record))
        });
        batches.collect()
    }
}

type SettledRecordKey = ((ListId, u32, u64), u32);

fn rates() -> HubRates {
    let price = |price: u128| price.to_string().parse().expect("a price");
    HubRates {
        prompt: price(RATES.prompt),
        completion: price(RATES.completion),
        record: price(RATES.record),
        modelShare: RATES.model_share,
        adapterShare: RATES.adapter_share,
        sourceShare: RATES.source_share,
        operatorShare: RATES.operator_share,
    }
}

fn block(number: u64, transactions: &[Tx]) -> Block<'_> {
    Block {
        chain_id: CHAIN,
        hub: HUB,
        number,
        hash: B256::from(U256::from(number)),
        timestamp: 1_700_000_000 + number,
        transactions: (0..)
            .zip(transactions)
            .map(|(index, tx)| Transaction {
                hash: B256::from(U256::from(number << 32 | index)),
                input: &tx.input,
                gas_used: 1_000,
                logs: &tx.logs,
            })
            .collect(),
    }
}

/// The index of all blocks, as changes over nothing; what each block added, too.
fn indexed(model: &Model) -> (Changes, Vec<Changes>) {
    let (mut sum, mut parts) = (Changes::default(), Vec::new());
    for (number, transactions) in (0..).zip(&model.blocks) {
        let applied = apply(&Layers::new(&Nothing, [&sum]), &block(number, transactions), &[]);
        let applied = applied.expect("readable");
        assert!(applied.unfound.is_empty());
        sum.extend(&applied.changes);
        parts.push(applied.changes);
    }
    (sum, parts)
}

/// All records that a filter finds, page by page.
fn all_records(
    index: &Index<impl Rows>,
    mut filter: RecordFilter,
    blocks: u64,
) -> Vec<SettledRecord> {
    let mut found = Vec::new();
    loop {
        let page = index.records(&filter, &(0..=blocks)).expect("readable");
        assert!(page.records.len() <= filter.limit.unwrap_or(100) as usize);
        found.extend(page.records);
        match page.cursor {
            Some(cursor) => filter.cursor = Some(cursor),
            None => return found,
        }
    }
}

fn check_records(model: &Model, index: &Index<impl Rows>, rng: &mut TestRng) {
    let mut maybe = |below| (number(rng, 2) == 0).then(|| number(rng, below));
    let mut filter = RecordFilter { model: maybe(2), limit: Some(7), ..RecordFilter::default() };
    filter.operator = maybe(2).map(|operator| Address::repeat_byte(1 + operator as u8));
    if filter.model.is_some() {
        filter.adapter = maybe(3);
        filter.source = filter.adapter.and_then(|_| maybe(4));
    }
    let fits = |of_batch: &(ListId, u32, u64), record: &Record| {
        filter.model.is_none_or(|it| it == of_batch.1)
            && filter.operator.is_none_or(|it| Some(it) == of_batch.0.operator())
            && filter.adapter.is_none_or(|it| it == record.adapter)
            && filter.source.is_none_or(|it| record.shares.iter().any(|share| share.source == it))
    };
    let expected: Vec<_> = model
        .records()
        .into_iter()
        .filter(|((of_batch, _), record)| fits(of_batch, record))
        .map(|((of_batch, index), _)| (of_batch.0, index))
        .collect();
    let found = all_records(index, filter.clone(), model.blocks.len() as u64);
    let found: Vec<_> = found.iter().map(|record| (record.list, record.index)).collect();
    assert_eq!(found, expected, "{filter:?}");
}

fn check_batches(model: &Model, index: &Index<impl Rows>) {
    for (list, settled, bytes, number) in &model.batches {
        let batch = index.batch(*list).expect("readable").expect("a batch");
        assert_eq!(batch.size as usize, bytes.len());
        assert_eq!((batch.place.block_number, batch.rates), (*number, RATES));
        assert_eq!(batch.merged_into, model.lists[list].2);
        assert!(index.batches_in(*number).expect("readable").contains(&batch));
        for (at, record) in (0..).zip(settled.columns.records()) {
            let proof = index.record_proof(*list, at).expect("readable").expect("a record");
            assert_eq!(proof.leaf, record.leaf(at, settled.header.time_base));
            let fee = RATES.record_fee(record.prompt_tokens, record.completion_tokens);
            assert_eq!((proof.record.fee, proof.record.adapter), (fee, record.adapter));
            assert_eq!(merkle::root_from_proof(proof.leaf, &proof.proof), settled.record_root);
            let header = header_leaf(&proof.header);
            assert_eq!(merkle::root_from_proof(header, &proof.header_proof), settled.record_root);
            let alone = index.record(*list, at).expect("readable");
            assert_eq!(alone, Some(proof.record));
        }
        let count = settled.columns.record_count() as u32;
        assert!(index.record(*list, count).expect("readable").is_none());
        assert!(index.record_proof(*list, count).expect("readable").is_none());
    }
    let stats = index.stats(&(0..=model.blocks.len() as u64)).expect("readable");
    let records: usize = model.batches.iter().map(|it| it.1.columns.record_count()).sum();
    let bytes: usize = model.batches.iter().map(|it| it.2.len()).sum();
    assert_eq!((stats.totals.records, stats.totals.bytes), (records as u64, bytes as u64));
    assert_eq!(stats.totals.batches, model.batches.len() as u64);
}

fn check_payouts(model: &Model, index: &Index<impl Rows>) {
    let mut payees = BTreeMap::<Payee, (u128, u128, u128)>::new();
    for (list, (payouts, claimed, merged)) in &model.lists {
        let answer = index.payouts(*list).expect("readable").expect("a list");
        assert_eq!(answer.data, payouts.to_bytes());
        assert_eq!(answer.merged_into, *merged);
        for (position, payout) in payouts.list().iter().enumerate() {
            let proof = index.payout_proof(*list, &payout.payee).expect("readable").expect("paid");
            assert_eq!((proof.position as usize, proof.amount), (position, payout.amount));
            assert_eq!((proof.claimed, proof.merged_into), (claimed[position], *merged));
            assert_eq!(merkle::root_from_proof(proof.leaf, &proof.proof), answer.payout_root);
            assert_eq!(proof.leaf, payout.leaf(proof.position));
            let sums = payees.entry(payout.payee).or_default();
            sums.0 += if list.is_merged() { 0 } else { payout.amount };
            sums.1 += if claimed[position] { payout.amount } else { 0 };
            sums.2 += if !claimed[position] && merged.is_none() { payout.amount } else { 0 };
        }
    }
    for (payee, sums) in payees {
        let (mut found, mut filter) =
            ((0, 0, 0), EarningsFilter { limit: Some(2), ..Default::default() });
        loop {
            let blocks = 0..=model.blocks.len() as u64;
            let answer = index.earnings(&payee, &filter, &blocks).expect("readable");
            found.0 += answer.earned;
            found.1 += answer.claimed;
            found.2 += answer.claimable;
            match answer.cursor {
                Some(cursor) => filter.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(found, sums, "{payee:?}");
        assert_eq!(sums.0, sums.1 + sums.2, "what is earned is claimed or can be");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_index_knows_what_happened(blocks in 1..12_usize, mut rng in any::<()>().prop_perturb(|(), rng| rng)) {
        let mut model = Model::default();
        for _ in 0..blocks {
            model.block(&mut rng);
        }
        let (sum, parts) = indexed(&model);
        let index = Index::new(Layers::new(&Nothing, [&sum]));
        check_batches(&model, &index);
        check_payouts(&model, &index);
        for _ in 0..5 {
            check_records(&model, &index, &mut rng);
        }
        // Layer by layer it is the same.
        check_payouts(&model, &Index::new(Layers::new(&Nothing, &parts)));

        // And back, block by block, until nothing is left.
        let mut left = sum;
        for (number, transactions) in (0_u64..).zip(&model.blocks).collect::<Vec<_>>().into_iter().rev() {
            let gone = unwind(&Layers::new(&Nothing, [&left]), &block(number, transactions));
            left.extend(&gone.expect("readable"));
            let mut below = Changes::default();
            parts[..number as usize].iter().for_each(|part| below.extend(part));
            for table in Table::ALL {
                let rows: Vec<_> = left.of(table).filter(|(_, value)| value.is_some()).collect();
                prop_assert_eq!(rows, below.of(table).collect::<Vec<_>>());
            }
        }
    }
}

/// A block with one batch.
fn one() -> (Model, Tx) {
    let mut rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut model = Model::default();
    let tx = model.submit(&mut rng);
    (model, tx)
}

#[test]
fn a_batch_that_is_in_no_input_is_asked_for() {
    let (model, mut tx) = one();
    let (list, settled, bytes, _) = &model.batches[0];
    tx.input = Bytes::from_static(b"a contract puts it together");
    let of_block = block(0, std::slice::from_ref(&tx));
    let applied = apply(&Nothing, &of_block, &[]).expect("readable");
    assert_eq!(applied.unfound, [0]);
    let index = Index::new(Layers::new(&Nothing, [&applied.changes]));
    assert_eq!(index.batch(*list).expect("readable").expect("a batch").size, 0);
    assert!(
        matches!(index.record(*list, 0), Err(IndexError::Unfound(unfound)) if unfound == *list)
    );

    assert!(all_records(&index, RecordFilter::default(), 9).is_empty());

    let seen = [Bytes::from_static(b"something else"), bytes.clone()];
    let applied = apply(&Nothing, &of_block, &seen).expect("readable");
    assert!(applied.unfound.is_empty());
    let rows = Layers::new(&Nothing, [&applied.changes]);
    let gone = unwind(&rows, &of_block).expect("readable");
    let index = Index::new(rows);
    let proof = index.record_proof(*list, 0).expect("readable").expect("a record");
    assert_eq!(proof.record_root, settled.record_root);
    for table in Table::ALL {
        let keys = |changes: &Changes| changes.of(table).map(|(key, _)| key.to_vec()).collect();
        let (added, gone): (Vec<_>, Vec<_>) = (keys(&applied.changes), keys(&gone));
        assert_eq!(added, gone, "{table:?}");
    }
}

#[test]
fn a_block_is_read_without_an_index() {
    let (model, tx) = one();
    let found = batches(&block(0, &[tx]));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].list, found[0].size as usize),
        (model.batches[0].0, model.batches[0].2.len())
    );
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let index = Index::new(Nothing);
    let refused = |filter: RecordFilter| {
        assert!(
            matches!(index.records(&filter, &(0..=9)), Err(IndexError::Question(_))),
            "{filter:?}"
        );
    };
    refused(RecordFilter { adapter: Some(1), ..Default::default() });
    refused(RecordFilter { model: Some(1), source: Some(1), ..Default::default() });
    refused(RecordFilter { limit: Some(0), ..Default::default() });
    refused(RecordFilter { limit: Some(1_001), ..Default::default() });
    refused(RecordFilter { cursor: Some(Bytes::from_static(&[1; 15])), ..Default::default() });
}

#[test]
fn json_is_as_elsewhere_in_ethereum() {
    let (model, tx) = one();
    let applied = apply(&Nothing, &block(0, &[tx]), &[]).expect("readable");
    let index = Index::new(Layers::new(&Nothing, [&applied.changes]));
    let list = model.batches[0].0;
    let batch = index.batch(list).expect("readable").expect("a batch");
    let json = serde_json::to_value(&batch).expect("JSON");
    assert_eq!(json["list"], list.to_string());
    assert_eq!(json["rates"]["modelShare"], "0xbb8");
    assert_eq!(json["blockNumber"], "0x0");
    assert_eq!(
        serde_json::from_value::<ascribe_attribution_index::answer::SettledBatch>(json)
            .expect("a batch"),
        batch
    );
    let filter: RecordFilter =
        serde_json::from_str(r#"{"model":"0x1","fromBlock":"latest","limit":"0x5"}"#)
            .expect("a filter");
    assert_eq!((filter.model, filter.limit), (Some(1), Some(5)));
    assert!(serde_json::from_str::<RecordFilter>(r#"{"modell":"0x1"}"#).is_err());
}
