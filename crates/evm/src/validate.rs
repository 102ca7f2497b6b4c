//! The rules a block must obey, sorted by what they need: the parent's header, nothing but the
//! block, or the outcome of its execution.

use crate::{ConsensusError, ExecutionOutput, error::InvalidTx};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{Typed2718, eip7685::EMPTY_REQUESTS_HASH};
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B256, Bloom};
use ascribe_chainspec::{ChainSpec, extra_data};
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::{SealedBlock, SealedHeader};

/// The longest `extraData` before Holocene fixes its length, in bytes.
const MAX_EXTRA_DATA_LEN: usize = 32;
/// The highest gas limit.
const MAX_GAS_LIMIT: u64 = i64::MAX as u64;

/// Checks a header by itself and against its parent's, whose hash is `parent.hash()`.
///
/// The gas limit may change by any amount: on an OP chain the system configuration sets it.
pub fn validate_header(
    spec: &ChainSpec,
    header: &Header,
    parent: &SealedHeader,
) -> Result<(), ConsensusError> {
    validate_standalone(spec, header)?;
    if header.parent_hash != parent.hash() {
        return Err(ConsensusError::ParentHash {
            got: header.parent_hash,
            expected: parent.hash(),
        });
    }
    if parent.number.checked_add(1) != Some(header.number) {
        return Err(ConsensusError::Number { number: header.number, parent: parent.number });
    }
    if header.timestamp <= parent.timestamp {
        return Err(ConsensusError::Timestamp {
            timestamp: header.timestamp,
            parent: parent.timestamp,
        });
    }
    let got = header.base_fee_per_gas.ok_or(ConsensusError::BaseFeeMissing)?;
    let expected = spec
        .next_block_base_fee(parent.header(), header.timestamp)
        .map_err(|error| ConsensusError::BaseFeeUnknown(error.to_string()))?;
    if got != expected {
        return Err(ConsensusError::BaseFee { got, expected });
    }
    Ok(())
}

fn validate_standalone(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    if !header.difficulty.is_zero() {
        return Err(ConsensusError::Difficulty);
    }
    if !header.nonce.is_zero() {
        return Err(ConsensusError::Nonce);
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return Err(ConsensusError::Ommers);
    }
    if header.gas_limit > MAX_GAS_LIMIT {
        return Err(ConsensusError::GasLimit(header.gas_limit));
    }
    if header.gas_used > header.gas_limit {
        return Err(ConsensusError::GasUsedAboveLimit {
            gas_used: header.gas_used,
            gas_limit: header.gas_limit,
        });
    }
    validate_extra_data(spec, header)?;
    validate_canyon_fields(spec, header)?;
    validate_ecotone_fields(spec, header)?;
    validate_isthmus_fields(spec, header)?;
    if header.block_access_list_hash.is_some() {
        return Err(ConsensusError::FieldUnexpected("blockAccessListHash"));
    }
    if header.slot_number.is_some() {
        return Err(ConsensusError::FieldUnexpected("slotNumber"));
    }
    Ok(())
}

fn validate_extra_data(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    let holocene = spec.is_holocene_active_at_timestamp(header.timestamp);
    let jovian = spec.is_jovian_active_at_timestamp(header.timestamp);
    if !holocene {
        let len = header.extra_data.len();
        return if len > MAX_EXTRA_DATA_LEN {
            Err(ConsensusError::ExtraDataLength { len })
        } else {
            Ok(())
        };
    }
    let refuse = |reason: String| {
        Err(ConsensusError::ExtraData { extra_data: header.extra_data.clone(), reason })
    };
    match extra_data::decode(&header.extra_data) {
        Err(error) => refuse(error.to_string()),
        Ok(params) if params.min_base_fee.is_some() != jovian => refuse(format!(
            "{} bytes, want {}",
            header.extra_data.len(),
            if jovian { "17 from Jovian on" } else { "9 before Jovian" }
        )),
        Ok(_) => Ok(()),
    }
}

fn validate_canyon_fields(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    if spec.is_isthmus_active_at_timestamp(header.timestamp) {
        // Compared with the message passer's storage root after execution.
        require(header.withdrawals_root, "withdrawalsRoot", "Isthmus").map(drop)
    } else if spec.is_canyon_active_at_timestamp(header.timestamp) {
        let got = require(header.withdrawals_root, "withdrawalsRoot", "Canyon")?;
        if got != EMPTY_WITHDRAWALS {
            return Err(ConsensusError::WithdrawalsRoot { got, expected: EMPTY_WITHDRAWALS });
        }
        Ok(())
    } else {
        forbid(header.withdrawals_root.is_some(), "withdrawalsRoot")
    }
}

fn validate_ecotone_fields(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    if !spec.is_ecotone_active_at_timestamp(header.timestamp) {
        forbid(header.blob_gas_used.is_some(), "blobGasUsed")?;
        forbid(header.excess_blob_gas.is_some(), "excessBlobGas")?;
        return forbid(header.parent_beacon_block_root.is_some(), "parentBeaconBlockRoot");
    }
    require(header.parent_beacon_block_root, "parentBeaconBlockRoot", "Ecotone")?;
    let excess = require(header.excess_blob_gas, "excessBlobGas", "Ecotone")?;
    if excess != 0 {
        return Err(ConsensusError::FieldNotZero { field: "excessBlobGas", got: excess });
    }
    let footprint = require(header.blob_gas_used, "blobGasUsed", "Ecotone")?;
    if spec.is_jovian_active_at_timestamp(header.timestamp) {
        if footprint > header.gas_limit {
            return Err(ConsensusError::DaFootprintAboveLimit {
                footprint,
                gas_limit: header.gas_limit,
            });
        }
    } else if footprint != 0 {
        return Err(ConsensusError::FieldNotZero { field: "blobGasUsed", got: footprint });
    }
    Ok(())
}

fn validate_isthmus_fields(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    if !spec.is_isthmus_active_at_timestamp(header.timestamp) {
        return forbid(header.requests_hash.is_some(), "requestsHash");
    }
    let got = require(header.requests_hash, "requestsHash", "Isthmus")?;
    if got != EMPTY_REQUESTS_HASH {
        return Err(ConsensusError::RequestsHash { got, expected: EMPTY_REQUESTS_HASH });
    }
    Ok(())
}

/// Checks what a block's body says by itself. The EVM checks the transactions one by one; roots
/// are left to [`validate_body_against_header`].
pub fn validate_block_pre_execution(
    spec: &ChainSpec,
    block: &SealedBlock<OpBlock>,
) -> Result<(), ConsensusError> {
    let body = block.body();
    if !body.ommers.is_empty() {
        return Err(ConsensusError::Ommers);
    }
    let canyon = spec.is_canyon_active_at_timestamp(block.header().timestamp);
    match &body.withdrawals {
        Some(withdrawals) if canyon && withdrawals.is_empty() => {}
        Some(withdrawals) if canyon => {
            return Err(ConsensusError::WithdrawalsNotEmpty(withdrawals.len()));
        }
        Some(_) => return Err(ConsensusError::FieldUnexpected("withdrawals")),
        None if canyon => {
            return Err(ConsensusError::FieldMissing { field: "withdrawals", fork: "Canyon" });
        }
        None => {}
    }
    if let Some((index, tx)) =
        body.transactions.iter().enumerate().find(|(_, tx)| tx.is_post_exec())
    {
        return Err(ConsensusError::Transaction {
            index,
            hash: tx.tx_hash(),
            reason: InvalidTx::UnsupportedType(tx.ty()),
        });
    }
    if spec.is_jovian_active_at_timestamp(block.header().timestamp)
        && !body.transactions.first().is_some_and(|tx| tx.is_deposit())
    {
        return Err(ConsensusError::MissingL1Attributes);
    }
    Ok(())
}

/// Checks that a body is the one its header commits to.
///
/// Not needed for a block that was made from an execution payload: there the header's root *is*
/// computed from the transactions, and the block hash tells whether it is the right one.
pub fn validate_body_against_header(block: &SealedBlock<OpBlock>) -> Result<(), ConsensusError> {
    let got = crate::transactions_root(&block.body().transactions);
    let expected = block.header().transactions_root;
    if got != expected {
        return Err(ConsensusError::TransactionsRoot { got, expected });
    }
    Ok(())
}

/// Compares what execution yielded with what the header says, but for the state root.
pub fn validate_post_execution(
    header: &Header,
    output: &ExecutionOutput,
    receipts_root: B256,
    logs_bloom: Bloom,
) -> Result<(), ConsensusError> {
    if output.gas_used != header.gas_used {
        return Err(ConsensusError::GasUsed { got: output.gas_used, expected: header.gas_used });
    }
    let expected = header.blob_gas_used.unwrap_or_default();
    if output.blob_gas_used != expected {
        return Err(ConsensusError::BlobGasUsed { got: output.blob_gas_used, expected });
    }
    if receipts_root != header.receipts_root {
        return Err(ConsensusError::ReceiptsRoot {
            got: receipts_root,
            expected: header.receipts_root,
        });
    }
    if logs_bloom != header.logs_bloom {
        return Err(ConsensusError::LogsBloom {
            got: Box::new(logs_bloom),
            expected: Box::new(header.logs_bloom),
        });
    }
    Ok(())
}

/// Compares the state root after the block with the header's.
pub fn validate_state_root(header: &Header, state_root: B256) -> Result<(), ConsensusError> {
    if state_root != header.state_root {
        return Err(ConsensusError::StateRoot { got: state_root, expected: header.state_root });
    }
    Ok(())
}

/// Compares the header's `withdrawalsRoot` with the storage root that the
/// [`L2ToL1MessagePasser`](crate::L2_TO_L1_MESSAGE_PASSER_ADDRESS) has after the block, from
/// Isthmus on; before, it does nothing.
pub fn validate_withdrawals_root(
    spec: &ChainSpec,
    header: &Header,
    message_passer_root: B256,
) -> Result<(), ConsensusError> {
    if !spec.is_isthmus_active_at_timestamp(header.timestamp) {
        return Ok(());
    }
    let got = require(header.withdrawals_root, "withdrawalsRoot", "Isthmus")?;
    if got != message_passer_root {
        return Err(ConsensusError::WithdrawalsRoot { got, expected: message_passer_root });
    }
    Ok(())
}

fn require<T>(
    value: Option<T>,
    field: &'static str,
    fork: &'static str,
) -> Result<T, ConsensusError> {
    value.ok_or(ConsensusError::FieldMissing { field, fork })
}

const fn forbid(present: bool, field: &'static str) -> Result<(), ConsensusError> {
    if present { Err(ConsensusError::FieldUnexpected(field)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_chain::{FORKS, TestChain, extra_data as usual_extra_data, index};
    use crate::{HeaderRoots, assemble_header};
    use alloy_primitives::{Bytes, U256, bytes};

    /// A valid header and its parent.
    fn valid(fork: &'static str) -> (TestChain, Header) {
        let chain = TestChain::new(fork);
        let (_, parts, _) = chain.build(|builder| {
            builder.push(chain.l1_attributes(400)).expect("included");
        });
        let roots = HeaderRoots {
            state_root: B256::ZERO,
            transactions_root: B256::ZERO,
            receipts_root: B256::ZERO,
            logs_bloom: Bloom::ZERO,
            message_passer_root: B256::repeat_byte(9),
        };
        let header = assemble_header(&**chain.config.chain_spec(), &parts, &roots);
        (chain, header)
    }

    fn refused(fork: &'static str, change: impl FnOnce(&mut Header)) -> String {
        let (chain, mut header) = valid(fork);
        change(&mut header);
        validate_header(chain.config.chain_spec(), &header, &chain.parent)
            .expect_err("the header is bad")
            .to_string()
    }

    #[test]
    fn assembled_headers_have_the_fields_of_their_fork() {
        for fork in FORKS {
            let (chain, header) = valid(fork);
            validate_header(chain.config.chain_spec(), &header, &chain.parent)
                .unwrap_or_else(|error| panic!("{fork}: {error}"));
            let since = |other| index(fork) >= index(other);
            assert_eq!(header.extra_data, usual_extra_data(fork), "{fork}");
            assert_eq!(header.withdrawals_root.is_some(), since("canyon"), "{fork}");
            let passer = header.withdrawals_root == Some(B256::repeat_byte(9));
            assert_eq!(passer, since("isthmus"), "{fork}");
            assert_eq!(header.blob_gas_used, since("ecotone").then_some(0), "{fork}");
            assert_eq!(header.excess_blob_gas, since("ecotone").then_some(0), "{fork}");
            assert_eq!(header.parent_beacon_block_root.is_some(), since("ecotone"), "{fork}");
            let requests = since("isthmus").then_some(EMPTY_REQUESTS_HASH);
            assert_eq!(header.requests_hash, requests, "{fork}");
        }
    }

    #[test]
    fn each_rule_is_checked() {
        type Case = (&'static str, fn(&mut Header), &'static str);
        let cases: &[Case] = &[
            ("bedrock", |h| h.parent_hash = B256::ZERO, "mismatched parent hash"),
            ("bedrock", |h| h.number += 1, "block number 11 does not match parent"),
            ("bedrock", |h| h.number = 0, "block number 0 does not match parent"),
            ("bedrock", |h| h.timestamp = 998, "block timestamp 998 is in the past"),
            ("bedrock", |h| h.gas_limit = 1 << 63, "invalid gasLimit: have 9223372036854775808"),
            ("bedrock", |h| h.gas_used = h.gas_limit + 1, "is greater than gas limit"),
            ("bedrock", |h| h.difficulty = U256::ONE, "difficulty after merge"),
            ("bedrock", |h| h.nonce.0[7] = 1, "nonce after merge"),
            ("bedrock", |h| h.ommers_hash = B256::ZERO, "ommers hash after merge"),
            ("bedrock", |h| h.extra_data = vec![0; 33].into(), "extra data 33 exceeds"),
            ("bedrock", |h| h.base_fee_per_gas = None, "base fee missing"),
            ("bedrock", |h| h.base_fee_per_gas = Some(1), "block base fee mismatch: got 1"),
            ("bedrock", |h| h.withdrawals_root = Some(EMPTY_WITHDRAWALS), "unexpected withdr"),
            ("bedrock", |h| h.blob_gas_used = Some(0), "unexpected blobGasUsed"),
            ("bedrock", |h| h.excess_blob_gas = Some(0), "unexpected excessBlobGas"),
            ("bedrock", |h| h.parent_beacon_block_root = Some(B256::ZERO), "unexpected parentB"),
            ("bedrock", |h| h.block_access_list_hash = Some(B256::ZERO), "blockAccessListHash"),
            ("bedrock", |h| h.slot_number = Some(0), "slotNumber"),
            ("holocene", |h| h.requests_hash = Some(EMPTY_REQUESTS_HASH), "unexpected requestsH"),
            ("canyon", |h| h.withdrawals_root = None, "missing withdrawalsRoot"),
            ("canyon", |h| h.withdrawals_root = Some(B256::ZERO), "withdrawals root: got"),
            ("ecotone", |h| h.blob_gas_used = None, "missing blobGasUsed"),
            ("ecotone", |h| h.blob_gas_used = Some(1), "blobGasUsed must be zero, got 1"),
            ("ecotone", |h| h.excess_blob_gas = None, "missing excessBlobGas"),
            ("ecotone", |h| h.excess_blob_gas = Some(1), "excessBlobGas must be zero"),
            ("ecotone", |h| h.parent_beacon_block_root = None, "missing parentBeaconBlockRoot"),
            ("isthmus", |h| h.blob_gas_used = Some(1), "blobGasUsed must be zero, got 1"),
            ("isthmus", |h| h.withdrawals_root = None, "missing withdrawalsRoot"),
            ("isthmus", |h| h.requests_hash = None, "missing requestsHash"),
            ("isthmus", |h| h.requests_hash = Some(B256::ZERO), "requests hash: got"),
            ("jovian", |h| h.blob_gas_used = Some(h.gas_limit + 1), "DA footprint 60000001 is"),
            ("jovian", |h| h.excess_blob_gas = Some(1), "excessBlobGas must be zero"),
        ];
        for (fork, change, text) in cases {
            let error = refused(fork, change);
            assert!(error.contains(text), "{fork}: want {text}, got {error}");
        }
        // Any gas limit is fine, if the gas used is below.
        let (chain, mut header) = valid("karst");
        header.gas_limit *= 1_000;
        validate_header(chain.config.chain_spec(), &header, &chain.parent).expect("valid");
    }

    #[test]
    fn extra_data_has_the_form_of_its_fork() {
        let cases: [(&'static str, Bytes); 9] = [
            ("holocene", Bytes::new()),
            ("holocene", bytes!("01000000fa00000006")),
            ("holocene", bytes!("00000000fa000000060000000000000000")),
            ("holocene", bytes!("01000000fa000000060000000000000000")),
            ("holocene", bytes!("000000000000000000")),
            ("isthmus", bytes!("00000000fa00000000")),
            ("jovian", bytes!("00000000fa00000006")),
            ("jovian", bytes!("00000000fa000000060000000000000000")),
            ("karst", bytes!("010000000000000000000000000000000a")),
        ];
        for (fork, extra_data) in cases {
            let error = refused(fork, |header| header.extra_data = extra_data.clone());
            let text = format!("invalid extraData {extra_data}");
            assert!(error.contains(&text), "{fork}: {error}");
        }
    }

    #[test]
    fn bodies_are_checked() {
        let bad = |fork, change: fn(&mut OpBlock)| {
            let chain = TestChain::new(fork);
            let (_, parts, _) = chain.build(|builder| {
                builder.push(chain.l1_attributes(400)).expect("included");
            });
            let header = Header { timestamp: 1_000, ..Header::default() };
            let (block, _) = parts.into_block(header);
            let (mut block, _) = block.split();
            change(&mut block);
            let block = SealedBlock::new_unhashed(block);
            validate_block_pre_execution(chain.config.chain_spec(), &block)
                .expect_err("the body is bad")
        };
        assert_eq!(
            bad("canyon", |b| b.body.ommers.push(Header::default())),
            ConsensusError::Ommers
        );
        let none = bad("canyon", |b| b.body.withdrawals = None);
        assert_eq!(none.to_string(), "missing withdrawals, required from Canyon on");
        let some = bad("canyon", |b| {
            b.body.withdrawals = Some(vec![alloy_eips::eip4895::Withdrawal::default()].into());
        });
        assert_eq!(some, ConsensusError::WithdrawalsNotEmpty(1));
        let early = bad("regolith", |b| {
            b.body.withdrawals = Some(alloy_eips::eip4895::Withdrawals::default());
        });
        assert_eq!(early, ConsensusError::FieldUnexpected("withdrawals"));
        let reserved = bad("karst", |b| {
            let tx = alloy_consensus::Sealed::new(op_alloy_consensus::TxPostExec::default());
            b.body.transactions.push(tx.into());
        });
        assert!(reserved.to_string().ends_with("received type 125"), "{reserved}");
        let empty = bad("jovian", |b| b.body.transactions.clear());
        assert_eq!(empty, ConsensusError::MissingL1Attributes);
    }

    #[test]
    fn outcomes_are_compared() {
        let (chain, header) = valid("jovian");
        let good = ExecutionOutput { gas_used: header.gas_used, ..ExecutionOutput::default() };
        let check = |output: &ExecutionOutput, root, bloom| {
            validate_post_execution(&header, output, root, bloom).map_err(|e| e.to_string())
        };
        assert_eq!(check(&good, B256::ZERO, Bloom::ZERO), Ok(()));
        let gas = ExecutionOutput { gas_used: 1, ..good.clone() };
        let error = check(&gas, B256::ZERO, Bloom::ZERO).expect_err("gas");
        assert!(error.starts_with("block gas used mismatch: got 1, expected"), "{error}");
        let footprint = ExecutionOutput { blob_gas_used: 1, ..good.clone() };
        let error = check(&footprint, B256::ZERO, Bloom::ZERO).expect_err("footprint");
        assert_eq!(error, "blob gas used mismatch: got 1, expected 0");
        let error = check(&good, B256::repeat_byte(1), Bloom::ZERO).expect_err("root");
        assert!(error.starts_with("receipt root mismatch"), "{error}");
        let error = check(&good, B256::ZERO, Bloom::repeat_byte(1)).expect_err("bloom");
        assert!(error.starts_with("header bloom filter mismatch"), "{error}");

        let spec = chain.config.chain_spec();
        assert!(validate_state_root(&header, B256::ZERO).is_ok());
        assert!(validate_state_root(&header, B256::repeat_byte(1)).is_err());
        assert!(validate_withdrawals_root(spec, &header, B256::repeat_byte(9)).is_ok());
        assert!(validate_withdrawals_root(spec, &header, B256::ZERO).is_err());
        let (holocene, header) = valid("holocene");
        let spec = holocene.config.chain_spec();
        assert!(validate_withdrawals_root(spec, &header, B256::repeat_byte(9)).is_ok());
    }
}
