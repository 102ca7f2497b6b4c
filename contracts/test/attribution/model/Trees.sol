// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

/// @title Trees
/// @notice Section 6 of docs/attribution-format.md: trees over leaves, their roots and proofs.
library Trees {
    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        if (leaves.length == 0) return 0;
        bytes32[] memory level = leaves;
        while (level.length > 1) level = _above(level);
        return level[0];
    }

    /// @notice What OpenZeppelin's MerkleProof takes for the leaf at `index`.
    function proof(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory path) {
        path = new bytes32[](256);
        uint256 length;
        bytes32[] memory level = leaves;
        while (level.length > 1) {
            if (index ^ 1 < level.length) path[length++] = level[index ^ 1];
            index /= 2;
            level = _above(level);
        }
        assembly {
            mstore(path, length)
        }
    }

    function payoutLeaf(uint256 position, uint256 payee, uint256 amount) internal pure returns (bytes32) {
        return keccak256(abi.encode(position, payee, amount));
    }

    function payoutLeaves(uint256[] memory payees, uint256[] memory amounts)
        internal
        pure
        returns (bytes32[] memory leaves)
    {
        leaves = new bytes32[](payees.length);
        for (uint256 i; i < payees.length; ++i) {
            leaves[i] = payoutLeaf(i, payees[i], amounts[i]);
        }
    }

    function _above(bytes32[] memory level) private pure returns (bytes32[] memory result) {
        result = new bytes32[]((level.length + 1) / 2);
        for (uint256 i; i < level.length; i += 2) {
            result[i / 2] = i + 1 == level.length ? level[i] : _node(level[i], level[i + 1]);
        }
    }

    function _node(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }
}
