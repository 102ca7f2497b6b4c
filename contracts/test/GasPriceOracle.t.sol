// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { GasPriceOracle } from "../src/GasPriceOracle.sol";
import { L1Block } from "../src/L1Block.sol";
import { Predeploys } from "../src/Predeploys.sol";
import { Test } from "./Test.sol";

contract GasPriceOracleTest is Test {
    GasPriceOracle private oracle;

    uint32 private constant BASE_FEE_SCALAR = 1368;
    uint32 private constant BLOB_BASE_FEE_SCALAR = 810_949;
    uint256 private constant L1_BASE_FEE = 7_000_000_000;
    uint256 private constant BLOB_BASE_FEE = 13;
    uint32 private constant OPERATOR_SCALAR = 11;
    uint64 private constant OPERATOR_CONSTANT = 17;

    function setUp() public {
        vm.etch(Predeploys.L1_BLOCK, address(new L1Block()).code);
        oracle = new GasPriceOracle();
        bytes memory head = abi.encodePacked(
            L1Block.setL1BlockValuesJovian.selector,
            BASE_FEE_SCALAR,
            BLOB_BASE_FEE_SCALAR,
            uint64(0),
            uint64(1)
        );
        bytes memory fees = abi.encodePacked(uint64(2), L1_BASE_FEE, BLOB_BASE_FEE, bytes32(0), bytes32(0));
        vm.prank(DEPOSITOR);
        (bool success,) = Predeploys.L1_BLOCK
            .call(abi.encodePacked(head, fees, OPERATOR_SCALAR, OPERATOR_CONSTANT, uint16(400)));
        require(success);
    }

    function activate(uint256 _forks) private {
        if (_forks > 0) deposit(oracle.setEcotone);
        if (_forks > 1) deposit(oracle.setFjord);
        if (_forks > 2) deposit(oracle.setIsthmus);
        if (_forks > 3) deposit(oracle.setJovian);
    }

    function deposit(function() external _set) private {
        vm.prank(DEPOSITOR);
        _set();
    }

    /// @dev In millionths of wei.
    function weighted() private pure returns (uint256) {
        return uint256(BASE_FEE_SCALAR) * 16 * L1_BASE_FEE + uint256(BLOB_BASE_FEE_SCALAR) * BLOB_BASE_FEE;
    }

    function testSmallTransactionsPayForAHundredBytes() public {
        activate(4);
        // 68 bytes of signature and the FastLZ form of nothing are far below the least size.
        eq(oracle.getL1Fee(""), 100e6 * weighted() / 1e12);
        eq(oracle.getL1Fee(new bytes(80)), 100e6 * weighted() / 1e12);
    }

    function testIncompressibleDataPaysForItsSize() public {
        activate(4);
        bytes memory data;
        for (uint256 i; i < 20; ++i) {
            data = abi.encodePacked(data, keccak256(abi.encode(i)));
        }
        // FastLZ: a control byte before each run of up to 32 literals.
        uint256 size = 640 + 640 / 32 + 68;
        eq(oracle.getL1Fee(data), (836_500 * size - 42_585_600) * weighted() / 1e12);
        eq(oracle.getL1GasUsed(data), (836_500 * size - 42_585_600) * 16 / 1e6);
    }

    function testRepetitionCostsLess() public {
        activate(4);
        bytes memory data = new bytes(4000);
        require(oracle.getL1Fee(data) < oracle.getL1FeeUpperBound(4000) / 10);
    }

    function testTheUpperBoundIsOne(bytes memory _data) public {
        activate(4);
        require(oracle.getL1FeeUpperBound(_data.length) >= oracle.getL1Fee(_data));
    }

    function testTheUpperBoundNeedsFjord() public {
        activate(1);
        vm.expectRevert(bytes("GasPriceOracle: getL1FeeUpperBound only supports Fjord"));
        oracle.getL1FeeUpperBound(1);
    }

    function testOperatorFee(uint64 _gas) public {
        eq(oracle.getOperatorFee(_gas), 0);
        activate(3);
        eq(oracle.getOperatorFee(_gas), uint256(_gas) * OPERATOR_SCALAR / 1e6 + OPERATOR_CONSTANT);
        deposit(oracle.setJovian);
        eq(oracle.getOperatorFee(_gas), uint256(_gas) * OPERATOR_SCALAR * 100 + OPERATOR_CONSTANT);
    }

    function testOperatorFeeSaturatesBeforeJovian() public {
        activate(3);
        eq(oracle.getOperatorFee(type(uint256).max), type(uint256).max / 1e6 + OPERATOR_CONSTANT);
    }

    function testEcotoneCountsCalldataGas() public {
        activate(1);
        uint256 gas = 4 + 2 * 16 + 68 * 16;
        eq(oracle.getL1GasUsed(hex"00ff01"), gas);
        eq(oracle.getL1Fee(hex"00ff01"), gas * weighted() / 16e6);
    }

    function testBedrockHasOverheadAndScalar() public {
        vm.prank(DEPOSITOR);
        L1Block(Predeploys.L1_BLOCK).setL1BlockValues(1, 2, 3, 0, 0, 0, 188, 684_000);
        uint256 gas = 4 + 16 + 68 * 16;
        eq(oracle.getL1GasUsed(hex"00ff"), gas + 188);
        eq(oracle.getL1Fee(hex"00ff"), (gas + 188) * 3 * 684_000 / 1e6);
        eq(oracle.overhead(), 188);
        eq(oracle.scalar(), 684_000);
        activate(1);
        vm.expectRevert(bytes("GasPriceOracle: overhead() is deprecated"));
        oracle.overhead();
        vm.expectRevert(bytes("GasPriceOracle: scalar() is deprecated"));
        oracle.scalar();
    }

    function testForksComeOnceAndInOrder() public {
        refused(oracle.setFjord, "GasPriceOracle: Fjord can only be activated after Ecotone");
        refused(oracle.setIsthmus, "GasPriceOracle: Isthmus can only be activated after Fjord");
        refused(oracle.setJovian, "GasPriceOracle: Jovian can only be activated after Isthmus");
        activate(4);
        require(oracle.isEcotone() && oracle.isFjord() && oracle.isIsthmus() && oracle.isJovian());
        // One slot, one byte each: what genesis writes.
        eq(slot(address(oracle), 0), 0x01010101);
        refused(oracle.setEcotone, "GasPriceOracle: Ecotone already active");
        refused(oracle.setFjord, "GasPriceOracle: Fjord already active");
        refused(oracle.setIsthmus, "GasPriceOracle: Isthmus already active");
        refused(oracle.setJovian, "GasPriceOracle: Jovian already active");
    }

    function refused(function() external _set, string memory _reason) private {
        vm.prank(DEPOSITOR);
        vm.expectRevert(bytes(_reason));
        _set();
    }

    function testOnlyTheDepositorActivates() public {
        vm.expectRevert(bytes("GasPriceOracle: only the depositor account can set isEcotone flag"));
        oracle.setEcotone();
        vm.expectRevert(bytes("GasPriceOracle: only the depositor account can set isFjord flag"));
        oracle.setFjord();
        vm.expectRevert(bytes("GasPriceOracle: only the depositor account can set isIsthmus flag"));
        oracle.setIsthmus();
        vm.expectRevert(bytes("GasPriceOracle: only the depositor account can set isJovian flag"));
        oracle.setJovian();
    }

    function testValuesComeFromL1Block() public {
        vm.fee(5);
        eq(oracle.gasPrice(), 5);
        eq(oracle.baseFee(), 5);
        eq(oracle.l1BaseFee(), L1_BASE_FEE);
        eq(oracle.blobBaseFee(), BLOB_BASE_FEE);
        eq(oracle.baseFeeScalar(), BASE_FEE_SCALAR);
        eq(oracle.blobBaseFeeScalar(), BLOB_BASE_FEE_SCALAR);
        eq(oracle.decimals(), 6);
    }
}
