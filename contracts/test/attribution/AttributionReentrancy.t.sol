// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttributionHub } from "../../src/attribution/IAttributionHub.sol";
import { HubFixture } from "./HubFixture.sol";
import { PayoutLists } from "./model/PayoutLists.sol";
import { Payouts } from "./model/Payouts.sol";

/// @notice Calls the hub whenever it gets money, as long as it has calls to make; remembers what came of them.
contract Attacker {
    address private immutable hub;
    bytes[] private calls;
    uint256 private made;
    bool[] public successes;
    bytes[] public answers;

    constructor(address hub_) {
        hub = hub_;
    }

    receive() external payable {
        if (made == calls.length) return;
        bytes memory data = calls[made++];
        (bool success, bytes memory answer) = hub.call(data);
        successes.push(success);
        answers.push(answer);
    }

    function plan(bytes calldata data) external {
        calls.push(data);
    }

    function act(uint256 value, bytes calldata data) external payable {
        (bool success,) = hub.call{ value: value }(data);
        require(success, "refused");
    }

    function attempts() external view returns (uint256) {
        return successes.length;
    }
}

contract AttributionReentrancyTest is HubFixture {
    Attacker private attacker;
    bytes private locked = abi.encodeWithSignature("Error(string)", "ReentrancyGuard: reentrant call");

    function setUp() public override {
        super.setUp();
        attacker = new Attacker(address(hub));
        vm.prank(MODEL_OWNER);
        hub.transferModel(MODEL, address(attacker));
    }

    /// @dev A payee that claims again, in every way there is, while it is paid.
    function testAPayeeIsPaidOnce() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(one);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        uint256 due = payoutsOfA.amounts[0];
        bytes[4] memory calls = _waysToMoney(a, payoutsOfA, b, payoutsOfB);
        for (uint256 i; i < calls.length; ++i) {
            uint256 balance = address(attacker).balance;
            attacker.plan(calls[i]);
            hub.claim(_claimOf(a, payoutsOfA, 0));
            eq(attacker.attempts(), i + 1);
            require(!attacker.successes(i));
            eq(keccak256(attacker.answers(i)), keccak256(locked));
            eq(address(attacker).balance, balance + due);
            (a, payoutsOfA) = _settle(one);
        }
    }

    function testAPayeeOfManyIsPaidOnce() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(one);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        attacker.plan(_waysToMoney(a, payoutsOfA, b, payoutsOfB)[0]);
        IAttributionHub.Claim[] memory claims = new IAttributionHub.Claim[](2);
        (claims[0], claims[1]) = (_claimOf(a, payoutsOfA, 0), _claimOf(b, payoutsOfB, 0));
        hub.claimMany(claims);
        require(!attacker.successes(0));
        eq(address(attacker).balance, payoutsOfA.amounts[0] + payoutsOfB.amounts[0]);
        eq(address(hub).balance, MINIMUM_BOND + _unclaimed(a) + _unclaimed(b));
    }

    /// @dev It may hand on while it is paid: what is being paid is its own already, the rest the next one's.
    function testAPayeeHandsOnWhileItIsPaid() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(one);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        attacker.plan(abi.encodeCall(IAttributionHub.transferModel, (MODEL, STRANGER)));
        hub.claim(_claimOf(a, payoutsOfA, 0));
        hub.claim(_claimOf(b, payoutsOfB, 0));
        eq(address(attacker).balance, payoutsOfA.amounts[0]);
        eq(STRANGER.balance, payoutsOfB.amounts[0]);
    }

    function testABondIsWithdrawnOnce() public {
        attacker.act{ value: 3 ether }(3 ether, abi.encodeCall(IAttributionHub.registerOperator, ()));
        attacker.act(0, abi.encodeCall(IAttributionHub.startUnbonding, ()));
        vm.warp(block.timestamp + DELAY);
        bytes memory withdraw = abi.encodeCall(IAttributionHub.withdrawBond, ());
        attacker.plan(withdraw);
        attacker.act(0, withdraw);
        eq(keccak256(attacker.answers(0)), keccak256(locked));
        eq(address(attacker).balance, 3 ether);
        eq(address(hub).balance, MINIMUM_BOND);
    }

    function testASlashedBondIsNotWithdrawnToo() public {
        attacker.act{ value: 3 ether }(3 ether, abi.encodeCall(IAttributionHub.registerOperator, ()));
        attacker.act(0, abi.encodeCall(IAttributionHub.startUnbonding, ()));
        vm.warp(block.timestamp + DELAY);
        attacker.plan(abi.encodeCall(IAttributionHub.withdrawBond, ()));
        vm.prank(OWNER);
        hub.slash(address(attacker), 2 ether, address(attacker));
        eq(keccak256(attacker.answers(0)), keccak256(locked));
        eq(address(attacker).balance, 2 ether);
        (uint128 bond,,) = hub.operatorOf(address(attacker));
        eq(bond, 1 ether);
    }

    /// @dev An operator that submits the same batch again while it gets back what was too much: its sequence is over.
    function testAnOperatorDoesNotReplayInItsRefund() public {
        _register();
        bytes memory batch = _next(one, address(attacker));
        attacker.plan(abi.encodeCall(IAttributionHub.submitBatch, (batch)));
        uint256 total = _totalOf(batch);
        _act(3 * total, batch);
        eq(keccak256(attacker.answers(0)), keccak256(_error(IAttributionHub.WrongSequence.selector, 1, 0)));
        eq(address(attacker).balance, 2 * total);
        eq(address(hub).balance, 2 * MINIMUM_BOND + total);
    }

    /// @dev An operator that claims and leaves while it gets back what was too much: all of that is its own.
    function testAnOperatorGetsNoMoreThanItsOwnInItsRefund() public {
        _register();
        bytes memory batch = _next(one, address(attacker));
        uint256 total = _totalOf(batch);
        Payouts.List memory payouts = _payoutsOf(batch);
        uint256 list = uint256(uint160(address(attacker))) << 64;
        bytes memory claim = abi.encodeCall(IAttributionHub.claim, (_claimOf(list, payouts, 0)));
        attacker.plan(claim);
        attacker.plan(claim);
        _act(total + 1, batch);
        // The first claim is paid, the second one, within that payment, is not.
        require(!attacker.successes(0) && attacker.successes(1));
        eq(keccak256(attacker.answers(0)), keccak256(locked));
        eq(address(attacker).balance, 1 + payouts.amounts[0]);
        eq(_unclaimed(list), total - payouts.amounts[0]);
        eq(address(hub).balance, 2 * MINIMUM_BOND + total - payouts.amounts[0]);
    }

    function _register() private {
        bytes memory register = abi.encodeCall(IAttributionHub.registerOperator, ());
        attacker.act{ value: MINIMUM_BOND }(MINIMUM_BOND, register);
    }

    function _act(uint256 value, bytes memory batch) private {
        attacker.act{ value: value }(value, abi.encodeCall(IAttributionHub.submitBatch, (batch)));
    }

    /// @dev The same claim, alone and among many; the list merged away; a bond taken out.
    function _waysToMoney(
        uint256 a,
        Payouts.List memory payoutsOfA,
        uint256 b,
        Payouts.List memory payoutsOfB
    ) private pure returns (bytes[4] memory calls) {
        IAttributionHub.Claim[] memory claims = new IAttributionHub.Claim[](1);
        claims[0] = _claimOf(a, payoutsOfA, 0);
        calls[0] = abi.encodeCall(IAttributionHub.claim, (claims[0]));
        calls[1] = abi.encodeCall(IAttributionHub.claimMany, (claims));
        (uint256[] memory lists, bytes[] memory payouts) = (new uint256[](2), new bytes[](2));
        (lists[0], lists[1]) = (a, b);
        (payouts[0], payouts[1]) = (PayoutLists.encode(payoutsOfA), PayoutLists.encode(payoutsOfB));
        calls[2] = abi.encodeCall(IAttributionHub.mergePayouts, (lists, payouts));
        calls[3] = abi.encodeCall(IAttributionHub.withdrawBond, ());
    }
}
