// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

/// @notice Addresses that the protocol knows.
library Predeploys {
    /// @notice Sender of the L1-attributes deposit and of upgrades. Nobody has its key.
    address internal constant DEPOSITOR = 0xDeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001;
    address internal constant L1_BLOCK = 0x4200000000000000000000000000000000000015;
    address internal constant L2_TO_L1_MESSAGE_PASSER = 0x4200000000000000000000000000000000000016;
}
