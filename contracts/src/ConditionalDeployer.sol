// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

/// @title ConditionalDeployer
/// @notice Deploys code at the address that follows from it, unless it is there already. Network upgrades put their
///         new implementations on the chain with it, and an implementation that did not change stays where it is.
/// @custom:predeploy 0x420000000000000000000000000000000000002C
contract ConditionalDeployer {
    string public constant version = "1.0.0";

    /// @notice The CREATE2 proxy that deploys: salt and init code in, 20 bytes of address out.
    address public constant deterministicDeploymentProxy = 0x4e59b44847b379578588920cA78FbF26c0B4956C;

    event ImplementationDeployed(address indexed implementation, bytes32 salt);
    event ImplementationExists(address indexed implementation);

    error ConditionalDeployer_DeploymentFailed(bytes data);

    /// @notice Deploys init code with a salt.
    /// @return implementation Where the code is now.
    function deploy(bytes32 _salt, bytes memory _code) external returns (address implementation) {
        bytes32 hash =
            keccak256(abi.encodePacked(bytes1(0xff), deterministicDeploymentProxy, _salt, keccak256(_code)));
        implementation = address(uint160(uint256(hash)));
        if (implementation.code.length != 0) {
            emit ImplementationExists(implementation);
            return implementation;
        }
        (bool success, bytes memory data) = deterministicDeploymentProxy.call(abi.encodePacked(_salt, _code));
        // The proxy answers 20 bytes; anything else is no address of ours.
        // forge-lint: disable-next-line(unsafe-typecast)
        if (!success || address(bytes20(data)) != implementation) {
            revert ConditionalDeployer_DeploymentFailed(data);
        }
        emit ImplementationDeployed(implementation, _salt);
    }
}
