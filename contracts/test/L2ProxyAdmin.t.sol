// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Proxy } from "@bedrock/universal/Proxy.sol";
import { ConditionalDeployer } from "../src/ConditionalDeployer.sol";
import { L2DevFeatureFlags } from "../src/L2DevFeatureFlags.sol";
import { L2ProxyAdmin } from "../src/L2ProxyAdmin.sol";
import { Test } from "./Test.sol";

/// @notice A manager that upgrades one proxy, as network upgrades do: by the admin's own rights.
contract Manager {
    address private immutable PROXY;
    address private immutable IMPLEMENTATION;

    constructor(address _proxy, address _implementation) {
        (PROXY, IMPLEMENTATION) = (_proxy, _implementation);
    }

    function upgrade() external {
        Proxy(payable(PROXY)).upgradeTo(IMPLEMENTATION);
    }
}

contract BrokenManager {
    function upgrade() external pure {
        revert("broken");
    }
}

contract L2ProxyAdminTest is Test {
    L2ProxyAdmin private admin;
    Proxy private proxy;
    address private flags = address(new L2DevFeatureFlags());

    event PredeploysUpgraded(address indexed l2ContractsManager);

    function setUp() public {
        // Behind a proxy that it administers itself, as at genesis; the owner is in the proxy's slot 0.
        Proxy self = new Proxy(address(this));
        self.upgradeTo(address(new L2ProxyAdmin()));
        self.changeAdmin(address(self));
        admin = L2ProxyAdmin(address(self));
        vm.store(address(admin), 0, bytes32(uint256(uint160(address(this)))));
        proxy = new Proxy(address(admin));
    }

    function testTheOwnerUpgrades() public {
        eq(admin.owner(), address(this));
        admin.upgrade(payable(address(proxy)), flags);
        eq(admin.getProxyImplementation(address(proxy)), flags);
        eq(admin.getProxyAdmin(payable(address(proxy))), address(admin));
        vm.prank(address(1));
        vm.expectRevert(bytes("Ownable: caller is not the owner"));
        admin.upgrade(payable(address(proxy)), address(1));
    }

    function testTheDepositorUpgradesThroughAManager() public {
        address manager = address(new Manager(address(proxy), flags));
        vm.expectEmit();
        emit PredeploysUpgraded(manager);
        vm.prank(DEPOSITOR);
        admin.upgradePredeploys(manager);
        eq(admin.getProxyImplementation(address(proxy)), flags);
        vm.expectRevert(L2ProxyAdmin.L2ProxyAdmin__Unauthorized.selector);
        admin.upgradePredeploys(manager);
    }

    function testABrokenManagerChangesNothing() public {
        address manager = address(new BrokenManager());
        bytes memory reason = abi.encodeWithSignature("Error(string)", "broken");
        vm.expectRevert(abi.encodeWithSelector(L2ProxyAdmin.L2ProxyAdmin__UpgradeFailed.selector, reason));
        vm.prank(DEPOSITOR);
        admin.upgradePredeploys(manager);
    }
}

contract L2DevFeatureFlagsTest is Test {
    L2DevFeatureFlags private flags = new L2DevFeatureFlags();

    function testBits() public {
        vm.prank(DEPOSITOR);
        flags.setDevFeatureBitmap(bytes32(uint256(0x11)));
        eq(flags.devFeatureBitmap(), bytes32(uint256(0x11)));
        require(flags.isDevFeatureEnabled(bytes32(uint256(0x10))));
        require(flags.isDevFeatureEnabled(bytes32(uint256(0x11))));
        require(!flags.isDevFeatureEnabled(bytes32(uint256(0x12))));
        require(!flags.isDevFeatureEnabled(0));
        vm.expectRevert(L2DevFeatureFlags.L2DevFeatureFlags_Unauthorized.selector);
        flags.setDevFeatureBitmap(0);
        eq(
            vm.load(address(flags), bytes32(uint256(keccak256("l2devfeatureflags.bitmap")) - 1)),
            bytes32(uint256(0x11))
        );
    }
}

contract ConditionalDeployerTest is Test {
    ConditionalDeployer private deployer = new ConditionalDeployer();

    event ImplementationDeployed(address indexed implementation, bytes32 salt);
    event ImplementationExists(address indexed implementation);

    function setUp() public {
        // The CREATE2 proxy that every chain has.
        vm.etch(
            deployer.deterministicDeploymentProxy(),
            hex"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
        );
    }

    function testDeploysOnce() public {
        bytes memory code = type(L2DevFeatureFlags).creationCode;
        bytes32 salt = keccak256("salt");
        bytes32 hash = keccak256(
            abi.encodePacked(bytes1(0xff), deployer.deterministicDeploymentProxy(), salt, keccak256(code))
        );
        address expected = address(uint160(uint256(hash)));
        vm.expectEmit();
        emit ImplementationDeployed(expected, salt);
        eq(deployer.deploy(salt, code), expected);
        eq(expected.codehash, address(new L2DevFeatureFlags()).codehash);
        vm.expectEmit();
        emit ImplementationExists(expected);
        eq(deployer.deploy(salt, code), expected);
    }

    function testCodeThatFailsToDeployIsRefused() public {
        // REVERT with nothing.
        vm.expectRevert(
            abi.encodeWithSelector(ConditionalDeployer.ConditionalDeployer_DeploymentFailed.selector, "")
        );
        deployer.deploy(0, hex"60006000fd");
    }
}
