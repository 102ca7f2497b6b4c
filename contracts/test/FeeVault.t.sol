// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { BaseFeeVault } from "../src/BaseFeeVault.sol";
import { FeeVault } from "../src/FeeVault.sol";
import { L1FeeVault } from "../src/L1FeeVault.sol";
import { OperatorFeeVault } from "../src/OperatorFeeVault.sol";
import { Predeploys } from "../src/Predeploys.sol";
import { ProxyAdminOwned } from "../src/ProxyAdminOwned.sol";
import { SequencerFeeVault } from "../src/SequencerFeeVault.sol";
import { Admin, Test } from "./Test.sol";

/// @notice Keeps what it is asked to pass on.
contract Passer {
    address public target;
    uint256 public gasLimit;

    function initiateWithdrawal(address _target, uint256 _gasLimit, bytes memory) external payable {
        (target, gasLimit) = (_target, _gasLimit);
    }
}

contract FeeVaultTest is Test {
    bytes32 private constant INITIALIZED_SLOT =
        0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00;
    address private constant RECIPIENT = address(0xbeef);

    SequencerFeeVault private implementation;
    SequencerFeeVault private vault;
    Admin private admin;

    event Withdrawal(uint256 value, address to, address from);
    event Withdrawal(uint256 value, address to, address from, FeeVault.WithdrawalNetwork withdrawalNetwork);
    event RecipientUpdated(address oldRecipient, address newRecipient);
    event MinWithdrawalAmountUpdated(uint256 oldWithdrawalAmount, uint256 newWithdrawalAmount);
    event WithdrawalNetworkUpdated(
        FeeVault.WithdrawalNetwork oldWithdrawalNetwork, FeeVault.WithdrawalNetwork newWithdrawalNetwork
    );

    function setUp() public {
        admin = new Admin();
        implementation = new SequencerFeeVault();
        // The code without its constructor's storage: as a proxy sees it.
        vault = SequencerFeeVault(payable(address(0x11)));
        vm.etch(address(vault), address(implementation).code);
        vm.store(address(vault), ADMIN_SLOT, bytes32(uint256(uint160(address(admin)))));
        vault.initialize(RECIPIENT, 10 ether, FeeVault.WithdrawalNetwork.L2);
        vm.etch(Predeploys.L2_TO_L1_MESSAGE_PASSER, address(new Passer()).code);
    }

    function testStorageIsWhereGenesisWritesIt() public view {
        eq(slot(address(vault), 0), 0);
        eq(slot(address(vault), 1), 10 ether);
        eq(slot(address(vault), 2), uint256(1) << 160 | uint160(RECIPIENT));
        eq(vm.load(address(vault), INITIALIZED_SLOT), bytes32(uint256(1)));
        eq(vm.load(address(implementation), INITIALIZED_SLOT), bytes32(uint256(type(uint64).max)));
    }

    function testOldNamesAnswerToo() public view {
        eq(vault.RECIPIENT(), RECIPIENT);
        eq(vault.l1FeeWallet(), RECIPIENT);
        eq(vault.MIN_WITHDRAWAL_AMOUNT(), 10 ether);
        eq(uint256(vault.WITHDRAWAL_NETWORK()), 1);
    }

    function testInitialisesOnce() public {
        vm.expectRevert(FeeVault.InvalidInitialization.selector);
        vault.initialize(RECIPIENT, 0, FeeVault.WithdrawalNetwork.L1);
        vm.expectRevert(ProxyAdminOwned.ProxyAdminOwnedBase_ProxyAdminNotFound.selector);
        implementation.initialize(RECIPIENT, 0, FeeVault.WithdrawalNetwork.L1);
        vm.prank(address(1));
        vm.expectRevert(ProxyAdminOwned.ProxyAdminOwnedBase_NotProxyAdminOrProxyAdminOwner.selector);
        vault.initialize(RECIPIENT, 0, FeeVault.WithdrawalNetwork.L1);
    }

    function testPaysOnL2() public {
        vm.deal(address(vault), 11 ether);
        vm.expectEmit();
        emit Withdrawal(11 ether, RECIPIENT, address(this));
        vm.expectEmit();
        emit Withdrawal(11 ether, RECIPIENT, address(this), FeeVault.WithdrawalNetwork.L2);
        eq(vault.withdraw(), 11 ether);
        eq(RECIPIENT.balance, 11 ether);
        eq(vault.totalProcessed(), 11 ether);
    }

    function testPaysOnL1ThroughTheMessagePasser() public {
        vault.setWithdrawalNetwork(FeeVault.WithdrawalNetwork.L1);
        vm.deal(address(vault), 12 ether);
        eq(vault.withdraw(), 12 ether);
        Passer passer = Passer(Predeploys.L2_TO_L1_MESSAGE_PASSER);
        eq(address(passer).balance, 12 ether);
        eq(passer.target(), RECIPIENT);
        eq(passer.gasLimit(), 400_000);
    }

    function testKeepsSmallAmounts() public {
        vm.deal(address(vault), 10 ether - 1);
        vm.expectRevert(bytes("FeeVault: withdrawal amount must be greater than minimum withdrawal amount"));
        vault.withdraw();
    }

    function testARecipientThatRefusesKeepsTheFeesHere() public {
        vault.setRecipient(address(this));
        vm.deal(address(vault), 10 ether);
        vm.expectRevert(bytes("FeeVault: failed to send ETH to L2 fee recipient"));
        vault.withdraw();
        eq(vault.totalProcessed(), 0);
    }

    function testTheOwnerGoverns() public {
        vm.expectEmit();
        emit RecipientUpdated(RECIPIENT, address(2));
        vault.setRecipient(address(2));
        vm.expectEmit();
        emit MinWithdrawalAmountUpdated(10 ether, 3);
        vault.setMinWithdrawalAmount(3);
        vm.expectEmit();
        emit WithdrawalNetworkUpdated(FeeVault.WithdrawalNetwork.L2, FeeVault.WithdrawalNetwork.L1);
        vault.setWithdrawalNetwork(FeeVault.WithdrawalNetwork.L1);
        eq(vault.recipient(), address(2));
        eq(vault.minWithdrawalAmount(), 3);
        eq(uint256(vault.withdrawalNetwork()), 0);
        eq(vault.proxyAdmin(), address(admin));
        eq(vault.proxyAdminOwner(), address(this));
    }

    function testNobodyElseGoverns(address _sender) public {
        vm.assume(_sender != address(this));
        bytes4 refused = ProxyAdminOwned.ProxyAdminOwnedBase_NotProxyAdminOwner.selector;
        vm.prank(_sender);
        vm.expectRevert(refused);
        vault.setRecipient(_sender);
        vm.prank(_sender);
        vm.expectRevert(refused);
        vault.setMinWithdrawalAmount(0);
        vm.prank(_sender);
        vm.expectRevert(refused);
        vault.setWithdrawalNetwork(FeeVault.WithdrawalNetwork.L1);
    }

    function testReceivesFees() public {
        FeeVault[3] memory others =
            [FeeVault(new BaseFeeVault()), FeeVault(new L1FeeVault()), FeeVault(new OperatorFeeVault())];
        for (uint256 i; i < others.length; ++i) {
            vm.deal(address(this), 1 ether);
            (bool success,) = address(others[i]).call{ value: 1 ether }("");
            require(success);
            eq(address(others[i]).balance, 1 ether);
        }
    }
}
