// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Frequencies } from "./Frequencies.sol";
import { Column, Fault, RangeReader } from "./RangeReader.sol";
import { Weights } from "./Weights.sol";

/// @title Columns
/// @notice Section 5 of docs/attribution-format.md: records, of their columns.
library Columns {
    using Frequencies for Frequencies.Table;
    using RangeReader for RangeReader.Reader;

    /// @param time Seconds after the batch's time base.
    struct Record {
        uint256 time;
        uint256 adapter;
        uint256[] sources;
        uint256[] weights;
        uint256 prompt;
        uint256 completion;
    }

    function read(bytes memory columns, uint256 count) internal pure returns (Record[] memory records) {
        records = new Record[](count);
        RangeReader.Reader memory reader = RangeReader.create(columns);
        bool inOrder = reader.oneOf(2) == 1;
        reader.column = Column.Time;
        _readTimes(reader, records);
        reader.column = Column.Adapter;
        _readAdapters(reader, records, inOrder);
        reader.column = Column.Shares;
        uint256 shares = _readShares(reader, records);
        reader.column = Column.Source;
        _readSources(reader, records, shares);
        reader.column = Column.Weight;
        Weights.State memory weights = Weights.create();
        for (uint256 i; i < count; ++i) {
            records[i].weights = Weights.read(weights, reader, records[i].sources.length);
        }
        reader.column = Column.PromptTokens;
        Frequencies.Table memory tokens = Frequencies.forNumbers(24);
        for (uint256 i; i < count; ++i) {
            records[i].prompt = tokens.nextNumber(reader);
        }
        reader.column = Column.CompletionTokens;
        tokens = Frequencies.forNumbers(24);
        for (uint256 i; i < count; ++i) {
            records[i].completion = tokens.nextNumber(reader);
        }
        reader.finish();
    }

    function _readTimes(RangeReader.Reader memory reader, Record[] memory records) private pure {
        Frequencies.Table memory gaps = Frequencies.forNumbers(32);
        Frequencies.Table memory runs = Frequencies.forNumbers(16);
        uint256 least;
        for (uint256 i; i < records.length;) {
            uint256 time = least + gaps.nextNumber(reader);
            if (time > type(uint32).max) reader.fail(Fault.TimeTooLarge);
            least = time + 1;
            uint256 end = i + runs.nextNumber(reader) + 1;
            if (end > records.length) reader.fail(Fault.TooManyAtOnce);
            for (; i < end; ++i) {
                records[i].time = time;
            }
        }
    }

    function _readAdapters(RangeReader.Reader memory reader, Record[] memory records, bool inOrder)
        private
        pure
    {
        uint256[] memory words = Frequencies.nextWords(reader, records.length);
        Frequencies.Table memory table = Frequencies.create(words.length, 2, 3);
        uint256[] memory places = new uint256[](records.length);
        for (uint256 i; i < records.length;) {
            uint256 end = i + 1;
            if (inOrder) {
                while (end < records.length && records[end].time == records[i].time) ++end;
                _readRun(reader, table, places, i, end);
            } else {
                places[i] = table.next(reader);
            }
            i = end;
        }
        for (uint256 i; i < records.length; ++i) {
            records[i].adapter = words[places[i]];
        }
        _allUsed(reader, places, words.length);
        if (!inOrder && _areInOrder(records)) reader.fail(Fault.OrderNotMarked);
    }

    /// @dev The adapters of records of one time, in order.
    function _readRun(
        RangeReader.Reader memory reader,
        Frequencies.Table memory table,
        uint256[] memory places,
        uint256 begin,
        uint256 end
    ) private pure {
        uint256 start;
        for (uint256 i = begin; i < end; ++i) {
            uint256 symbol = table.smallestOf(reader, end - i, start);
            places[i] = symbol;
            uint256 middle = table.before[symbol] + (table.before[symbol + 1] - table.before[symbol]) / 2;
            if (middle > start) start = middle;
        }
        for (uint256 i = begin; i < end; ++i) {
            table.learn(places[i]);
        }
    }

    function _areInOrder(Record[] memory records) private pure returns (bool) {
        for (uint256 i = 1; i < records.length; ++i) {
            if (records[i].time == records[i - 1].time && records[i].adapter < records[i - 1].adapter) {
                return false;
            }
        }
        return true;
    }

    function _readShares(RangeReader.Reader memory reader, Record[] memory records)
        private
        pure
        returns (uint256 total)
    {
        Frequencies.Table memory table = Frequencies.create(16, 1, 8);
        for (uint256 i; i < records.length; ++i) {
            uint256 shares = table.next(reader) + 1;
            records[i].sources = new uint256[](shares);
            total += shares;
        }
    }

    function _readSources(RangeReader.Reader memory reader, Record[] memory records, uint256 shares)
        private
        pure
    {
        uint256[] memory words = Frequencies.nextWords(reader, shares);
        Frequencies.Table memory table = Frequencies.create(words.length, 2, 3);
        uint256[] memory places = new uint256[](shares);
        uint256 place;
        for (uint256 i; i < records.length; ++i) {
            uint256[] memory sources = records[i].sources;
            uint256 start;
            for (uint256 j; j < sources.length; ++j) {
                if (start == table.sum()) reader.fail(Fault.NoSourceLeft);
                uint256 symbol = table.smallestOf(reader, sources.length - j, start);
                start = table.before[symbol + 1];
                places[place + j] = symbol;
                sources[j] = words[symbol];
            }
            for (uint256 j; j < sources.length; ++j) {
                table.learn(places[place + j]);
            }
            place += sources.length;
        }
        _allUsed(reader, places, words.length);
    }

    function _allUsed(RangeReader.Reader memory reader, uint256[] memory places, uint256 words) private pure {
        bool[] memory used = new bool[](words);
        for (uint256 i; i < places.length; ++i) {
            used[places[i]] = true;
        }
        for (uint256 i; i < words; ++i) {
            if (!used[i]) reader.fail(Fault.UnusedWord);
        }
    }
}
