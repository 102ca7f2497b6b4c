//! Deposits by users: `TransactionDeposited` logs of the deposit contract (`OptimismPortal`) on L1.

use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, b256};
use op_alloy_consensus::{TxDeposit, UserDepositSource};

/// keccak256 of `TransactionDeposited(address,address,uint256,bytes)`.
pub const DEPOSIT_TOPIC: B256 =
    b256!("b3813568d9991fc951961fcb4c784893574240a28925604d09fc577c55bb7c32");

/// Bytes before the data in the opaque part: mint, value, gas, isCreation.
const OPAQUE_HEAD: usize = 32 + 32 + 8 + 1;

/// A log of the deposit contract that no deposit can be made of. The contract never writes such a
/// log, so derivation stops on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DepositLogError {
    /// Not four topics.
    #[error("deposit log has {0} topics, want 4")]
    Topics(usize),
    /// The first topic is of another event.
    #[error("deposit log has topic {0}")]
    Event(B256),
    /// A version that is not known.
    #[error("deposit log has version {0}, want 0")]
    Version(B256),
    /// The data is not an ABI-encoded `bytes`.
    #[error("deposit log data of {0} bytes is not an ABI-encoded bytes value")]
    Data(usize),
    /// The opaque part is shorter than its fixed fields.
    #[error("deposit log has {0} opaque bytes, want at least {OPAQUE_HEAD}")]
    Opaque(usize),
    /// A mint of more wei than a deposit can carry.
    #[error("deposit log mints {0} wei, more than 128 bits")]
    Mint(U256),
}

/// Makes the deposit of a log in the L1 block `l1_hash`; `log_index` counts over the whole block.
pub fn decode_deposit_log(
    log: &Log,
    l1_hash: B256,
    log_index: u64,
) -> Result<TxDeposit, DepositLogError> {
    let topics = log.topics();
    let &[event, from, to, version] = topics else {
        return Err(DepositLogError::Topics(topics.len()));
    };
    if event != DEPOSIT_TOPIC {
        return Err(DepositLogError::Event(event));
    }
    if version != B256::ZERO {
        return Err(DepositLogError::Version(version));
    }
    let (from, to) = (Address::from_word(from), Address::from_word(to));

    let data = &log.data.data;
    let opaque = abi_bytes(data).ok_or(DepositLogError::Data(data.len()))?;
    if opaque.len() < OPAQUE_HEAD {
        return Err(DepositLogError::Opaque(opaque.len()));
    }
    let mint = U256::from_be_slice(&opaque[..32]);
    let mint = u128::try_from(mint).map_err(|_| DepositLogError::Mint(mint))?;
    let mut gas = [0; 8];
    gas.copy_from_slice(&opaque[64..72]);
    Ok(TxDeposit {
        source_hash: UserDepositSource::new(l1_hash, log_index).source_hash(),
        from,
        to: if opaque[72] == 0 { TxKind::Call(to) } else { TxKind::Create },
        mint,
        value: U256::from_be_slice(&opaque[32..64]),
        gas_limit: u64::from_be_bytes(gas),
        is_system_transaction: false,
        input: Bytes::copy_from_slice(&opaque[OPAQUE_HEAD..]),
    })
}

/// The value of data that is one ABI-encoded `bytes`: offset 32, length, value padded to words.
pub(crate) fn abi_bytes(data: &[u8]) -> Option<&[u8]> {
    let (offset, rest) = data.split_first_chunk::<32>()?;
    let (length, value) = rest.split_first_chunk::<32>()?;
    if U256::from_be_bytes(*offset) != U256::from(32) {
        return None;
    }
    let length = usize::try_from(U256::from_be_bytes(*length)).ok()?;
    let padded = length.checked_next_multiple_of(32)?;
    (value.len() == padded).then(|| &value[..length])
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, keccak256};

    use super::*;

    fn log(opaque: &[u8]) -> Log {
        let mut data = U256::from(32).to_be_bytes::<32>().to_vec();
        data.extend(U256::from(opaque.len()).to_be_bytes::<32>());
        data.extend(opaque);
        data.resize(64 + opaque.len().next_multiple_of(32), 0);
        Log::new_unchecked(
            Address::ZERO,
            vec![
                DEPOSIT_TOPIC,
                address!("00000000000000000000000000000000000000aa").into_word(),
                address!("00000000000000000000000000000000000000bb").into_word(),
                B256::ZERO,
            ],
            data.into(),
        )
    }

    fn opaque(mint: u128, value: u64, gas: u64, creation: u8, data: &[u8]) -> Vec<u8> {
        let mut out = U256::from(mint).to_be_bytes::<32>().to_vec();
        out.extend(U256::from(value).to_be_bytes::<32>());
        out.extend(gas.to_be_bytes());
        out.push(creation);
        out.extend(data);
        out
    }

    #[test]
    fn the_topic_is_the_hash_of_the_event() {
        assert_eq!(keccak256("TransactionDeposited(address,address,uint256,bytes)"), DEPOSIT_TOPIC);
    }

    #[test]
    fn a_deposit_is_read_whole() {
        let log = log(&opaque(5, 4, 21_000, 0, b"hello"));
        let deposit = decode_deposit_log(&log, B256::repeat_byte(1), 7).expect("valid");
        assert_eq!(deposit.mint, 5);
        assert_eq!(deposit.value, U256::from(4));
        assert_eq!(deposit.gas_limit, 21_000);
        assert_eq!(deposit.to, TxKind::Call(address!("00000000000000000000000000000000000000bb")));
        assert_eq!(deposit.input[..], *b"hello");
        let id = keccak256([B256::repeat_byte(1).0, U256::from(7).to_be_bytes()].concat());
        assert_eq!(deposit.source_hash, keccak256([[0; 32], id.0].concat()));
    }

    #[test]
    fn a_creation_has_no_recipient() {
        let log = log(&opaque(0, 0, 1, 1, &[]));
        let deposit = decode_deposit_log(&log, B256::ZERO, 0).expect("valid");
        assert_eq!(deposit.to, TxKind::Create);
    }

    #[test]
    fn malformed_logs_are_named() {
        let good = log(&opaque(0, 0, 1, 0, &[]));
        let decode = |log: &Log| decode_deposit_log(log, B256::ZERO, 0);
        assert_eq!(decode(&log(&[0; 72])), Err(DepositLogError::Opaque(72)));

        let mut bad = good.clone();
        bad.data.data = good.data.data[..good.data.data.len() - 1].to_vec().into();
        assert!(matches!(decode(&bad), Err(DepositLogError::Data(_))));

        let topics = |change: &dyn Fn(&mut Vec<B256>)| {
            let mut topics = good.topics().to_vec();
            change(&mut topics);
            Log::new_unchecked(good.address, topics, good.data.data.clone())
        };
        assert_eq!(decode(&topics(&|t| t.truncate(3))), Err(DepositLogError::Topics(3)));
        assert!(matches!(decode(&topics(&|t| t[0].0[0] ^= 1)), Err(DepositLogError::Event(_))));
        assert!(matches!(decode(&topics(&|t| t[3].0[31] = 1)), Err(DepositLogError::Version(_))));

        let mut huge = opaque(0, 0, 1, 0, &[]);
        huge[0] = 1;
        assert!(matches!(decode(&log(&huge)), Err(DepositLogError::Mint(_))));
    }
}
