// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { OwnableUpgradeable } from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {
    ReentrancyGuardUpgradeable
} from "@openzeppelin/contracts-upgradeable/security/ReentrancyGuardUpgradeable.sol";
import { SafeCastUpgradeable } from "@openzeppelin/contracts-upgradeable/utils/math/SafeCastUpgradeable.sol";

import { IAttributionHub } from "./IAttributionHub.sol";
import { Payment } from "./Payment.sol";

/// @title AttributionOperators
/// @notice Operators, who submit batches, and the bonds that vouch for them.
abstract contract AttributionOperators is IAttributionHub, OwnableUpgradeable, ReentrancyGuardUpgradeable {
    using SafeCastUpgradeable for uint256;

    /// @dev One slot, so that a batch reads and writes one.
    /// @param sequence How many batches came from the operator. Outlives a registration.
    /// @param until When the bond may be withdrawn, seconds since 1970-01-01: 0 if the operator is not registered,
    ///        `ACTIVE` while it is and has not begun to leave.
    struct Operator {
        uint128 bond;
        uint64 sequence;
        uint64 until;
    }

    uint64 private constant ACTIVE = type(uint64).max;

    /// @dev Slot 251.
    mapping(address => Operator) private _operators;
    /// @notice What an operator has to deposit at least, in wei. Slot 252.
    uint256 public minimumBond;
    /// @notice How long a bond stays after its operator began to leave, in seconds. Slot 253.
    uint256 public unbondingDelay;
    uint256[47] private _gap;

    function registerOperator() external payable {
        Operator storage operator = _operators[msg.sender];
        if (operator.until != 0) revert AlreadyRegistered(msg.sender);
        if (msg.value < minimumBond) revert BondTooSmall(minimumBond, msg.value);
        (operator.bond, operator.until) = (msg.value.toUint128(), ACTIVE);
        emit OperatorRegistered(msg.sender, msg.value);
    }

    function addBond() external payable {
        Operator storage operator = _activeOperator();
        uint128 bond = operator.bond + msg.value.toUint128();
        operator.bond = bond;
        emit BondChanged(msg.sender, bond);
    }

    function startUnbonding() external {
        _startUnbonding(_activeOperator(), msg.sender);
    }

    function withdrawBond() external nonReentrant {
        Operator storage operator = _operators[msg.sender];
        (uint128 bond, uint64 until) = (operator.bond, operator.until);
        if (until == 0) revert NotOperator(msg.sender);
        // forge-lint: disable-next-line(block-timestamp)
        if (block.timestamp < until) revert BondLocked(until);
        (operator.bond, operator.until) = (0, 0);
        emit BondChanged(msg.sender, 0);
        Payment.send(msg.sender, bond);
    }

    /// @dev An operator whose bond falls below the minimum has to leave, and may register again afterwards.
    function slash(address account, uint256 amount, address to) external onlyOwner nonReentrant {
        if (to == address(0)) revert ZeroAddress();
        Operator storage operator = _operators[account];
        (uint128 bond, uint64 until) = (operator.bond, operator.until);
        if (until == 0) revert NotOperator(account);
        if (bond < amount) revert BondTooSmall(amount, bond);
        bond -= amount.toUint128();
        operator.bond = bond;
        emit BondSlashed(account, amount, to);
        emit BondChanged(account, bond);
        if (until == ACTIVE && bond < minimumBond) _startUnbonding(operator, account);
        Payment.send(to, amount);
    }

    function setBondTerms(uint256 minimum, uint256 delay) external onlyOwner {
        _setBondTerms(minimum, delay);
    }

    function operatorOf(address account) external view returns (uint128 bond, uint64 sequence, uint64 until) {
        Operator storage operator = _operators[account];
        return (operator.bond, operator.sequence, operator.until);
    }

    function _setBondTerms(uint256 minimum, uint256 delay) internal {
        // So that no delay ends beyond the times there are.
        if (delay > type(uint32).max) revert DelayTooLong(delay);
        (minimumBond, unbondingDelay) = (minimum, delay);
        emit BondTermsSet(minimum, delay);
    }

    /// @dev The caller's next batch is this one.
    function _takeSequence(uint64 given) internal {
        Operator storage operator = _activeOperator();
        uint64 expected = operator.sequence;
        if (given != expected) revert WrongSequence(expected, given);
        operator.sequence = expected + 1;
    }

    function _startUnbonding(Operator storage operator, address account) private {
        uint64 until = (block.timestamp + unbondingDelay).toUint64();
        operator.until = until;
        emit UnbondingStarted(account, until);
    }

    function _activeOperator() private view returns (Operator storage operator) {
        operator = _operators[msg.sender];
        uint64 until = operator.until;
        if (until == 0) revert NotOperator(msg.sender);
        if (until != ACTIVE) revert OperatorUnbonding(msg.sender);
    }
}
