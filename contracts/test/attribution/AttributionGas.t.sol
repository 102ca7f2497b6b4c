// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "../../src/attribution/IAttribution.sol";
import { IAttributionHub } from "../../src/attribution/IAttributionHub.sol";
import { HubFixture } from "./HubFixture.sol";
import { PayoutLists } from "./model/PayoutLists.sol";
import { Payouts } from "./model/Payouts.sol";

/// @notice Passes on what it is called with, and answers how much gas that took.
contract Meter {
    address private immutable hub;

    constructor(address hub_) {
        hub = hub_;
    }

    receive() external payable { }

    fallback() external payable {
        address to = hub;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let before := gas()
            let success := call(gas(), to, callvalue(), 0, calldatasize(), 0, 0)
            let used := sub(before, gas())
            if iszero(success) { revert(0, 0) }
            mstore(0, used)
            return(0, 32)
        }
    }
}

/// @notice What the hub adds to a batch, a claim and a merge: the gas of calls through the proxy with everything cold,
///         without the transaction's own and with a precompile that answers at once. The bounds are for whoever
///         changes the hub to see.
contract AttributionGasTest is HubFixture {
    /// @dev Of one slot from nothing, cold.
    uint256 private constant SLOT = 22_100;

    function testGasOfABatch() public {
        uint256 small = _gasOfABatch(new bytes(1000));
        uint256 large = _gasOfABatch(new bytes(150_000));
        // Three fresh slots of the list, the operator's one, what carries the money, which a transaction has in its
        // 21,000, and the event.
        require(small < 3 * SLOT + 5000 + 9000 + 6500 + 17_000, vm.toString(small));
        // It is in memory twice, the proxy's and the hub's: copying is 6 gas a word and the memory 3 and more.
        require(large < small + 145_000, vm.toString(large));
    }

    function testGasOfAClaim() public {
        (uint256 list, Payouts.List memory payouts) = _settle(hundred);
        IAttributionHub.Claim memory claim = _claimOf(list, payouts, 100);
        bytes memory data = abi.encodeCall(IAttributionHub.claim, (claim));
        vm.deal(SOURCE_PAYEE, 1);
        uint256 first = _gasOf(STRANGER, 0, data);
        // A word of the bitmap, the list's rest, the lock, the payment.
        require(first < SLOT + 35_000, vm.toString(first));
        claim = _claimOf(list, payouts, 101);
        uint256 second = _gasOf(STRANGER, 0, abi.encodeCall(IAttributionHub.claim, (claim)));
        require(second < 40_000, vm.toString(second));
    }

    function testGasOfManyClaims() public {
        (uint256 list, Payouts.List memory payouts) = _settle(hundred);
        IAttributionHub.Claim[] memory claims = _claimsOf(list, payouts);
        uint256 gas = _gasOf(STRANGER, 0, abi.encodeCall(IAttributionHub.claimMany, (claims)));
        require(gas < claims.length * 12_000, vm.toString(gas / claims.length));
    }

    function testGasOfAMerge() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(hundred);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        (uint256[] memory lists, bytes[] memory payouts) = (new uint256[](2), new bytes[](2));
        (lists[0], lists[1]) = (a, b);
        (payouts[0], payouts[1]) = (PayoutLists.encode(payoutsOfA), PayoutLists.encode(payoutsOfB));
        uint256[][] memory claimed = new uint256[][](2);
        (claimed[0], claimed[1]) = (new uint256[](1), new uint256[](1));
        _answer(abi.encode(precompile.merge(payouts, claimed)));
        bytes memory data = abi.encodeCall(IAttributionHub.mergePayouts, (lists, payouts));
        uint256 gas = _gasOf(STRANGER, 0, data);
        // Two slots of the list that comes out, one of each that goes in, the counter, the lock.
        require(gas < 2 * SLOT + 70_000, vm.toString(gas));
    }

    function _gasOfABatch(bytes memory columns) private returns (uint256) {
        IAttribution.Settlement memory settled;
        (settled.total, settled.recordRoot, settled.payoutRoot) = (1 ether, "records", "payouts");
        (settled.adapters, settled.payouts, settled.model, settled.operator) = (1, 1, MODEL, OPERATOR);
        _answer(abi.encode(settled));
        bytes memory batch = bytes.concat(new bytes(109), columns);
        (, uint64 sequence,) = hub.operatorOf(OPERATOR);
        batch = _address(batch, MODEL, OPERATOR, sequence);
        return _gasOf(OPERATOR, 1 ether, abi.encodeCall(IAttributionHub.submitBatch, (batch)));
    }

    /// @dev Through a contract in the sender's place, so that only the call is measured.
    function _gasOf(address sender, uint256 value, bytes memory data) private returns (uint256) {
        vm.etch(sender, address(new Meter(address(hub))).code);
        vm.deal(address(this), value);
        vm.cool(address(hub));
        (bool success, bytes memory answer) = sender.call{ value: value }(data);
        require(success, "refused");
        return abi.decode(answer, (uint256));
    }
}
