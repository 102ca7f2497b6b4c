// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Predeploys } from "./Predeploys.sol";
import { ProxyAdminOwned } from "./ProxyAdminOwned.sol";

interface IL2ToL1MessagePasser {
    function initiateWithdrawal(address _target, uint256 _gasLimit, bytes memory _data) external payable;
}

/// @notice Collects one kind of fee and pays it out, on L1 or L2, to whom the owner of the proxy admin names.
abstract contract FeeVault is ProxyAdminOwned {
    enum WithdrawalNetwork {
        L1,
        L2
    }

    /// @dev Gas of the withdrawal on L1.
    uint256 private constant WITHDRAWAL_GAS = 400_000;
    /// @dev Where OpenZeppelin 5 keeps whether a contract has been initialised (ERC-7201).
    bytes32 private constant INITIALIZED_SLOT =
        0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00;

    /// @notice All that was ever paid out, in wei.
    uint256 public totalProcessed;
    /// @notice Least balance that is paid out, in wei.
    uint256 public minWithdrawalAmount;
    /// @notice Who is paid.
    address public recipient;
    /// @notice Where.
    WithdrawalNetwork public withdrawalNetwork;

    event Initialized(uint64 version);
    event Withdrawal(uint256 value, address to, address from);
    event Withdrawal(uint256 value, address to, address from, WithdrawalNetwork withdrawalNetwork);
    event MinWithdrawalAmountUpdated(uint256 oldWithdrawalAmount, uint256 newWithdrawalAmount);
    event RecipientUpdated(address oldRecipient, address newRecipient);
    event WithdrawalNetworkUpdated(
        WithdrawalNetwork oldWithdrawalNetwork, WithdrawalNetwork newWithdrawalNetwork
    );

    error InvalidInitialization();

    /// @dev The implementation itself is nobody's vault.
    constructor() {
        _setInitialized(type(uint64).max);
    }

    receive() external payable { }

    function initialize(
        address _recipient,
        uint256 _minWithdrawalAmount,
        WithdrawalNetwork _withdrawalNetwork
    ) external onlyProxyAdminOrOwner {
        uint256 initialized;
        assembly {
            initialized := sload(INITIALIZED_SLOT)
        }
        if (initialized != 0) revert InvalidInitialization();
        _setInitialized(1);
        recipient = _recipient;
        minWithdrawalAmount = _minWithdrawalAmount;
        withdrawalNetwork = _withdrawalNetwork;
    }

    function setMinWithdrawalAmount(uint256 _newMinWithdrawalAmount) external onlyProxyAdminOwner {
        emit MinWithdrawalAmountUpdated(minWithdrawalAmount, _newMinWithdrawalAmount);
        minWithdrawalAmount = _newMinWithdrawalAmount;
    }

    function setRecipient(address _newRecipient) external onlyProxyAdminOwner {
        emit RecipientUpdated(recipient, _newRecipient);
        recipient = _newRecipient;
    }

    function setWithdrawalNetwork(WithdrawalNetwork _newWithdrawalNetwork) external onlyProxyAdminOwner {
        emit WithdrawalNetworkUpdated(withdrawalNetwork, _newWithdrawalNetwork);
        withdrawalNetwork = _newWithdrawalNetwork;
    }

    /// @notice Pays everything out. Anyone may call it.
    function withdraw() external returns (uint256 value) {
        value = address(this).balance;
        require(
            value >= minWithdrawalAmount,
            "FeeVault: withdrawal amount must be greater than minimum withdrawal amount"
        );
        totalProcessed += value;
        (address to, WithdrawalNetwork network) = (recipient, withdrawalNetwork);
        emit Withdrawal(value, to, msg.sender);
        emit Withdrawal(value, to, msg.sender, network);
        if (network == WithdrawalNetwork.L2) {
            (bool success,) = to.call{ value: value }("");
            require(success, "FeeVault: failed to send ETH to L2 fee recipient");
        } else {
            IL2ToL1MessagePasser(Predeploys.L2_TO_L1_MESSAGE_PASSER).initiateWithdrawal{ value: value }(
                to, WITHDRAWAL_GAS, ""
            );
        }
    }

    /// @custom:deprecated Older name of `minWithdrawalAmount`.
    function MIN_WITHDRAWAL_AMOUNT() external view returns (uint256) {
        return minWithdrawalAmount;
    }

    /// @custom:deprecated Older name of `recipient`.
    function RECIPIENT() external view returns (address) {
        return recipient;
    }

    /// @custom:deprecated Older name of `withdrawalNetwork`.
    function WITHDRAWAL_NETWORK() external view returns (WithdrawalNetwork) {
        return withdrawalNetwork;
    }

    function _setInitialized(uint64 _version) private {
        assembly {
            sstore(INITIALIZED_SLOT, _version)
        }
        emit Initialized(_version);
    }
}
