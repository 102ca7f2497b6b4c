// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "../../../src/attribution/IAttribution.sol";
import { Payees } from "../../../src/attribution/Payees.sol";
import { Payouts } from "./Payouts.sol";

/// @title PayoutLists
/// @notice Payout lists as bytes, and several of them made one.
library PayoutLists {
    /// @notice A list as `IAttribution.merge` takes it.
    function encode(Payouts.List memory list) internal pure returns (bytes memory encoded) {
        uint256 last;
        for (uint256 i; i < list.payees.length; ++i) {
            encoded = bytes.concat(encoded, _number(list.payees[i] - last), _number(list.amounts[i]));
            last = list.payees[i];
        }
    }

    /// @param number The list's place in the call, for errors, which also say at which byte the payout begins.
    function decode(bytes memory encoded, uint256 number) internal pure returns (Payouts.List memory list) {
        list = Payouts.List(new uint256[](encoded.length / 2), new uint256[](encoded.length / 2));
        uint256 count;
        uint256 payee;
        for (uint256 at; at < encoded.length; ++count) {
            uint256 begin = at;
            bool valid;
            uint256 gap;
            uint256 amount;
            (valid, gap, at) = _next(encoded, at);
            valid = valid && (gap > 0 || count == 0) && gap <= type(uint256).max - payee;
            valid = valid && _isPayee(payee + gap);
            if (valid) (valid, amount, at) = _next(encoded, at);
            if (!valid || amount == 0 || amount > type(uint128).max) {
                revert IAttribution.MalformedPayoutList(number, begin);
            }
            payee += gap;
            (list.payees[count], list.amounts[count]) = (payee, amount);
        }
        Payouts.cut(list, count);
    }

    /// @dev Leaves out what is claimed; returns what the rest adds up to.
    function dropClaimed(Payouts.List memory list, uint256[] memory claimed, uint256 number)
        internal
        pure
        returns (uint256 left)
    {
        uint256 length = list.payees.length;
        if (claimed.length != (length + 255) / 256) revert IAttribution.WrongBitmap(number);
        if (length % 256 > 0 && claimed[claimed.length - 1] >> length % 256 > 0) {
            revert IAttribution.WrongBitmap(number);
        }
        uint256 kept;
        for (uint256 i; i < length; ++i) {
            if (claimed[i / 256] >> i % 256 & 1 == 1) continue;
            left += list.amounts[i];
            (list.payees[kept], list.amounts[kept]) = (list.payees[i], list.amounts[i]);
            ++kept;
        }
        if (left > type(uint128).max) revert IAttribution.AmountOverflow();
        Payouts.cut(list, kept);
    }

    function merge(Payouts.List[] memory lists) internal pure returns (Payouts.List memory merged) {
        uint256 length;
        for (uint256 i; i < lists.length; ++i) {
            length += lists[i].payees.length;
        }
        merged = Payouts.List(new uint256[](length), new uint256[](length));
        uint256[] memory heads = new uint256[](lists.length);
        uint256 count;
        for (uint256 taken; taken < length; ++taken) {
            uint256 next = _smallest(lists, heads);
            uint256 payee = lists[next].payees[heads[next]];
            if (count == 0 || merged.payees[count - 1] != payee) merged.payees[count++] = payee;
            merged.amounts[count - 1] += lists[next].amounts[heads[next]];
            ++heads[next];
        }
        Payouts.cut(merged, count);
    }

    /// @dev Whether there can be such a payee: a kind, zeros, and a number with zeros behind it.
    function _isPayee(uint256 payee) private pure returns (bool) {
        uint256 kind = payee & ~uint256(type(uint248).max);
        uint256 number = payee & type(uint248).max;
        if (kind == Payees.OPERATOR) return number <= type(uint160).max;
        if (number > type(uint96).max) return false;
        if (kind == Payees.SOURCE) return true;
        if (kind == Payees.ADAPTER) return uint32(number) == 0;
        return kind == Payees.MODEL && uint64(number) == 0;
    }

    /// @dev The list whose next payee is the smallest.
    function _smallest(Payouts.List[] memory lists, uint256[] memory heads)
        private
        pure
        returns (uint256 result)
    {
        result = lists.length;
        for (uint256 i; i < lists.length; ++i) {
            if (heads[i] == lists[i].payees.length) continue;
            if (result == lists.length || lists[i].payees[heads[i]] < lists[result].payees[heads[result]]) {
                result = i;
            }
        }
    }

    function _number(uint256 value) private pure returns (bytes memory encoded) {
        while (value >= 128) {
            encoded = bytes.concat(encoded, bytes1(uint8(value) | 128));
            value >>= 7;
        }
        encoded = bytes.concat(encoded, bytes1(uint8(value)));
    }

    function _next(bytes memory encoded, uint256 at) private pure returns (bool, uint256 value, uint256) {
        for (uint256 shift; at < encoded.length && shift < 256; shift += 7) {
            uint256 digit = uint8(encoded[at++]);
            uint256 bits = digit & 127;
            if (bits << shift >> shift != bits) return (false, 0, at);
            value |= bits << shift;
            if (digit < 128) return (digit > 0 || shift == 0, value, at);
        }
        return (false, 0, at);
    }
}
