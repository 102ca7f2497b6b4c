// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

/// @title Payees
/// @notice Who payouts go to, as the 32-byte numbers of the batch format: a kind in the first byte, and at the end
///         what the payee's number is within that kind.
library Payees {
    uint256 internal constant MODEL = 1 << 248;
    uint256 internal constant ADAPTER = 2 << 248;
    uint256 internal constant SOURCE = 3 << 248;
    uint256 internal constant OPERATOR = 4 << 248;

    function ofModel(uint32 model) internal pure returns (uint256) {
        return MODEL | uint256(model) << 64;
    }

    function ofAdapter(uint32 model, uint32 adapter) internal pure returns (uint256) {
        return ADAPTER | uint256(model) << 64 | uint256(adapter) << 32;
    }

    function ofSource(uint32 model, uint32 adapter, uint32 source) internal pure returns (uint256) {
        return SOURCE | uint256(model) << 64 | uint256(adapter) << 32 | source;
    }

    function ofOperator(address operator) internal pure returns (uint256) {
        return OPERATOR | uint160(operator);
    }

    /// @notice The address in an operator's number; false for every other number.
    function operatorOf(uint256 payee) internal pure returns (bool isOperator, address operator) {
        isOperator = payee ^ OPERATOR <= type(uint160).max;
        // casting to 'uint160' is safe because it only leaves out what `isOperator` compares
        // forge-lint: disable-next-line(unsafe-typecast)
        operator = address(uint160(payee));
    }
}
