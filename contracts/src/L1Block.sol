// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Predeploys } from "./Predeploys.sol";
import { ProxyAdminOwned } from "./ProxyAdminOwned.sol";

/// @title L1Block
/// @notice What L2 knows of L1: written by the first deposit of every block, read by users and, slot by slot,
///         by every execution client when it computes fees. The order of the variables is consensus.
/// @custom:predeploy 0x4200000000000000000000000000000000000015
contract L1Block is ProxyAdminOwned {
    string public constant version = "1.9.0";

    /// @notice Number of the L1 origin.
    uint64 public number;
    /// @notice Time of the L1 origin, in seconds.
    uint64 public timestamp;
    /// @notice Base fee of the L1 origin, in wei.
    uint256 public basefee;
    /// @notice Hash of the L1 origin.
    bytes32 public hash;
    /// @notice How many L2 blocks of this L1 origin came before the current one.
    uint64 public sequenceNumber;
    /// @notice Weight of the blob base fee in the L1 fee, from Ecotone.
    uint32 public blobBaseFeeScalar;
    /// @notice Weight of the base fee in the L1 fee, from Ecotone.
    uint32 public baseFeeScalar;
    /// @notice Address of the batcher, as a word.
    bytes32 public batcherHash;
    /// @notice Overhead of the L1 fee, in gas, before Ecotone.
    uint256 public l1FeeOverhead;
    /// @notice Scalar of the L1 fee, in millionths, before Ecotone.
    uint256 public l1FeeScalar;
    /// @notice Blob base fee of the L1 origin, in wei, from Ecotone.
    uint256 public blobBaseFee;
    /// @notice Constant part of the operator fee, in wei, from Isthmus.
    uint64 public operatorFeeConstant;
    /// @notice Part of the operator fee that grows with gas, from Isthmus.
    uint32 public operatorFeeScalar;
    /// @notice Gas that a byte of estimated DA usage counts in the block's footprint, from Jovian.
    uint16 public daFootprintGasScalar;
    /// @notice Features of this chain that have been switched on. They cannot be switched off.
    mapping(bytes32 => bool) public isFeatureEnabled;

    event FeatureSet(bytes32 indexed feature, bool indexed enabled);

    error NotDepositor();
    error L1Block_FeatureAlreadyEnabled();
    error L1Block_NotAuthorizedToSetFeature();

    /// @notice Who may set the L1 values.
    function DEPOSITOR_ACCOUNT() public pure returns (address) {
        return Predeploys.DEPOSITOR;
    }

    /// @notice What pays for gas: ether, by its conventional address, with 18 decimals.
    function gasPayingToken() external pure returns (address, uint8) {
        return (0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE, 18);
    }

    function gasPayingTokenName() external pure returns (string memory) {
        return "Ether";
    }

    function gasPayingTokenSymbol() external pure returns (string memory) {
        return "ETH";
    }

    function isCustomGasToken() external pure returns (bool) {
        return false;
    }

    /// @notice The values of a block before Ecotone.
    function setL1BlockValues(
        uint64 _number,
        uint64 _timestamp,
        uint256 _basefee,
        bytes32 _hash,
        uint64 _sequenceNumber,
        bytes32 _batcherHash,
        uint256 _l1FeeOverhead,
        uint256 _l1FeeScalar
    ) external {
        require(
            msg.sender == Predeploys.DEPOSITOR, "L1Block: only the depositor account can set L1 block values"
        );
        number = _number;
        timestamp = _timestamp;
        basefee = _basefee;
        hash = _hash;
        sequenceNumber = _sequenceNumber;
        batcherHash = _batcherHash;
        l1FeeOverhead = _l1FeeOverhead;
        l1FeeScalar = _l1FeeScalar;
    }

    /// @notice The values of a block from Ecotone, packed after the selector:
    ///         u32 baseFeeScalar, u32 blobBaseFeeScalar, u64 sequenceNumber, u64 timestamp, u64 number,
    ///         u256 basefee, u256 blobBaseFee, b256 hash, b256 batcherHash.
    function setL1BlockValuesEcotone() external {
        _setPackedValues();
    }

    /// @notice The values of a block from Isthmus: Ecotone's and u32 operatorFeeScalar, u64 operatorFeeConstant.
    function setL1BlockValuesIsthmus() external {
        _setPackedValues();
        assembly {
            sstore(operatorFeeConstant.slot, shr(160, calldataload(164)))
        }
    }

    /// @notice The values of a block from Jovian: Isthmus' and u16 daFootprintGasScalar.
    function setL1BlockValuesJovian() external {
        _setPackedValues();
        assembly {
            // The footprint scalar comes last in the calldata and highest in the slot.
            let operatorFee := shr(160, calldataload(164))
            let footprint := shr(240, calldataload(176))
            sstore(operatorFeeConstant.slot, or(shl(96, footprint), operatorFee))
        }
    }

    /// @notice Switches a feature on.
    function setFeature(bytes32 _feature) external {
        if (
            msg.sender != Predeploys.DEPOSITOR && msg.sender != proxyAdmin()
                && msg.sender != proxyAdminOwner()
        ) {
            revert L1Block_NotAuthorizedToSetFeature();
        }
        if (isFeatureEnabled[_feature]) revert L1Block_FeatureAlreadyEnabled();
        isFeatureEnabled[_feature] = true;
        emit FeatureSet(_feature, true);
    }

    /// @dev Neighbours in the calldata are neighbours in a slot, so each pair is stored as it comes.
    function _setPackedValues() private {
        if (msg.sender != Predeploys.DEPOSITOR) revert NotDepositor();
        assembly {
            sstore(sequenceNumber.slot, shr(128, calldataload(4)))
            sstore(number.slot, shr(128, calldataload(20)))
            sstore(basefee.slot, calldataload(36))
            sstore(blobBaseFee.slot, calldataload(68))
            sstore(hash.slot, calldataload(100))
            sstore(batcherHash.slot, calldataload(132))
        }
    }
}
