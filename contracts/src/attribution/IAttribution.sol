// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

/// @title IAttribution
/// @notice The precompile at 0x0000000000000000000000000000000000000A77: what settling batches of records takes,
///         as pure functions. `docs/attribution-format.md` says what a batch is.
interface IAttribution {
    /// @notice What a model's answers cost and how that is split.
    /// @param prompt Wei per 1,000 prompt tokens.
    /// @param completion Wei per 1,000 completion tokens.
    /// @param record Wei per record.
    /// @param modelShare The part of the model's owner, in 1/10,000; the four parts add up to 10,000.
    /// @param adapterShare The part of the adapter's owner.
    /// @param sourceShare The part of the sources.
    /// @param operatorShare The part of the operator, who also gets what rounding leaves.
    struct Rates {
        uint96 prompt;
        uint96 completion;
        uint96 record;
        uint16 modelShare;
        uint16 adapterShare;
        uint16 sourceShare;
        uint16 operatorShare;
    }

    /// @notice A settled batch: its header, and what follows from its records.
    /// @param timeEnd Time of the last record, seconds since 1970-01-01.
    /// @param adapters One more than the largest adapter number.
    /// @param payouts How many payees get something.
    /// @param total The fees of all records, in wei, which is what all payouts add up to.
    struct Settlement {
        uint64 chainId;
        address hub;
        uint32 model;
        address operator;
        uint64 sequence;
        uint64 timeBase;
        uint64 timeEnd;
        bytes32 detailRoot;
        uint32 records;
        uint64 adapters;
        uint32 payouts;
        uint64 promptTokens;
        uint64 completionTokens;
        uint128 total;
        bytes32 recordRoot;
        bytes32 payoutRoot;
    }

    /// @notice Payout lists made one.
    /// @param roots The payout root of each list.
    /// @param left What is not yet claimed of each list, in wei.
    /// @param payouts How many payees the merged list has.
    /// @param total What it adds up to: the sum of `left`.
    /// @param payoutRoot Its root; zero if it is empty.
    struct Merged {
        bytes32[] roots;
        uint128[] left;
        uint32 payouts;
        uint128 total;
        bytes32 payoutRoot;
    }

    /// @notice The input isn't the ABI encoding of a call of one of the functions.
    error InvalidInput();
    /// @notice A batch has at least a header of 109 bytes.
    error BatchTooShort(uint256 length);
    /// @notice A batch has at most 524,288 bytes.
    error BatchTooLong(uint256 length);
    /// @notice The format's version is not known.
    error UnknownVersion(uint8 version);
    /// @notice The header announces other than what follows it.
    error WrongLength(uint256 announced, uint256 found);
    /// @notice A batch has 1 to 65,536 records.
    error WrongRecordCount(uint256 records);
    /// @notice A column is not as an encoder writes it.
    /// @param column Its number, from 0, in the order of the format.
    /// @param fault What is wrong: see `Fault` in crates/attribution.
    error MalformedColumn(uint8 column, uint8 fault);
    /// @notice The last record's time exceeds 64 bits.
    error TimeOverflow();
    /// @notice Shares that do not add up to 10,000.
    error WrongShareSum(uint256 sum);
    /// @notice Fees, or payouts, of more than 128 bits.
    error AmountOverflow();
    /// @notice A payout list that is not as an encoder writes it.
    error MalformedPayoutList(uint256 list, uint256 at);
    /// @notice A bitmap has other than one bit for each payout, or bits behind the last.
    error WrongBitmap(uint256 list);

    /// @notice Reads a batch and computes what the hub stores of it.
    function settle(bytes calldata batch, Rates calldata rates) external view returns (Settlement memory);

    /// @notice Makes one payout list of several, without what is claimed of them.
    /// @param lists Payout lists: for each payout, in order, how much its payee is above the one before (the first:
    ///        the payee itself) and its amount, both as LEB128 numbers without needless bytes.
    /// @param claimed For each list a bitmap of the positions that are claimed, 256 in a word from the lowest bit.
    function merge(bytes[] calldata lists, uint256[][] calldata claimed) external view returns (Merged memory);
}
