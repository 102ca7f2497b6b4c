// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

/// @title DevnetSystemConfig
/// @notice What its owner can change about a running rollup: the setters and events of `SystemConfig` that L2
///         derives its configuration from. What holds at the start is in rollup.json.
contract DevnetSystemConfig {
    /// @notice What changed, by the numbers that derivation knows.
    enum UpdateType {
        BATCHER,
        FEE_SCALARS,
        GAS_LIMIT,
        UNSAFE_BLOCK_SIGNER,
        EIP_1559_PARAMS,
        OPERATOR_FEE_PARAMS,
        MIN_BASE_FEE,
        DA_FOOTPRINT_GAS_SCALAR
    }

    string public constant version = "1.0.0";
    uint256 private constant EVENT_VERSION = 0;
    /// @dev keccak256("systemconfig.unsafeblocksigner"): op-node reads it there.
    bytes32 private constant UNSAFE_BLOCK_SIGNER_SLOT =
        0x65a7ed542fb37fe237fdfbdd70b31598523fe5b32879e307bae27a0bd9581c08;

    address public immutable owner;

    event ConfigUpdate(uint256 indexed version, UpdateType indexed updateType, bytes data);

    error NotOwner();
    error ZeroParameter();

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner();
        _;
    }

    constructor(address _owner) {
        owner = _owner;
    }

    function unsafeBlockSigner() external view returns (address signer) {
        assembly {
            signer := sload(UNSAFE_BLOCK_SIGNER_SLOT)
        }
    }

    function setUnsafeBlockSigner(address _signer) external onlyOwner {
        assembly {
            sstore(UNSAFE_BLOCK_SIGNER_SLOT, _signer)
        }
        _update(UpdateType.UNSAFE_BLOCK_SIGNER, abi.encode(_signer));
    }

    /// @param _batcherHash The batcher's address, as a word.
    function setBatcherHash(bytes32 _batcherHash) external onlyOwner {
        _update(UpdateType.BATCHER, abi.encode(_batcherHash));
    }

    function setGasConfigEcotone(uint32 _basefeeScalar, uint32 _blobbasefeeScalar) external onlyOwner {
        uint256 scalar = uint256(1) << 248 | uint256(_blobbasefeeScalar) << 32 | _basefeeScalar;
        _update(UpdateType.FEE_SCALARS, abi.encode(uint256(0), scalar));
    }

    function setGasLimit(uint64 _gasLimit) external onlyOwner {
        _update(UpdateType.GAS_LIMIT, abi.encode(_gasLimit));
    }

    function setEIP1559Params(uint32 _denominator, uint32 _elasticity) external onlyOwner {
        if (_denominator == 0 || _elasticity == 0) revert ZeroParameter();
        _update(UpdateType.EIP_1559_PARAMS, abi.encode(uint256(_denominator) << 32 | _elasticity));
    }

    function setOperatorFeeScalars(uint32 _scalar, uint64 _constant) external onlyOwner {
        _update(UpdateType.OPERATOR_FEE_PARAMS, abi.encode(uint256(_scalar) << 64 | _constant));
    }

    function setMinBaseFee(uint64 _minBaseFee) external onlyOwner {
        _update(UpdateType.MIN_BASE_FEE, abi.encode(_minBaseFee));
    }

    function setDAFootprintGasScalar(uint16 _daFootprintGasScalar) external onlyOwner {
        _update(UpdateType.DA_FOOTPRINT_GAS_SCALAR, abi.encode(_daFootprintGasScalar));
    }

    function _update(UpdateType _type, bytes memory _data) private {
        emit ConfigUpdate(EVENT_VERSION, _type, _data);
    }
}
