// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { L1Block } from "../src/L1Block.sol";
import { Admin, Test } from "./Test.sol";

contract L1BlockTest is Test {
    L1Block private l1;
    Admin private admin;

    event FeatureSet(bytes32 indexed feature, bool indexed enabled);

    struct Values {
        uint32 baseFeeScalar;
        uint32 blobBaseFeeScalar;
        uint64 sequenceNumber;
        uint64 timestamp;
        uint64 number;
        uint256 basefee;
        uint256 blobBaseFee;
        bytes32 hash;
        bytes32 batcherHash;
    }

    function setUp() public {
        l1 = new L1Block();
        admin = new Admin();
        vm.store(address(l1), ADMIN_SLOT, bytes32(uint256(uint160(address(admin)))));
    }

    function packed(string memory _setter, Values memory _v) private pure returns (bytes memory) {
        bytes memory head = abi.encodePacked(
            bytes4(keccak256(bytes(_setter))),
            _v.baseFeeScalar,
            _v.blobBaseFeeScalar,
            _v.sequenceNumber,
            _v.timestamp,
            _v.number
        );
        return abi.encodePacked(head, _v.basefee, _v.blobBaseFee, _v.hash, _v.batcherHash);
    }

    function deposit(bytes memory _data) private {
        vm.prank(DEPOSITOR);
        (bool success,) = address(l1).call(_data);
        require(success, "refused");
    }

    function check(Values memory _v) private view {
        eq(l1.baseFeeScalar(), _v.baseFeeScalar);
        eq(l1.blobBaseFeeScalar(), _v.blobBaseFeeScalar);
        eq(l1.sequenceNumber(), _v.sequenceNumber);
        eq(l1.timestamp(), _v.timestamp);
        eq(l1.number(), _v.number);
        eq(l1.basefee(), _v.basefee);
        eq(l1.blobBaseFee(), _v.blobBaseFee);
        eq(l1.hash(), _v.hash);
        eq(l1.batcherHash(), _v.batcherHash);
        // What execution clients read, slot by slot.
        address it = address(l1);
        eq(slot(it, 0), uint256(_v.timestamp) << 64 | _v.number);
        eq(slot(it, 1), _v.basefee);
        eq(slot(it, 2), uint256(_v.hash));
        eq(
            slot(it, 3),
            uint256(_v.baseFeeScalar) << 96 | uint256(_v.blobBaseFeeScalar) << 64 | _v.sequenceNumber
        );
        eq(slot(it, 4), uint256(_v.batcherHash));
        eq(slot(it, 7), _v.blobBaseFee);
    }

    function testBedrock() public {
        vm.prank(DEPOSITOR);
        l1.setL1BlockValues(1, 2, 3, bytes32(uint256(4)), 5, bytes32(uint256(6)), 7, 8);
        check(Values(0, 0, 5, 2, 1, 3, 0, bytes32(uint256(4)), bytes32(uint256(6))));
        eq(slot(address(l1), 5), 7);
        eq(slot(address(l1), 6), 8);
        vm.expectRevert(bytes("L1Block: only the depositor account can set L1 block values"));
        l1.setL1BlockValues(1, 2, 3, bytes32(0), 5, bytes32(0), 7, 8);
    }

    function testEcotone(Values memory _v) public {
        bytes memory data = packed("setL1BlockValuesEcotone()", _v);
        eq(data.length, 164);
        deposit(data);
        check(_v);
        eq(slot(address(l1), 8), 0);
    }

    function testIsthmus(Values memory _v, uint32 _scalar, uint64 _constant) public {
        bytes memory data = abi.encodePacked(packed("setL1BlockValuesIsthmus()", _v), _scalar, _constant);
        eq(data.length, 176);
        deposit(data);
        check(_v);
        eq(l1.operatorFeeScalar(), _scalar);
        eq(l1.operatorFeeConstant(), _constant);
        eq(slot(address(l1), 8), uint256(_scalar) << 64 | _constant);
    }

    function testJovian(Values memory _v, uint32 _scalar, uint64 _constant, uint16 _footprint) public {
        bytes memory data =
            abi.encodePacked(packed("setL1BlockValuesJovian()", _v), _scalar, _constant, _footprint);
        eq(data.length, 178);
        deposit(data);
        check(_v);
        eq(l1.operatorFeeScalar(), _scalar);
        eq(l1.operatorFeeConstant(), _constant);
        eq(l1.daFootprintGasScalar(), _footprint);
        eq(slot(address(l1), 8), uint256(_footprint) << 96 | uint256(_scalar) << 64 | _constant);
    }

    function testOnlyTheDepositorSetsPackedValues(address _sender) public {
        vm.assume(_sender != DEPOSITOR);
        vm.prank(_sender);
        vm.expectRevert(L1Block.NotDepositor.selector);
        l1.setL1BlockValuesEcotone();
        vm.prank(_sender);
        vm.expectRevert(L1Block.NotDepositor.selector);
        l1.setL1BlockValuesIsthmus();
        vm.prank(_sender);
        vm.expectRevert(L1Block.NotDepositor.selector);
        l1.setL1BlockValuesJovian();
    }

    function testEtherPaysForGas() public view {
        (address token, uint8 decimals) = l1.gasPayingToken();
        eq(token, 0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE);
        eq(decimals, 18);
        eq(l1.gasPayingTokenName(), "Ether");
        eq(l1.gasPayingTokenSymbol(), "ETH");
        require(!l1.isCustomGasToken());
    }

    function testFeaturesStayOn() public {
        address[3] memory allowed = [DEPOSITOR, address(admin), admin.owner()];
        for (uint256 i; i < allowed.length; ++i) {
            bytes32 feature = bytes32(i + 1);
            vm.expectEmit();
            emit FeatureSet(feature, true);
            vm.prank(allowed[i]);
            l1.setFeature(feature);
            require(l1.isFeatureEnabled(feature));
            vm.prank(allowed[i]);
            vm.expectRevert(L1Block.L1Block_FeatureAlreadyEnabled.selector);
            l1.setFeature(feature);
        }
        vm.prank(address(1));
        vm.expectRevert(L1Block.L1Block_NotAuthorizedToSetFeature.selector);
        l1.setFeature(bytes32(uint256(9)));
        // The mapping comes after the last packed slot.
        eq(slot(address(l1), uint256(keccak256(abi.encode(uint256(1), uint256(9))))), 1);
    }
}
