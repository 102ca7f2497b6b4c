//! Encodings of stored values: compact, canonical (one encoding for one value), and decoded
//! strictly. No length is believed before the bytes for it are there.

use alloy_consensus::{BlockBody, Header};
use alloy_eips::BlockNumHash;
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use op_alloy_consensus::{OpReceipt, OpTxEnvelope};
use reth_primitives_traits::SealedHeader;
use thiserror::Error;

/// Bytes that are no canonical encoding of the value that belongs there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end inside the value.
    #[error("{what}: {missing} bytes missing")]
    TooShort {
        /// The value being read.
        what: &'static str,
        /// How many bytes more it needs.
        missing: usize,
    },
    /// Bytes are left over behind the value.
    #[error("{what}: {count} bytes too many")]
    Trailing {
        /// The value read.
        what: &'static str,
        /// How many bytes are left.
        count: usize,
    },
    /// The value has a shorter or another encoding, which alone is valid.
    #[error("{what}: not canonical")]
    NotCanonical {
        /// The value read.
        what: &'static str,
    },
    /// RLP inside the value is malformed.
    #[error("{what}: {error}")]
    Rlp {
        /// The value read.
        what: &'static str,
        /// What the RLP decoder says.
        error: alloy_rlp::Error,
    },
    /// The value is no trie node.
    #[error("trie node: {0}")]
    Node(#[from] ascribe_trie::NodeDecodeError),
}

type Result<T> = std::result::Result<T, DecodeError>;

/// Takes `count` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], count: usize, what: &'static str) -> Result<&'a [u8]> {
    let (head, tail) = input
        .split_at_checked(count)
        .ok_or_else(|| DecodeError::TooShort { what, missing: count - input.len() })?;
    *input = tail;
    Ok(head)
}

/// Takes exactly `N` bytes off the front of `input`.
fn take_array<const N: usize>(input: &mut &[u8], what: &'static str) -> Result<[u8; N]> {
    let mut array = [0; N];
    array.copy_from_slice(take(input, N, what)?);
    Ok(array)
}

const fn finish(input: &[u8], what: &'static str) -> Result<()> {
    if input.is_empty() { Ok(()) } else { Err(DecodeError::Trailing { what, count: input.len() }) }
}

/// The bytes of a big-endian number without its leading zeros.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// Reads a number of `count` big-endian bytes, the first of which must not be zero.
fn take_trimmed<const N: usize>(
    input: &mut &[u8],
    count: usize,
    what: &'static str,
) -> Result<[u8; N]> {
    if count > N {
        return Err(DecodeError::NotCanonical { what });
    }
    let bytes = take(input, count, what)?;
    if bytes.first() == Some(&0) {
        return Err(DecodeError::NotCanonical { what });
    }
    let mut array = [0; N];
    array[N - count..].copy_from_slice(bytes);
    Ok(array)
}

const ACCOUNT_HAS_CODE: u8 = 1 << 4;
const ACCOUNT_HAS_STORAGE: u8 = 1 << 5;

/// Appends an account: two bytes of lengths and flags, nonce, balance, code hash if it has code,
/// storage root if it has storage. A plain account with one transaction takes about 12 bytes.
pub(crate) fn encode_account(account: &TrieAccount, out: &mut Vec<u8>) {
    let nonce = account.nonce.to_be_bytes();
    let nonce = trimmed(&nonce);
    let balance = account.balance.to_be_bytes::<32>();
    let balance = trimmed(&balance);
    let has_code = account.code_hash != KECCAK256_EMPTY;
    let has_storage = account.storage_root != EMPTY_ROOT_HASH;
    let mut head = nonce.len() as u8;
    if has_code {
        head |= ACCOUNT_HAS_CODE;
    }
    if has_storage {
        head |= ACCOUNT_HAS_STORAGE;
    }
    out.extend_from_slice(&[head, balance.len() as u8]);
    out.extend_from_slice(nonce);
    out.extend_from_slice(balance);
    if has_code {
        out.extend_from_slice(account.code_hash.as_slice());
    }
    if has_storage {
        out.extend_from_slice(account.storage_root.as_slice());
    }
}

/// Reads what [`encode_account`] writes.
pub(crate) fn decode_account(mut input: &[u8]) -> Result<TrieAccount> {
    const WHAT: &str = "account";
    let [head, balance_len] = take_array(&mut input, WHAT)?;
    if head & !(0x0f | ACCOUNT_HAS_CODE | ACCOUNT_HAS_STORAGE) != 0 {
        return Err(DecodeError::NotCanonical { what: WHAT });
    }
    let nonce = u64::from_be_bytes(take_trimmed(&mut input, (head & 0x0f) as usize, WHAT)?);
    let balance = U256::from_be_bytes::<32>(take_trimmed(&mut input, balance_len as usize, WHAT)?);
    let mut hash_or = |flag: u8, default: B256| {
        if head & flag == 0 {
            return Ok(default);
        }
        let hash = B256::new(take_array(&mut input, WHAT)?);
        if hash == default { Err(DecodeError::NotCanonical { what: WHAT }) } else { Ok(hash) }
    };
    let code_hash = hash_or(ACCOUNT_HAS_CODE, KECCAK256_EMPTY)?;
    let storage_root = hash_or(ACCOUNT_HAS_STORAGE, EMPTY_ROOT_HASH)?;
    finish(input, WHAT)?;
    Ok(TrieAccount { nonce, balance, storage_root, code_hash })
}

/// Appends the old value of an account in a reverse change; nothing at all if it did not exist.
pub(crate) fn encode_account_change(old: Option<&TrieAccount>, out: &mut Vec<u8>) {
    if let Some(account) = old {
        encode_account(account, out);
    }
}

/// Reads what [`encode_account_change`] writes.
pub(crate) fn decode_account_change(input: &[u8]) -> Result<Option<TrieAccount>> {
    if input.is_empty() { Ok(None) } else { decode_account(input).map(Some) }
}

/// Appends a storage word without its leading zeros; nothing at all for zero, which only a
/// reverse change holds.
pub(crate) fn encode_word(word: U256, out: &mut Vec<u8>) {
    out.extend_from_slice(trimmed(&word.to_be_bytes::<32>()));
}

/// Reads what [`encode_word`] writes.
pub(crate) fn decode_word(mut input: &[u8]) -> Result<U256> {
    const WHAT: &str = "storage word";
    let count = input.len();
    Ok(U256::from_be_bytes::<32>(take_trimmed(&mut input, count, WHAT)?))
}

/// Reads the value of a slot that is set, which cannot be zero.
pub(crate) fn decode_nonzero_word(input: &[u8]) -> Result<U256> {
    let word = decode_word(input)?;
    if word.is_zero() {
        return Err(DecodeError::NotCanonical { what: "storage word" });
    }
    Ok(word)
}

/// Reads eight big-endian bytes.
pub(crate) fn decode_number(mut input: &[u8]) -> Result<u64> {
    const WHAT: &str = "number";
    let number = u64::from_be_bytes(take_array(&mut input, WHAT)?);
    finish(input, WHAT)?;
    Ok(number)
}

/// A block's number and hash in 40 bytes.
pub(crate) fn encode_num_hash(block: BlockNumHash) -> [u8; 40] {
    let mut out = [0; 40];
    out[..8].copy_from_slice(&block.number.to_be_bytes());
    out[8..].copy_from_slice(block.hash.as_slice());
    out
}

/// Reads what [`encode_num_hash`] writes.
pub(crate) fn decode_num_hash(mut input: &[u8]) -> Result<BlockNumHash> {
    const WHAT: &str = "block number and hash";
    let number = u64::from_be_bytes(take_array(&mut input, WHAT)?);
    let hash = B256::new(take_array(&mut input, WHAT)?);
    finish(input, WHAT)?;
    Ok(BlockNumHash { number, hash })
}

/// Where a transaction is: length of the number, block number, index in the block.
pub(crate) fn encode_lookup(number: u64, index: u32, out: &mut Vec<u8>) {
    let number = number.to_be_bytes();
    let number = trimmed(&number);
    out.push(number.len() as u8);
    out.extend_from_slice(number);
    out.extend_from_slice(trimmed(&index.to_be_bytes()));
}

/// Reads what [`encode_lookup`] writes.
pub(crate) fn decode_lookup(mut input: &[u8]) -> Result<(u64, u32)> {
    const WHAT: &str = "transaction lookup";
    let [count] = take_array(&mut input, WHAT)?;
    let number = u64::from_be_bytes(take_trimmed(&mut input, count as usize, WHAT)?);
    let rest = input.len();
    let index = u32::from_be_bytes(take_trimmed(&mut input, rest, WHAT)?);
    Ok((number, index))
}

/// A header behind its hash, so that no reader hashes it again.
pub(crate) fn encode_header(header: &SealedHeader) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + header.header().length());
    out.extend_from_slice(header.hash_ref().as_slice());
    header.header().encode(&mut out);
    out
}

/// Reads what [`encode_header`] writes. The hash is as trustworthy as the database.
pub(crate) fn decode_header(mut input: &[u8]) -> Result<SealedHeader> {
    let hash = B256::new(take_array(&mut input, "header")?);
    let header: Header = rlp(input, "header")?;
    Ok(SealedHeader::new(header, hash))
}

/// Reads only the hash of what [`encode_header`] writes.
pub(crate) fn decode_header_hash(mut input: &[u8]) -> Result<B256> {
    Ok(B256::new(take_array(&mut input, "header")?))
}

/// A block's body as the RLP of the wire protocol.
pub(crate) fn encode_body(body: &BlockBody<OpTxEnvelope>) -> Vec<u8> {
    alloy_rlp::encode(body)
}

/// Reads what [`encode_body`] writes.
pub(crate) fn decode_body(input: &[u8]) -> Result<BlockBody<OpTxEnvelope>> {
    rlp(input, "body")
}

/// Receipts as an RLP list, each without its bloom filter, which is a function of its logs.
pub(crate) fn encode_receipts(receipts: &[OpReceipt]) -> Vec<u8> {
    let payload: usize = receipts.iter().map(Encodable::length).sum();
    let mut out = Vec::with_capacity(payload + 9);
    alloy_rlp::encode_list::<_, OpReceipt>(receipts, &mut out);
    out
}

/// Reads what [`encode_receipts`] writes.
pub(crate) fn decode_receipts(input: &[u8]) -> Result<Vec<OpReceipt>> {
    rlp(input, "receipts")
}

/// Senders, 20 bytes each.
pub(crate) fn encode_senders(senders: &[Address]) -> Vec<u8> {
    senders.iter().flat_map(|sender| sender.0.0).collect()
}

/// Reads what [`encode_senders`] writes.
pub(crate) fn decode_senders(input: &[u8]) -> Result<Vec<Address>> {
    let (senders, rest) = input.as_chunks::<20>();
    finish(rest, "senders")?;
    Ok(senders.iter().map(|bytes| Address::new(*bytes)).collect())
}

fn rlp<T: Decodable>(mut input: &[u8], what: &'static str) -> Result<T> {
    let value = T::decode(&mut input).map_err(|error| DecodeError::Rlp { what, error })?;
    finish(input, what)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Eip658Value, Receipt};
    use alloy_primitives::{Bytes, Log, LogData};
    use op_alloy_consensus::OpDepositReceipt;
    use proptest::prelude::*;

    fn accounts() -> impl Strategy<Value = TrieAccount> {
        let hash_or =
            |default: B256| prop_oneof![Just(default), any::<[u8; 32]>().prop_map(B256::new)];
        let balance = prop_oneof![
            Just(U256::ZERO),
            any::<u64>().prop_map(U256::from),
            any::<[u8; 32]>().prop_map(U256::from_be_bytes),
        ];
        (any::<u64>(), 0..64u32, balance, hash_or(EMPTY_ROOT_HASH), hash_or(KECCAK256_EMPTY))
            .prop_map(|(nonce, shift, balance, storage_root, code_hash)| TrieAccount {
                nonce: nonce >> shift,
                balance,
                storage_root,
                code_hash,
            })
    }

    fn receipts() -> impl Strategy<Value = Vec<OpReceipt>> {
        let log = (any::<[u8; 20]>(), 0..=4usize, any::<Vec<u8>>()).prop_map(
            |(address, topics, data)| Log {
                address: Address::new(address),
                data: LogData::new_unchecked(vec![B256::repeat_byte(3); topics], data.into()),
            },
        );
        let inner = (any::<bool>(), any::<u64>(), prop::collection::vec(log, 0..4)).prop_map(
            |(status, cumulative_gas_used, logs)| Receipt {
                status: Eip658Value::Eip658(status),
                cumulative_gas_used,
                logs,
            },
        );
        let receipt = (inner, 0..7u8, any::<u64>()).prop_map(|(inner, kind, nonce)| match kind {
            0 => OpReceipt::Legacy(inner),
            1 => OpReceipt::Eip2930(inner),
            2 => OpReceipt::Eip1559(inner),
            3 => OpReceipt::Eip7702(inner),
            // Before Regolith, from Regolith, from Canyon.
            _ => OpReceipt::Deposit(OpDepositReceipt {
                inner,
                deposit_nonce: (kind > 4).then_some(nonce),
                deposit_receipt_version: (kind > 5).then_some(1),
            }),
        });
        prop::collection::vec(receipt, 0..6)
    }

    fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out);
        out
    }

    proptest! {
        #[test]
        fn values_come_back(
            account in accounts(),
            word in any::<[u8; 32]>(),
            zeros in 0..=32usize,
            number in any::<u64>(),
            index in any::<u32>(),
            hash in any::<[u8; 32]>(),
            senders in prop::collection::vec(any::<[u8; 20]>().prop_map(Address::new), 0..5),
            receipts in receipts(),
        ) {
            let bytes = encoded(|out| encode_account(&account, out));
            prop_assert_eq!(decode_account(&bytes), Ok(account));
            let bytes = encoded(|out| encode_account_change(Some(&account), out));
            prop_assert_eq!(decode_account_change(&bytes), Ok(Some(account)));

            let mut word = word;
            word[..zeros].fill(0);
            let word = U256::from_be_bytes(word);
            let bytes = encoded(|out| encode_word(word, out));
            prop_assert_eq!(decode_word(&bytes), Ok(word));
            prop_assert_eq!(decode_nonzero_word(&bytes).is_ok(), !word.is_zero());

            let block = BlockNumHash { number, hash: B256::new(hash) };
            prop_assert_eq!(decode_num_hash(&encode_num_hash(block)), Ok(block));
            prop_assert_eq!(decode_number(&number.to_be_bytes()), Ok(number));
            let bytes = encoded(|out| encode_lookup(number, index, out));
            prop_assert_eq!(decode_lookup(&bytes), Ok((number, index)));
            prop_assert_eq!(decode_senders(&encode_senders(&senders)), Ok(senders));
            prop_assert_eq!(decode_receipts(&encode_receipts(&receipts)), Ok(receipts));
            let header =
                SealedHeader::new(Header { number, ..Default::default() }, B256::new(hash));
            let bytes = encode_header(&header);
            prop_assert_eq!(decode_header(&bytes).map(|h| h.hash()), Ok(header.hash()));
            prop_assert_eq!(decode_header(&bytes).map(SealedHeader::unseal), Ok(header.unseal()));
            prop_assert_eq!(decode_header_hash(&bytes), Ok(B256::new(hash)));
        }

        /// Whatever decodes is the one encoding of its value, and nothing panics.
        #[test]
        fn garbage_is_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(account) = decode_account(&bytes) {
                prop_assert_eq!(&encoded(|out| encode_account(&account, out)), &bytes);
            }
            if let Ok(word) = decode_word(&bytes) {
                prop_assert_eq!(&encoded(|out| encode_word(word, out)), &bytes);
            }
            if let Ok((number, index)) = decode_lookup(&bytes) {
                prop_assert_eq!(&encoded(|out| encode_lookup(number, index, out)), &bytes);
            }
            if let Ok(senders) = decode_senders(&bytes) {
                prop_assert_eq!(&encode_senders(&senders), &bytes);
            }
            let _ = decode_header(&bytes);
            let _ = decode_body(&bytes);
            let _ = decode_receipts(&bytes);
            let _ = decode_num_hash(&bytes);
        }

        /// An encoding cut short or with a byte more is refused, and one with a flipped byte does
        /// not panic.
        #[test]
        fn damage_is_noticed(account in accounts(), receipts in receipts(), at in any::<prop::sample::Index>()) {
            let bytes = encoded(|out| encode_account(&account, out));
            prop_assert!(decode_account(&bytes[..at.index(bytes.len())]).is_err());
            prop_assert!(decode_account(&[&bytes[..], &[0]].concat()).is_err());
            let mut bytes = encode_receipts(&receipts);
            prop_assert!(decode_receipts(&bytes[..at.index(bytes.len())]).is_err());
            prop_assert!(decode_receipts(&[&bytes[..], &[0]].concat()).is_err());
            let place = at.index(bytes.len());
            bytes[place] ^= 0x81;
            let _ = decode_receipts(&bytes);
        }
    }

    #[test]
    fn small_accounts_are_small() {
        let account = TrieAccount {
            nonce: 7,
            balance: U256::from(10).pow(U256::from(18)),
            ..Default::default()
        };
        assert_eq!(encoded(|out| encode_account(&account, out)).len(), 11);
        assert_eq!(encoded(|out| encode_account(&TrieAccount::default(), out)), [0, 0]);
        assert_eq!(encoded(|out| encode_lookup(1_000_000, 3, out)), [3, 0x0f, 0x42, 0x40, 3]);
    }

    #[test]
    fn bodies_come_back() {
        for withdrawals in [None, Some(Default::default())] {
            let body = BlockBody { withdrawals, ..Default::default() };
            assert_eq!(decode_body(&encode_body(&body)), Ok(body));
        }
        let deposit =
            op_alloy_consensus::TxDeposit { input: Bytes::from_static(b"x"), ..Default::default() };
        let body = BlockBody { transactions: vec![deposit.into()], ..Default::default() };
        assert_eq!(decode_body(&encode_body(&body)), Ok(body));
    }
}
