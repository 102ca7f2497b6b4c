// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { AttributionHub } from "../../src/attribution/AttributionHub.sol";
import { IAttribution } from "../../src/attribution/IAttribution.sol";
import { IAttributionHub } from "../../src/attribution/IAttributionHub.sol";
import { Payees } from "../../src/attribution/Payees.sol";
import { HubFixture } from "./HubFixture.sol";
import { PayoutLists } from "./model/PayoutLists.sol";
import { Payouts } from "./model/Payouts.sol";

/// @notice Takes no money.
contract Miser { }

/// @notice Does anything to the hub, and knows beforehand what has to come of it: every call that should be refused
///         is tried as well. Keeps books of its own.
contract HubHandler is HubFixture {
    struct Book {
        uint256 number;
        uint256 total;
        uint256 claimed;
        bool merged;
        uint256[] payees;
        uint256[] amounts;
        bool[] paid;
    }

    uint256 private constant ACTORS = 4;

    Book[] private books;
    mapping(address => uint64) public sequences;
    mapping(address => uint256) public bonds;
    /// @dev Within one call of claimMany.
    mapping(address => uint256) private due;
    address private immutable miser = address(new Miser());

    uint256 public paidIn;
    uint256 public paidOut;
    uint256 public merges;

    constructor() {
        setUp();
        bonds[OPERATOR] = MINIMUM_BOND;
        for (uint256 i = 1; i < ACTORS; ++i) {
            _registerOperator(_actor(i), i * MINIMUM_BOND);
            bonds[_actor(i)] = i * MINIMUM_BOND;
        }
        // Another model, with other rates, whose sources have no payees yet.
        IAttribution.Rates memory rates = _someRates();
        (rates.sourceShare, rates.operatorShare) = (500, 5000);
        vm.prank(MODEL_OWNER);
        hub.registerModel(rates);
        vm.prank(MODEL_OWNER);
        hub.registerAdapters(1, ADAPTER_OWNER, new bytes32[](ADAPTERS), new bytes32[](ADAPTERS));
    }

    // What operators do.

    function register(uint256 who, uint256 bond) external {
        address operator = _actor(who);
        bond = _between(bond, MINIMUM_BOND - 1, 3 * MINIMUM_BOND);
        (,, uint64 until) = hub.operatorOf(operator);
        vm.deal(operator, bond);
        bool success = _call(operator, bond, abi.encodeCall(IAttributionHub.registerOperator, ()));
        _expect(success, until == 0 && bond >= MINIMUM_BOND);
        if (success) bonds[operator] = bond;
    }

    function addBond(uint256 who, uint256 amount) external {
        address operator = _actor(who);
        amount %= 1 ether;
        (,, uint64 until) = hub.operatorOf(operator);
        vm.deal(operator, amount);
        bool success = _call(operator, amount, abi.encodeCall(IAttributionHub.addBond, ()));
        _expect(success, until == type(uint64).max);
        if (success) bonds[operator] += amount;
    }

    function leave(uint256 who) external {
        address operator = _actor(who);
        (,, uint64 until) = hub.operatorOf(operator);
        _expect(
            _call(operator, 0, abi.encodeCall(IAttributionHub.startUnbonding, ())), until == type(uint64).max
        );
    }

    function withdraw(uint256 who, uint256 time) external {
        address operator = _actor(who);
        vm.warp(block.timestamp + time % DELAY);
        (,, uint64 until) = hub.operatorOf(operator);
        uint256 balance = operator.balance;
        bool success = _call(operator, 0, abi.encodeCall(IAttributionHub.withdrawBond, ()));
        _expect(success, until != 0 && until <= block.timestamp);
        if (!success) return;
        eq(operator.balance, balance + bonds[operator]);
        bonds[operator] = 0;
    }

    function slash(uint256 who, uint256 amount) external {
        address operator = _actor(who);
        amount = _between(amount, 0, bonds[operator] + bonds[operator] / 8);
        (,, uint64 until) = hub.operatorOf(operator);
        bool success = _call(OWNER, 0, abi.encodeCall(IAttributionHub.slash, (operator, amount, STRANGER)));
        _expect(success, until != 0 && amount <= bonds[operator]);
        if (success) bonds[operator] -= amount;
    }

    function submit(uint256 who, uint256 which, uint256 model, uint256 excess) external {
        address operator = _actor(who);
        bytes memory batch =
            _address(which % 2 == 0 ? one : two, uint32(model % 2), operator, sequences[operator]);
        (,, IAttribution.Rates memory rates) = hub.modelOf(uint32(model % 2));
        uint256 total = precompile.settle(batch, rates).total;
        excess %= 1 ether;
        vm.deal(operator, total + excess);
        (,, uint64 until) = hub.operatorOf(operator);
        bool success = _call(operator, total + excess, abi.encodeCall(IAttributionHub.submitBatch, (batch)));
        _expect(success, until == type(uint64).max && !hub.paused());
        if (!success) return;
        eq(operator.balance, excess);
        uint256 number = uint256(uint160(operator)) << 64 | sequences[operator]++;
        _book(number, total, precompile.payoutsOf(batch, rates));
        paidIn += total;
    }

    function submitOutOfOrder(uint256 who, uint64 sequence) external {
        address operator = _actor(who);
        if (sequence == sequences[operator]) ++sequence;
        bytes memory batch = _address(one, MODEL, operator, sequence);
        vm.deal(operator, 1 ether);
        _expect(_call(operator, 1 ether, abi.encodeCall(IAttributionHub.submitBatch, (batch))), false);
    }

    function submitUnderfunded(uint256 who, uint256 given) external {
        address operator = _actor(who);
        bytes memory batch = _address(one, MODEL, operator, sequences[operator]);
        uint256 total = _totalOf(batch);
        if (total == 0) return;
        given %= total;
        vm.deal(operator, given);
        _expect(_call(operator, given, abi.encodeCall(IAttributionHub.submitBatch, (batch))), false);
    }

    // What payees do.

    function claim(uint256 which, uint256 position) external {
        if (books.length == 0) return;
        Book storage book = books[which % books.length];
        if (book.payees.length == 0) return;
        position %= book.payees.length;
        address to = hub.payeeOf(book.payees[position]);
        uint256 balance = to.balance;
        IAttributionHub.Claim memory claim_ = _claimOf(book.number, _listOf(book), position);
        bool success = _call(STRANGER, 0, abi.encodeCall(IAttributionHub.claim, (claim_)));
        _expect(success, _isPayable(book, position));
        if (!success) return;
        eq(to.balance, balance + book.amounts[position]);
        _pay(book, position);
    }

    /// @dev All claims of two lists that can be paid, and perhaps one that can't.
    function claimMany(uint256 a, uint256 b, uint256 spoiler) external {
        if (books.length == 0) return;
        (a, b) = (a % books.length, b % books.length);
        IAttributionHub.Claim[] memory claims =
            new IAttributionHub.Claim[](books[a].payees.length + books[b].payees.length);
        uint256 count = _addPayable(claims, 0, books[a]);
        if (a != b) count = _addPayable(claims, count, books[b]);
        bool spoilt = spoiler % 4 == 0 && count > 0 && count < claims.length;
        if (spoilt) claims[count] = claims[spoiler % count];
        uint256 length = spoilt ? count + 1 : count;
        assembly {
            mstore(claims, length)
        }
        uint256[] memory balances = _balances(claims);
        bool success = _call(STRANGER, 0, abi.encodeCall(IAttributionHub.claimMany, (claims)));
        _expect(success, !spoilt && !hub.paused());
        if (!success) return;
        _checkPayments(claims, balances);
        for (uint256 i; i < count; ++i) {
            _pay(books[claims[i].list == books[a].number ? a : b], claims[i].position);
        }
    }

    function merge(uint256 a, uint256 b) external {
        if (books.length == 0) return;
        (a, b) = (a % books.length, b % books.length);
        (uint256[] memory lists, bytes[] memory payouts) = (new uint256[](2), new bytes[](2));
        (lists[0], lists[1]) = (books[a].number, books[b].number);
        (payouts[0], payouts[1]) =
        (PayoutLists.encode(_listOf(books[a])), PayoutLists.encode(_listOf(books[b])));
        bool success = _call(STRANGER, 0, abi.encodeCall(IAttributionHub.mergePayouts, (lists, payouts)));
        _expect(success, a != b && !books[a].merged && !books[b].merged && !hub.paused());
        if (!success) return;
        Payouts.List[] memory parts = new Payouts.List[](2);
        (parts[0], parts[1]) = (_leftOf(books[a]), _leftOf(books[b]));
        uint256 total = books[a].total + books[b].total - books[a].claimed - books[b].claimed;
        (books[a].merged, books[b].merged) = (true, true);
        _book(merges++, total, PayoutLists.merge(parts));
    }

    // What owners do.

    function handOn(uint256 kind, uint32 number, uint256 to) external {
        address next = to % 5 == 0 ? miser : address(uint160(0x2000 + to % 5));
        uint256 payee;
        bytes memory data;
        if (kind % 3 == 0) {
            payee = Payees.ofModel(number %= 2);
            data = abi.encodeCall(IAttributionHub.transferModel, (number, next));
        } else if (kind % 3 == 1) {
            payee = Payees.ofAdapter(MODEL, number %= 16);
            data = abi.encodeCall(IAttributionHub.transferAdapter, (MODEL, number, next));
        } else {
            payee = Payees.ofSource(MODEL, 0, number %= 16);
            data = abi.encodeCall(IAttributionHub.transferSource, (MODEL, 0, number, next));
        }
        _expect(_call(STRANGER, 0, data), false);
        _expect(_call(hub.payeeOf(payee), 0, data), true);
        eq(hub.payeeOf(payee), next);
    }

    function nameSource(uint32 adapter, uint32 source, uint256 to) external {
        (adapter, source) = (adapter % 16, source % 32);
        address[] memory payees = new address[](1);
        payees[0] = address(uint160(0x2000 + to % 5));
        bool isFree = hub.payeeOf(Payees.ofSource(1, adapter, source)) == address(0);
        bytes memory data = abi.encodeCall(IAttributionHub.setSources, (1, adapter, source, payees));
        _expect(_call(ADAPTER_OWNER, 0, data), isFree);
    }

    function setRates(uint96 prompt, uint96 completion, uint16 modelShare) external {
        IAttribution.Rates memory rates = _someRates();
        (rates.prompt, rates.completion) = (prompt >> 24, completion >> 24);
        rates.modelShare = modelShare % 10_001;
        rates.adapterShare = (10_000 - rates.modelShare) / 3;
        rates.sourceShare = rates.adapterShare;
        rates.operatorShare = 10_000 - rates.modelShare - 2 * rates.adapterShare;
        address owner = hub.payeeOf(Payees.ofModel(MODEL));
        _expect(_call(owner, 0, abi.encodeCall(IAttributionHub.setRates, (MODEL, rates))), true);
    }

    /// @dev Pauses seldom and not for long, or little else would happen.
    function pause(uint256 seed) external {
        bool paused = hub.paused();
        if (!paused && seed % 4 != 0) return;
        bytes memory data =
            paused ? abi.encodeCall(IAttributionHub.unpause, ()) : abi.encodeCall(IAttributionHub.pause, ());
        _expect(_call(STRANGER, 0, data), false);
        _expect(_call(OWNER, 0, data), true);
    }

    // What the books say.

    function listCount() external view returns (uint256) {
        return books.length;
    }

    /// @notice The books' list and the hub's: what is left of it, and that nothing else was claimed.
    function check(uint256 index) external view returns (uint256 left) {
        Book storage book = books[index];
        (,, uint128 unclaimed, uint32 payouts, bool merged) = hub.listOf(book.number);
        require(merged == book.merged);
        eq(payouts, book.payees.length);
        uint256 sum;
        for (uint256 i; i < payouts; ++i) {
            require(hub.isClaimed(book.number, i) == book.paid[i]);
            if (!book.paid[i]) sum += book.amounts[i];
        }
        eq(sum, book.total - book.claimed);
        left = merged ? 0 : sum;
        eq(unclaimed, left);
    }

    function operatorCount() external pure returns (uint256) {
        return ACTORS;
    }

    /// @notice An operator of the hub's and of the books.
    function checkOperator(uint256 index) external view returns (uint256 bond) {
        uint64 sequence;
        (bond, sequence,) = hub.operatorOf(_actor(index));
        eq(bond, bonds[_actor(index)]);
        eq(sequence, sequences[_actor(index)]);
    }

    /// @notice Lets everybody be paid who was not, by naming payees and handing on.
    function payEverybody() external {
        if (hub.paused()) _expect(_call(OWNER, 0, abi.encodeCall(IAttributionHub.unpause, ())), true);
        vm.etch(miser, hex"00");
        for (uint256 i; i < books.length; ++i) {
            if (books[i].merged) continue;
            for (uint256 j; j < books[i].payees.length; ++j) {
                if (books[i].paid[j]) continue;
                _nameIfNobody(books[i].payees[j]);
                IAttributionHub.Claim memory claim_ = _claimOf(books[i].number, _listOf(books[i]), j);
                hub.claim(claim_);
                _pay(books[i], j);
            }
        }
    }

    function _nameIfNobody(uint256 payee) private {
        if (hub.payeeOf(payee) != address(0)) return;
        address[] memory payees = new address[](1);
        payees[0] = SOURCE_PAYEE;
        vm.prank(hub.payeeOf(Payees.ofAdapter(uint32(payee >> 64), uint32(payee >> 32))));
        hub.setSources(uint32(payee >> 64), uint32(payee >> 32), uint32(payee), payees);
    }

    function _balances(IAttributionHub.Claim[] memory claims)
        private
        view
        returns (uint256[] memory balances)
    {
        balances = new uint256[](claims.length);
        for (uint256 i; i < claims.length; ++i) {
            balances[i] = hub.payeeOf(claims[i].payee).balance;
        }
    }

    /// @dev Each has what it had and what all its claims add up to.
    function _checkPayments(IAttributionHub.Claim[] memory claims, uint256[] memory balances) private {
        for (uint256 i; i < claims.length; ++i) {
            due[hub.payeeOf(claims[i].payee)] += claims[i].amount;
        }
        for (uint256 i; i < claims.length; ++i) {
            address to = hub.payeeOf(claims[i].payee);
            eq(to.balance, balances[i] + due[to]);
        }
        for (uint256 i; i < claims.length; ++i) {
            due[hub.payeeOf(claims[i].payee)] = 0;
        }
    }

    function _addPayable(IAttributionHub.Claim[] memory claims, uint256 count, Book storage book)
        private
        view
        returns (uint256)
    {
        Payouts.List memory list = _listOf(book);
        for (uint256 i; i < list.payees.length; ++i) {
            if (_isPayableInOpenHub(book, i)) claims[count++] = _claimOf(book.number, list, i);
        }
        return count;
    }

    function _isPayable(Book storage book, uint256 position) private view returns (bool) {
        return !hub.paused() && _isPayableInOpenHub(book, position);
    }

    function _isPayableInOpenHub(Book storage book, uint256 position) private view returns (bool) {
        address to = hub.payeeOf(book.payees[position]);
        return !book.merged && !book.paid[position] && to != address(0) && to != miser;
    }

    function _pay(Book storage book, uint256 position) private {
        book.paid[position] = true;
        book.claimed += book.amounts[position];
        paidOut += book.amounts[position];
    }

    function _book(uint256 number, uint256 total, Payouts.List memory list) private {
        Book storage book = books.push();
        (book.number, book.total) = (number, total);
        (book.payees, book.amounts) = (list.payees, list.amounts);
        book.paid = new bool[](list.payees.length);
    }

    function _listOf(Book storage book) private view returns (Payouts.List memory) {
        return Payouts.List(book.payees, book.amounts);
    }

    function _leftOf(Book storage book) private view returns (Payouts.List memory list) {
        uint256 length = book.payees.length;
        list = Payouts.List(new uint256[](length), new uint256[](length));
        uint256 count;
        for (uint256 i; i < length; ++i) {
            if (book.paid[i]) continue;
            (list.payees[count], list.amounts[count]) = (book.payees[i], book.amounts[i]);
            ++count;
        }
        Payouts.cut(list, count);
    }

    function _actor(uint256 index) private pure returns (address) {
        return address(uint160(OPERATOR) + uint160(index % ACTORS << 16));
    }

    function _call(address from, uint256 value, bytes memory data) private returns (bool success) {
        vm.prank(from);
        (success,) = address(hub).call{ value: value }(data);
    }

    function _expect(bool success, bool expected) private pure {
        require(success == expected, success ? "should have been refused" : "should have been done");
    }

    function _between(uint256 value, uint256 least, uint256 most) private pure returns (uint256) {
        return least + value % (most - least + 1);
    }
}
