// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { FeeVault } from "./FeeVault.sol";

/// @title BaseFeeVault
/// @notice Collects the base fee, which is not burnt on L2.
/// @custom:predeploy 0x4200000000000000000000000000000000000019
contract BaseFeeVault is FeeVault {
    string public constant version = "1.6.1";
}
