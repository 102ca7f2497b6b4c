// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { LibZip } from "solady/utils/LibZip.sol";
import { L1Block } from "./L1Block.sol";
import { Predeploys } from "./Predeploys.sol";

/// @title GasPriceOracle
/// @notice Says what a transaction costs beyond execution: the L1 fee and the operator fee, by the formulas that
///         the execution client charges by.
/// @custom:predeploy 0x420000000000000000000000000000000000000F
contract GasPriceOracle {
    string public constant version = "1.6.0";
    /// @notice Decimals of the fee scalars.
    uint256 public constant DECIMALS = 6;

    /// @dev Bytes that a signature adds to an unsigned transaction.
    uint256 private constant SIGNATURE_BYTES = 68;
    /// @dev Estimated size, in millionths of a byte: COEFFICIENT * (bytes after FastLZ) - INTERCEPT, but at
    ///      least MIN_SIZE (Fjord specification).
    uint256 private constant COEFFICIENT = 836_500;
    uint256 private constant INTERCEPT = 42_585_600;
    uint256 private constant MIN_SIZE = 100e6;

    /// @notice Whether a fork's fee rules apply. All are set at genesis on a chain that begins with them.
    bool public isEcotone;
    bool public isFjord;
    bool public isIsthmus;
    bool public isJovian;

    modifier onlyDepositor(string memory _message) {
        require(msg.sender == Predeploys.DEPOSITOR, _message);
        _;
    }

    function setEcotone()
        external
        onlyDepositor("GasPriceOracle: only the depositor account can set isEcotone flag")
    {
        require(!isEcotone, "GasPriceOracle: Ecotone already active");
        isEcotone = true;
    }

    function setFjord()
        external
        onlyDepositor("GasPriceOracle: only the depositor account can set isFjord flag")
    {
        require(isEcotone, "GasPriceOracle: Fjord can only be activated after Ecotone");
        require(!isFjord, "GasPriceOracle: Fjord already active");
        isFjord = true;
    }

    function setIsthmus()
        external
        onlyDepositor("GasPriceOracle: only the depositor account can set isIsthmus flag")
    {
        require(isFjord, "GasPriceOracle: Isthmus can only be activated after Fjord");
        require(!isIsthmus, "GasPriceOracle: Isthmus already active");
        isIsthmus = true;
    }

    function setJovian()
        external
        onlyDepositor("GasPriceOracle: only the depositor account can set isJovian flag")
    {
        require(isIsthmus, "GasPriceOracle: Jovian can only be activated after Isthmus");
        require(!isJovian, "GasPriceOracle: Jovian already active");
        isJovian = true;
    }

    /// @notice The L1 fee, in wei, of a transaction given unsigned and encoded.
    function getL1Fee(bytes memory _data) external view returns (uint256) {
        if (isFjord) return _fjordFee(_fastLzSize(_data));
        uint256 gas = _calldataGas(_data);
        if (isEcotone) return gas * _weightedFees() / (16 * 10 ** DECIMALS);
        return (gas + _l1Block().l1FeeOverhead()) * l1BaseFee() * _l1Block().l1FeeScalar() / 10 ** DECIMALS;
    }

    /// @notice An upper bound of the L1 fee, in wei, of an unsigned transaction of that many bytes.
    function getL1FeeUpperBound(uint256 _unsignedTxSize) external view returns (uint256) {
        require(isFjord, "GasPriceOracle: getL1FeeUpperBound only supports Fjord");
        uint256 size = _unsignedTxSize + SIGNATURE_BYTES;
        // FastLZ makes incompressible data larger by about one byte in 255.
        return _fjordFee(size + size / 255 + 16);
    }

    /// @notice The operator fee, in wei, of a transaction that uses that much gas.
    function getOperatorFee(uint256 _gasUsed) external view returns (uint256) {
        if (!isIsthmus) return 0;
        uint256 scalar_ = _l1Block().operatorFeeScalar();
        uint256 constant_ = _l1Block().operatorFeeConstant();
        if (isJovian) return _gasUsed * scalar_ * 100 + constant_;
        unchecked {
            // Saturating, as the client computes it before Jovian.
            uint256 product = _gasUsed * scalar_;
            if (scalar_ != 0 && product / scalar_ != _gasUsed) product = type(uint256).max;
            uint256 fee = product / 10 ** DECIMALS;
            return fee + constant_ < fee ? type(uint256).max : fee + constant_;
        }
    }

    /// @notice The gas that a transaction, given unsigned and encoded, was taken to use on L1.
    /// @custom:deprecated Fees do not follow from it since Fjord.
    function getL1GasUsed(bytes memory _data) external view returns (uint256) {
        if (isFjord) return _estimatedSize(_fastLzSize(_data)) * 16 / 1e6;
        uint256 gas = _calldataGas(_data);
        return isEcotone ? gas : gas + _l1Block().l1FeeOverhead();
    }

    /// @notice The base fee of the current L2 block, in wei.
    function gasPrice() external view returns (uint256) {
        return block.basefee;
    }

    /// @notice The base fee of the current L2 block, in wei.
    function baseFee() external view returns (uint256) {
        return block.basefee;
    }

    function overhead() external view returns (uint256) {
        require(!isEcotone, "GasPriceOracle: overhead() is deprecated");
        return _l1Block().l1FeeOverhead();
    }

    function scalar() external view returns (uint256) {
        require(!isEcotone, "GasPriceOracle: scalar() is deprecated");
        return _l1Block().l1FeeScalar();
    }

    function l1BaseFee() public view returns (uint256) {
        return _l1Block().basefee();
    }

    function blobBaseFee() public view returns (uint256) {
        return _l1Block().blobBaseFee();
    }

    function baseFeeScalar() public view returns (uint32) {
        return _l1Block().baseFeeScalar();
    }

    function blobBaseFeeScalar() public view returns (uint32) {
        return _l1Block().blobBaseFeeScalar();
    }

    function decimals() external pure returns (uint256) {
        return DECIMALS;
    }

    function _l1Block() private pure returns (L1Block) {
        return L1Block(Predeploys.L1_BLOCK);
    }

    function _fjordFee(uint256 _fastLz) private view returns (uint256) {
        return _estimatedSize(_fastLz) * _weightedFees() / 10 ** (2 * DECIMALS);
    }

    /// @dev Millionths of a wei for 16 bytes of calldata and for a byte of blob.
    function _weightedFees() private view returns (uint256) {
        return uint256(baseFeeScalar()) * 16 * l1BaseFee() + uint256(blobBaseFeeScalar()) * blobBaseFee();
    }

    /// @dev In millionths of a byte.
    function _estimatedSize(uint256 _fastLz) private pure returns (uint256) {
        uint256 size = COEFFICIENT * _fastLz;
        return size < MIN_SIZE + INTERCEPT ? MIN_SIZE : size - INTERCEPT;
    }

    function _fastLzSize(bytes memory _data) private pure returns (uint256) {
        return LibZip.flzCompress(_data).length + SIGNATURE_BYTES;
    }

    function _calldataGas(bytes memory _data) private pure returns (uint256 gas) {
        for (uint256 i; i < _data.length; ++i) {
            gas += _data[i] == 0 ? 4 : 16;
        }
        gas += SIGNATURE_BYTES * 16;
    }
}
