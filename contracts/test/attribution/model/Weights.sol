// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Frequencies } from "./Frequencies.sol";
import { Fault, RangeReader } from "./RangeReader.sol";

/// @title Weights
/// @notice The column of weights: section 5 of docs/attribution-format.md, at its end.
library Weights {
    using Frequencies for Frequencies.Table;
    using RangeReader for RangeReader.Reader;

    uint256 internal constant WHOLE = 10_000;
    uint256 private constant MOST_SHARES = 16;
    uint256 private constant PARTS = 16;

    /// @dev All by numbers of shares.
    /// @param last The weights of the last record.
    struct State {
        Frequencies.Table[] again;
        Frequencies.Table[] part;
        uint256[][] last;
    }

    function create() internal pure returns (State memory state) {
        state.again = new Frequencies.Table[](MOST_SHARES + 1);
        state.part = new Frequencies.Table[](MOST_SHARES + 1);
        state.last = new uint256[][](MOST_SHARES + 1);
        for (uint256 i = 2; i <= MOST_SHARES; ++i) {
            state.again[i] = Frequencies.create(2, 1, 2);
            state.part[i] = Frequencies.create(PARTS, 2, 1);
        }
    }

    function read(State memory state, RangeReader.Reader memory reader, uint256 shares)
        internal
        pure
        returns (uint256[] memory weights)
    {
        uint256[] memory last = state.last[shares];
        if (shares > 1 && last.length > 0 && state.again[shares].next(reader) == 1) return last;
        weights = new uint256[](shares);
        uint256 left = WHOLE;
        bool differs = shares == 1 || last.length == 0;
        for (uint256 i; i < shares; ++i) {
            uint256 k = shares - i;
            weights[i] = k == 1 ? left : _readWeight(state.part[k], reader, left, k);
            left -= weights[i];
            differs = differs || weights[i] != last[i];
        }
        if (!differs) reader.fail(Fault.RepeatNotMarked);
        state.last[shares] = weights;
    }

    /// @dev The weight of the first of `k` shares that have `left` together.
    function _readWeight(
        Frequencies.Table memory table,
        RangeReader.Reader memory reader,
        uint256 left,
        uint256 k
    ) private pure returns (uint256) {
        uint256 choices = left - (k - 1);
        uint256 part = table.next(reader);
        uint256 begin = choices * _border(k, part) >> 16;
        uint256 end = choices * _border(k, part + 1) >> 16;
        if (begin == end) reader.fail(Fault.NoSymbol);
        return begin + reader.oneOf(end - begin) + 1;
    }

    /// @dev S of the format: where a part begins, in 1/65,536 of all choices.
    function _border(uint256 k, uint256 part) private pure returns (uint256) {
        if (part == PARTS) return 65_536;
        // The largest x that is not too large.
        (uint256 x, uint256 above) = (0, 65_537);
        while (above - x > 1) {
            uint256 middle = (x + above) / 2;
            if (Frequencies.power(middle << 15, k - 1) <= (PARTS - part) << 27) x = middle;
            else above = middle;
        }
        return 65_536 - x;
    }
}
