// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { FeeVault } from "./FeeVault.sol";

/// @title SequencerFeeVault
/// @notice Collects the tips. It is the fee recipient of every block.
/// @custom:predeploy 0x4200000000000000000000000000000000000011
contract SequencerFeeVault is FeeVault {
    string public constant version = "1.6.1";

    /// @custom:deprecated Older name of `recipient`.
    function l1FeeWallet() external view returns (address) {
        return recipient;
    }
}
