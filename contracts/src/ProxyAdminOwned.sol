// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

interface IOwned {
    function owner() external view returns (address);
}

/// @notice Permissions of a contract behind an ERC-1967 proxy: whoever owns the proxy's admin governs it.
abstract contract ProxyAdminOwned {
    /// @dev ERC-1967: keccak256("eip1967.proxy.admin") - 1.
    bytes32 private constant ADMIN_SLOT = 0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103;

    error ProxyAdminOwnedBase_NotProxyAdminOwner();
    error ProxyAdminOwnedBase_NotProxyAdminOrProxyAdminOwner();
    error ProxyAdminOwnedBase_ProxyAdminNotFound();

    /// @notice The admin of the proxy that delegates here.
    function proxyAdmin() public view returns (address admin) {
        assembly {
            admin := sload(ADMIN_SLOT)
        }
        if (admin == address(0)) revert ProxyAdminOwnedBase_ProxyAdminNotFound();
    }

    /// @notice The owner of that admin.
    function proxyAdminOwner() public view returns (address) {
        return IOwned(proxyAdmin()).owner();
    }

    modifier onlyProxyAdminOwner() {
        if (msg.sender != proxyAdminOwner()) revert ProxyAdminOwnedBase_NotProxyAdminOwner();
        _;
    }

    modifier onlyProxyAdminOrOwner() {
        if (msg.sender != proxyAdmin() && msg.sender != proxyAdminOwner()) {
            revert ProxyAdminOwnedBase_NotProxyAdminOrProxyAdminOwner();
        }
        _;
    }
}
