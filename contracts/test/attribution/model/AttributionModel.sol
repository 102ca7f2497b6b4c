// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "../../../src/attribution/IAttribution.sol";
import { Columns } from "./Columns.sol";
import { PayoutLists } from "./PayoutLists.sol";
import { Payouts } from "./Payouts.sol";
import { Trees } from "./Trees.sol";

/// @title AttributionModel
/// @notice What the precompile does, in Solidity: written from docs/attribution-format.md, to be plain rather than
///         cheap. Tests put it where the precompile is.
contract AttributionModel is IAttribution {
    uint256 private constant HEADER_BYTES = 109;
    uint256 private constant MOST_BYTES = 524_288;
    uint256 private constant MOST_RECORDS = 65_536;

    fallback() external {
        revert InvalidInput();
    }

    function settle(bytes calldata batch, Rates calldata rates)
        external
        pure
        returns (Settlement memory settled)
    {
        uint256 shares =
            uint256(rates.modelShare) + rates.adapterShare + rates.sourceShare + rates.operatorShare;
        if (shares != 10_000) revert WrongShareSum(shares);
        _readHeader(batch, settled);
        Columns.Record[] memory records = Columns.read(batch[HEADER_BYTES:], settled.records);
        uint256 end = settled.timeBase + records[records.length - 1].time;
        if (end > type(uint64).max) revert TimeOverflow();
        settled.timeEnd = uint64(end);
        for (uint256 i; i < records.length; ++i) {
            if (records[i].adapter >= settled.adapters) settled.adapters = uint64(records[i].adapter + 1);
            settled.promptTokens += uint64(records[i].prompt);
            settled.completionTokens += uint64(records[i].completion);
        }
        settled.recordRoot = _recordRoot(batch[:HEADER_BYTES], settled.timeBase, records);
        (Payouts.List memory list, uint256 total) =
            Payouts.settle(records, rates, settled.model, settled.operator);
        settled.payouts = uint32(list.payees.length);
        settled.total = uint128(total);
        settled.payoutRoot = Trees.root(Trees.payoutLeaves(list.payees, list.amounts));
    }

    function merge(bytes[] calldata lists, uint256[][] calldata claimed)
        external
        pure
        returns (Merged memory merged)
    {
        if (lists.length != claimed.length) revert InvalidInput();
        merged.roots = new bytes32[](lists.length);
        merged.left = new uint128[](lists.length);
        Payouts.List[] memory parts = new Payouts.List[](lists.length);
        uint256 total;
        for (uint256 i; i < lists.length; ++i) {
            parts[i] = PayoutLists.decode(lists[i], i);
            merged.roots[i] = Trees.root(Trees.payoutLeaves(parts[i].payees, parts[i].amounts));
            merged.left[i] = uint128(PayoutLists.dropClaimed(parts[i], claimed[i], i));
            total += merged.left[i];
        }
        if (total > type(uint128).max) revert AmountOverflow();
        Payouts.List memory list = PayoutLists.merge(parts);
        merged.payouts = uint32(list.payees.length);
        merged.total = uint128(total);
        merged.payoutRoot = Trees.root(Trees.payoutLeaves(list.payees, list.amounts));
    }

    /// @notice The payouts of a batch themselves: for tests, which play payees and have to prove what they claim.
    function payoutsOf(bytes calldata batch, Rates calldata rates)
        external
        pure
        returns (Payouts.List memory list)
    {
        Settlement memory settled;
        _readHeader(batch, settled);
        Columns.Record[] memory records = Columns.read(batch[HEADER_BYTES:], settled.records);
        (list,) = Payouts.settle(records, rates, settled.model, settled.operator);
    }

    function _readHeader(bytes calldata batch, Settlement memory settled) private pure {
        if (batch.length < HEADER_BYTES) revert BatchTooShort(batch.length);
        if (batch.length > MOST_BYTES) revert BatchTooLong(batch.length);
        uint8 version = uint8(batch[0]);
        if (version != 1) revert UnknownVersion(version);
        settled.chainId = uint64(bytes8(batch[1:]));
        settled.hub = address(bytes20(batch[9:]));
        settled.model = uint32(bytes4(batch[29:]));
        settled.operator = address(bytes20(batch[33:]));
        settled.sequence = uint64(bytes8(batch[53:]));
        settled.timeBase = uint64(bytes8(batch[61:]));
        settled.detailRoot = bytes32(batch[69:]);
        settled.records = uint32(bytes4(batch[101:]));
        uint256 length = uint32(bytes4(batch[105:]));
        if (settled.records == 0 || settled.records > MOST_RECORDS) revert WrongRecordCount(settled.records);
        if (length != batch.length - HEADER_BYTES) revert WrongLength(length, batch.length - HEADER_BYTES);
    }

    function _recordRoot(bytes calldata header, uint256 timeBase, Columns.Record[] memory records)
        private
        pure
        returns (bytes32)
    {
        bytes32[] memory leaves = new bytes32[](records.length + 1);
        leaves[0] = keccak256(bytes.concat(bytes1(0), header));
        for (uint256 i; i < records.length; ++i) {
            Columns.Record memory record = records[i];
            bytes memory leaf = abi.encodePacked(
                bytes1(0x01),
                uint32(i),
                uint32(record.adapter),
                uint32(record.prompt),
                uint32(record.completion),
                uint64(timeBase + record.time),
                uint8(record.sources.length)
            );
            for (uint256 j; j < record.sources.length; ++j) {
                leaf = abi.encodePacked(leaf, uint32(record.sources[j]), uint16(record.weights[j]));
            }
            leaves[i + 1] = keccak256(leaf);
        }
        return Trees.root(leaves);
    }
}
