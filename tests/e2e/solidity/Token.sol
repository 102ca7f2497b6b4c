// SPDX-License-Identifier: MIT
pragma solidity ^0.8.15;

import { ERC20 } from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import { Ownable } from "@openzeppelin/contracts/access/Ownable.sol";

/// @notice A token whose owner makes as much of it as they like.
contract Token is ERC20, Ownable {
    /// @notice Nobody may burn more than they have.
    error TooMuch(uint256 have, uint256 want);

    constructor(string memory name, string memory symbol, uint256 supply) ERC20(name, symbol) {
        _mint(msg.sender, supply);
    }

    function mint(address to, uint256 amount) external onlyOwner {
        _mint(to, amount);
    }

    function burn(uint256 amount) external {
        uint256 have = balanceOf(msg.sender);
        if (have < amount) revert TooMuch(have, amount);
        _burn(msg.sender, amount);
    }
}
