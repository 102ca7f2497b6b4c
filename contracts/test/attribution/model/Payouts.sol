// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "../../../src/attribution/IAttribution.sol";
import { Payees } from "../../../src/attribution/Payees.sol";
import { Columns } from "./Columns.sol";

/// @title Payouts
/// @notice Section 7 of docs/attribution-format.md: who gets what.
library Payouts {
    /// @dev In order of payees.
    struct List {
        uint256[] payees;
        uint256[] amounts;
    }

    function settle(
        Columns.Record[] memory records,
        IAttribution.Rates memory rates,
        uint32 model,
        address operator
    ) internal pure returns (List memory list, uint256 total) {
        uint256[] memory fees = new uint256[](records.length);
        uint256 sum;
        uint256 shares;
        for (uint256 i; i < records.length; ++i) {
            fees[i] = records[i].prompt * rates.prompt + records[i].completion * rates.completion + 1000
                * uint256(rates.record);
            sum += fees[i];
            shares += records[i].sources.length;
        }
        if (sum * 10_000 > type(uint128).max) revert IAttribution.AmountOverflow();
        total = sum / 1000;

        uint256 left = total;
        list = List(new uint256[](records.length + shares + 2), new uint256[](records.length + shares + 2));
        uint256 count = _add(list, 0, Payees.ofModel(model), sum * rates.modelShare / 10 ** 7);
        count = _addAdapters(list, count, records, fees, rates.adapterShare, model);
        count = _addSources(list, count, _sourceUses(records, fees, shares), rates.sourceShare, model);
        for (uint256 i; i < count; ++i) {
            left -= list.amounts[i];
        }
        cut(list, _add(list, count, Payees.ofOperator(operator), left));
    }

    function cut(List memory list, uint256 length) internal pure {
        (uint256[] memory payees, uint256[] memory amounts) = (list.payees, list.amounts);
        assembly {
            mstore(payees, length)
            mstore(amounts, length)
        }
    }

    /// @dev Appends a payout to a list of `count`, unless it is of nothing.
    function _add(List memory list, uint256 count, uint256 payee, uint256 amount)
        private
        pure
        returns (uint256)
    {
        if (amount == 0) return count;
        (list.payees[count], list.amounts[count]) = (payee, amount);
        return count + 1;
    }

    function _addAdapters(
        List memory list,
        uint256 count,
        Columns.Record[] memory records,
        uint256[] memory fees,
        uint256 share,
        uint32 model
    ) private pure returns (uint256) {
        uint256[] memory order = new uint256[](records.length);
        for (uint256 i; i < records.length; ++i) {
            order[i] = records[i].adapter << 128 | i;
        }
        _sort(order);
        uint256 sum;
        for (uint256 i; i < order.length; ++i) {
            sum += fees[uint128(order[i])];
            if (i + 1 < order.length && order[i] >> 128 == order[i + 1] >> 128) continue;
            uint256 payee = Payees.ofAdapter(model, uint32(order[i] >> 128));
            count = _add(list, count, payee, sum * share / 10 ** 7);
            sum = 0;
        }
        return count;
    }

    /// @dev Adapter and source of a share, and what it weighs: its record's fee times its weight.
    struct Use {
        uint32 adapter;
        uint32 source;
        uint256 weighed;
    }

    function _sourceUses(Columns.Record[] memory records, uint256[] memory fees, uint256 shares)
        private
        pure
        returns (Use[] memory uses)
    {
        uses = new Use[](shares);
        uint256 count;
        for (uint256 i; i < records.length; ++i) {
            Columns.Record memory record = records[i];
            for (uint256 j; j < record.sources.length; ++j) {
                uses[count++] =
                    Use(uint32(record.adapter), uint32(record.sources[j]), fees[i] * record.weights[j]);
            }
        }
    }

    function _addSources(List memory list, uint256 count, Use[] memory uses, uint256 share, uint32 model)
        private
        pure
        returns (uint256)
    {
        uint256[] memory order = new uint256[](uses.length);
        for (uint256 i; i < uses.length; ++i) {
            order[i] = uint256(uses[i].adapter) << 160 | uint256(uses[i].source) << 128 | i;
        }
        _sort(order);
        uint256 sum;
        for (uint256 i; i < order.length; ++i) {
            Use memory use = uses[uint128(order[i])];
            sum += use.weighed;
            if (i + 1 < order.length && order[i] >> 128 == order[i + 1] >> 128) continue;
            uint256 payee = Payees.ofSource(model, use.adapter, use.source);
            count = _add(list, count, payee, sum * share / 10 ** 11);
            sum = 0;
        }
        return count;
    }

    /// @dev Heap sort.
    function _sort(uint256[] memory values) private pure {
        for (uint256 i = values.length / 2; i > 0; --i) {
            _sink(values, i - 1, values.length);
        }
        for (uint256 end = values.length; end > 1; --end) {
            (values[0], values[end - 1]) = (values[end - 1], values[0]);
            _sink(values, 0, end - 1);
        }
    }

    function _sink(uint256[] memory values, uint256 parent, uint256 end) private pure {
        while (2 * parent + 1 < end) {
            uint256 child = 2 * parent + 1;
            if (child + 1 < end && values[child + 1] > values[child]) ++child;
            if (values[parent] >= values[child]) return;
            (values[parent], values[child]) = (values[child], values[parent]);
            parent = child;
        }
    }
}
