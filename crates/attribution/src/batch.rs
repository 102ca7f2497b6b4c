//! Records in bytes.

use crate::{
    Columns, DecodeError, EncodeError, Header, MAX_BATCH_LENGTH, MAX_RECORDS, Meter, Record,
    RecordError, codec, header::HEADER_LENGTH,
};

/// Records with what is said about all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Who vouches for them.
    pub header: Header,
    /// In order of time. Among records of the same time an ascending order of adapters takes the
    /// least space: see [`Batch::sort`].
    pub records: Vec<Record>,
}

impl Batch {
    /// Puts the records in the order that takes the least space, and says which record was where:
    /// record `i` was record `order[i]`.
    pub fn sort(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.records.len()).collect();
        order.sort_by_key(|at| (self.records[*at].time, self.records[*at].adapter));
        self.records = order.iter().map(|at| self.records[*at].clone()).collect();
        order
    }

    /// The records by column.
    ///
    /// # Errors
    /// If there are none or too many, or one is not valid.
    pub fn columns(&self) -> Result<Columns, EncodeError> {
        if self.records.is_empty() || self.records.len() > MAX_RECORDS {
            return Err(EncodeError::Records(self.records.len()));
        }
        let mut before = 0;
        for (index, record) in self.records.iter().enumerate() {
            let error = if record.time < before {
                Err(RecordError::TimeOrder { before, time: record.time })
            } else {
                record.check()
            };
            error.map_err(|error| EncodeError::Record { index, error })?;
            before = record.time;
        }
        if self.header.time_base.checked_add(before.into()).is_none() {
            return Err(EncodeError::TimeOverflow);
        }
        let columns = Columns::new(&self.records);
        match columns.source_words.len() {
            sources if sources > codec::MAX_WORDS => Err(EncodeError::Sources(sources)),
            _ => Ok(columns),
        }
    }

    /// The bytes of the batch: there is only one way to write it.
    ///
    /// # Errors
    /// As [`Self::columns`], or if they are too many.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let columns = codec::encode(self.columns()?);
        let length = HEADER_LENGTH + columns.len();
        if length > MAX_BATCH_LENGTH {
            return Err(EncodeError::TooLong(length));
        }
        let header = self.header.to_bytes(self.records.len() as u32, columns.len() as u32);
        Ok([&header[..], &columns].concat())
    }

    /// Reads a batch.
    ///
    /// # Errors
    /// If [`Self::encode`] would not have written just these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (header, columns) = Columns::of_batch(bytes)?;
        Ok(Self { header, records: columns.records().collect() })
    }
}

impl Columns {
    /// Reads a batch without making records of it.
    ///
    /// # Errors
    /// As [`Batch::decode`].
    pub fn of_batch(bytes: &[u8]) -> Result<(Header, Self), DecodeError> {
        decode(bytes, &mut Meter::unlimited())
    }
}

/// Reads a batch into columns. Its records and shares are charged before they are read.
pub(crate) fn decode(bytes: &[u8], meter: &mut Meter) -> Result<(Header, Columns), DecodeError> {
    let (header, records, columns) = Header::from_batch(bytes)?;
    meter.charge(|gas| gas.record, records)?;
    let columns = codec::decode(columns, records, meter)?;
    let last = columns.times.last().copied().unwrap_or(0);
    if header.time_base.checked_add(last.into()).is_none() {
        return Err(DecodeError::TimeOverflow);
    }
    Ok((header, columns))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{MAX_SHARES, MAX_TOKENS, Share, WHOLE};
    use alloy_primitives::{Address, B256};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    pub(crate) fn header() -> Header {
        Header {
            chain_id: 901,
            hub: Address::repeat_byte(0x42),
            model: 3,
            operator: Address::repeat_byte(0x0e),
            sequence: 7,
            time_base: 1_700_000_000,
            detail_root: B256::repeat_byte(0xde),
        }
    }

    pub(crate) fn record() -> impl Strategy<Value = Record> {
        let index = || prop_oneof![0_u32..4, 0_u32..300, any::<u32>(), Just(u32::MAX)];
        let tokens = || prop_oneof![0_u32..20, 0_u32..5_000, 0..=MAX_TOKENS, Just(MAX_TOKENS)];
        let sources = prop::collection::vec(index(), 1..=MAX_SHARES);
        let cuts = prop_oneof![
            Just(Vec::new()),
            Just((1..MAX_SHARES as u32).map(|at| WHOLE - at).collect()),
            Just((1..MAX_SHARES as u32).map(|at| at * 625).collect()),
            prop::collection::vec(1..WHOLE, 15),
        ];
        let time = prop_oneof![0_u32..3, 0_u32..100_000];
        (index(), tokens(), tokens(), time, sources, cuts).prop_map(
            |(adapter, prompt_tokens, completion_tokens, time, sources, cuts)| {
                let sources: BTreeSet<u32> = sources.into_iter().collect();
                // The cuts that were drawn, then the smallest that were not.
                let mut chosen = BTreeSet::new();
                for cut in cuts.into_iter().chain(1..) {
                    if chosen.len() + 1 == sources.len() {
                        break;
                    }
                    chosen.insert(cut);
                }
                chosen.insert(WHOLE);
                let mut before = 0;
                let weights = chosen
                    .into_iter()
                    .map(|cut| (cut - std::mem::replace(&mut before, cut)) as u16);
                let shares = sources.into_iter().zip(weights);
                Record {
                    adapter,
                    prompt_tokens,
                    completion_tokens,
                    time,
                    shares: shares.map(|(source, weight)| Share { source, weight }).collect(),
                }
            },
        )
    }

    pub(crate) fn batch() -> impl Strategy<Value = Batch> {
        (prop::collection::vec(record(), 1..60), any::<bool>()).prop_map(|(mut records, sort)| {
            records.sort_by_key(|record| record.time);
            let mut batch = Batch { header: header(), records };
            if sort {
                batch.sort();
            }
            batch
        })
    }

    fn one(record: Record) -> Batch {
        Batch { header: header(), records: vec![record] }
    }

    fn plain() -> Record {
        Record {
            adapter: 1,
            prompt_tokens: 2,
            completion_tokens: 3,
            time: 4,
            shares: vec![Share { source: 5, weight: 4_000 }, Share { source: 6, weight: 6_000 }],
        }
    }

    #[test]
    fn records_that_are_not_valid_are_named() {
        let with = |change: fn(&mut Record)| {
            let mut record = plain();
            change(&mut record);
            match one(record).encode() {
                Err(EncodeError::Record { index: 0, error }) => error,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(with(|record| record.shares.clear()), RecordError::Shares(0));
        assert_eq!(
            with(|record| record.shares = vec![Share { source: 1, weight: 1 }; 17]),
            RecordError::Shares(17)
        );
        assert_eq!(
            with(|record| record.shares[0].weight = 0),
            RecordError::ZeroWeight { source_index: 5 }
        );
        assert_eq!(with(|record| record.shares[0].weight = 1), RecordError::WeightSum(6_001));
        assert_eq!(with(|record| record.shares[1].source = 5), RecordError::DuplicateSource(5));
        assert_eq!(
            with(|record| record.shares[1].source = 4),
            RecordError::SourceOrder { before: 5, after: 4 }
        );
        assert_eq!(
            with(|record| record.prompt_tokens = MAX_TOKENS + 1),
            RecordError::Tokens { what: "prompt", tokens: MAX_TOKENS + 1 }
        );
        assert_eq!(
            with(|record| record.completion_tokens = u32::MAX),
            RecordError::Tokens { what: "completion", tokens: u32::MAX }
        );
    }

    #[test]
    fn batches_that_are_not_valid_are_named() {
        let mut batch = one(plain());
        batch.records.push(Record { time: 3, ..plain() });
        assert_eq!(
            batch.encode(),
            Err(EncodeError::Record {
                index: 1,
                error: RecordError::TimeOrder { before: 4, time: 3 }
            })
        );
        batch.records.clear();
        assert_eq!(batch.encode(), Err(EncodeError::Records(0)));
        batch.records = vec![plain(); MAX_RECORDS + 1];
        assert_eq!(batch.encode(), Err(EncodeError::Records(MAX_RECORDS + 1)));
        batch.records.pop();
        let bytes = batch.encode().expect("valid records");
        assert!(bytes.len() < 4_000, "{} bytes of records that are all the same", bytes.len());
        assert_eq!(Batch::decode(&bytes).expect("a batch"), batch);
        batch.header.time_base = u64::MAX;
        assert_eq!(batch.encode(), Err(EncodeError::TimeOverflow));
    }

    #[test]
    fn different_sources_are_bounded() {
        let shares = |record: u32| {
            (0..16).map(|at| Share { source: record * 16 + at, weight: 625 }).collect()
        };
        let mut batch = one(plain());
        batch.records = (0..4_096).map(|at| Record { shares: shares(at), ..plain() }).collect();
        let bytes = batch.encode().expect("65,536 of them");
        assert_eq!(Batch::decode(&bytes).expect("a batch"), batch);
        batch.records[0].shares[0].source = u32::MAX - 1;
        batch.records[0].shares.sort_by_key(|share| share.source);
        batch.records.push(Record { shares: shares(5_000), ..plain() });
        assert_eq!(batch.encode(), Err(EncodeError::Sources(65_552)));
    }

    /// 126 bytes that announce a million shares with as many different sources, each of which would halve a million
    /// counts.
    #[test]
    fn few_bytes_do_not_make_much_work() {
        const BATCH: &[u8] = &alloy_primitives::hex!(
            "010000000000000385000000000000000000000000000000000000007700000000a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
            "a1a1a1a1a10000000000000000000000006ab13b80000000000000000000000000000000000000000000000000000000"
            "00000000000001000000000011810841ed48b4e592318ce603867878902a"
        );
        let (column, fault) = (crate::Column::Source, crate::Fault::TooManyWords);
        assert_eq!(Batch::decode(BATCH), Err(DecodeError::Column { column, fault }));
    }

    #[test]
    fn bytes_that_are_no_batch_are_named() {
        let bytes = one(plain()).encode().expect("valid records");
        let columns = bytes.len() - HEADER_LENGTH;
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            Batch::decode(&bytes).expect_err("no batch")
        };
        assert_eq!(with(&|bytes| bytes.truncate(20)), DecodeError::TooShort(20));
        assert_eq!(with(&|bytes| bytes.clear()), DecodeError::TooShort(0));
        assert_eq!(
            with(&|bytes| bytes.resize(MAX_BATCH_LENGTH + 1, 0)),
            DecodeError::TooLong(MAX_BATCH_LENGTH + 1)
        );
        assert_eq!(with(&|bytes| bytes[0] = 2), DecodeError::Version(2));
        assert_eq!(
            with(&|bytes| bytes.push(0)),
            DecodeError::Length { said: columns, found: columns + 1 }
        );
        assert_eq!(
            with(&|bytes| bytes.truncate(bytes.len() - 1)),
            DecodeError::Length { said: columns, found: columns - 1 }
        );
        assert_eq!(with(&|bytes| bytes[101..105].fill(0)), DecodeError::Records(0));
        assert_eq!(
            with(&|bytes| bytes[101..105].copy_from_slice(&65_537_u32.to_be_bytes())),
            DecodeError::Records(65_537)
        );
        assert_eq!(
            with(&|bytes| bytes[61..69].copy_from_slice(&(u64::MAX - 3).to_be_bytes())),
            DecodeError::TimeOverflow
        );
    }

    #[test]
    fn order_within_a_time_is_kept_or_not_carried() {
        let mut batch = one(plain());
        batch.records = (0..200)
            .map(|at| Record { adapter: at * 77 % 200, time: at / 50, ..plain() })
            .collect();
        let as_given = batch.encode().expect("valid records");
        assert_eq!(Batch::decode(&as_given).expect("a batch"), batch);
        let before = batch.records.clone();
        let order = batch.sort();
        assert!(order.iter().zip(&batch.records).all(|(at, record)| before[*at] == *record));
        let sorted = batch.encode().expect("valid records");
        assert_eq!(Batch::decode(&sorted).expect("a batch"), batch);
        assert!(sorted.len() + 100 < as_given.len(), "{} and {}", sorted.len(), as_given.len());
    }

    proptest! {
        #[test]
        fn batches_come_back(batch in batch()) {
            let bytes = batch.encode().expect("valid records");
            prop_assert_eq!(Batch::decode(&bytes).expect("a batch"), batch);
        }

        /// Whatever is a batch is written in one way.
        #[test]
        fn there_is_one_encoding(
            batch in batch(), flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 0..3), cut in 0_usize..4, more: Vec<u8>,
        ) {
            let mut bytes = batch.encode().expect("valid records");
            let columns = bytes.len() - HEADER_LENGTH;
            bytes.truncate(bytes.len() - cut.min(columns));
            bytes.extend(more.iter().take(cut));
            let columns = bytes.len() - HEADER_LENGTH;
            bytes[105..109].copy_from_slice(&(columns as u32).to_be_bytes());
            for (index, flip) in flips {
                let index = index.index(bytes.len());
                bytes[index] ^= flip;
            }
            if let Ok(batch) = Batch::decode(&bytes) {
                prop_assert_eq!(batch.encode().expect("valid records"), bytes);
            }
        }

        #[test]
        fn noise_does_not_panic(
            noise in prop::collection::vec(any::<u8>(), 0..400), records in 1_u32..3_000,
        ) {
            let mut bytes = header().to_bytes(records, noise.len() as u32).to_vec();
            bytes.extend(&noise);
            if let Ok(batch) = Batch::decode(&bytes) {
                prop_assert_eq!(batch.encode().expect("valid records"), bytes);
            }
        }
    }
}
