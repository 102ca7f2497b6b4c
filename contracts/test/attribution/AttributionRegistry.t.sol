// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "../../src/attribution/IAttribution.sol";
import { IAttributionHub } from "../../src/attribution/IAttributionHub.sol";
import { Payees } from "../../src/attribution/Payees.sol";
import { HubFixture } from "./HubFixture.sol";

contract AttributionRegistryTest is HubFixture {
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

    function testAnyoneRegistersModels(address anyone, IAttribution.Rates memory rates) public {
        vm.assume(anyone != PROXY_ADMIN && anyone != address(0));
        _addUp(rates);
        vm.expectEmit();
        emit ModelRegistered(1, anyone);
        vm.expectEmit();
        emit RatesSet(1, rates);
        vm.prank(anyone);
        eq(hub.registerModel(rates), 1);
        eq(hub.modelCount(), 2);
        (address owner, uint32 adapters, IAttribution.Rates memory stored) = hub.modelOf(1);
        eq(owner, anyone);
        eq(adapters, 0);
        eq(keccak256(abi.encode(stored)), keccak256(abi.encode(rates)));
        eq(hub.payeeOf(Payees.ofModel(1)), anyone);
    }

    function testSharesAddUp(IAttribution.Rates memory rates) public {
        uint256 sum = uint256(rates.modelShare) + rates.adapterShare + rates.sourceShare + rates.operatorShare;
        vm.assume(sum != 10_000);
        vm.expectRevert(_error(IAttribution.WrongShareSum.selector, sum));
        hub.registerModel(rates);
        vm.prank(MODEL_OWNER);
        vm.expectRevert(_error(IAttribution.WrongShareSum.selector, sum));
        hub.setRates(MODEL, rates);
    }

    function testTheOwnerSetsRates(IAttribution.Rates memory rates) public {
        _addUp(rates);
        vm.expectEmit();
        emit RatesSet(MODEL, rates);
        vm.prank(MODEL_OWNER);
        hub.setRates(MODEL, rates);
        (, uint32 adapters, IAttribution.Rates memory stored) = hub.modelOf(MODEL);
        eq(adapters, ADAPTERS);
        eq(keccak256(abi.encode(stored)), keccak256(abi.encode(rates)));
    }

    function testModelsAreHandedOn() public {
        vm.expectEmit();
        emit ModelTransferred(MODEL, MODEL_OWNER, STRANGER);
        vm.prank(MODEL_OWNER);
        hub.transferModel(MODEL, STRANGER);
        eq(hub.payeeOf(Payees.ofModel(MODEL)), STRANGER);
        vm.prank(MODEL_OWNER);
        vm.expectRevert(IAttributionHub.NotOwner.selector);
        hub.transferModel(MODEL, MODEL_OWNER);
        vm.prank(STRANGER);
        hub.setRates(MODEL, _someRates());
    }

    function testOnlyTheModelsOwner(address stranger, uint32 model) public {
        vm.assume(stranger != MODEL_OWNER && stranger != PROXY_ADMIN && stranger != address(0));
        IAttribution.Rates memory rates = _someRates();
        vm.prank(stranger);
        vm.expectRevert(IAttributionHub.NotOwner.selector);
        hub.setRates(model, rates);
        vm.prank(stranger);
        vm.expectRevert(IAttributionHub.NotOwner.selector);
        hub.transferModel(model, stranger);
        vm.prank(stranger);
        vm.expectRevert(IAttributionHub.NotOwner.selector);
        hub.registerAdapter(model, stranger, 0, 0);
        vm.prank(stranger);
        vm.expectRevert(IAttributionHub.NotOwner.selector);
        hub.registerAdapters(model, stranger, new bytes32[](1), new bytes32[](1));
    }

    function testAdaptersCountWithinTheirModel() public {
        hub.registerModel(_someRates());
        eq(hub.registerAdapter(1, STRANGER, 0, 0), 0);
        vm.expectEmit();
        emit AdapterRegistered(MODEL, uint32(ADAPTERS), STRANGER, bytes32("weights"), bytes32("corpus"));
        vm.prank(MODEL_OWNER);
        eq(hub.registerAdapter(MODEL, STRANGER, "weights", "corpus"), ADAPTERS);
        (address owner, bytes32 generation, bytes32 corpusRoot) = hub.adapterOf(MODEL, uint32(ADAPTERS));
        eq(owner, STRANGER);
        eq(generation, "weights");
        eq(corpusRoot, "corpus");
        (, uint32 adapters,) = hub.modelOf(MODEL);
        eq(adapters, ADAPTERS + 1);
    }

    function testSeveralAdaptersAtOnce() public {
        (bytes32[] memory generations, bytes32[] memory corpusRoots) = (new bytes32[](3), new bytes32[](3));
        for (uint256 i; i < 3; ++i) {
            (generations[i], corpusRoots[i]) = (bytes32(i + 1), bytes32(i + 11));
            vm.expectEmit();
            emit AdapterRegistered(MODEL, uint32(ADAPTERS + i), STRANGER, generations[i], corpusRoots[i]);
        }
        vm.prank(MODEL_OWNER);
        eq(hub.registerAdapters(MODEL, STRANGER, generations, corpusRoots), ADAPTERS);
        (, uint32 adapters,) = hub.modelOf(MODEL);
        eq(adapters, ADAPTERS + 3);
        for (uint256 i; i < 3; ++i) {
            (address owner, bytes32 generation, bytes32 corpusRoot) =
                hub.adapterOf(MODEL, uint32(ADAPTERS + i));
            eq(owner, STRANGER);
            eq(generation, generations[i]);
            eq(corpusRoot, corpusRoots[i]);
        }
        hub.registerModel(_someRates());
        eq(hub.registerAdapters(1, STRANGER, generations, corpusRoots), 0);
    }

    /// @dev What registering them one by one does: the same events and the same storage, each slot written once.
    function testSeveralAdaptersAreAsOneByOne(address owner, uint256 count, bytes32 seed) public {
        vm.assume(owner != address(0));
        count = 1 + count % 20;
        bytes32[] memory generations = new bytes32[](count);
        bytes32[] memory corpusRoots = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            generations[i] = keccak256(abi.encode(seed, i));
            corpusRoots[i] = keccak256(abi.encode(i, seed));
        }
        uint256 snapshot = vm.snapshotState();
        vm.recordLogs();
        for (uint256 i; i < count; ++i) {
            vm.prank(MODEL_OWNER);
            eq(hub.registerAdapter(MODEL, owner, generations[i], corpusRoots[i]), ADAPTERS + i);
        }
        bytes32 events = keccak256(abi.encode(vm.getRecordedLogs()));
        bytes32 stored = _storageOf(count);
        require(vm.revertToState(snapshot));
        require(_storageOf(count) != stored);

        vm.recordLogs();
        vm.record();
        vm.prank(MODEL_OWNER);
        eq(hub.registerAdapters(MODEL, owner, generations, corpusRoots), ADAPTERS);
        (, bytes32[] memory writes) = vm.accesses(address(hub));
        eq(writes.length, 3 * count + 1);
        eq(keccak256(abi.encode(vm.getRecordedLogs())), events);
        eq(_storageOf(count), stored);
    }

    function testSeveralAdaptersAreOneAtLeastAndWhole() public {
        for (uint256 i; i < 9; ++i) {
            (uint256 generations, uint256 corpusRoots) = (i / 3, i % 3);
            if (generations == corpusRoots && generations > 0) continue;
            vm.prank(MODEL_OWNER);
            vm.expectRevert(_error(IAttributionHub.WrongAdapterCount.selector, generations, corpusRoots));
            hub.registerAdapters(MODEL, STRANGER, new bytes32[](generations), new bytes32[](corpusRoots));
        }
        (, uint32 adapters,) = hub.modelOf(MODEL);
        eq(adapters, ADAPTERS);
    }

    /// @dev The number of a model's adapters has 32 bits.
    function testAdaptersEndWithTheirNumbers() public {
        bytes32 at = bytes32(uint256(keccak256(abi.encode(MODEL, 202))) + 1);
        uint256 record = uint96(uint256(vm.load(address(hub), at)));
        vm.store(address(hub), at, bytes32(uint256(type(uint32).max - 1) << 96 | record));
        vm.prank(MODEL_OWNER);
        vm.expectRevert(_error(PANIC, 0x11));
        hub.registerAdapters(MODEL, STRANGER, new bytes32[](2), new bytes32[](2));
        vm.prank(MODEL_OWNER);
        eq(hub.registerAdapters(MODEL, STRANGER, new bytes32[](1), new bytes32[](1)), type(uint32).max - 1);
        vm.prank(MODEL_OWNER);
        vm.expectRevert(_error(PANIC, 0x11));
        hub.registerAdapter(MODEL, STRANGER, 0, 0);
        (,, IAttribution.Rates memory rates) = hub.modelOf(MODEL);
        eq(keccak256(abi.encode(rates)), keccak256(abi.encode(_someRates())));
    }

    function testAdaptersAreUpdatedAndHandedOn() public {
        vm.expectEmit();
        emit AdapterUpdated(MODEL, 1, bytes32("new weights"), bytes32("new corpus"));
        vm.prank(ADAPTER_OWNER);
        hub.updateAdapter(MODEL, 1, "new weights", "new corpus");
        vm.expectEmit();
        emit AdapterTransferred(MODEL, 1, ADAPTER_OWNER, STRANGER);
        vm.prank(ADAPTER_OWNER);
        hub.transferAdapter(MODEL, 1, STRANGER);
        (address owner, bytes32 generation, bytes32 corpusRoot) = hub.adapterOf(MODEL, 1);
        eq(owner, STRANGER);
        eq(generation, "new weights");
        eq(corpusRoot, "new corpus");
        eq(hub.payeeOf(Payees.ofAdapter(MODEL, 1)), STRANGER);
        eq(hub.payeeOf(Payees.ofAdapter(MODEL, 0)), ADAPTER_OWNER);
    }

    function testOnlyTheAdaptersOwner(address stranger, uint32 adapter) public {
        vm.assume(stranger != ADAPTER_OWNER && stranger != PROXY_ADMIN && stranger != address(0));
        vm.prank(stranger);
        vm.expectRevert(IAttributionHub.NotOwner.selector);
        hub.updateAdapter(MODEL, adapter, 0, 0);
        vm.prank(stranger);
        vm.expectRevert(IAttributionHub.NotOwner.selector);
        hub.transferAdapter(MODEL, adapter, stranger);
        vm.prank(stranger);
        vm.expectRevert(IAttributionHub.NotOwner.selector);
        hub.setSources(MODEL, adapter, 0, new address[](0));
    }

    function testSourcesAreNamedOnce(uint32 source) public {
        vm.assume(source >= 64 && source < type(uint32).max);
        address[] memory payees = new address[](2);
        (payees[0], payees[1]) = (STRANGER, OWNER);
        vm.expectEmit();
        emit SourceSet(MODEL, 0, source, STRANGER);
        vm.expectEmit();
        emit SourceSet(MODEL, 0, source + 1, OWNER);
        vm.prank(ADAPTER_OWNER);
        hub.setSources(MODEL, 0, source, payees);
        eq(hub.payeeOf(Payees.ofSource(MODEL, 0, source)), STRANGER);
        eq(hub.payeeOf(Payees.ofSource(MODEL, 0, source + 1)), OWNER);
        eq(hub.payeeOf(Payees.ofSource(MODEL, 1, source)), address(0));
        vm.prank(ADAPTER_OWNER);
        vm.expectRevert(_error(IAttributionHub.SourceTaken.selector, source));
        hub.setSources(MODEL, 0, source, payees);
    }

    function testSourcesEndWithTheirNumbers() public {
        address[] memory payees = new address[](2);
        (payees[0], payees[1]) = (STRANGER, STRANGER);
        vm.prank(ADAPTER_OWNER);
        vm.expectRevert(_error(PANIC, 0x11));
        hub.setSources(MODEL, 0, type(uint32).max, payees);
        address[] memory last = new address[](1);
        last[0] = STRANGER;
        vm.prank(ADAPTER_OWNER);
        hub.setSources(MODEL, 0, type(uint32).max, last);
        eq(hub.payeeOf(Payees.ofSource(MODEL, 0, type(uint32).max)), STRANGER);
    }

    function testSourcesAreHandedOn() public {
        vm.expectEmit();
        emit SourceSet(MODEL, 0, 7, STRANGER);
        vm.prank(SOURCE_PAYEE);
        hub.transferSource(MODEL, 0, 7, STRANGER);
        eq(hub.payeeOf(Payees.ofSource(MODEL, 0, 7)), STRANGER);
        eq(hub.payeeOf(Payees.ofSource(MODEL, 0, 8)), SOURCE_PAYEE);
        vm.prank(ADAPTER_OWNER);
        vm.expectRevert(IAttributionHub.NotOwner.selector);
        hub.transferSource(MODEL, 0, 7, ADAPTER_OWNER);
    }

    function testNobodyHandsOnToNobody() public {
        bytes4 refused = IAttributionHub.ZeroAddress.selector;
        vm.prank(MODEL_OWNER);
        vm.expectRevert(refused);
        hub.transferModel(MODEL, address(0));
        vm.prank(MODEL_OWNER);
        vm.expectRevert(refused);
        hub.registerAdapter(MODEL, address(0), 0, 0);
        vm.prank(MODEL_OWNER);
        vm.expectRevert(refused);
        hub.registerAdapters(MODEL, address(0), new bytes32[](1), new bytes32[](1));
        vm.prank(ADAPTER_OWNER);
        vm.expectRevert(refused);
        hub.transferAdapter(MODEL, 0, address(0));
        vm.prank(ADAPTER_OWNER);
        vm.expectRevert(refused);
        hub.setSources(MODEL, 0, 64, new address[](1));
        vm.prank(SOURCE_PAYEE);
        vm.expectRevert(refused);
        hub.transferSource(MODEL, 0, 0, address(0));
    }

    function testUnknownModels(uint32 model) public {
        vm.assume(model != MODEL);
        vm.expectRevert(_error(IAttributionHub.UnknownModel.selector, model));
        hub.modelOf(model);
    }

    function testPayees(uint256 payee, address operator) public view {
        eq(hub.payeeOf(Payees.ofOperator(operator)), operator);
        vm.assume(payee >> 160 != Payees.OPERATOR >> 160 && payee >> 96 != Payees.MODEL >> 96);
        vm.assume(payee >> 96 != Payees.ADAPTER >> 96 && payee >> 96 != Payees.SOURCE >> 96);
        eq(hub.payeeOf(payee), address(0));
    }

    function testRegistriesStayUsableInAPause() public {
        vm.prank(OWNER);
        hub.pause();
        hub.registerModel(_someRates());
        hub.registerAdapters(1, STRANGER, new bytes32[](2), new bytes32[](2));
        vm.prank(SOURCE_PAYEE);
        hub.transferSource(MODEL, 0, 7, STRANGER);
    }

    /// @dev A hash of what is in the slots of the adapters that come next and of their model.
    function _storageOf(uint256 count) private view returns (bytes32 hash) {
        uint256 model = uint256(keccak256(abi.encode(MODEL, 202)));
        hash = keccak256(abi.encode(slot(address(hub), model), slot(address(hub), model + 1)));
        for (uint256 i; i < count; ++i) {
            uint256 payee = Payees.ofAdapter(MODEL, uint32(ADAPTERS + i));
            uint256 owner = uint256(keccak256(abi.encode(payee, 201)));
            uint256 adapter = uint256(keccak256(abi.encode(payee, 203)));
            hash = keccak256(
                abi.encode(
                    hash,
                    slot(address(hub), owner),
                    slot(address(hub), adapter),
                    slot(address(hub), adapter + 1)
                )
            );
        }
    }

    function _addUp(IAttribution.Rates memory rates) private pure {
        rates.modelShare %= 10_001;
        rates.adapterShare %= 10_001 - rates.modelShare;
        rates.sourceShare %= 10_001 - rates.modelShare - rates.adapterShare;
        rates.operatorShare = 10_000 - rates.modelShare - rates.adapterShare - rates.sourceShare;
    }
}
