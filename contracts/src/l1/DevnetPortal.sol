// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

/// @title DevnetPortal
/// @notice The half of `OptimismPortal` that a devnet needs: deposits to L2. There are no withdrawals, because
///         nothing on a devnet's L1 could prove them, and no market for L2 gas.
contract DevnetPortal {
    string public constant version = "1.0.0";

    /// @dev Most bytes of calldata in a deposit, so that the transaction fits everywhere.
    uint256 private constant MAX_CALLDATA = 120_000;
    /// @dev What the address of a contract is moved by on L2, where its owner may be somebody else.
    uint160 private constant ALIAS_OFFSET = uint160(0x1111000000000000000000000000000000001111);
    uint256 private constant DEPOSIT_VERSION = 0;
    /// @dev Gas of a deposit that is made by sending ether.
    uint64 private constant RECEIVE_GAS = 100_000;

    /// @notice What L2 derives a deposit from.
    /// @param opaqueData u256 minted ether, u256 value, u64 gas limit, u8 creation, calldata.
    event TransactionDeposited(
        address indexed from, address indexed to, uint256 indexed version, bytes opaqueData
    );

    error BadTarget();
    error LargeCalldata();
    error SmallGasLimit();

    /// @notice Ether that is sent here belongs to the sender on L2. For accounts; a contract has another
    ///         address there.
    receive() external payable {
        depositTransaction(msg.sender, msg.value, RECEIVE_GAS, false, "");
    }

    /// @notice Calls or creates a contract on L2. The ether sent along is minted there for the sender.
    function depositTransaction(
        address _to,
        uint256 _value,
        uint64 _gasLimit,
        bool _isCreation,
        bytes memory _data
    ) public payable {
        if (_isCreation && _to != address(0)) revert BadTarget();
        if (_gasLimit < minimumGasLimit(uint64(_data.length))) revert SmallGasLimit();
        if (_data.length > MAX_CALLDATA) revert LargeCalldata();
        address from = msg.sender;
        if (from != tx.origin) {
            unchecked {
                from = address(uint160(from) + ALIAS_OFFSET);
            }
        }
        bytes memory opaqueData = abi.encodePacked(msg.value, _value, _gasLimit, _isCreation, _data);
        emit TransactionDeposited(from, _to, DEPOSIT_VERSION, opaqueData);
    }

    /// @notice Least gas limit of a deposit with so many bytes of calldata.
    function minimumGasLimit(uint64 _byteCount) public pure returns (uint64) {
        return _byteCount * 40 + 21_000;
    }
}
