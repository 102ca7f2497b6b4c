// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Predeploys } from "./Predeploys.sol";

/// @title L2DevFeatureFlags
/// @notice Features in development that this chain takes part in, as bits of one word. Network upgrades ask it.
/// @custom:predeploy 0x420000000000000000000000000000000000002d
contract L2DevFeatureFlags {
    string public constant version = "1.0.0";

    /// @dev keccak256("l2devfeatureflags.bitmap") - 1.
    bytes32 private constant BITMAP_SLOT = 0xc8bc8f9195cfb2d040744aac63412d02ffc186ea9bd519039edc4666ee9032bc;

    error L2DevFeatureFlags_Unauthorized();

    function setDevFeatureBitmap(bytes32 _bitmap) external {
        if (msg.sender != Predeploys.DEPOSITOR) revert L2DevFeatureFlags_Unauthorized();
        assembly {
            sstore(BITMAP_SLOT, _bitmap)
        }
    }

    function devFeatureBitmap() public view returns (bytes32 bitmap) {
        assembly {
            bitmap := sload(BITMAP_SLOT)
        }
    }

    /// @notice Whether every bit of a feature is set. No bits are no feature.
    function isDevFeatureEnabled(bytes32 _feature) external view returns (bool) {
        return _feature != 0 && devFeatureBitmap() & _feature == _feature;
    }
}
