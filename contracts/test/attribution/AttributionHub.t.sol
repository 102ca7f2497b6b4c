// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Proxy } from "@bedrock/universal/Proxy.sol";
import { AttributionHub } from "../../src/attribution/AttributionHub.sol";
import { IAttribution } from "../../src/attribution/IAttribution.sol";
import { IAttributionHub } from "../../src/attribution/IAttributionHub.sol";
import { HubFixture } from "./HubFixture.sol";
import { Payouts } from "./model/Payouts.sol";

/// @notice How the hub begins, is governed, and settles batches.
contract AttributionHubTest is HubFixture {
    event BatchSettled(
        uint256 indexed list,
        uint32 indexed model,
        address indexed operator,
        uint64 sequence,
        uint64 timeBase,
        uint64 timeEnd,
        uint32 records,
        uint32 payouts,
        uint64 promptTokens,
        uint64 completionTokens,
        uint128 total,
        bytes32 recordRoot,
        bytes32 payoutRoot,
        bytes32 detailRoot,
        IAttribution.Rates rates
    );
    event Paused(address account);
    event Unpaused(address account);

    function testStorageIsWhereGenesisWritesIt() public {
        eq(slot(address(hub), 0), 1);
        eq(slot(address(hub), 51), uint160(OWNER));
        eq(slot(address(hub), 101), 0);
        eq(slot(address(hub), 151), 1);
        eq(slot(address(hub), 204), 1);
        eq(slot(address(hub), 252), MINIMUM_BOND);
        eq(slot(address(hub), 253), DELAY);
        eq(slot(address(new AttributionHub()), 0), 255);
        (uint256 list, Payouts.List memory payouts) = _settle(one);
        // What a storage proof of a batch's record root shows.
        uint256 at = uint256(keccak256(abi.encode(list, 301)));
        eq(
            slot(address(hub), at),
            uint256(precompile.settle(_address(one, MODEL, OPERATOR, 0), _someRates()).payoutRoot)
        );
        eq(
            slot(address(hub), at + 1),
            uint256(precompile.settle(_address(one, MODEL, OPERATOR, 0), _someRates()).recordRoot)
        );
        eq(
            slot(address(hub), at + 2),
            1 << 160 | payouts.payees.length << 128 | address(hub).balance - MINIMUM_BOND
        );
    }

    function testInitialisesOnce() public {
        vm.expectRevert(bytes("Initializable: contract is already initialized"));
        hub.initialize(address(this), 0, 0);
        AttributionHub implementation = new AttributionHub();
        vm.expectRevert(bytes("Initializable: contract is already initialized"));
        implementation.initialize(address(this), 0, 0);
        Proxy other = new Proxy(PROXY_ADMIN);
        vm.prank(PROXY_ADMIN);
        other.upgradeTo(address(implementation));
        vm.expectRevert(IAttributionHub.ZeroAddress.selector);
        AttributionHub(address(other)).initialize(address(0), 0, 0);
    }

    function testIsSmallEnoughToBeDeployed() public {
        require(address(new AttributionHub()).code.length <= 24_576);
        eq(hub.version(), "1.0.0");
    }

    function testTakesNoMoneyWithoutReason() public {
        (bool success,) = address(hub).call{ value: 1 }("");
        require(!success);
    }

    function testSettlesABatch() public {
        bytes memory batch = _next(hundred, OPERATOR);
        IAttribution.Settlement memory settled = precompile.settle(batch, _someRates());
        uint256 list = uint256(uint160(OPERATOR)) << 64;
        vm.deal(OPERATOR, settled.total);
        vm.expectEmit();
        _emitBatchSettled(list, settled, _someRates());
        vm.prank(OPERATOR);
        eq(hub.submitBatch{ value: settled.total }(batch), list);

        eq(address(hub).balance, settled.total + MINIMUM_BOND);
        eq(OPERATOR.balance, 0);
        (, uint64 sequence,) = hub.operatorOf(OPERATOR);
        eq(sequence, 1);
        (bytes32 payoutRoot, bytes32 recordRoot, uint128 unclaimed, uint32 payouts, bool merged) =
            hub.listOf(list);
        eq(payoutRoot, settled.payoutRoot);
        eq(recordRoot, settled.recordRoot);
        eq(unclaimed, settled.total);
        eq(payouts, settled.payouts);
        require(!merged);
    }

    /// @dev Of any model's rates, even none.
    function testSettlesAtAnyRates(IAttribution.Rates memory rates) public {
        rates.modelShare %= 10_001;
        rates.adapterShare %= 10_001 - rates.modelShare;
        rates.sourceShare %= 10_001 - rates.modelShare - rates.adapterShare;
        rates.operatorShare = 10_000 - rates.modelShare - rates.adapterShare - rates.sourceShare;
        vm.prank(MODEL_OWNER);
        hub.setRates(MODEL, rates);
        bytes memory batch = _next(two, OPERATOR);
        vm.expectEmit();
        _emitBatchSettled(uint256(uint160(OPERATOR)) << 64, precompile.settle(batch, rates), rates);
        (uint256 list, Payouts.List memory payouts) = _settle(two);
        uint256 sum;
        for (uint256 i; i < payouts.amounts.length; ++i) {
            sum += payouts.amounts[i];
        }
        eq(_unclaimed(list), sum);
        eq(address(hub).balance, sum + MINIMUM_BOND);
    }

    function testSettlesForNothing() public {
        IAttribution.Rates memory rates;
        rates.operatorShare = 10_000;
        vm.prank(MODEL_OWNER);
        hub.setRates(MODEL, rates);
        (uint256 list,) = _settle(one);
        (bytes32 payoutRoot,, uint128 unclaimed, uint32 payouts,) = hub.listOf(list);
        eq(payoutRoot, 0);
        eq(unclaimed, 0);
        eq(payouts, 0);
    }

    function testExcessComesBack(uint96 excess) public {
        bytes memory batch = _next(two, OPERATOR);
        uint256 total = _totalOf(batch);
        vm.deal(OPERATOR, total + excess);
        vm.prank(OPERATOR);
        hub.submitBatch{ value: total + excess }(batch);
        eq(OPERATOR.balance, excess);
        eq(address(hub).balance, total + MINIMUM_BOND);
    }

    function testAnOperatorThatRefusesWhatComesBack() public {
        hub.registerOperator{ value: MINIMUM_BOND }();
        bytes memory batch = _next(one, address(this));
        uint256 total = _totalOf(batch);
        vm.expectRevert(_error(IAttributionHub.PaymentFailed.selector, address(this)));
        hub.submitBatch{ value: total + 1 }(batch);
        hub.submitBatch{ value: total }(batch);
    }

    function testUnderfunded(uint256 given) public {
        bytes memory batch = _next(two, OPERATOR);
        uint256 total = _totalOf(batch);
        given %= total;
        _refuses(batch, given, _error(IAttributionHub.Underfunded.selector, total, given));
    }

    function testUnderfundedByAWei() public {
        bytes memory batch = _next(two, OPERATOR);
        uint256 total = _totalOf(batch);
        _refuses(batch, total - 1, _error(IAttributionHub.Underfunded.selector, total, total - 1));
        _refuses(batch, 0, _error(IAttributionHub.Underfunded.selector, total, 0));
        _submit(batch, OPERATOR);
    }

    function testSequencesAreStrict(uint64 sequence) public {
        _settle(one);
        _settle(one);
        _settle(one);
        vm.assume(sequence != 3);
        bytes memory batch = _address(one, MODEL, OPERATOR, sequence);
        _refuses(batch, 1 ether, _error(IAttributionHub.WrongSequence.selector, 3, sequence));
    }

    function testTooEarly() public {
        _refuses(
            _address(one, MODEL, OPERATOR, 1), 1 ether, _error(IAttributionHub.WrongSequence.selector, 0, 1)
        );
        _settle(one);
        bytes memory batch = _address(one, MODEL, OPERATOR, type(uint64).max);
        _refuses(batch, 1 ether, _error(IAttributionHub.WrongSequence.selector, 1, type(uint64).max));
    }

    function testReplayed() public {
        bytes memory batch = _next(one, OPERATOR);
        _submit(batch, OPERATOR);
        _refuses(batch, 1 ether, _error(IAttributionHub.WrongSequence.selector, 1, 0));
    }

    function testOnlyTheOperatorItself(address other) public {
        vm.assume(other != OPERATOR && other != PROXY_ADMIN && other != address(0));
        bytes memory batch = _next(one, OPERATOR);
        _refuses(other, batch, 1 ether, _error(IAttributionHub.NotOperator.selector, other));
        batch = _address(batch, MODEL, other, 0);
        _refuses(batch, 1 ether, _error(IAttributionHub.NotOperator.selector, OPERATOR));
    }

    function testOnlyRegisteredOperators() public {
        bytes memory batch = _address(one, MODEL, STRANGER, 0);
        _refuses(STRANGER, batch, 1 ether, _error(IAttributionHub.NotOperator.selector, STRANGER));
    }

    function testNotWhileLeaving() public {
        vm.prank(OPERATOR);
        hub.startUnbonding();
        bytes memory batch = _next(one, OPERATOR);
        _refuses(batch, 1 ether, _error(IAttributionHub.OperatorUnbonding.selector, OPERATOR));
        vm.warp(block.timestamp + DELAY);
        _refuses(batch, 1 ether, _error(IAttributionHub.OperatorUnbonding.selector, OPERATOR));
        vm.prank(OPERATOR);
        hub.withdrawBond();
        _refuses(batch, 1 ether, _error(IAttributionHub.NotOperator.selector, OPERATOR));
    }

    function testNotAfterTooMuchWasSlashed() public {
        vm.prank(OWNER);
        hub.slash(OPERATOR, 1, STRANGER);
        bytes memory batch = _next(one, OPERATOR);
        _refuses(batch, 1 ether, _error(IAttributionHub.OperatorUnbonding.selector, OPERATOR));
    }

    function testAnotherChain(uint64 chainId) public {
        bytes memory batch = _next(one, OPERATOR);
        vm.assume(chainId != block.chainid);
        batch = _overwrite(batch, 1, abi.encodePacked(chainId));
        _refuses(batch, 1 ether, _error(IAttributionHub.WrongChain.selector, chainId));
    }

    function testAnotherHub(address other) public {
        bytes memory batch = _next(one, OPERATOR);
        vm.assume(other != address(hub));
        batch = _overwrite(batch, 9, abi.encodePacked(other));
        _refuses(batch, 1 ether, _error(IAttributionHub.WrongHub.selector, other));
    }

    function testUnknownModel(uint32 model) public {
        vm.assume(model != MODEL);
        bytes memory batch = _address(one, model, OPERATOR, 0);
        _refuses(batch, 1 ether, _error(IAttributionHub.UnknownModel.selector, model));
    }

    function testUnknownAdapter() public {
        hub.registerModel(_someRates());
        bytes memory batch = _address(one, 1, OPERATOR, 0);
        _refuses(batch, 1 ether, _error(IAttributionHub.UnknownAdapter.selector, 1, 0));
        hub.registerAdapter(1, address(this), 0, 0);
        _submit(batch, OPERATOR);
        batch = _address(two, 1, OPERATOR, 1);
        _refuses(batch, 1 ether, _error(IAttributionHub.UnknownAdapter.selector, 1, 14));
    }

    function testUnknownVersion(uint8 version) public {
        vm.assume(version != 1);
        bytes memory batch = _next(one, OPERATOR);
        batch[0] = bytes1(version);
        _refuses(batch, 1 ether, _error(IAttribution.UnknownVersion.selector, version));
    }

    function testTooShort(uint256 length) public {
        length %= 109;
        bytes memory batch = _next(one, OPERATOR);
        assembly {
            mstore(batch, length)
        }
        _refuses(batch, 1 ether, _error(IAttribution.BatchTooShort.selector, length));
    }

    /// @dev What the precompile says goes on to the caller unchanged.
    function testInvalidBatches() public {
        string memory json = _vectors();
        uint256 count = 2;
        for (; vm.keyExistsJson(json, _path(".invalid", count)); ++count) {
            bytes memory batch = _batch(json, _path(".invalid", count));
            if (batch[0] != 0x01) continue;
            // With its own time base.
            bytes8 timeBase;
            assembly {
                timeBase := mload(add(batch, 93))
            }
            batch = _overwrite(_next(batch, OPERATOR), 61, abi.encodePacked(timeBase));
            (bool success, bytes memory answer) =
                address(precompile).staticcall(abi.encodeCall(IAttribution.settle, (batch, _someRates())));
            require(!success && answer.length >= 4);
            _refuses(batch, 1 ether, answer);
        }
        require(count >= 21);
    }

    function testAnyBitCounts(uint256 bit) public {
        bytes memory batch = _next(one, OPERATOR);
        bytes32 recordRoot = precompile.settle(batch, _someRates()).recordRoot;
        bit %= batch.length * 8;
        batch[bit / 8] ^= bytes1(uint8(1 << bit % 8));
        vm.deal(OPERATOR, 1000 ether);
        vm.prank(OPERATOR);
        try hub.submitBatch{ value: 1000 ether }(batch) returns (uint256 list) {
            (, bytes32 other,,,) = hub.listOf(list);
            require(other != recordRoot);
        } catch {
            _isUntouched(1000 ether);
        }
    }

    function testBeforeThePrecompileIsThere() public {
        bytes memory batch = _next(one, OPERATOR);
        vm.etch(address(precompile), "");
        _refuses(batch, 1 ether, "");
    }

    /// @dev Wherever the gas ends, nothing is changed.
    function testRunsOutOfGasWithoutATrace(uint256 gas) public {
        bytes memory batch = _next(one, OPERATOR);
        uint256 total = _totalOf(batch);
        vm.deal(OPERATOR, 2 * total);
        vm.prank(OPERATOR);
        try hub.submitBatch{ value: 2 * total, gas: gas % 1_500_000 }(batch) returns (uint256 list) {
            eq(_unclaimed(list), total);
            eq(OPERATOR.balance, total);
        } catch {
            _isUntouched(2 * total);
        }
    }

    /// @dev With gas from next to none up to what is just enough: ending in the precompile, and, with one that answers
    ///      at once, in every part of the hub's work.
    function testRunsOutOfGasAnywhere() public {
        bytes memory batch = _next(one, OPERATOR);
        IAttribution.Settlement memory settled = precompile.settle(batch, _someRates());
        _runsOutOfGas(batch, settled.total, 20_000);
        _answer(abi.encode(settled));
        _runsOutOfGas(_next(one, OPERATOR), settled.total, 500);
    }

    function testPauses() public {
        bytes memory batch = _next(one, OPERATOR);
        vm.expectEmit();
        emit Paused(OWNER);
        vm.prank(OWNER);
        hub.pause();
        _refuses(batch, 1 ether, abi.encodeWithSignature("Error(string)", "Pausable: paused"));
        vm.expectEmit();
        emit Unpaused(OWNER);
        vm.prank(OWNER);
        hub.unpause();
        _submit(batch, OPERATOR);
    }

    function testOwnershipIsTransferred() public {
        vm.prank(OWNER);
        hub.transferOwnership(STRANGER);
        vm.prank(STRANGER);
        hub.pause();
        vm.prank(OWNER);
        vm.expectRevert(bytes("Ownable: caller is not the owner"));
        hub.unpause();
    }

    function testUnknownLists(uint256 list) public {
        vm.expectRevert(_error(IAttributionHub.UnknownList.selector, list));
        hub.listOf(list);
    }

    function _refuses(bytes memory batch, uint256 value, bytes memory reason) private {
        _refuses(OPERATOR, batch, value, reason);
    }

    /// @dev The sender's call with this batch is refused so, and changes nothing.
    function _refuses(address sender, bytes memory batch, uint256 value, bytes memory reason) private {
        vm.deal(sender, value);
        bytes32 state = _stateOf(sender);
        vm.prank(sender);
        (bool success, bytes memory answer) =
            address(hub).call{ value: value }(abi.encodeCall(IAttributionHub.submitBatch, (batch)));
        require(!success);
        eq(keccak256(answer), keccak256(reason));
        eq(_stateOf(sender), state);
    }

    function _runsOutOfGas(bytes memory batch, uint256 total, uint256 step) private {
        bytes memory data = abi.encodeCall(IAttributionHub.submitBatch, (batch));
        vm.deal(OPERATOR, 2 * total);
        bytes32 state = _stateOf(OPERATOR);
        uint256 balance = address(hub).balance;
        uint256 gas = step;
        for (;; gas += step) {
            vm.prank(OPERATOR);
            (bool success, bytes memory answer) = address(hub).call{ value: 2 * total, gas: gas }(data);
            if (success) break;
            eq(answer.length, 0);
            eq(_stateOf(OPERATOR), state);
        }
        require(gas > 20 * step, vm.toString(gas));
        eq(OPERATOR.balance, total);
        eq(address(hub).balance, balance + total);
    }

    /// @dev A hash of all that an operator's batch could change: its slot, the list that is next, the one before and
    ///      everybody's money.
    function _stateOf(address operator) private view returns (bytes32) {
        (, uint64 sequence,) = hub.operatorOf(operator);
        uint256 next = uint256(uint160(operator)) << 64 | sequence;
        return keccak256(
            abi.encode(
                slot(address(hub), uint256(keccak256(abi.encode(operator, 251)))),
                _slotsOf(next),
                _slotsOf(next - 1),
                operator.balance,
                address(hub).balance
            )
        );
    }

    function _slotsOf(uint256 list) private view returns (uint256[3] memory slots) {
        uint256 at = uint256(keccak256(abi.encode(list, 301)));
        for (uint256 i; i < 3; ++i) {
            slots[i] = slot(address(hub), at + i);
        }
    }

    /// @dev As before the operator's first batch.
    function _isUntouched(uint256 value) private {
        eq(OPERATOR.balance, value);
        eq(address(hub).balance, MINIMUM_BOND);
        (, uint64 sequence,) = hub.operatorOf(OPERATOR);
        eq(sequence, 0);
        uint256 list = uint256(uint160(OPERATOR)) << 64;
        vm.expectRevert(_error(IAttributionHub.UnknownList.selector, list));
        hub.listOf(list);
    }

    function _emitBatchSettled(
        uint256 list,
        IAttribution.Settlement memory settled,
        IAttribution.Rates memory rates
    ) private {
        emit BatchSettled(
            list,
            settled.model,
            settled.operator,
            settled.sequence,
            settled.timeBase,
            settled.timeEnd,
            settled.records,
            settled.payouts,
            settled.promptTokens,
            settled.completionTokens,
            settled.total,
            settled.recordRoot,
            settled.payoutRoot,
            settled.detailRoot,
            rates
        );
    }
}
