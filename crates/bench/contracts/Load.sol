// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.15;

/// The L1-attributes predeploy as far as execution reads it: Jovian's packed calldata goes to the slots from which
/// fees are taken.
contract Attributes {
    fallback() external {
        assembly {
            if iszero(eq(caller(), 0xDeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001)) { revert(0, 0) }
            sstore(0, shr(128, calldataload(20))) // timestamp, number
            sstore(1, calldataload(36)) // base fee
            sstore(2, calldataload(100)) // hash
            sstore(3, shr(128, calldataload(4))) // base fee scalar, blob base fee scalar, sequence number
            sstore(4, calldataload(132)) // batcher
            sstore(7, calldataload(68)) // blob base fee
            // operator fee scalar and constant; above them the DA footprint's
            sstore(8, or(shr(160, calldataload(164)), shl(96, shr(240, calldataload(176)))))
        }
    }
}

/// An ERC-20 whose balances (slot 0) genesis fills.
contract Token {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalSupply;

    string public constant name = "Load";
    string public constant symbol = "LOAD";
    uint8 public constant decimals = 18;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    error InsufficientBalance(address from, uint256 balance, uint256 value);
    error InsufficientAllowance(address spender, uint256 allowance, uint256 value);

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed < value) revert InsufficientAllowance(msg.sender, allowed, value);
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - value;
        move(from, to, value);
        return true;
    }

    function move(address from, address to, uint256 value) private {
        uint256 balance = balanceOf[from];
        if (balance < value) revert InsufficientBalance(from, balance, value);
        unchecked {
            balanceOf[from] = balance - value;
            balanceOf[to] += value;
        }
        emit Transfer(from, to, value);
    }
}

/// A mapping whose first `count` entries genesis fills (count in slot 0, entries in slot 1).
contract Store {
    uint256 public count;
    mapping(uint256 => uint256) public values;

    /// Reads and overwrites entries at random, and appends `fresh` new ones.
    function work(uint256 seed, uint256 fresh, uint256 updates, uint256 reads) external returns (uint256 seen) {
        uint256 size = count;
        unchecked {
            for (uint256 i = 0; i < reads; i++) {
                seed = next(seed);
                seen ^= values[seed % size];
            }
            for (uint256 i = 0; i < updates; i++) {
                seed = next(seed);
                values[seed % size] = seed | 1;
            }
            for (uint256 i = 0; i < fresh; i++) {
                seed = next(seed);
                values[size + i] = seed | 1;
            }
            count = size + fresh;
        }
    }

    function next(uint256 seed) private pure returns (uint256 drawn) {
        assembly {
            mstore(0, seed)
            drawn := keccak256(0, 32)
        }
    }
}

/// A token deployed over and over; `salt` makes every runtime code, and so its hash, a new one.
contract Child is Token {
    uint256 public immutable salt;

    constructor(uint256 salt_) {
        salt = salt_;
        totalSupply = 1e24;
        balanceOf[msg.sender] = 1e24;
    }
}
