// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Predeploys } from "../../src/Predeploys.sol";
import { AttributionHub } from "../../src/attribution/AttributionHub.sol";
import { Test } from "../Test.sol";
import { HubHandler } from "./HubHandler.sol";

/// @notice What holds whatever anybody does. The handler checks besides that each call does what it has to and that
///         what has to be refused is.
contract AttributionInvariants is Test {
    AttributionHub private hub = AttributionHub(Predeploys.ATTRIBUTION_HUB);
    HubHandler private handler;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public {
        handler = new HubHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](15);
        selectors[0] = HubHandler.register.selector;
        selectors[1] = HubHandler.addBond.selector;
        selectors[2] = HubHandler.leave.selector;
        selectors[3] = HubHandler.withdraw.selector;
        selectors[4] = HubHandler.slash.selector;
        selectors[5] = HubHandler.submit.selector;
        selectors[6] = HubHandler.submitOutOfOrder.selector;
        selectors[7] = HubHandler.submitUnderfunded.selector;
        selectors[8] = HubHandler.claim.selector;
        selectors[9] = HubHandler.claimMany.selector;
        selectors[10] = HubHandler.merge.selector;
        selectors[11] = HubHandler.handOn.selector;
        selectors[12] = HubHandler.nameSource.selector;
        selectors[13] = HubHandler.setRates.selector;
        selectors[14] = HubHandler.pause.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    /// @dev Money in = claimed + claimable, and with the bonds that is all the hub has. Each list adds up by itself,
    ///      nothing is claimed but what the handler claimed, and sequences count batches.
    function invariantTheBooksAgree() public view {
        uint256 claimable;
        for (uint256 i; i < handler.listCount(); ++i) {
            claimable += handler.check(i);
        }
        eq(handler.paidIn(), handler.paidOut() + claimable);
        eq(address(hub).balance, claimable + _bonds());
    }

    /// @dev In the end everybody can be paid, and then the hub has nothing but bonds.
    function afterInvariant() public {
        handler.payEverybody();
        eq(handler.paidIn(), handler.paidOut());
        eq(address(hub).balance, _bonds());
    }

    function _bonds() private view returns (uint256 bonds) {
        for (uint256 i; i < handler.operatorCount(); ++i) {
            bonds += handler.checkOperator(i);
        }
    }
}
