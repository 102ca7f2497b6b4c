// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { OwnableUpgradeable } from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import { PausableUpgradeable } from "@openzeppelin/contracts-upgradeable/security/PausableUpgradeable.sol";
import {
    ReentrancyGuardUpgradeable
} from "@openzeppelin/contracts-upgradeable/security/ReentrancyGuardUpgradeable.sol";
import {
    MerkleProofUpgradeable
} from "@openzeppelin/contracts-upgradeable/utils/cryptography/MerkleProofUpgradeable.sol";
import { BitMapsUpgradeable } from "@openzeppelin/contracts-upgradeable/utils/structs/BitMapsUpgradeable.sol";

import { Predeploys } from "../Predeploys.sol";
import { AttributionOperators } from "./AttributionOperators.sol";
import { AttributionRegistry } from "./AttributionRegistry.sol";
import { IAttribution } from "./IAttribution.sol";
import { IAttributionHub } from "./IAttributionHub.sol";
import { Payment } from "./Payment.sol";

/// @title AttributionHub
/// @notice Settles batches of records and pays out what they owe. What a batch says is the precompile's part; money,
///         permission and storage are here.
/// @dev A pause stops batches, claims and merges. Registries and bonds stay as usable as ever: a payee that cannot be
///      paid can be handed on, an operator can leave, and the owner can slash one.
/// @custom:predeploy 0x4200000000000000000000000000000000000a77
contract AttributionHub is
    OwnableUpgradeable,
    PausableUpgradeable,
    ReentrancyGuardUpgradeable,
    AttributionRegistry,
    AttributionOperators
{
    using BitMapsUpgradeable for BitMapsUpgradeable.BitMap;

    enum State {
        Unknown,
        Open,
        Merged
    }

    /// @dev A payout list, of a batch or merged: three slots.
    /// @param recordRoot Of a batch; zero of a merged list.
    /// @param unclaimed What claims can take yet, in wei, so that no list pays with the money of another.
    struct List {
        bytes32 payoutRoot;
        bytes32 recordRoot;
        uint128 unclaimed;
        uint32 payouts;
        State state;
    }

    string public constant version = "1.0.0";

    uint256 private constant HEADER_BYTES = 109;
    uint256 private constant FORMAT_VERSION = 1;

    /// @dev Slot 301.
    mapping(uint256 => List) private _lists;
    /// @dev Slot 302: by list, the positions that are claimed.
    mapping(uint256 => BitMapsUpgradeable.BitMap) private _claimed;
    /// @notice How many lists were made by merging. Slot 303.
    uint64 public mergedLists;

    constructor() {
        _disableInitializers();
    }

    function initialize(address owner_, uint256 minimumBond_, uint256 unbondingDelay_) external initializer {
        if (owner_ == address(0)) revert ZeroAddress();
        __Pausable_init();
        __ReentrancyGuard_init();
        _transferOwnership(owner_);
        _setBondTerms(minimumBond_, unbondingDelay_);
    }

    function pause() external onlyOwner {
        _pause();
    }

    function unpause() external onlyOwner {
        _unpause();
    }

    /// @dev Not guarded against reentrance, which would cost as much as a storage slot: the precompile calls nobody,
    ///      and what is too much goes back when everything is written, so a batch within that is one after this.
    function submitBatch(bytes calldata batch) external payable whenNotPaused returns (uint256 list) {
        (uint32 model, uint64 sequence) = _readHeader(batch);
        _takeSequence(sequence);
        (IAttribution.Rates memory rates, uint32 adapters) = _ratesOf(model);
        // Its reverts go on to the caller as they are.
        IAttribution.Settlement memory settled = IAttribution(Predeploys.ATTRIBUTION).settle(batch, rates);
        if (settled.adapters > adapters) revert UnknownAdapter(model, settled.adapters - 1);
        if (settled.total > msg.value) revert Underfunded(settled.total, msg.value);

        list = uint256(uint160(msg.sender)) << 64 | sequence;
        _lists[list] =
            List(settled.payoutRoot, settled.recordRoot, settled.total, settled.payouts, State.Open);
        _emitBatchSettled(list, settled, rates);
        if (settled.total < msg.value) Payment.send(msg.sender, msg.value - settled.total);
    }

    function claim(Claim calldata claim_) external whenNotPaused nonReentrant {
        Payment.send(_take(claim_), claim_.amount);
    }

    /// @dev All is written before anybody is paid.
    function claimMany(Claim[] calldata claims) external whenNotPaused nonReentrant {
        address[] memory payees = new address[](claims.length);
        uint256[] memory amounts = new uint256[](claims.length);
        uint256 payments;
        for (uint256 i; i < claims.length; ++i) {
            address to = _take(claims[i]);
            if (payments == 0 || payees[payments - 1] != to) payees[payments++] = to;
            amounts[payments - 1] += claims[i].amount;
        }
        for (uint256 i; i < payments; ++i) {
            Payment.send(payees[i], amounts[i]);
        }
    }

    function mergePayouts(uint256[] calldata lists, bytes[] calldata payouts)
        external
        whenNotPaused
        nonReentrant
        returns (uint256 list)
    {
        if (lists.length < 2) revert NothingToMerge();
        if (lists.length != payouts.length) revert WrongListCount(lists.length, payouts.length);
        (uint256[][] memory claimed, uint256 unclaimed) = _closeLists(lists);
        IAttribution.Merged memory merged = IAttribution(Predeploys.ATTRIBUTION).merge(payouts, claimed);
        for (uint256 i; i < lists.length; ++i) {
            if (merged.roots[i] != _lists[lists[i]].payoutRoot) revert WrongPayouts(lists[i]);
        }
        if (merged.total != unclaimed) revert Unbalanced(unclaimed, merged.total);

        list = mergedLists++;
        _lists[list] = List(merged.payoutRoot, 0, merged.total, merged.payouts, State.Open);
        emit PayoutsMerged(list, lists, merged.payouts, merged.total, merged.payoutRoot);
    }

    function isClaimed(uint256 list, uint256 position) external view returns (bool) {
        return _claimed[list].get(position);
    }

    function listOf(uint256 list)
        external
        view
        returns (bytes32 payoutRoot, bytes32 recordRoot, uint128 unclaimed, uint32 payouts, bool merged)
    {
        List storage stored = _lists[list];
        if (stored.state == State.Unknown) revert UnknownList(list);
        return (
            stored.payoutRoot,
            stored.recordRoot,
            stored.unclaimed,
            stored.payouts,
            stored.state == State.Merged
        );
    }

    /// @dev Marks a payout as claimed and says to whom it goes.
    function _take(Claim calldata claim_) private returns (address to) {
        List storage list = _openList(claim_.list);
        BitMapsUpgradeable.BitMap storage claimed = _claimed[claim_.list];
        if (claimed.get(claim_.position)) revert AlreadyClaimed(claim_.list, claim_.position);
        bytes32 leaf = keccak256(abi.encode(claim_.position, claim_.payee, claim_.amount));
        if (!MerkleProofUpgradeable.verifyCalldata(claim_.proof, list.payoutRoot, leaf)) {
            revert InvalidProof();
        }
        to = payeeOf(claim_.payee);
        if (to == address(0)) revert UnknownPayee(claim_.payee);
        claimed.set(claim_.position);
        list.unclaimed = uint128(uint256(list.unclaimed) - claim_.amount);
        emit Claimed(claim_.list, claim_.position, claim_.payee, to, claim_.amount);
    }

    /// @dev Ends lists that are to be merged; returns what is claimed of each, and what is left of all.
    function _closeLists(uint256[] calldata lists)
        private
        returns (uint256[][] memory claimed, uint256 unclaimed)
    {
        claimed = new uint256[][](lists.length);
        for (uint256 i; i < lists.length; ++i) {
            List storage list = _openList(lists[i]);
            unclaimed += list.unclaimed;
            uint256[] memory words = new uint256[]((uint256(list.payouts) + 255) / 256);
            for (uint256 word; word < words.length; ++word) {
                words[word] = _claimed[lists[i]]._data[word];
            }
            claimed[i] = words;
            (list.unclaimed, list.state) = (0, State.Merged);
        }
    }

    function _openList(uint256 number) private view returns (List storage list) {
        list = _lists[number];
        State state = list.state;
        if (state == State.Unknown) revert UnknownList(number);
        if (state == State.Merged) revert ListMerged(number);
    }

    /// @dev Reads of a batch what has to be known before the precompile reads all of it, and refuses cheaply what is
    ///      not for the caller to submit here.
    function _readHeader(bytes calldata batch) private view returns (uint32 model, uint64 sequence) {
        if (batch.length < HEADER_BYTES) revert IAttribution.BatchTooShort(batch.length);
        uint8 format = uint8(batch[0]);
        if (format != FORMAT_VERSION) revert IAttribution.UnknownVersion(format);
        uint256 chainId = uint64(bytes8(batch[1:]));
        if (chainId != block.chainid) revert WrongChain(chainId);
        address hub = address(bytes20(batch[9:]));
        if (hub != address(this)) revert WrongHub(hub);
        model = uint32(bytes4(batch[29:]));
        address operator = address(bytes20(batch[33:]));
        if (operator != msg.sender) revert NotOperator(msg.sender);
        sequence = uint64(bytes8(batch[53:]));
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
