// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { ProxyAdmin } from "@bedrock/universal/ProxyAdmin.sol";
import { Predeploys } from "./Predeploys.sol";

interface IL2ContractsManager {
    function upgrade() external;
}

/// @title L2ProxyAdmin
/// @notice Admin of the predeploys' proxies. From Karst on a network upgrade replaces all of them in one deposit.
/// @custom:predeploy 0x4200000000000000000000000000000000000018
contract L2ProxyAdmin is ProxyAdmin {
    string public constant version = "1.0.0";

    event PredeploysUpgraded(address indexed l2ContractsManager);

    error L2ProxyAdmin__Unauthorized();
    error L2ProxyAdmin__UpgradeFailed(bytes data);

    /// @dev The owner is in the proxy's storage, not in the implementation's.
    constructor() ProxyAdmin(address(0)) { }

    /// @notice Lets a manager contract upgrade the predeploys, as this admin. Network upgrades call it.
    function upgradePredeploys(address _l2ContractsManager) external {
        if (msg.sender != Predeploys.DEPOSITOR) revert L2ProxyAdmin__Unauthorized();
        (bool success, bytes memory data) =
            _l2ContractsManager.delegatecall(abi.encodeCall(IL2ContractsManager.upgrade, ()));
        if (!success) revert L2ProxyAdmin__UpgradeFailed(data);
        emit PredeploysUpgraded(_l2ContractsManager);
    }
}
