// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

/// @notice Addresses that the protocol knows.
library Predeploys {
    /// @notice Sender of the L1-attributes deposit and of upgrades. Nobody has its key.
    address internal constant DEPOSITOR = 0xDeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001;
    address internal constant L1_BLOCK = 0x4200000000000000000000000000000000000015;
    address internal constant L2_TO_L1_MESSAGE_PASSER = 0x4200000000000000000000000000000000000016;
    address internal constant ATTRIBUTION_HUB = 0x4200000000000000000000000000000000000a77;
    /// @notice Not a predeploy but a precompile: see `IAttribution`.
    address internal constant ATTRIBUTION = 0x0000000000000000000000000000000000000A77;
}
