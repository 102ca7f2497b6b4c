// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Fault, RangeReader } from "./RangeReader.sol";

/// @title Frequencies
/// @notice Section 4 of docs/attribution-format.md: what adapts to the symbols that were read.
library Frequencies {
    using RangeReader for RangeReader.Reader;

    /// @param before The sum of the counts below each symbol, and at the end that of all.
    struct Table {
        uint256[] before;
        uint256 step;
    }

    uint256 private constant LIMIT = 1 << 20;
    /// @dev One, in the fractions of `power`.
    uint256 private constant ONE = 1 << 31;

    function create(uint256 symbols, uint256 start, uint256 step) internal pure returns (Table memory table) {
        uint256[] memory before = new uint256[](symbols + 1);
        for (uint256 i = 1; i <= symbols; ++i) {
            before[i] = i * start;
        }
        return Table(before, step);
    }

    function forNumbers(uint256 bits) internal pure returns (Table memory) {
        return create(4 * (bits - 1), 1, 24);
    }

    function sum(Table memory table) internal pure returns (uint256) {
        return table.before[table.before.length - 1];
    }

    function learn(Table memory table, uint256 symbol) internal pure {
        uint256[] memory before = table.before;
        for (uint256 i = symbol + 1; i < before.length; ++i) {
            before[i] += table.step;
        }
        if (sum(table) <= LIMIT) return;
        (uint256 old, uint256 total) = (0, 0);
        for (uint256 i = 1; i < before.length; ++i) {
            uint256 count = before[i] - old;
            old = before[i];
            total += count - count / 2;
            before[i] = total;
        }
    }

    /// @dev A symbol, learned.
    function next(Table memory table, RangeReader.Reader memory reader)
        internal
        pure
        returns (uint256 symbol)
    {
        symbol = smallestOf(table, reader, 1, 0);
        learn(table, symbol);
    }

    /// @dev A number, by frequencies that `forNumbers` made.
    function nextNumber(Table memory table, RangeReader.Reader memory reader)
        internal
        pure
        returns (uint256)
    {
        uint256 symbol = next(table, reader);
        if (symbol < 8) return symbol;
        uint256 k = symbol / 4 - 1;
        return ((4 + symbol % 4) << k) + reader.oneOf(1 << k);
    }

    /// @dev Ascending, different indices, at most `most`.
    function nextWords(RangeReader.Reader memory reader, uint256 most)
        internal
        pure
        returns (uint256[] memory words)
    {
        uint256 count = nextNumber(forNumbers(32), reader) + 1;
        if (count > most || count > 65_536) reader.fail(Fault.TooManyWords);
        words = new uint256[](count);
        Table memory gaps = forNumbers(32);
        uint256 least;
        for (uint256 i; i < count; ++i) {
            words[i] = least + nextNumber(gaps, reader);
            if (words[i] > type(uint32).max) reader.fail(Fault.WordTooLarge);
            least = words[i] + 1;
        }
    }

    /// @dev The smallest of `draws` symbols, none of them before `start`. Not learned.
    function smallestOf(Table memory table, RangeReader.Reader memory reader, uint256 draws, uint256 start)
        internal
        pure
        returns (uint256 symbol)
    {
        uint256[] memory before = table.before;
        uint256 total = sum(table);
        uint256 place = reader.place(_part(total, total, draws, start));
        // The last symbol that begins at the place or below it.
        uint256 end = before.length - 1;
        while (end - symbol > 1) {
            uint256 middle = (symbol + end) / 2;
            if (_part(before[middle], total, draws, start) <= place) symbol = middle;
            else end = middle;
        }
        uint256 from = _part(before[symbol], total, draws, start);
        reader.take(from, _part(before[end], total, draws, start) - from);
    }

    /// @dev `x` to the power of `exponent`, of fractions in 1/2^31.
    function power(uint256 x, uint256 exponent) internal pure returns (uint256 result) {
        result = ONE;
        while (true) {
            if (exponent & 1 == 1) result = result * x >> 31;
            exponent >>= 1;
            if (exponent == 0) return result;
            x = x * x >> 31;
        }
    }

    /// @dev F of the format: how much of the part of all symbols lies before `p`.
    function _part(uint256 p, uint256 total, uint256 draws, uint256 start) private pure returns (uint256) {
        if (p <= start) return 0;
        if (draws == 1) return p - start;
        uint256 inverse = (1 << 62) / (total - start);
        return ONE - power((total - p) * inverse >> 31, draws) + ((p - start) * inverse >> 40) + 1;
    }
}
