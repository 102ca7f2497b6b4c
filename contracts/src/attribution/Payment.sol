// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { IAttributionHub } from "./IAttributionHub.sol";

/// @title Payment
/// @notice Sends wei with all the gas there is, and reads nothing of what the receiver returns: long return data
///         would be paid for by whoever calls.
library Payment {
    function send(address to, uint256 amount) internal {
        bool success;
        assembly {
            success := call(gas(), to, amount, 0, 0, 0, 0)
        }
        if (!success) revert IAttributionHub.PaymentFailed(to);
    }
}
