// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { FeeVault } from "./FeeVault.sol";

/// @title OperatorFeeVault
/// @notice Collects the operator fee.
/// @custom:predeploy 0x420000000000000000000000000000000000001B
contract OperatorFeeVault is FeeVault {
    string public constant version = "1.1.1";
}
