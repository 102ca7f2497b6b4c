// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttribution } from "../../src/attribution/IAttribution.sol";
import { Test } from "../Test.sol";

/// @notice The vectors of the batch format, which every implementation of it reads.
abstract contract Vectors is Test {
    function _vectors() internal view returns (string memory) {
        return vm.readFile("../crates/attribution/vectors/batches.json");
    }

    function _path(string memory list, uint256 index) internal pure returns (string memory) {
        return string.concat(list, "[", vm.toString(index), "]");
    }

    function _batch(string memory json, string memory path) internal pure returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(path, ".batch"));
    }

    function _rates(string memory json, string memory path)
        internal
        pure
        returns (IAttribution.Rates memory rates)
    {
        path = string.concat(path, ".rates.");
        rates.prompt = uint96(vm.parseJsonUint(json, string.concat(path, "prompt")));
        rates.completion = uint96(vm.parseJsonUint(json, string.concat(path, "completion")));
        rates.record = uint96(vm.parseJsonUint(json, string.concat(path, "record")));
        rates.modelShare = uint16(vm.parseJsonUint(json, string.concat(path, "modelShare")));
        rates.adapterShare = uint16(vm.parseJsonUint(json, string.concat(path, "adapterShare")));
        rates.sourceShare = uint16(vm.parseJsonUint(json, string.concat(path, "sourceShare")));
        rates.operatorShare = uint16(vm.parseJsonUint(json, string.concat(path, "operatorShare")));
    }
}
