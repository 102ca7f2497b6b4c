// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Proxy } from "@bedrock/universal/Proxy.sol";
import { L2ProxyAdmin } from "../../src/L2ProxyAdmin.sol";
import { AttributionHub } from "../../src/attribution/AttributionHub.sol";
import { IAttributionHub } from "../../src/attribution/IAttributionHub.sol";
import { Payees } from "../../src/attribution/Payees.sol";
import { Manager } from "../L2ProxyAdmin.t.sol";
import { HubFixture } from "./HubFixture.sol";
import { PayoutLists } from "./model/PayoutLists.sol";
import { Payouts } from "./model/Payouts.sol";

/// @notice A hub to come: a variable more, behind the others.
contract NextHub is AttributionHub {
    uint256 public added;

    function add(uint256 value) external {
        added = value;
    }
}

/// @notice The hub behind its proxy and the chain's `L2ProxyAdmin`, replaced while it has everything that it can have.
contract AttributionUpgradeTest is HubFixture {
    L2ProxyAdmin private admin;
    address payable private proxy = payable(address(hub));
    address private implementation;
    address private next = address(new NextHub());

    /// @dev A list claimed in part, and two merged.
    uint256 private a;
    uint256 private b;
    uint256 private merged;
    Payouts.List private payoutsOfA;
    Payouts.List private payoutsOfB;
    Payouts.List private payoutsOfMerged;

    function setUp() public override {
        super.setUp();
        Proxy self = new Proxy(address(this));
        self.upgradeTo(address(new L2ProxyAdmin()));
        self.changeAdmin(address(self));
        admin = L2ProxyAdmin(address(self));
        vm.store(address(admin), 0, bytes32(uint256(uint160(address(this)))));
        vm.prank(PROXY_ADMIN);
        Proxy(proxy).changeAdmin(address(admin));
        implementation = admin.getProxyImplementation(proxy);

        (a, payoutsOfA) = _settle(one);
        hub.claim(_claimOf(a, payoutsOfA, 0));
        hub.claim(_claimOf(a, payoutsOfA, 2));
        (b, payoutsOfB) = _settle(two);
        (uint256 c, Payouts.List memory payoutsOfC) = _settle(one);
        merged = _merge(b, payoutsOfB, c, payoutsOfC);
        Payouts.List[] memory parts = new Payouts.List[](2);
        (parts[0], parts[1]) = (payoutsOfB, payoutsOfC);
        payoutsOfMerged = PayoutLists.merge(parts);
        hub.claim(_claimOf(merged, payoutsOfMerged, 1));
        _registerOperator(STRANGER, 3 * MINIMUM_BOND);
        vm.prank(STRANGER);
        hub.startUnbonding();
    }

    function testKeepsWhatItHas() public {
        bytes32 state = _state();
        admin.upgrade(proxy, next);
        eq(admin.getProxyImplementation(proxy), next);
        eq(_state(), state);
        eq(NextHub(proxy).added(), 0);
        NextHub(proxy).add(type(uint256).max);
        eq(_state(), state);
        _goesOn();
    }

    function testANetworkUpgradeKeepsWhatItHas() public {
        bytes32 state = _state();
        address manager = address(new Manager(proxy, next));
        vm.prank(DEPOSITOR);
        admin.upgradePredeploys(manager);
        eq(admin.getProxyImplementation(proxy), next);
        eq(_state(), state);
        _goesOn();
    }

    /// @dev There and back, as after an upgrade that was none.
    function testIsUpgradedInAPause() public {
        vm.prank(OWNER);
        hub.pause();
        bytes32 state = _state();
        admin.upgrade(proxy, next);
        require(hub.paused());
        admin.upgrade(proxy, implementation);
        eq(_state(), state);
        vm.prank(OWNER);
        hub.unpause();
        _goesOn();
    }

    function testIsNotInitialisedAgain() public {
        bytes memory refused = bytes("Initializable: contract is already initialized");
        bytes memory initialize = abi.encodeCall(AttributionHub.initialize, (STRANGER, 0, 0));
        bytes32 state = _state();
        vm.expectRevert(bytes("Proxy: delegatecall to new implementation contract failed"));
        admin.upgradeAndCall(proxy, next, initialize);
        eq(admin.getProxyImplementation(proxy), implementation);
        admin.upgrade(proxy, next);
        vm.expectRevert(refused);
        hub.initialize(STRANGER, 0, 0);
        vm.expectRevert(refused);
        NextHub(next).initialize(STRANGER, 0, 0);
        eq(_state(), state);
    }

    function testOnlyTheAdminsOwnerUpgrades(address stranger) public {
        vm.assume(stranger != address(this) && stranger != address(admin) && stranger != address(0));
        vm.assume(stranger != DEPOSITOR);
        _doesNotUpgrade(stranger);
        _doesNotUpgrade(OWNER);
        _doesNotUpgrade(PROXY_ADMIN);
        // Not even the owner past the admin.
        _refusesToUpgrade(address(this));
    }

    function _doesNotUpgrade(address stranger) private {
        bytes memory refused = bytes("Ownable: caller is not the owner");
        vm.prank(stranger);
        vm.expectRevert(refused);
        admin.upgrade(proxy, next);
        vm.prank(stranger);
        vm.expectRevert(refused);
        admin.upgradeAndCall(proxy, next, "");
        vm.prank(stranger);
        vm.expectRevert(refused);
        admin.changeProxyAdmin(proxy, stranger);
        vm.prank(stranger);
        vm.expectRevert(L2ProxyAdmin.L2ProxyAdmin__Unauthorized.selector);
        admin.upgradePredeploys(next);
        _refusesToUpgrade(stranger);
    }

    /// @dev The proxy passes on what is not its admin's, and the hub has no such functions.
    function _refusesToUpgrade(address stranger) private {
        bytes[3] memory calls = [
            abi.encodeCall(Proxy.upgradeTo, (next)),
            abi.encodeCall(Proxy.upgradeToAndCall, (next, "")),
            abi.encodeCall(Proxy.changeAdmin, (stranger))
        ];
        for (uint256 i; i < calls.length; ++i) {
            vm.prank(stranger);
            (bool success, bytes memory answer) = proxy.call(calls[i]);
            require(!success && answer.length == 0);
        }
        eq(admin.getProxyImplementation(proxy), implementation);
        eq(admin.getProxyAdmin(proxy), address(admin));
    }

    /// @dev What was claimed, merged or settled is so; the rest is paid, and the next batch has the next number.
    function _goesOn() private {
        IAttributionHub.Claim memory claim = _claimOf(a, payoutsOfA, 2);
        vm.expectRevert(_error(IAttributionHub.AlreadyClaimed.selector, a, 2));
        hub.claim(claim);
        claim = _claimOf(b, payoutsOfB, 0);
        vm.expectRevert(_error(IAttributionHub.ListMerged.selector, b));
        hub.claim(claim);
        bytes memory replayed = _address(one, MODEL, OPERATOR, 2);
        vm.prank(OPERATOR);
        vm.expectRevert(_error(IAttributionHub.WrongSequence.selector, 3, 2));
        hub.submitBatch(replayed);

        _claimRest(a, payoutsOfA);
        _claimRest(merged, payoutsOfMerged);
        (uint256 list, Payouts.List memory payouts) = _settle(two);
        eq(list, uint256(uint160(OPERATOR)) << 64 | 3);
        _claimRest(list, payouts);
        vm.warp(block.timestamp + DELAY);
        vm.prank(STRANGER);
        hub.withdrawBond();
        eq(STRANGER.balance, 3 * MINIMUM_BOND);
        eq(address(hub).balance, MINIMUM_BOND);
    }

    function _claimRest(uint256 list, Payouts.List memory payouts) private {
        for (uint256 i; i < payouts.payees.length; ++i) {
            if (!hub.isClaimed(list, i)) hub.claim(_claimOf(list, payouts, i));
        }
        eq(_unclaimed(list), 0);
    }

    /// @dev A hash of all that the hub says.
    function _state() private view returns (bytes32 state) {
        state = _with("", abi.encodeCall(IAttributionHub.mergedLists, ()));
        state = _with(state, abi.encodeWithSignature("owner()"));
        state = _with(state, abi.encodeWithSignature("paused()"));
        state = _with(state, abi.encodeCall(IAttributionHub.minimumBond, ()));
        state = _with(state, abi.encodeCall(IAttributionHub.unbondingDelay, ()));
        state = _with(state, abi.encodeCall(IAttributionHub.modelCount, ()));
        state = _with(state, abi.encodeCall(IAttributionHub.modelOf, (MODEL)));
        state = _with(state, abi.encodeCall(IAttributionHub.adapterOf, (MODEL, 3)));
        state = _with(state, abi.encodeCall(IAttributionHub.payeeOf, (Payees.ofModel(MODEL))));
        state = _with(state, abi.encodeCall(IAttributionHub.payeeOf, (Payees.ofSource(MODEL, 3, 5))));
        state = _with(state, abi.encodeCall(IAttributionHub.operatorOf, (OPERATOR)));
        state = _with(state, abi.encodeCall(IAttributionHub.operatorOf, (STRANGER)));
        uint256[4] memory lists = [a, b, b + 1, merged];
        for (uint256 i; i < lists.length; ++i) {
            state = _with(state, abi.encodeCall(IAttributionHub.listOf, (lists[i])));
            for (uint256 j; j < 8; ++j) {
                state = _with(state, abi.encodeCall(IAttributionHub.isClaimed, (lists[i], j)));
            }
        }
        state = keccak256(abi.encode(state, address(hub).balance));
    }

    function _with(bytes32 state, bytes memory call) private view returns (bytes32) {
        (bool success, bytes memory answer) = address(hub).staticcall(call);
        require(success);
        return keccak256(abi.encode(state, answer));
    }
}
