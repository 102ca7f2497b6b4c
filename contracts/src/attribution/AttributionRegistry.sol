// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "./IAttribution.sol";
import { IAttributionHub } from "./IAttributionHub.sol";
import { Payees } from "./Payees.sol";

/// @title AttributionRegistry
/// @notice Models, adapters and sources: who owns them, and what a model's answers cost.
abstract contract AttributionRegistry is IAttributionHub {
    /// @dev The rates and how many adapters there are: what settling a batch reads, in two slots. The shares of a
    ///      registered model add up to 10,000, so its first slot is never zero.
    struct Model {
        uint96 prompt;
        uint96 completion;
        uint16 modelShare;
        uint16 adapterShare;
        uint16 sourceShare;
        uint16 operatorShare;
        uint96 record;
        uint32 adapters;
    }

    /// @dev What an adapter is: a hash of its weights, and the root of the corpus that its sources are parts of.
    struct Adapter {
        bytes32 generation;
        bytes32 corpusRoot;
    }

    uint256 private constant SHARES = 10_000;

    /// @dev Slot 201: owners of models and adapters and payees of sources, all by their number as payees.
    mapping(uint256 => address) private _owners;
    /// @dev Slot 202: by number.
    mapping(uint256 => Model) private _models;
    /// @dev Slot 203: by number as a payee.
    mapping(uint256 => Adapter) private _adapters;
    /// @dev Slot 204.
    uint32 private _modelCount;
    uint256[46] private _gap;

    function registerModel(IAttribution.Rates calldata rates) external returns (uint32 model) {
        model = _modelCount++;
        _owners[Payees.ofModel(model)] = msg.sender;
        emit ModelRegistered(model, msg.sender);
        _setRates(model, rates);
    }

    function setRates(uint32 model, IAttribution.Rates calldata rates) external {
        _onlyOwnerOf(Payees.ofModel(model));
        _setRates(model, rates);
    }

    function transferModel(uint32 model, address to) external {
        _handOn(Payees.ofModel(model), to);
        emit ModelTransferred(model, msg.sender, to);
    }

    function registerAdapter(uint32 model, address owner_, bytes32 generation, bytes32 corpusRoot)
        external
        returns (uint32 adapter)
    {
        _onlyOwnerOf(Payees.ofModel(model));
        adapter = _models[model].adapters++;
        _addAdapter(model, adapter, owner_, generation, corpusRoot);
    }

    function registerAdapters(
        uint32 model,
        address owner_,
        bytes32[] calldata generations,
        bytes32[] calldata corpusRoots
    ) external returns (uint32 first) {
        _onlyOwnerOf(Payees.ofModel(model));
        if (generations.length == 0 || generations.length != corpusRoots.length) {
            revert WrongAdapterCount(generations.length, corpusRoots.length);
        }
        first = _models[model].adapters;
        uint32 next = first;
        for (uint256 i; i < generations.length; ++i) {
            _addAdapter(model, next++, owner_, generations[i], corpusRoots[i]);
        }
        _models[model].adapters = next;
    }

    function updateAdapter(uint32 model, uint32 adapter, bytes32 generation, bytes32 corpusRoot) external {
        uint256 payee = Payees.ofAdapter(model, adapter);
        _onlyOwnerOf(payee);
        _adapters[payee] = Adapter(generation, corpusRoot);
        emit AdapterUpdated(model, adapter, generation, corpusRoot);
    }

    function transferAdapter(uint32 model, uint32 adapter, address to) external {
        _handOn(Payees.ofAdapter(model, adapter), to);
        emit AdapterTransferred(model, adapter, msg.sender, to);
    }

    function setSources(uint32 model, uint32 adapter, uint32 first, address[] calldata payees) external {
        _onlyOwnerOf(Payees.ofAdapter(model, adapter));
        uint32 source = first;
        for (uint256 i; i < payees.length; ++i) {
            if (i > 0) ++source;
            uint256 payee = Payees.ofSource(model, adapter, source);
            if (_owners[payee] != address(0)) revert SourceTaken(source);
            _setOwner(payee, payees[i]);
            emit SourceSet(model, adapter, source, payees[i]);
        }
    }

    function transferSource(uint32 model, uint32 adapter, uint32 source, address to) external {
        _handOn(Payees.ofSource(model, adapter, source), to);
        emit SourceSet(model, adapter, source, to);
    }

    function modelCount() external view returns (uint32) {
        return _modelCount;
    }

    function modelOf(uint32 model)
        external
        view
        returns (address modelOwner, uint32 adapters, IAttribution.Rates memory rates)
    {
        (rates, adapters) = _ratesOf(model);
        modelOwner = _owners[Payees.ofModel(model)];
    }

    function adapterOf(uint32 model, uint32 adapter)
        external
        view
        returns (address adapterOwner, bytes32 generation, bytes32 corpusRoot)
    {
        uint256 payee = Payees.ofAdapter(model, adapter);
        Adapter storage stored = _adapters[payee];
        return (_owners[payee], stored.generation, stored.corpusRoot);
    }

    function payeeOf(uint256 payee) public view returns (address) {
        (bool isOperator, address operator) = Payees.operatorOf(payee);
        return isOperator ? operator : _owners[payee];
    }

    /// @dev What settling a batch of a model needs to know of it.
    function _ratesOf(uint32 model) internal view returns (IAttribution.Rates memory rates, uint32 adapters) {
        Model memory stored = _models[model];
        rates = IAttribution.Rates({
            prompt: stored.prompt,
            completion: stored.completion,
            record: stored.record,
            modelShare: stored.modelShare,
            adapterShare: stored.adapterShare,
            sourceShare: stored.sourceShare,
            operatorShare: stored.operatorShare
        });
        if (_sumOfShares(rates) != SHARES) revert UnknownModel(model);
        adapters = stored.adapters;
    }

    function _setRates(uint32 model, IAttribution.Rates calldata rates) private {
        uint256 sum = _sumOfShares(rates);
        if (sum != SHARES) revert IAttribution.WrongShareSum(sum);
        _models[model] = Model({
            prompt: rates.prompt,
            completion: rates.completion,
            modelShare: rates.modelShare,
            adapterShare: rates.adapterShare,
            sourceShare: rates.sourceShare,
            operatorShare: rates.operatorShare,
            record: rates.record,
            adapters: _models[model].adapters
        });
        emit RatesSet(model, rates);
    }

    function _addAdapter(uint32 model, uint32 adapter, address owner_, bytes32 generation, bytes32 corpusRoot)
        private
    {
        uint256 payee = Payees.ofAdapter(model, adapter);
        _setOwner(payee, owner_);
        _adapters[payee] = Adapter(generation, corpusRoot);
        emit AdapterRegistered(model, adapter, owner_, generation, corpusRoot);
    }

    function _handOn(uint256 payee, address to) private {
        _onlyOwnerOf(payee);
        _setOwner(payee, to);
    }

    function _setOwner(uint256 payee, address to) private {
        if (to == address(0)) revert ZeroAddress();
        _owners[payee] = to;
    }

    function _onlyOwnerOf(uint256 payee) private view {
        if (_owners[payee] != msg.sender) revert NotOwner();
    }

    function _sumOfShares(IAttribution.Rates memory rates) private pure returns (uint256) {
        return uint256(rates.modelShare) + rates.adapterShare + rates.sourceShare + rates.operatorShare;
    }
}
