// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttributionHub } from "../../src/attribution/IAttributionHub.sol";
import { HubFixture } from "./HubFixture.sol";

contract AttributionOperatorsTest is HubFixture {
    uint64 private constant ACTIVE = type(uint64).max;

    event OperatorRegistered(address indexed operator, uint256 bond);
    event BondChanged(address indexed operator, uint256 bond);
    event UnbondingStarted(address indexed operator, uint256 until);
    event BondSlashed(address indexed operator, uint256 amount, address indexed to);
    event BondTermsSet(uint256 minimumBond, uint256 unbondingDelay);

    function testRegistersWithTheMinimum(uint96 bond) public {
        vm.deal(STRANGER, bond);
        vm.prank(STRANGER);
        if (bond < MINIMUM_BOND) {
            vm.expectRevert(_error(IAttributionHub.BondTooSmall.selector, MINIMUM_BOND, bond));
            hub.registerOperator{ value: bond }();
            return;
        }
        vm.expectEmit();
        emit OperatorRegistered(STRANGER, bond);
        hub.registerOperator{ value: bond }();
        _isOperator(STRANGER, bond, 0, ACTIVE);
    }

    function testRegistersOnce() public {
        vm.deal(OPERATOR, 1 ether);
        vm.prank(OPERATOR);
        vm.expectRevert(_error(IAttributionHub.AlreadyRegistered.selector, OPERATOR));
        hub.registerOperator{ value: 1 ether }();
    }

    function testBondsHaveHalfAWord() public {
        vm.deal(STRANGER, 1 << 128);
        vm.prank(STRANGER);
        vm.expectRevert(bytes("SafeCast: value doesn't fit in 128 bits"));
        hub.registerOperator{ value: 1 << 128 }();
    }

    function testAddsToItsBond() public {
        vm.deal(OPERATOR, 3 ether);
        vm.expectEmit();
        emit BondChanged(OPERATOR, MINIMUM_BOND + 3 ether);
        vm.prank(OPERATOR);
        hub.addBond{ value: 3 ether }();
        _isOperator(OPERATOR, MINIMUM_BOND + 3 ether, 0, ACTIVE);
        vm.expectRevert(_error(IAttributionHub.NotOperator.selector, address(this)));
        hub.addBond{ value: 1 }();
    }

    function testLeavesAfterTheDelay() public {
        uint256 until = block.timestamp + DELAY;
        vm.expectEmit();
        emit UnbondingStarted(OPERATOR, until);
        vm.prank(OPERATOR);
        hub.startUnbonding();
        _isOperator(OPERATOR, MINIMUM_BOND, 0, uint64(until));

        vm.warp(until - 1);
        vm.prank(OPERATOR);
        vm.expectRevert(_error(IAttributionHub.BondLocked.selector, until));
        hub.withdrawBond();
        vm.warp(until);
        vm.expectEmit();
        emit BondChanged(OPERATOR, 0);
        vm.prank(OPERATOR);
        hub.withdrawBond();
        eq(OPERATOR.balance, MINIMUM_BOND);
        _isOperator(OPERATOR, 0, 0, 0);
        vm.prank(OPERATOR);
        vm.expectRevert(_error(IAttributionHub.NotOperator.selector, OPERATOR));
        hub.withdrawBond();
    }

    function testDoesNotWithdrawWithoutLeaving() public {
        vm.warp(block.timestamp + 1000 * 365 days);
        vm.prank(OPERATOR);
        vm.expectRevert(_error(IAttributionHub.BondLocked.selector, ACTIVE));
        hub.withdrawBond();
    }

    function testLeavesOnce() public {
        vm.prank(OPERATOR);
        hub.startUnbonding();
        vm.prank(OPERATOR);
        vm.expectRevert(_error(IAttributionHub.OperatorUnbonding.selector, OPERATOR));
        hub.startUnbonding();
        vm.prank(OPERATOR);
        vm.expectRevert(_error(IAttributionHub.OperatorUnbonding.selector, OPERATOR));
        hub.addBond();
        vm.prank(OPERATOR);
        vm.expectRevert(_error(IAttributionHub.AlreadyRegistered.selector, OPERATOR));
        hub.registerOperator();
        vm.prank(STRANGER);
        vm.expectRevert(_error(IAttributionHub.NotOperator.selector, STRANGER));
        hub.startUnbonding();
    }

    function testAnOperatorThatRefusesItsBondKeepsIt() public {
        hub.registerOperator{ value: MINIMUM_BOND }();
        hub.startUnbonding();
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(_error(IAttributionHub.PaymentFailed.selector, address(this)));
        hub.withdrawBond();
        (uint128 bond,,) = hub.operatorOf(address(this));
        eq(bond, MINIMUM_BOND);
    }

    function testTheSequenceOutlivesARegistration() public {
        _settle(one);
        _settle(two);
        vm.prank(OPERATOR);
        hub.startUnbonding();
        vm.warp(block.timestamp + DELAY);
        vm.prank(OPERATOR);
        hub.withdrawBond();
        _isOperator(OPERATOR, 0, 2, 0);
        _registerOperator(OPERATOR, MINIMUM_BOND);
        _isOperator(OPERATOR, MINIMUM_BOND, 2, ACTIVE);
        bytes memory replayed = _address(one, MODEL, OPERATOR, 0);
        vm.prank(OPERATOR);
        vm.expectRevert(_error(IAttributionHub.WrongSequence.selector, 2, 0));
        hub.submitBatch(replayed);
        _settle(one);
    }

    function testIsSlashed(uint128 bond, uint128 amount) public {
        vm.assume(bond >= MINIMUM_BOND && amount <= bond);
        _registerOperator(STRANGER, bond);
        vm.expectEmit();
        emit BondSlashed(STRANGER, amount, SOURCE_PAYEE);
        vm.expectEmit();
        emit BondChanged(STRANGER, bond - amount);
        vm.prank(OWNER);
        hub.slash(STRANGER, amount, SOURCE_PAYEE);
        eq(SOURCE_PAYEE.balance, amount);
        bool tooSmall = bond - amount < MINIMUM_BOND;
        _isOperator(STRANGER, bond - amount, 0, tooSmall ? uint64(block.timestamp + DELAY) : ACTIVE);
    }

    function testIsSlashedWhileLeaving() public {
        vm.prank(OPERATOR);
        hub.startUnbonding();
        uint64 until = uint64(block.timestamp + DELAY);
        vm.warp(until);
        vm.prank(OWNER);
        hub.slash(OPERATOR, MINIMUM_BOND - 1, STRANGER);
        _isOperator(OPERATOR, 1, 0, until);
        vm.prank(OPERATOR);
        hub.withdrawBond();
        eq(OPERATOR.balance, 1);
    }

    function testSlashesOnlyWhatIsThere() public {
        vm.prank(OWNER);
        vm.expectRevert(_error(IAttributionHub.BondTooSmall.selector, MINIMUM_BOND + 1, MINIMUM_BOND));
        hub.slash(OPERATOR, MINIMUM_BOND + 1, STRANGER);
        vm.prank(OWNER);
        vm.expectRevert(_error(IAttributionHub.NotOperator.selector, STRANGER));
        hub.slash(STRANGER, 0, STRANGER);
        vm.prank(OWNER);
        vm.expectRevert(IAttributionHub.ZeroAddress.selector);
        hub.slash(OPERATOR, 1, address(0));
        vm.prank(OWNER);
        vm.expectRevert(_error(IAttributionHub.PaymentFailed.selector, address(this)));
        hub.slash(OPERATOR, 1, address(this));
    }

    function testTheOwnerSetsTheTerms(uint128 minimum, uint32 delay) public {
        vm.expectEmit();
        emit BondTermsSet(minimum, delay);
        vm.prank(OWNER);
        hub.setBondTerms(minimum, delay);
        eq(hub.minimumBond(), minimum);
        eq(hub.unbondingDelay(), delay);
        // Who is registered stays so.
        _isOperator(OPERATOR, MINIMUM_BOND, 0, ACTIVE);
        _registerOperator(STRANGER, minimum);
        vm.prank(STRANGER);
        hub.startUnbonding();
        _isOperator(STRANGER, minimum, 0, uint64(block.timestamp) + delay);
        vm.prank(OWNER);
        vm.expectRevert(_error(IAttributionHub.DelayTooLong.selector, 1 << 32));
        hub.setBondTerms(minimum, 1 << 32);
    }

    function testOnlyTheOwner(address stranger) public {
        vm.assume(stranger != OWNER && stranger != PROXY_ADMIN && stranger != address(0));
        bytes memory refused = bytes("Ownable: caller is not the owner");
        vm.prank(stranger);
        vm.expectRevert(refused);
        hub.slash(OPERATOR, 1, stranger);
        vm.prank(stranger);
        vm.expectRevert(refused);
        hub.setBondTerms(0, 0);
        vm.prank(stranger);
        vm.expectRevert(refused);
        hub.pause();
        vm.prank(stranger);
        vm.expectRevert(refused);
        hub.unpause();
    }

    function testBondsMoveInAPause() public {
        vm.prank(OWNER);
        hub.pause();
        _registerOperator(STRANGER, MINIMUM_BOND);
        vm.prank(OPERATOR);
        hub.startUnbonding();
        vm.warp(block.timestamp + DELAY);
        vm.prank(OWNER);
        hub.slash(OPERATOR, 1, STRANGER);
        vm.prank(OPERATOR);
        hub.withdrawBond();
        eq(OPERATOR.balance, MINIMUM_BOND - 1);
    }

    function _isOperator(address account, uint256 bond, uint256 sequence, uint256 until) private view {
        (uint128 bondFound, uint64 sequenceFound, uint64 untilFound) = hub.operatorOf(account);
        eq(bondFound, bond);
        eq(sequenceFound, sequence);
        eq(untilFound, until);
    }
}
