// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "../../src/attribution/IAttribution.sol";
import { IAttributionHub } from "../../src/attribution/IAttributionHub.sol";
import { Payees } from "../../src/attribution/Payees.sol";
import { HubFixture } from "./HubFixture.sol";
import { PayoutLists } from "./model/PayoutLists.sol";
import { Payouts } from "./model/Payouts.sol";

/// @notice Takes what it gets, and counts how often.
contract Counter {
    uint256 public payments;

    receive() external payable {
        ++payments;
    }
}

contract AttributionClaimsTest is HubFixture {
    event Claimed(
        uint256 indexed list, uint256 position, uint256 indexed payee, address indexed to, uint256 amount
    );
    event PayoutsMerged(
        uint256 indexed list, uint256[] lists, uint32 payouts, uint128 total, bytes32 payoutRoot
    );

    function testEveryPayeeIsPaidToTheWei() public {
        (uint256 list, Payouts.List memory payouts) = _settle(hundred);
        uint256 total = address(hub).balance - MINIMUM_BOND;
        IAttributionHub.Claim[] memory claims = _claimsOf(list, payouts);
        uint256 claimed;
        for (uint256 i; i < claims.length; ++i) {
            address to = hub.payeeOf(claims[i].payee);
            uint256 balance = to.balance;
            vm.expectEmit();
            emit Claimed(list, i, claims[i].payee, to, claims[i].amount);
            hub.claim(claims[i]);
            eq(to.balance, balance + claims[i].amount);
            claimed += claims[i].amount;
            eq(_unclaimed(list), total - claimed);
            require(hub.isClaimed(list, i));
        }
        eq(claimed, total);
        eq(address(hub).balance, MINIMUM_BOND);
    }

    function testNothingIsClaimedTwice(uint256 position) public {
        (uint256 list, Payouts.List memory payouts) = _settle(one);
        IAttributionHub.Claim memory claim = _claimOf(list, payouts, position % payouts.payees.length);
        hub.claim(claim);
        bytes memory refused = _error(IAttributionHub.AlreadyClaimed.selector, list, claim.position);
        vm.expectRevert(refused);
        hub.claim(claim);
        IAttributionHub.Claim[] memory claims = new IAttributionHub.Claim[](1);
        claims[0] = claim;
        vm.expectRevert(refused);
        hub.claimMany(claims);
    }

    function testClaimsNeedTheirProof(uint256 field, uint256 change) public {
        (uint256 list, Payouts.List memory payouts) = _settle(one);
        IAttributionHub.Claim memory claim = _claimOf(list, payouts, 2);
        if (change == 0) change = 1;
        if (field % 4 == 0) claim.position ^= change;
        if (field % 4 == 1) claim.payee ^= change;
        if (field % 4 == 2) claim.amount ^= change;
        if (field % 4 == 3) claim.proof[change % claim.proof.length] ^= bytes32(change);
        vm.expectRevert(IAttributionHub.InvalidProof.selector);
        hub.claim(claim);
    }

    function testAnotherListsProof() public {
        (uint256 list, Payouts.List memory payouts) = _settle(one);
        (uint256 other,) = _settle(two);
        IAttributionHub.Claim memory claim = _claimOf(list, payouts, 0);
        claim.list = other;
        vm.expectRevert(IAttributionHub.InvalidProof.selector);
        hub.claim(claim);
        claim.list = list + 2;
        vm.expectRevert(_error(IAttributionHub.UnknownList.selector, list + 2));
        hub.claim(claim);
    }

    function testPayeesThatNobodyOwnsYet() public {
        hub.registerModel(_someRates());
        hub.registerAdapter(1, ADAPTER_OWNER, 0, 0);
        bytes memory batch = _address(one, 1, OPERATOR, 0);
        Payouts.List memory payouts = precompile.payoutsOf(batch, _someRates());
        uint256 list = _submit(batch, OPERATOR);
        IAttributionHub.Claim memory claim = _claimOf(list, payouts, 2);
        eq(claim.payee, Payees.ofSource(1, 0, 5));
        vm.expectRevert(_error(IAttributionHub.UnknownPayee.selector, claim.payee));
        hub.claim(claim);
        address[] memory payees = new address[](1);
        payees[0] = STRANGER;
        vm.prank(ADAPTER_OWNER);
        hub.setSources(1, 0, 5, payees);
        hub.claim(claim);
        eq(STRANGER.balance, claim.amount);
    }

    function testPaysWhoIsThePayeeNow() public {
        (uint256 list, Payouts.List memory payouts) = _settle(one);
        IAttributionHub.Claim memory claim = _claimOf(list, payouts, 0);
        eq(claim.payee, Payees.ofModel(MODEL));
        vm.prank(MODEL_OWNER);
        hub.transferModel(MODEL, STRANGER);
        hub.claim(claim);
        eq(STRANGER.balance, claim.amount);
        eq(MODEL_OWNER.balance, 0);
    }

    function testAPayeeThatRefusesLosesNothing() public {
        (uint256 list, Payouts.List memory payouts) = _settle(one);
        IAttributionHub.Claim memory claim = _claimOf(list, payouts, 0);
        vm.prank(MODEL_OWNER);
        hub.transferModel(MODEL, address(this));
        uint256 unclaimed = _unclaimed(list);
        vm.expectRevert(_error(IAttributionHub.PaymentFailed.selector, address(this)));
        hub.claim(claim);
        require(!hub.isClaimed(list, 0));
        eq(_unclaimed(list), unclaimed);
        hub.transferModel(MODEL, STRANGER);
        hub.claim(claim);
        eq(STRANGER.balance, claim.amount);
    }

    function testManyClaimsOfManyLists() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(hundred);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        hub.claimMany(_claimsOf(a, payoutsOfA));
        hub.claimMany(_claimsOf(b, payoutsOfB));
        eq(address(hub).balance, MINIMUM_BOND);
        eq(_unclaimed(a), 0);
        eq(_unclaimed(b), 0);
        hub.claimMany(new IAttributionHub.Claim[](0));
        // Everybody has its own, neighbours or not.
        for (uint256 kind = 1; kind <= 4; ++kind) {
            address to = [MODEL_OWNER, ADAPTER_OWNER, SOURCE_PAYEE, OPERATOR][kind - 1];
            eq(to.balance, _sumOf(payoutsOfA, kind) + _sumOf(payoutsOfB, kind));
        }
    }

    function testNeighboursAreOnePayment() public {
        Counter counter = new Counter();
        (uint256 list, Payouts.List memory payouts) = _settle(one);
        for (uint32 source = 5; source <= 9; ++source) {
            vm.prank(SOURCE_PAYEE);
            hub.transferSource(MODEL, 0, source, address(counter));
        }
        uint256 due = payouts.amounts[2] + payouts.amounts[3] + payouts.amounts[4];
        hub.claimMany(_claimsOf(list, payouts));
        eq(counter.payments(), 1);
        eq(address(counter).balance, due);
    }

    function testManyClaimsAreAllOrNothing() public {
        (uint256 list, Payouts.List memory payouts) = _settle(one);
        vm.prank(MODEL_OWNER);
        hub.transferModel(MODEL, address(this));
        IAttributionHub.Claim[] memory claims = _claimsOf(list, payouts);
        vm.expectRevert(_error(IAttributionHub.PaymentFailed.selector, address(this)));
        hub.claimMany(claims);
        hub.transferModel(MODEL, STRANGER);
        claims[5] = claims[4];
        vm.expectRevert(_error(IAttributionHub.AlreadyClaimed.selector, list, 4));
        hub.claimMany(claims);
        eq(_unclaimed(list), address(hub).balance - MINIMUM_BOND);
    }

    function testMerges(uint256 claimedOfA, uint256 claimedOfB) public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(two);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(one);
        uint256[2] memory claimed = [claimedOfA, claimedOfB];
        _claimSome(a, payoutsOfA, claimed[0]);
        _claimSome(b, payoutsOfB, claimed[1]);
        uint256 left = _unclaimed(a) + _unclaimed(b);
        eq(left, address(hub).balance - MINIMUM_BOND);

        uint256 list = _merge(a, payoutsOfA, b, payoutsOfB);
        eq(list, 0);
        eq(hub.mergedLists(), 1);
        eq(_unclaimed(list), left);
        (,, uint256 unclaimed,, bool merged) = hub.listOf(a);
        require(merged && unclaimed == 0);
        (,, unclaimed,, merged) = hub.listOf(b);
        require(merged && unclaimed == 0);

        hub.claimMany(_claimsOf(list, _mergedList(payoutsOfA, claimed[0], payoutsOfB, claimed[1])));
        eq(_unclaimed(list), 0);
        eq(address(hub).balance, MINIMUM_BOND);
    }

    function testMergedListsAreMergedAgain() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(one);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(hundred);
        uint256 ab = _merge(a, payoutsOfA, b, payoutsOfB);
        Payouts.List memory payoutsOfAb = _mergedList(payoutsOfA, 0, payoutsOfB, 0);
        (uint256 c, Payouts.List memory payoutsOfC) = _settle(two);
        uint256 list = _merge(c, payoutsOfC, ab, payoutsOfAb);
        eq(list, 1);
        (bytes32 payoutRoot, bytes32 recordRoot,,,) = hub.listOf(list);
        require(payoutRoot != 0 && recordRoot == 0);
        hub.claimMany(_claimsOf(list, _mergedList(payoutsOfC, 0, payoutsOfAb, 0)));
        eq(address(hub).balance, MINIMUM_BOND);
    }

    function testMergesToNothing() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(one);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        hub.claimMany(_claimsOf(a, payoutsOfA));
        hub.claimMany(_claimsOf(b, payoutsOfB));
        uint256 list = _merge(a, payoutsOfA, b, payoutsOfB);
        (bytes32 payoutRoot,, uint128 unclaimed, uint32 payouts,) = hub.listOf(list);
        eq(payoutRoot, 0);
        eq(unclaimed, 0);
        eq(payouts, 0);
    }

    function testMergingSaysSo() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(one);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        (uint256[] memory lists, bytes[] memory payouts) = (new uint256[](2), new bytes[](2));
        (lists[0], lists[1]) = (a, b);
        (payouts[0], payouts[1]) = (PayoutLists.encode(payoutsOfA), PayoutLists.encode(payoutsOfB));
        uint256[][] memory claimed = new uint256[][](2);
        (claimed[0], claimed[1]) = (new uint256[](1), new uint256[](1));
        IAttribution.Merged memory merged = precompile.merge(payouts, claimed);
        vm.expectEmit();
        emit PayoutsMerged(0, lists, merged.payouts, merged.total, merged.payoutRoot);
        hub.mergePayouts(lists, payouts);
    }

    function testMergedListsPayNoMore() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(one);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        _merge(a, payoutsOfA, b, payoutsOfB);
        IAttributionHub.Claim memory claim = _claimOf(a, payoutsOfA, 0);
        vm.expectRevert(_error(IAttributionHub.ListMerged.selector, a));
        hub.claim(claim);
        (uint256 c, Payouts.List memory payoutsOfC) = _settle(two);
        vm.expectRevert(_error(IAttributionHub.ListMerged.selector, b));
        this.merge(c, payoutsOfC, b, payoutsOfB);
    }

    function testMergesEachListOnce() public {
        (uint256 a, Payouts.List memory payouts) = _settle(one);
        vm.expectRevert(_error(IAttributionHub.ListMerged.selector, a));
        this.merge(a, payouts, a, payouts);
        vm.expectRevert(_error(IAttributionHub.UnknownList.selector, 0));
        this.merge(a, payouts, 0, payouts);
    }

    function testMergesTheListsThemselves() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(one);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        ++payoutsOfB.amounts[0];
        vm.expectRevert(_error(IAttributionHub.WrongPayouts.selector, b));
        this.merge(a, payoutsOfA, b, payoutsOfB);
        payoutsOfB.amounts[0] = 0;
        vm.expectRevert(_error(IAttribution.MalformedPayoutList.selector, 1, 0));
        this.merge(a, payoutsOfA, b, payoutsOfB);
        eq(_unclaimed(a) + _unclaimed(b), address(hub).balance - MINIMUM_BOND);
    }

    function testMergesTwoAtLeast() public {
        (uint256 a, Payouts.List memory payouts) = _settle(one);
        (uint256[] memory lists, bytes[] memory encoded) = (new uint256[](1), new bytes[](1));
        (lists[0], encoded[0]) = (a, PayoutLists.encode(payouts));
        vm.expectRevert(IAttributionHub.NothingToMerge.selector);
        hub.mergePayouts(lists, encoded);
        vm.expectRevert(_error(IAttributionHub.WrongListCount.selector, 2, 1));
        hub.mergePayouts(new uint256[](2), encoded);
    }

    /// @dev No precompile, however wrong, makes the hub owe more than it has.
    function testMoneyIsCountedHereToo() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(one);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        IAttribution.Merged memory lie;
        lie.roots = new bytes32[](2);
        (lie.roots[0],,,,) = hub.listOf(a);
        (lie.roots[1],,,,) = hub.listOf(b);
        uint256 left = _unclaimed(a) + _unclaimed(b);
        lie.total = uint128(left + 1);
        _answer(abi.encode(lie));
        vm.expectRevert(_error(IAttributionHub.Unbalanced.selector, left, left + 1));
        this.merge(a, payoutsOfA, b, payoutsOfB);
    }

    function testNoListPaysWithTheMoneyOfAnother() public {
        (uint256 list, Payouts.List memory payouts) = _settle(one);
        _settle(hundred);
        // As if a precompile had counted too little.
        bytes32 at = bytes32(uint256(keccak256(abi.encode(list, 301))) + 2);
        vm.store(address(hub), at, bytes32(uint256(vm.load(address(hub), at)) - 1));
        IAttributionHub.Claim[] memory claims = _claimsOf(list, payouts);
        vm.expectRevert(_error(PANIC, 0x11));
        hub.claimMany(claims);
    }

    function testPauses() public {
        (uint256 a, Payouts.List memory payoutsOfA) = _settle(one);
        (uint256 b, Payouts.List memory payoutsOfB) = _settle(two);
        IAttributionHub.Claim[] memory claims = _claimsOf(a, payoutsOfA);
        uint256 balance = address(hub).balance;
        vm.prank(OWNER);
        hub.pause();
        vm.expectRevert(bytes("Pausable: paused"));
        hub.claim(claims[0]);
        vm.expectRevert(bytes("Pausable: paused"));
        hub.claimMany(claims);
        vm.expectRevert(bytes("Pausable: paused"));
        hub.claimMany(new IAttributionHub.Claim[](0));
        vm.expectRevert(bytes("Pausable: paused"));
        this.merge(a, payoutsOfA, b, payoutsOfB);
        for (uint256 i; i < claims.length; ++i) {
            require(!hub.isClaimed(a, i));
        }
        eq(_unclaimed(a) + _unclaimed(b), balance - MINIMUM_BOND);
        eq(address(hub).balance, balance);
        eq(hub.mergedLists(), 0);
        vm.prank(OWNER);
        hub.unpause();
        hub.claim(claims[0]);
        this.merge(a, payoutsOfA, b, payoutsOfB);
    }

    /// @dev Called by itself, so that a revert of the hub can be expected.
    function merge(uint256 a, Payouts.List calldata payoutsOfA, uint256 b, Payouts.List calldata payoutsOfB)
        external
    {
        _merge(a, payoutsOfA, b, payoutsOfB);
    }

    function _sumOf(Payouts.List memory payouts, uint256 kind) private pure returns (uint256 sum) {
        for (uint256 i; i < payouts.payees.length; ++i) {
            if (payouts.payees[i] >> 248 == kind) sum += payouts.amounts[i];
        }
    }

    function _claimSome(uint256 list, Payouts.List memory payouts, uint256 bits) private {
        IAttributionHub.Claim[] memory claims = _claimsOf(list, payouts);
        for (uint256 i; i < claims.length; ++i) {
            if (bits >> i & 1 == 1) hub.claim(claims[i]);
        }
    }

    function _mergedList(Payouts.List memory a, uint256 claimedOfA, Payouts.List memory b, uint256 claimedOfB)
        private
        pure
        returns (Payouts.List memory)
    {
        Payouts.List[] memory lists = new Payouts.List[](2);
        (lists[0], lists[1]) = (_without(a, claimedOfA), _without(b, claimedOfB));
        return PayoutLists.merge(lists);
    }

    function _without(Payouts.List memory list, uint256 claimed)
        private
        pure
        returns (Payouts.List memory kept)
    {
        uint256 length = list.payees.length;
        kept = Payouts.List(new uint256[](length), new uint256[](length));
        uint256 count;
        for (uint256 i; i < length; ++i) {
            if (claimed >> i & 1 == 1) continue;
            (kept.payees[count], kept.amounts[count]) = (list.payees[i], list.amounts[i]);
            ++count;
        }
        Payouts.cut(kept, count);
    }
}
