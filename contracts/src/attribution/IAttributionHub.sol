// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "./IAttribution.sol";

/// @title IAttributionHub
/// @notice Registries of models, adapters, sources and operators; batches of records settled against them; payouts
///         claimed by those they go to.
interface IAttributionHub {
    /// @notice A payout to claim.
    /// @param list The payout list's number. That of a batch's list is its operator, times 2^64, and its sequence
    ///        number; merged lists count from 0, as if an operator of address zero had made them.
    struct Claim {
        uint256 list;
        uint256 position;
        uint256 payee;
        uint256 amount;
        bytes32[] proof;
    }

    event ModelRegistered(uint32 indexed model, address indexed owner);
    event RatesSet(uint32 indexed model, IAttribution.Rates rates);
    event ModelTransferred(uint32 indexed model, address indexed from, address indexed to);
    event AdapterRegistered(
        uint32 indexed model,
        uint32 indexed adapter,
        address indexed owner,
        bytes32 generation,
        bytes32 corpusRoot
    );
    event AdapterUpdated(
        uint32 indexed model, uint32 indexed adapter, bytes32 generation, bytes32 corpusRoot
    );
    event AdapterTransferred(uint32 indexed model, uint32 indexed adapter, address indexed from, address to);
    event SourceSet(uint32 indexed model, uint32 indexed adapter, uint32 indexed source, address payee);
    event OperatorRegistered(address indexed operator, uint256 bond);
    event BondChanged(address indexed operator, uint256 bond);
    event UnbondingStarted(address indexed operator, uint256 until);
    event BondSlashed(address indexed operator, uint256 amount, address indexed to);
    event BondTermsSet(uint256 minimumBond, uint256 unbondingDelay);
    /// @param rates The model's when the batch came: with the batch, all that its fees and payouts follow from.
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
    event PayoutsMerged(
        uint256 indexed list, uint256[] lists, uint32 payouts, uint128 total, bytes32 payoutRoot
    );
    event Claimed(
        uint256 indexed list, uint256 position, uint256 indexed payee, address indexed to, uint256 amount
    );

    error ZeroAddress();
    /// @notice The caller doesn't own what the call is about, or it isn't registered.
    error NotOwner();
    error SourceTaken(uint32 source);
    error AlreadyRegistered(address operator);
    error BondTooSmall(uint256 needed, uint256 found);
    error BondLocked(uint256 until);
    error DelayTooLong(uint256 delay);
    /// @notice No registered operator; of a batch: not the operator that it names.
    error NotOperator(address account);
    error OperatorUnbonding(address operator);
    error WrongChain(uint256 chainId);
    error WrongHub(address hub);
    error WrongSequence(uint64 expected, uint64 given);
    error UnknownModel(uint32 model);
    error UnknownAdapter(uint32 model, uint64 adapter);
    /// @notice Adapters have a generation and a corpus root each, and there is one at least.
    error WrongAdapterCount(uint256 generations, uint256 corpusRoots);
    error Underfunded(uint256 total, uint256 given);
    error UnknownList(uint256 list);
    error ListMerged(uint256 list);
    error AlreadyClaimed(uint256 list, uint256 position);
    error InvalidProof();
    /// @notice Nobody owns the payee yet; its payout waits.
    error UnknownPayee(uint256 payee);
    /// @notice The address refuses the money; what it would have got stays where it is.
    error PaymentFailed(address to);
    /// @notice It takes two lists to merge.
    error NothingToMerge();
    error WrongListCount(uint256 lists, uint256 payouts);
    /// @notice What is given for a list is not what its root stands for.
    error WrongPayouts(uint256 list);
    /// @notice A merged list that doesn't add up to what its parts have left.
    error Unbalanced(uint256 expected, uint256 total);

    /// @notice The version, by semantic versioning.
    function version() external view returns (string memory);

    function registerModel(IAttribution.Rates calldata rates) external returns (uint32 model);
    function setRates(uint32 model, IAttribution.Rates calldata rates) external;
    function transferModel(uint32 model, address to) external;
    /// @notice Only the model's owner registers adapters of it, for `owner`.
    function registerAdapter(uint32 model, address owner, bytes32 generation, bytes32 corpusRoot)
        external
        returns (uint32 adapter);
    /// @notice Registers several, as `registerAdapter` does each; numbered from `first` on.
    function registerAdapters(
        uint32 model,
        address owner,
        bytes32[] calldata generations,
        bytes32[] calldata corpusRoots
    ) external returns (uint32 first);
    function updateAdapter(uint32 model, uint32 adapter, bytes32 generation, bytes32 corpusRoot) external;
    function transferAdapter(uint32 model, uint32 adapter, address to) external;
    /// @notice The adapter's owner names the payees of sources that have none; from `first` on.
    function setSources(uint32 model, uint32 adapter, uint32 first, address[] calldata payees) external;
    /// @notice A source's payee hands it on.
    function transferSource(uint32 model, uint32 adapter, uint32 source, address to) external;

    function modelCount() external view returns (uint32);
    function modelOf(uint32 model)
        external
        view
        returns (address modelOwner, uint32 adapters, IAttribution.Rates memory rates);
    /// @notice An adapter; zeros if there is none.
    function adapterOf(uint32 model, uint32 adapter)
        external
        view
        returns (address adapterOwner, bytes32 generation, bytes32 corpusRoot);

    /// @notice Operators vouch with a bond. One who left may come back; its sequence number goes on.
    function registerOperator() external payable;
    function addBond() external payable;
    function startUnbonding() external;
    function withdrawBond() external;
    /// @notice The hub's owner takes of an operator's bond, also while it is leaving.
    function slash(address operator, uint256 amount, address to) external;
    /// @notice The hub's owner sets what registering and leaving take from now on.
    function setBondTerms(uint256 minimum, uint256 delay) external;
    function minimumBond() external view returns (uint256);
    function unbondingDelay() external view returns (uint256);
    /// @param until When the bond may be withdrawn: 0 if the operator isn't registered, 2^64 - 1 if it isn't leaving.
    function operatorOf(address operator) external view returns (uint128 bond, uint64 sequence, uint64 until);

    /// @notice Stops batches, claims and merges; for the hub's owner.
    function pause() external;
    function unpause() external;

    /// @notice Settles a batch. The caller is its operator and pays its fees; what is more comes back.
    function submitBatch(bytes calldata batch) external payable returns (uint256 list);
    /// @notice Pays out to the payee, whoever calls.
    function claim(Claim calldata claim_) external;
    /// @notice Claims of any lists at once; neighbours that go to one address are one payment. All or nothing.
    function claimMany(Claim[] calldata claims) external;
    /// @notice Makes one list of several, without what is claimed of them. Anyone may.
    /// @param payouts The lists themselves, as `IAttribution.merge` takes them.
    function mergePayouts(uint256[] calldata lists, bytes[] calldata payouts) external returns (uint256 list);

    /// @notice Who a payee is now; zero if nobody yet.
    function payeeOf(uint256 payee) external view returns (address);
    /// @notice Whether a payout was claimed of this very list; merging leaves that as it was.
    function isClaimed(uint256 list, uint256 position) external view returns (bool);
    function mergedLists() external view returns (uint64);
    /// @param recordRoot Zero of a merged list.
    /// @param merged Whether the list went into another one, so that nothing can be claimed of it any more.
    function listOf(uint256 list)
        external
        view
        returns (bytes32 payoutRoot, bytes32 recordRoot, uint128 unclaimed, uint32 payouts, bool merged);
}
