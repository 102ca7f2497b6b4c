// SPDX-License-Identifier: MIT
pragma solidity ^0.8.15;

import { ERC20 } from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ERC20Permit } from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC20Permit.sol";
import { ReentrancyGuard } from "@openzeppelin/contracts/security/ReentrancyGuard.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice A pool of two tokens at a constant product, with shares and prices summed over time.
contract Pair is ERC20Permit, ReentrancyGuard {
    using SafeERC20 for IERC20;

    uint256 public constant LEAST_SHARES = 1000;
    address public immutable exchange;
    IERC20 public immutable first;
    IERC20 public immutable second;
    uint112 private reserveFirst;
    uint112 private reserveSecond;
    uint32 private updated;
    uint256 public priceSumFirst;
    uint256 public priceSumSecond;
    uint256 public productLast;

    event Added(address indexed by, uint256 first, uint256 second, uint256 shares);
    event Removed(address indexed by, address indexed to, uint256 first, uint256 second);
    event Swapped(address indexed by, address indexed to, uint256 inFirst, uint256 inSecond, uint256 outFirst, uint256 outSecond);
    event Synced(uint112 first, uint112 second);

    error Empty();
    error Overflow();
    error TooLittle();
    error BadTarget();

    constructor(IERC20 first_, IERC20 second_) ERC20("Pair", "PAIR") ERC20Permit("Pair") {
        (exchange, first, second) = (msg.sender, first_, second_);
    }

    function reserves() public view returns (uint112, uint112, uint32) {
        return (reserveFirst, reserveSecond, updated);
    }

    function add(uint256 amountFirst, uint256 amountSecond) external nonReentrant returns (uint256 shares) {
        first.safeTransferFrom(msg.sender, address(this), amountFirst);
        second.safeTransferFrom(msg.sender, address(this), amountSecond);
        uint256 supply = totalSupply();
        if (supply == 0) {
            shares = Math.sqrt(amountFirst * amountSecond) - LEAST_SHARES;
            _mint(address(1), LEAST_SHARES);
        } else {
            shares = Math.min(amountFirst * supply / reserveFirst, amountSecond * supply / reserveSecond);
        }
        if (shares == 0) revert TooLittle();
        _mint(msg.sender, shares);
        _update();
        productLast = uint256(reserveFirst) * reserveSecond;
        emit Added(msg.sender, amountFirst, amountSecond, shares);
    }

    function remove(uint256 shares, address to) external nonReentrant returns (uint256 outFirst, uint256 outSecond) {
        uint256 supply = totalSupply();
        outFirst = shares * first.balanceOf(address(this)) / supply;
        outSecond = shares * second.balanceOf(address(this)) / supply;
        if (outFirst == 0 || outSecond == 0) revert TooLittle();
        _burn(msg.sender, shares);
        first.safeTransfer(to, outFirst);
        second.safeTransfer(to, outSecond);
        _update();
        productLast = uint256(reserveFirst) * reserveSecond;
        emit Removed(msg.sender, to, outFirst, outSecond);
    }

    function quote(bool sellFirst, uint256 amount) public view returns (uint256) {
        (uint256 from, uint256 into) =
            sellFirst ? (uint256(reserveFirst), uint256(reserveSecond)) : (uint256(reserveSecond), uint256(reserveFirst));
        if (from == 0 || into == 0) revert Empty();
        uint256 afterFee = amount * 997;
        return afterFee * into / (from * 1000 + afterFee);
    }

    function swap(bool sellFirst, uint256 amount, uint256 least, address to) external nonReentrant returns (uint256 out) {
        if (to == address(first) || to == address(second)) revert BadTarget();
        out = quote(sellFirst, amount);
        if (out < least || out == 0) revert TooLittle();
        (IERC20 from, IERC20 into) = sellFirst ? (first, second) : (second, first);
        from.safeTransferFrom(msg.sender, address(this), amount);
        into.safeTransfer(to, out);
        _update();
        if (sellFirst) emit Swapped(msg.sender, to, amount, 0, 0, out);
        else emit Swapped(msg.sender, to, 0, amount, out, 0);
    }

    function skim(address to) external nonReentrant {
        first.safeTransfer(to, first.balanceOf(address(this)) - reserveFirst);
        second.safeTransfer(to, second.balanceOf(address(this)) - reserveSecond);
    }

    function sync() external nonReentrant {
        _update();
    }

    function _update() private {
        uint256 balanceFirst = first.balanceOf(address(this));
        uint256 balanceSecond = second.balanceOf(address(this));
        if (balanceFirst > type(uint112).max || balanceSecond > type(uint112).max) revert Overflow();
        uint32 time = uint32(block.timestamp % 2 ** 32);
        unchecked {
            uint32 passed = time - updated;
            if (passed > 0 && reserveFirst != 0 && reserveSecond != 0) {
                priceSumFirst += (uint256(reserveSecond) << 112) / reserveFirst * passed;
                priceSumSecond += (uint256(reserveFirst) << 112) / reserveSecond * passed;
            }
        }
        (reserveFirst, reserveSecond, updated) = (uint112(balanceFirst), uint112(balanceSecond), time);
        emit Synced(reserveFirst, reserveSecond);
    }
}

/// @notice Makes pairs at addresses known beforehand. With a pair inside it is as large as the factory
/// of Uniswap v2.
contract Exchange {
    mapping(IERC20 => mapping(IERC20 => Pair)) public pairs;
    Pair[] public all;

    event Created(IERC20 indexed first, IERC20 indexed second, Pair pair, uint256 count);

    error Same();
    error Exists();

    function count() external view returns (uint256) {
        return all.length;
    }

    function create(IERC20 one, IERC20 other) external returns (Pair pair) {
        if (one == other) revert Same();
        (IERC20 first, IERC20 second) = one < other ? (one, other) : (other, one);
        if (address(pairs[first][second]) != address(0)) revert Exists();
        pair = new Pair{ salt: keccak256(abi.encodePacked(first, second)) }(first, second);
        pairs[first][second] = pair;
        pairs[second][first] = pair;
        all.push(pair);
        emit Created(first, second, pair, all.length);
    }
}
