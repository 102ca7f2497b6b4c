// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { DevnetPortal } from "../src/l1/DevnetPortal.sol";
import { DevnetSystemConfig } from "../src/l1/DevnetSystemConfig.sol";
import { Test } from "./Test.sol";

contract DevnetPortalTest is Test {
    DevnetPortal private portal = new DevnetPortal();

    event TransactionDeposited(
        address indexed from, address indexed to, uint256 indexed version, bytes opaqueData
    );

    function aliased() private view returns (address) {
        unchecked {
            return address(uint160(address(this)) + uint160(0x1111000000000000000000000000000000001111));
        }
    }

    function test_depositFromAnAccount(address _from, address _to, uint64 _value, bytes memory _data) public {
        uint64 gas = portal.minimumGasLimit(uint64(_data.length));
        vm.deal(_from, 3 ether);
        vm.expectEmit();
        emit TransactionDeposited(
            _from, _to, 0, abi.encodePacked(uint256(3 ether), uint256(_value), gas, false, _data)
        );
        vm.prank(_from, _from);
        portal.depositTransaction{ value: 3 ether }(_to, _value, gas, false, _data);
        eq(address(portal).balance, 3 ether);
    }

    function test_contractsHaveAnotherAddressOnL2() public {
        vm.expectEmit();
        emit TransactionDeposited(
            aliased(), address(0), 0, abi.encodePacked(uint256(0), uint256(0), uint64(100_000), true, hex"00")
        );
        portal.depositTransaction(address(0), 0, 100_000, true, hex"00");
    }

    function test_etherIsForItsSender() public {
        address from = address(0xa11ce);
        vm.deal(from, 1 ether);
        vm.expectEmit();
        emit TransactionDeposited(
            from, from, 0, abi.encodePacked(uint256(1 ether), uint256(1 ether), uint64(100_000), false)
        );
        vm.prank(from, from);
        (bool success,) = address(portal).call{ value: 1 ether }("");
        require(success, "refused");
    }

    function test_refusals() public {
        vm.expectRevert(DevnetPortal.BadTarget.selector);
        portal.depositTransaction(address(1), 0, 100_000, true, "");
        vm.expectRevert(DevnetPortal.SmallGasLimit.selector);
        portal.depositTransaction(address(1), 0, 20_999, false, "");
        vm.expectRevert(DevnetPortal.LargeCalldata.selector);
        portal.depositTransaction(address(1), 0, 10_000_000, false, new bytes(120_001));
    }
}

contract DevnetSystemConfigTest is Test {
    DevnetSystemConfig private system = new DevnetSystemConfig(address(this));

    event ConfigUpdate(uint256 indexed version, uint8 indexed updateType, bytes data);

    function expect(uint8 _type, bytes memory _data) private {
        vm.expectEmit();
        emit ConfigUpdate(0, _type, _data);
    }

    function test_everySetterTellsL2(uint32 _a, uint32 _b, uint64 _c, uint16 _d) public {
        vm.assume(_a != 0 && _b != 0);
        expect(0, abi.encode(address(0xb)));
        system.setBatcherHash(bytes32(uint256(0xb)));
        expect(1, abi.encode(0, uint256(1) << 248 | uint256(_b) << 32 | _a));
        system.setGasConfigEcotone(_a, _b);
        expect(2, abi.encode(uint256(_c)));
        system.setGasLimit(_c);
        expect(3, abi.encode(address(0x51)));
        system.setUnsafeBlockSigner(address(0x51));
        eq(system.unsafeBlockSigner(), address(0x51));
        expect(4, abi.encode(uint256(_a) << 32 | _b));
        system.setEIP1559Params(_a, _b);
        expect(5, abi.encode(uint256(_a) << 64 | _c));
        system.setOperatorFeeScalars(_a, _c);
        expect(6, abi.encode(uint256(_c)));
        system.setMinBaseFee(_c);
        expect(7, abi.encode(uint256(_d)));
        system.setDAFootprintGasScalar(_d);
    }

    function test_onlyTheOwner() public {
        vm.prank(address(0xbad));
        vm.expectRevert(DevnetSystemConfig.NotOwner.selector);
        system.setGasLimit(1);
        vm.expectRevert(DevnetSystemConfig.ZeroParameter.selector);
        system.setEIP1559Params(0, 6);
    }
}
