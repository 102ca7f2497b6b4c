// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { FeeVault } from "./FeeVault.sol";

/// @title L1FeeVault
/// @notice Collects the L1 fee.
/// @custom:predeploy 0x420000000000000000000000000000000000001A
contract L1FeeVault is FeeVault {
    string public constant version = "1.6.1";
}
