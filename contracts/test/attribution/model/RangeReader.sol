// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "../../../src/attribution/IAttribution.sol";

/// @notice What can be wrong with a column, by the numbers of `IAttribution.MalformedColumn`.
enum Fault {
    None,
    NoSymbol,
    NotShortest,
    OrderNotMarked,
    TooManyAtOnce,
    TimeTooLarge,
    TooManyWords,
    WordTooLarge,
    UnusedWord,
    NoSourceLeft,
    RepeatNotMarked
}

/// @notice Columns, in their order.
enum Column {
    Order,
    Time,
    Adapter,
    Shares,
    Source,
    Weight,
    PromptTokens,
    CompletionTokens
}

/// @title RangeReader
/// @notice Section 3 of docs/attribution-format.md: the range coder.
library RangeReader {
    /// @param read How many bytes were taken, zeros behind the end included.
    /// @param column The column that is being read, for errors.
    struct Reader {
        bytes data;
        uint256 read;
        uint256 offset;
        uint256 range;
        uint256 unit;
        Column column;
    }

    function create(bytes memory data) internal pure returns (Reader memory reader) {
        (reader.data, reader.range) = (data, 1 << 56);
        while (reader.read < 7) _nextByte(reader);
    }

    /// @dev The place of the next symbol in `total`. `take` has to follow.
    function place(Reader memory reader, uint256 total) internal pure returns (uint256 result) {
        reader.unit = reader.range / total;
        result = reader.offset / reader.unit;
        if (result >= total) fail(reader, Fault.NoSymbol);
    }

    /// @dev The symbol is this part of the total that `place` was asked with.
    function take(Reader memory reader, uint256 from, uint256 size) internal pure {
        reader.offset -= reader.unit * from;
        reader.range = reader.unit * size;
        while (reader.range < 1 << 48) {
            reader.range *= 256;
            _nextByte(reader);
        }
    }

    /// @dev One of `count`, all equally likely.
    function oneOf(Reader memory reader, uint256 count) internal pure returns (uint256 value) {
        if (count == 1) return 0;
        value = place(reader, count);
        take(reader, value, 1);
    }

    /// @dev Refuses columns that are not written with the fewest bytes, the smallest of those.
    function finish(Reader memory reader) internal pure {
        uint256 length = reader.data.length;
        if (length == 0) return;
        uint256 last = uint8(reader.data[length - 1]);
        if (last == 0 || length > reader.read) fail(reader, Fault.NotShortest);
        if (reader.read - length >= 7) return;
        uint256 unit = 256 ** (reader.read - length);
        if (reader.offset >= unit || reader.offset + (256 - last) * unit < reader.range) {
            fail(reader, Fault.NotShortest);
        }
    }

    function fail(Reader memory reader, Fault fault) internal pure {
        revert IAttribution.MalformedColumn(uint8(reader.column), uint8(fault));
    }

    function _nextByte(Reader memory reader) private pure {
        uint256 next = reader.read < reader.data.length ? uint8(reader.data[reader.read]) : 0;
        reader.offset = 256 * reader.offset + next;
        ++reader.read;
    }
}
