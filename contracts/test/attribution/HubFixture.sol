// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Proxy } from "@bedrock/universal/Proxy.sol";
import { Predeploys } from "../../src/Predeploys.sol";
import { AttributionHub } from "../../src/attribution/AttributionHub.sol";
import { IAttribution } from "../../src/attribution/IAttribution.sol";
import { IAttributionHub } from "../../src/attribution/IAttributionHub.sol";
import { AttributionModel } from "./model/AttributionModel.sol";
import { PayoutLists } from "./model/PayoutLists.sol";
import { Payouts } from "./model/Payouts.sol";
import { Trees } from "./model/Trees.sol";
import { Vectors } from "./Vectors.sol";

/// @notice The hub at its address behind a proxy, the model at the precompile's, and one AI model with adapters.
///         Columns come from the vectors; headers are written around them.
abstract contract HubFixture is Vectors {
    AttributionHub internal hub = AttributionHub(Predeploys.ATTRIBUTION_HUB);
    AttributionModel internal precompile = AttributionModel(Predeploys.ATTRIBUTION);

    address internal constant PROXY_ADMIN = address(0x10ad);
    address internal constant OWNER = address(0x100a);
    address internal constant MODEL_OWNER = address(0x1010);
    address internal constant ADAPTER_OWNER = address(0x1011);
    address internal constant SOURCE_PAYEE = address(0x1012);
    address internal constant OPERATOR = address(0x1013);
    address internal constant STRANGER = address(0x1014);

    uint256 internal constant MINIMUM_BOND = 1 ether;
    uint256 internal constant DELAY = 7 days;
    bytes4 internal constant PANIC = 0x4e487b71;

    uint32 internal constant MODEL = 0;
    uint256 internal constant ADAPTERS = 40;

    /// @dev Batches of the vectors with one record, two records and a hundred.
    bytes internal one;
    bytes internal two;
    bytes internal hundred;

    function setUp() public virtual {
        string memory json = _vectors();
        (one, two) = (_batch(json, ".valid[1]"), _batch(json, ".valid[2]"));
        hundred = _batch(json, ".valid[0]");
        vm.etch(address(precompile), address(new AttributionModel()).code);
        vm.etch(address(hub), address(new Proxy(PROXY_ADMIN)).code);
        vm.store(address(hub), ADMIN_SLOT, bytes32(uint256(uint160(PROXY_ADMIN))));
        bytes memory initialize = abi.encodeCall(AttributionHub.initialize, (OWNER, MINIMUM_BOND, DELAY));
        address implementation = address(new AttributionHub());
        vm.prank(PROXY_ADMIN);
        Proxy(payable(address(hub))).upgradeToAndCall(implementation, initialize);

        vm.prank(MODEL_OWNER);
        hub.registerModel(_someRates());
        _registerAdapters(ADAPTERS);
        _registerOperator(OPERATOR, MINIMUM_BOND);
    }

    function _someRates() internal pure returns (IAttribution.Rates memory) {
        return IAttribution.Rates({
            prompt: 150_000_000_000_000,
            completion: 600_000_000_000_007,
            record: 1_000_000_001,
            modelShare: 3000,
            adapterShare: 1500,
            sourceShare: 5001,
            operatorShare: 499
        });
    }

    function _registerAdapters(uint256 count) internal {
        address[] memory payees = new address[](64);
        for (uint256 i; i < payees.length; ++i) {
            payees[i] = SOURCE_PAYEE;
        }
        for (uint256 i; i < count; ++i) {
            vm.prank(MODEL_OWNER);
            uint32 adapter =
                hub.registerAdapter(MODEL, ADAPTER_OWNER, keccak256("weights"), keccak256("corpus"));
            vm.prank(ADAPTER_OWNER);
            hub.setSources(MODEL, adapter, 0, payees);
        }
    }

    function _registerOperator(address operator, uint256 bond) internal {
        vm.deal(operator, operator.balance + bond);
        vm.prank(operator);
        hub.registerOperator{ value: bond }();
    }

    /// @dev The records of a batch under another header.
    function _address(bytes memory batch, uint32 model, address operator, uint64 sequence)
        internal
        view
        returns (bytes memory)
    {
        bytes memory header = abi.encodePacked(
            bytes1(0x01),
            uint64(block.chainid),
            address(hub),
            model,
            operator,
            sequence,
            uint64(1_790_000_000)
        );
        return _overwrite(batch, 0, header);
    }

    function _overwrite(bytes memory data, uint256 at, bytes memory part)
        internal
        pure
        returns (bytes memory)
    {
        for (uint256 i; i < part.length; ++i) {
            data[at + i] = part[i];
        }
        return data;
    }

    /// @dev A batch of the operator's that is next.
    function _next(bytes memory batch, address operator) internal view returns (bytes memory) {
        (, uint64 sequence,) = hub.operatorOf(operator);
        return _address(batch, MODEL, operator, sequence);
    }

    function _totalOf(bytes memory batch) internal view returns (uint256) {
        (,, IAttribution.Rates memory rates) = hub.modelOf(MODEL);
        return precompile.settle(batch, rates).total;
    }

    function _payoutsOf(bytes memory batch) internal view returns (Payouts.List memory) {
        (,, IAttribution.Rates memory rates) = hub.modelOf(MODEL);
        return precompile.payoutsOf(batch, rates);
    }

    function _submit(bytes memory batch, address operator) internal returns (uint256 list) {
        uint256 total = _totalOf(batch);
        vm.deal(operator, operator.balance + total);
        vm.prank(operator);
        return hub.submitBatch{ value: total }(batch);
    }

    /// @dev Submits the operator's next batch of these records.
    function _settle(bytes memory batch) internal returns (uint256 list, Payouts.List memory payouts) {
        batch = _next(batch, OPERATOR);
        payouts = _payoutsOf(batch);
        list = _submit(batch, OPERATOR);
    }

    function _claimOf(uint256 list, Payouts.List memory payouts, uint256 position)
        internal
        pure
        returns (IAttributionHub.Claim memory)
    {
        return IAttributionHub.Claim({
            list: list,
            position: position,
            payee: payouts.payees[position],
            amount: payouts.amounts[position],
            proof: Trees.proof(Trees.payoutLeaves(payouts.payees, payouts.amounts), position)
        });
    }

    function _claimsOf(uint256 list, Payouts.List memory payouts)
        internal
        pure
        returns (IAttributionHub.Claim[] memory claims)
    {
        bytes32[] memory leaves = Trees.payoutLeaves(payouts.payees, payouts.amounts);
        claims = new IAttributionHub.Claim[](payouts.payees.length);
        for (uint256 i; i < claims.length; ++i) {
            claims[i] = IAttributionHub.Claim(
                list, i, payouts.payees[i], payouts.amounts[i], Trees.proof(leaves, i)
            );
        }
    }

    function _merge(uint256 a, Payouts.List memory payoutsOfA, uint256 b, Payouts.List memory payoutsOfB)
        internal
        returns (uint256 list)
    {
        (uint256[] memory lists, bytes[] memory payouts) = (new uint256[](2), new bytes[](2));
        (lists[0], lists[1]) = (a, b);
        (payouts[0], payouts[1]) = (PayoutLists.encode(payoutsOfA), PayoutLists.encode(payoutsOfB));
        return hub.mergePayouts(lists, payouts);
    }

    /// @dev Makes the precompile one that says this, whatever it is asked: code that returns what is behind it.
    function _answer(bytes memory answer) internal {
        vm.etch(address(precompile), bytes.concat(hex"600d380380600d6000396000f3", answer));
    }

    function _unclaimed(uint256 list) internal view returns (uint256 unclaimed) {
        (,, unclaimed,,) = hub.listOf(list);
    }

    function _error(bytes4 selector, uint256 argument) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, argument);
    }

    function _error(bytes4 selector, address argument) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, argument);
    }

    function _error(bytes4 selector, uint256 a, uint256 b) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, a, b);
    }
}
