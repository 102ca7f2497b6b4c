// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "../../src/attribution/IAttribution.sol";
import { Payees } from "../../src/attribution/Payees.sol";
import { AttributionModel } from "./model/AttributionModel.sol";
import { PayoutLists } from "./model/PayoutLists.sol";
import { Payouts } from "./model/Payouts.sol";
import { Trees } from "./model/Trees.sol";
import { Vectors } from "./Vectors.sol";

/// @notice Holds the model against the format's vectors.
contract AttributionModelTest is Vectors {
    AttributionModel private model = new AttributionModel();
    /// @dev A batch of one record, and rates.
    bytes private oneRecord;
    IAttribution.Rates private rates;

    function setUp() public {
        string memory json = _vectors();
        oneRecord = _batch(json, ".valid[1]");
        rates = _rates(json, ".valid[1]");
    }

    function testValidBatches() public view {
        string memory json = _vectors();
        uint256 count;
        for (; vm.keyExistsJson(json, _path(".valid", count)); ++count) {
            string memory path = _path(".valid", count);
            IAttribution.Rates memory given = _rates(json, path);
            IAttribution.Settlement memory settled = model.settle(_batch(json, path), given);
            eq(settled.recordRoot, vm.parseJsonBytes32(json, string.concat(path, ".recordRoot")));
            eq(settled.payoutRoot, vm.parseJsonBytes32(json, string.concat(path, ".payoutRoot")));
            eq(settled.total, vm.parseJsonUint(json, string.concat(path, ".total")));

            // As bytes, which hold every payee and amount.
            Payouts.List memory list = model.payoutsOf(_batch(json, path), given);
            bytes memory encoded = vm.parseJsonBytes(json, string.concat(path, ".payoutList"));
            eq(keccak256(PayoutLists.encode(list)), keccak256(encoded));
            eq(settled.payouts, list.payees.length);
            eq(settled.total, _sum(list.amounts));
        }
        require(count >= 14);
    }

    function testHeaders() public view {
        string memory json = _vectors();
        for (uint256 i; i < 14; ++i) {
            string memory path = _path(".valid", i);
            IAttribution.Settlement memory settled = model.settle(_batch(json, path), rates);
            string memory last = string.concat(path, _path(".records", settled.records - 1));
            eq(settled.timeEnd, settled.timeBase + vm.parseJsonUint(json, string.concat(last, ".time")));
            require(!vm.keyExistsJson(json, string.concat(path, _path(".records", settled.records))));
            path = string.concat(path, ".header.");
            eq(settled.chainId, vm.parseJsonUint(json, string.concat(path, "chainId")));
            eq(uint160(settled.hub), vm.parseJsonUint(json, string.concat(path, "hub")));
            eq(settled.model, vm.parseJsonUint(json, string.concat(path, "model")));
            eq(uint160(settled.operator), vm.parseJsonUint(json, string.concat(path, "operator")));
            eq(settled.sequence, vm.parseJsonUint(json, string.concat(path, "sequence")));
            eq(settled.timeBase, vm.parseJsonUint(json, string.concat(path, "timeBase")));
            eq(settled.detailRoot, vm.parseJsonBytes32(json, string.concat(path, "detailRoot")));
        }
    }

    /// @dev What no root commits to, of a batch with large numbers of adapters.
    function testSumsOfRecords() public view {
        string memory json = _vectors();
        IAttribution.Settlement memory settled = model.settle(_batch(json, ".valid[5]"), rates);
        (uint256 adapters, uint256 promptTokens, uint256 completionTokens) = (0, 0, 0);
        for (uint256 i; i < settled.records; ++i) {
            string memory path = _path(".valid[5].records", i);
            uint256 adapter = vm.parseJsonUint(json, string.concat(path, ".adapter"));
            if (adapter >= adapters) adapters = adapter + 1;
            promptTokens += vm.parseJsonUint(json, string.concat(path, ".prompt_tokens"));
            completionTokens += vm.parseJsonUint(json, string.concat(path, ".completion_tokens"));
        }
        eq(settled.adapters, adapters);
        eq(settled.promptTokens, promptTokens);
        eq(settled.completionTokens, completionTokens);
    }

    function testInvalidBatches() public {
        string memory json = _vectors();
        uint256 count;
        for (; vm.keyExistsJson(json, _path(".invalid", count)); ++count) {
            string memory path = _path(".invalid", count);
            bytes memory batch = _batch(json, path);
            vm.expectRevert(_error(batch, vm.parseJsonString(json, string.concat(path, ".error"))));
            model.settle(batch, rates);
        }
        require(count >= 21);
    }

    function testMerges() public view {
        string memory json = _vectors();
        uint256 count;
        for (; vm.keyExistsJson(json, _path(".merges", count)); ++count) {
            string memory path = _path(".merges", count);
            bytes[] memory lists = vm.parseJsonBytesArray(json, string.concat(path, ".lists"));
            uint256[][] memory claimed = new uint256[][](lists.length);
            for (uint256 i; i < lists.length; ++i) {
                string memory words = string.concat(path, _path(".claimed", i));
                claimed[i] = vm.parseJsonUintArray(json, words);
            }
            IAttribution.Merged memory merged = model.merge(lists, claimed);
            bytes32[] memory roots = vm.parseJsonBytes32Array(json, string.concat(path, ".roots"));
            eq(keccak256(abi.encode(merged.roots)), keccak256(abi.encode(roots)));
            eq(merged.payoutRoot, vm.parseJsonBytes32(json, string.concat(path, ".root")));
            Payouts.List memory list =
                PayoutLists.decode(vm.parseJsonBytes(json, string.concat(path, ".merged")), 0);
            eq(merged.payouts, list.payees.length);
            eq(merged.total, _sum(list.amounts));
            uint256 left;
            for (uint256 i; i < lists.length; ++i) {
                left += merged.left[i];
            }
            eq(merged.total, left);
        }
        require(count >= 4);
    }

    function testDetails() public view {
        string memory json = _vectors();
        uint256 count;
        for (; vm.keyExistsJson(json, _path(".details", count)); ++count) {
            string memory path = _path(".details", count);
            string memory details = string.concat(path, ".details");
            uint256 length;
            while (vm.keyExistsJson(json, _path(details, length))) ++length;
            bytes32[] memory leaves = new bytes32[](length);
            for (uint256 i; i < length; ++i) {
                leaves[i] = _detailLeaf(json, _path(details, i), i);
            }
            eq(Trees.root(leaves), vm.parseJsonBytes32(json, string.concat(path, ".root")));
        }
        require(count >= 3);
    }

    /// @dev Most flipped bits make a batch invalid; all others another batch.
    function testAnyBitCounts(uint256 bit) public view {
        bytes memory batch = oneRecord;
        bytes32 recordRoot = model.settle(batch, rates).recordRoot;
        bit %= batch.length * 8;
        batch[bit / 8] ^= bytes1(uint8(1 << bit % 8));
        try model.settle(batch, rates) returns (IAttribution.Settlement memory other) {
            require(other.recordRoot != recordRoot);
        } catch { }
    }

    function testRefusesRatesThatDoNotAddUp() public {
        ++rates.operatorShare;
        vm.expectRevert(abi.encodeWithSelector(IAttribution.WrongShareSum.selector, 10_001));
        model.settle(oneRecord, rates);
    }

    function testRefusesFeesThatAreTooHigh() public {
        bytes memory batch = _batch(_vectors(), ".valid[11]");
        rates.prompt = type(uint96).max;
        vm.expectRevert(IAttribution.AmountOverflow.selector);
        model.settle(batch, rates);
    }

    function testRefusesTooLongBatches() public {
        vm.expectRevert(abi.encodeWithSelector(IAttribution.BatchTooLong.selector, 524_289));
        model.settle(new bytes(524_289), rates);
    }

    function testRefusesWhatIsNoCall() public {
        (bool success, bytes memory answer) = address(model).call(hex"12345678");
        require(!success);
        eq(bytes32(answer), bytes32(IAttribution.InvalidInput.selector));
    }

    function testRefusesMalformedPayoutLists() public {
        _refusesPayout(hex"01"); // no amount
        _refusesPayout(hex"81"); // half a number
        _refusesPayout(hex"0100"); // of nothing
        _refusesPayout(hex"0001"); // the payee before
        _refusesPayout(hex"810001"); // a needless byte
        _refusesPayout(hex"0180808080808080808080808080808080808004"); // 2^128 wei
        bytes memory above = hex"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff1f01";
        _refusesPayout(above); // 2^257 - 1 above
        above[36] = 0x0f;
        _refusesPayout(above); // behind the last payee there is
    }

    function testRefusesPayeesThatCannotBe() public {
        uint256[8] memory payees = [
            0,
            5 << 248,
            Payees.MODEL | 1 << 63,
            Payees.MODEL | 1 << 96,
            Payees.ADAPTER | 1 << 31,
            Payees.ADAPTER | 1 << 96,
            Payees.SOURCE | 1 << 96,
            Payees.OPERATOR | 1 << 160
        ];
        for (uint256 i; i < payees.length; ++i) {
            _refusesList(_list(payees[i], 1), 0);
        }
    }

    function testRefusesWrongBitmaps() public {
        bytes memory list = bytes.concat(_list(Payees.OPERATOR | 1, 1), hex"0101");
        _refusesBitmap(list, new uint256[](0));
        _refusesBitmap(list, new uint256[](2));
        uint256[] memory words = new uint256[](1);
        words[0] = 4;
        _refusesBitmap(list, words);
        _refusesBitmap("", words);
    }

    function testRefusesAmountsThatAddUpToTooMuch() public {
        bytes memory most = _list(Payees.OPERATOR, type(uint128).max);
        uint256[] memory none = new uint256[](1);
        (bytes[] memory lists, uint256[][] memory claimed) = (new bytes[](2), new uint256[][](2));
        (lists[0], lists[1]) = (most, _list(Payees.OPERATOR, 1));
        (claimed[0], claimed[1]) = (none, none);
        vm.expectRevert(IAttribution.AmountOverflow.selector);
        model.merge(lists, claimed);
        (lists, claimed) = _one(bytes.concat(most, hex"0101"), none);
        vm.expectRevert(IAttribution.AmountOverflow.selector);
        model.merge(lists, claimed);
    }

    function testRefusesAnotherNumberOfBitmapsThanLists() public {
        vm.expectRevert(IAttribution.InvalidInput.selector);
        model.merge(new bytes[](1), new uint256[][](2));
    }

    function testProofsArePathsToTheRoot(uint8 length, uint8 index) public pure {
        vm.assume(index < length);
        bytes32[] memory leaves = new bytes32[](length);
        for (uint256 i; i < length; ++i) {
            leaves[i] = keccak256(abi.encode(i));
        }
        bytes32[] memory proof = Trees.proof(leaves, index);
        bytes32 node = leaves[index];
        for (uint256 i; i < proof.length; ++i) {
            node = node < proof[i]
                ? keccak256(abi.encode(node, proof[i]))
                : keccak256(abi.encode(proof[i], node));
        }
        eq(node, Trees.root(leaves));
    }

    /// @dev A list whose second payout this is.
    function _refusesPayout(bytes memory payout) private {
        bytes memory first = _list(Payees.OPERATOR | 1, 1);
        _refusesList(bytes.concat(first, payout), first.length);
    }

    function _list(uint256 payee, uint256 amount) private pure returns (bytes memory) {
        Payouts.List memory list = Payouts.List(new uint256[](1), new uint256[](1));
        (list.payees[0], list.amounts[0]) = (payee, amount);
        return PayoutLists.encode(list);
    }

    function _refusesList(bytes memory list, uint256 at) private {
        (bytes[] memory lists, uint256[][] memory claimed) = _one(list, new uint256[](1));
        vm.expectRevert(abi.encodeWithSelector(IAttribution.MalformedPayoutList.selector, 0, at));
        model.merge(lists, claimed);
    }

    function _refusesBitmap(bytes memory list, uint256[] memory words) private {
        (bytes[] memory lists, uint256[][] memory claimed) = _one(list, words);
        vm.expectRevert(abi.encodeWithSelector(IAttribution.WrongBitmap.selector, 0));
        model.merge(lists, claimed);
    }

    function _one(bytes memory list, uint256[] memory words)
        private
        pure
        returns (bytes[] memory lists, uint256[][] memory claimed)
    {
        (lists, claimed) = (new bytes[](1), new uint256[][](1));
        (lists[0], claimed[0]) = (list, words);
    }

    function _detailLeaf(string memory json, string memory path, uint256 index)
        private
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                index,
                vm.parseJsonBytes32(json, string.concat(path, ".requestId")),
                vm.parseJsonBytes32(json, string.concat(path, ".requester")),
                vm.parseJsonBytes32(json, string.concat(path, ".promptHash")),
                vm.parseJsonBytes32(json, string.concat(path, ".outputHash")),
                vm.parseJsonBytes32(json, string.concat(path, ".parametersHash")),
                vm.parseJsonBytes32(json, string.concat(path, ".generation")),
                keccak256(vm.parseJsonBytes(json, string.concat(path, ".signature")))
            )
        );
    }

    /// @dev The error that the vectors put in words.
    function _error(bytes memory batch, string memory text) private pure returns (bytes memory) {
        uint256 columns = batch.length > 109 ? batch.length - 109 : 0;
        if (vm.contains(text, "a header has 109")) {
            return abi.encodeWithSelector(IAttribution.BatchTooShort.selector, batch.length);
        }
        if (vm.contains(text, "the header announces")) {
            return abi.encodeWithSelector(IAttribution.WrongLength.selector, _number(batch, 105, 4), columns);
        }
        if (vm.contains(text, "of the format is not known")) {
            return abi.encodeWithSelector(IAttribution.UnknownVersion.selector, _number(batch, 0, 1));
        }
        if (vm.contains(text, "a batch has 1 to 65536")) {
            return abi.encodeWithSelector(IAttribution.WrongRecordCount.selector, _number(batch, 101, 4));
        }
        if (vm.contains(text, "the time base")) {
            return abi.encodeWithSelector(IAttribution.TimeOverflow.selector);
        }
        return abi.encodeWithSelector(IAttribution.MalformedColumn.selector, _column(text), _fault(text));
    }

    function _column(string memory text) private pure returns (uint256) {
        string[8] memory names =
            ["Order", "Time", "Adapter", "Shares", "Source", "Weight", "PromptTokens", "CompletionTokens"];
        for (uint256 i; i < names.length; ++i) {
            if (vm.contains(text, string.concat("column ", names[i], ":"))) return i;
        }
        revert(text);
    }

    function _fault(string memory text) private pure returns (uint256) {
        string[10] memory names = [
            "a symbol that does not exist",
            "not the shortest encoding",
            "records in order are marked as out of order",
            "more records at one time than the batch has left",
            "a time beyond 2^32 seconds after the base",
            "more different indices than there are uses of them",
            "an index of more than 32 bits",
            "an index that nothing uses is listed",
            "sources do not ascend",
            "repeated weights are not marked as repeated"
        ];
        for (uint256 i; i < names.length; ++i) {
            if (vm.contains(text, names[i])) return i + 1;
        }
        revert(text);
    }

    function _number(bytes memory data, uint256 at, uint256 length) private pure returns (uint256 value) {
        for (uint256 i; i < length; ++i) {
            value = value << 8 | uint8(data[at + i]);
        }
    }

    function _sum(uint256[] memory values) private pure returns (uint256 sum) {
        for (uint256 i; i < values.length; ++i) {
            sum += values[i];
        }
    }
}
