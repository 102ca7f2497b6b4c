// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttributionHub } from "../../src/attribution/IAttributionHub.sol";

/// @title ContractOperator
/// @notice An operator that is a contract: what it submits is not what the transaction called. Tests of the node's
///         index send it batches; it takes them from anybody.
contract ContractOperator {
    IAttributionHub private constant HUB = IAttributionHub(0x4200000000000000000000000000000000000a77);

    receive() external payable { }

    function register() external payable {
        HUB.registerOperator{ value: msg.value }();
    }

    /// @notice Passes a batch on.
    function submit(bytes calldata batch) external payable {
        HUB.submitBatch{ value: msg.value }(batch);
    }

    /// @notice Passes two batches on.
    function submitBoth(bytes calldata one, bytes calldata other, uint256 valueOfOne) external payable {
        HUB.submitBatch{ value: valueOfOne }(one);
        HUB.submitBatch{ value: msg.value - valueOfOne }(other);
    }

    /// @notice Submits what it is given with all bits turned over, so that the batch is in no transaction's input.
    function submitInverted(bytes calldata inverted) external payable {
        bytes memory batch = inverted;
        for (uint256 at; at < batch.length; ++at) {
            batch[at] = ~batch[at];
        }
        HUB.submitBatch{ value: msg.value }(batch);
    }
}
