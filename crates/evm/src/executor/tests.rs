use crate::{
    BlockFull, BuiltParts, ConsensusError, ExecutionError, HeaderRoots, InvalidTx,
    OpTransactionError, PushError, assemble_header,
    l1_fee::{self, EstimatedSize},
    receipts_root_and_bloom,
    test_chain::*,
    transactions_root, validate_block_pre_execution, validate_header, validate_post_execution,
};
use alloy_consensus::{Header, TxEip1559, TxReceipt, transaction::Recovered};
use alloy_eips::{Encodable2718, eip2935, eip4788};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address};
use op_alloy_consensus::{OpReceipt, OpTxEnvelope, OpTxReceipt, TxDeposit, TxPostExec};
use op_revm::OpSpecId;
use revm::{
    Database,
    context::result::InvalidTransaction,
    database::{InMemoryDB, State, states::bundle_state::BundleRetention},
};

const CONTRACT: Address = address!("c0000000000000000000000000000000000000de");

fn balance(state: &mut State<InMemoryDB>, address: Address) -> U256 {
    state.basic(address).expect("memory does not fail").unwrap_or_default().balance
}

fn nonce(state: &mut State<InMemoryDB>, address: Address) -> u64 {
    state.basic(address).expect("memory does not fail").unwrap_or_default().nonce
}

fn mint_to(to: TxKind, value: u64, gas_limit: u64) -> Recovered<OpTxEnvelope> {
    deposit(TxDeposit {
        from: BOB,
        to,
        mint: 1_000,
        value: U256::from(value),
        gas_limit,
        ..TxDeposit::default()
    })
}

/// The last receipt's own gas.
fn last_gas(receipts: &[OpReceipt]) -> u64 {
    let cumulative = |index: usize| receipts[index].cumulative_gas_used();
    cumulative(receipts.len() - 1) - cumulative(receipts.len() - 2)
}

#[test]
fn deposits_mint_transfer_and_pay_nothing() {
    for fork in FORKS {
        let chain = TestChain::new(fork);
        let (pushed, parts, mut state) = chain.run(mint_to(TxKind::Call(ALICE), 400, 100_000));
        assert!(pushed.expect("included").success, "{fork}");
        assert_eq!(balance(&mut state, BOB), U256::from(600), "{fork}");
        assert_eq!(balance(&mut state, ALICE), U256::from(10 * ETHER + 400), "{fork}");
        assert_eq!(nonce(&mut state, BOB), 1, "{fork}");
        for vault in [SEQUENCER_VAULT, BASE_FEE_VAULT, L1_FEE_VAULT, OPERATOR_VAULT] {
            assert_eq!(balance(&mut state, vault), U256::ZERO, "{fork}");
        }
        assert_eq!(parts.fees, U256::ZERO);
        // Before Regolith a deposit reports its whole limit.
        let gas = if fork == "bedrock" { 100_000 } else { 21_000 };
        assert_eq!(last_gas(&parts.output.receipts), gas, "{fork}");
        let receipt = parts.output.receipts.last().expect("two receipts");
        assert_eq!(receipt.deposit_nonce(), (fork != "bedrock").then_some(0), "{fork}");
        let canyon = index(fork) >= index("canyon");
        assert_eq!(receipt.deposit_receipt_version(), canyon.then_some(1), "{fork}");
    }
}

#[test]
fn failed_deposits_keep_mint_and_nonce_only() {
    let invalid_opcode = [0xfe];
    for fork in &FORKS[1..] {
        let mut chain = TestChain::new(fork);
        chain.deploy(CONTRACT, &invalid_opcode);
        let cases = [
            ("halts", mint_to(TxKind::Call(CONTRACT), 400, 100_000)),
            ("more value than balance", mint_to(TxKind::Call(ALICE), 5_000, 100_000)),
            ("less gas than the least", mint_to(TxKind::Call(ALICE), 0, 20_999)),
            (
                "creation halts",
                deposit(TxDeposit {
                    from: BOB,
                    to: TxKind::Create,
                    mint: 1_000,
                    gas_limit: 100_000,
                    input: Bytes::from_static(&[0xfe]),
                    ..TxDeposit::default()
                }),
            ),
            (
                "system transactions ended with Bedrock",
                deposit(TxDeposit {
                    from: BOB,
                    to: TxKind::Call(ALICE),
                    mint: 1_000,
                    gas_limit: 100_000,
                    is_system_transaction: true,
                    ..TxDeposit::default()
                }),
            ),
        ];
        for (what, tx) in cases {
            let limit = tx.as_deposit().expect("a deposit").gas_limit;
            let (pushed, parts, mut state) = chain.run(tx);
            assert!(!pushed.expect("included").success, "{fork}: {what}");
            assert_eq!(balance(&mut state, BOB), U256::from(1_000), "{fork}: {what}");
            assert_eq!(nonce(&mut state, BOB), 1, "{fork}: {what}");
            assert_eq!(last_gas(&parts.output.receipts), limit, "{fork}: {what}");
            let receipt = parts.output.receipts.last().expect("two receipts");
            assert!(!receipt.status(), "{fork}: {what}");
            assert_eq!(receipt.deposit_nonce(), Some(0), "{fork}: {what}");
        }
    }
}

#[test]
fn reverted_deposits_report_their_gas() {
    // PUSH0 PUSH0 REVERT would need Shanghai: PUSH1 0 PUSH1 0 REVERT.
    let mut chain = TestChain::new("karst");
    chain.deploy(CONTRACT, &[0x60, 0, 0x60, 0, 0xfd]);
    let (pushed, parts, mut state) = chain.run(mint_to(TxKind::Call(CONTRACT), 400, 100_000));
    assert!(!pushed.expect("included").success);
    assert_eq!(last_gas(&parts.output.receipts), 21_006);
    assert_eq!(balance(&mut state, BOB), U256::from(1_000));
    assert_eq!(nonce(&mut state, BOB), 1);
}

#[test]
fn bedrock_system_transactions_are_outside_the_blocks_gas() {
    let mut chain = TestChain::new("bedrock");
    chain.next.gas_limit = 1_000_000;
    let system = |gas_limit| {
        deposit(TxDeposit {
            from: DEPOSITOR,
            to: TxKind::Call(BOB),
            gas_limit,
            is_system_transaction: true,
            ..TxDeposit::default()
        })
    };
    let (_, parts, _) = chain.build(|builder| {
        builder.push(system(150_000_000)).expect("not counted");
        let used = builder.push(mint_to(TxKind::Call(ALICE), 0, 1_000_000)).expect("fits");
        assert_eq!(used.gas_used, 1_000_000);
    });
    assert_eq!(parts.output.gas_used, 1_000_000);
}

/// Slots of `L1Block` with every fee set.
fn fees(chain: &mut TestChain) {
    let scalars = U256::from(5_227_u64) << 96 | U256::from(1_014_213_u64) << 64;
    let operator = U256::from(400_u64) << 96 | U256::from(2_000_u64) << 64 | U256::from(77_u64);
    chain.set_l1_block(&[
        (1, U256::from(1_055_991_687_u64)),
        (3, scalars),
        (5, U256::from(188)),
        (6, U256::from(684_000)),
        (7, U256::from(5_000_000)),
        (8, operator),
    ]);
}

#[test]
fn fees_go_to_the_vaults_and_nothing_is_lost() {
    for fork in FORKS {
        let mut chain = TestChain::new(fork);
        fees(&mut chain);
        let tx = signed(transfer(0));
        let encoded = tx.encoded_2718();
        let spec = crate::op_spec_id(&**chain.config.chain_spec(), 1_000);
        let info = l1_fee::l1_block_info(&mut chain.db.clone(), 10, spec).expect("memory");
        let (pushed, parts, mut state) = chain.run(tx);
        let used = pushed.unwrap_or_else(|error| panic!("{fork}: {error}")).gas_used;
        assert_eq!(used, 21_000);

        let l1 = l1_fee::l1_cost(&info, &encoded, spec);
        let operator = l1_fee::operator_fee(&info, used, spec);
        assert!(l1 > U256::ZERO, "{fork}");
        assert_eq!(operator.is_zero(), !spec.is_enabled_in(OpSpecId::ISTHMUS), "{fork}");
        let tip = U256::from(5 * used);
        let base = U256::from(BASE_FEE) * U256::from(used);
        assert_eq!(balance(&mut state, L1_FEE_VAULT), l1, "{fork}");
        assert_eq!(balance(&mut state, OPERATOR_VAULT), operator, "{fork}");
        assert_eq!(balance(&mut state, BASE_FEE_VAULT), base, "{fork}");
        assert_eq!(balance(&mut state, SEQUENCER_VAULT), tip, "{fork}");
        assert_eq!(parts.fees, tip, "{fork}");
        let paid = U256::from(10 * ETHER) - balance(&mut state, ALICE);
        assert_eq!(paid, l1 + operator + base + tip + U256::from(1), "{fork}");
    }
}

#[test]
fn first_ecotone_block_pays_the_bedrock_fee() {
    let spec = spec_with("canyon", Some(("ecotone", 1_000)));
    let mut chain = TestChain::with_spec("canyon", spec);
    chain.next.parent_beacon_block_root = Some(B256::ZERO);
    chain.set_l1_block(&[
        (1, U256::from(1_000_000_000)),
        (5, U256::from(188)),
        (6, U256::from(684_000)),
    ]);
    let tx = signed(transfer(0));
    let data: u64 = tx.encoded_2718().iter().map(|byte| if *byte == 0 { 4 } else { 16 }).sum();
    let gas = data + 188;
    let (pushed, _, mut state) = chain.run(tx);
    pushed.expect("valid");
    assert_eq!(balance(&mut state, L1_FEE_VAULT), U256::from(gas * 684 * 1_000_000));
}

#[test]
fn a_known_size_changes_nothing() {
    for fork in FORKS {
        let mut chain = TestChain::new(fork);
        fees(&mut chain);
        let tx = signed(transfer(0));
        let size = EstimatedSize::of(&tx.encoded_2718());
        let (_, plain, _) = chain.run(tx.clone());
        let (_, sized, _) = chain.build(|builder| {
            builder.push(chain.l1_attributes(0)).expect("included");
            builder.push_sized(tx, Some(size)).expect("valid");
        });
        assert_eq!(plain.output.bundle, sized.output.bundle, "{fork}");
        assert_eq!(plain.output.receipts, sized.output.receipts, "{fork}");
    }
}

/// Blocks of many transactions are sized ahead, on all cores.
#[test]
fn large_blocks_execute_as_they_were_built() {
    for fork in ["ecotone", "fjord", "karst"] {
        let mut chain = TestChain::new(fork);
        fees(&mut chain);
        let (_, parts, _) = chain.build(|builder| {
            builder.push(chain.l1_attributes(400)).expect("included");
            for nonce in 0..100_u64 {
                let input = (0..nonce * 7).map(|i| (i * i) as u8).collect();
                let tx = TxEip1559 { input, gas_limit: 100_000, ..transfer(nonce) };
                builder.push(signed(tx)).expect("valid");
            }
        });
        let header = Header {
            number: 10,
            timestamp: 1_000,
            gas_limit: GAS_LIMIT,
            base_fee_per_gas: Some(parts.base_fee),
            beneficiary: SEQUENCER_VAULT,
            mix_hash: chain.next.prev_randao,
            parent_hash: chain.parent.hash(),
            parent_beacon_block_root: chain.next.parent_beacon_block_root,
            ..Header::default()
        };
        let (block, built) = parts.into_block(header);
        let output = chain.config.execute(chain.db, &block).expect("valid");
        assert_eq!(output.bundle, built.bundle, "{fork}");
        assert_eq!(output.blob_gas_used, built.blob_gas_used, "{fork}");
    }
}

#[test]
fn karst_caps_user_transactions_and_spares_deposits() {
    let over = |gas_limit| signed(TxEip1559 { gas_limit, ..transfer(0) });
    let karst = TestChain::new("karst");
    assert!(karst.run(over(16_777_216)).0.is_ok());
    let error = karst.run(over(16_777_217)).0.expect_err("above the cap");
    assert!(
        matches!(
            error,
            PushError::Invalid(InvalidTx::Rejected(OpTransactionError::Base(
                InvalidTransaction::TxGasLimitGreaterThanCap { .. }
            )))
        ),
        "{error}"
    );
    assert!(TestChain::new("jovian").run(over(16_777_217)).0.is_ok());

    // A deposit may not only ask for more, it may use more: this one counts down from 2^20.
    let mut karst = TestChain::new("karst");
    // PUSH3 count JUMPDEST PUSH1 1 SWAP1 SUB DUP1 PUSH1 4 JUMPI
    let count = [0x62, 0x10, 0, 0, 0x5b, 0x60, 1, 0x90, 0x03, 0x80, 0x60, 4, 0x57];
    karst.deploy(CONTRACT, &count);
    let (pushed, _, _) = karst.run(mint_to(TxKind::Call(CONTRACT), 0, 40_000_000));
    let pushed = pushed.expect("included");
    assert!(pushed.success);
    assert!(pushed.gas_used > 20_000_000, "{}", pushed.gas_used);
}

#[test]
fn jovian_footprint_is_counted_and_bounded() {
    let chain = TestChain::new("jovian");
    let size = EstimatedSize::of(&signed(transfer(0)).encoded_2718());
    assert_eq!(size, EstimatedSize::MIN);
    let (_, parts, _) = chain.build(|builder| {
        builder.push(chain.l1_attributes(65_535)).expect("included");
        assert_eq!(builder.da_footprint(), 0);
        // 100 bytes of 65,535 gas each: nine fit into 60 M gas.
        for nonce in 0..9 {
            builder.push(signed(transfer(nonce))).expect("fits");
        }
        let error = builder.push(signed(transfer(9))).expect_err("footprint is used up");
        let full = BlockFull::DaFootprint { footprint: 6_553_500, available: 1_018_500 };
        assert!(matches!(error, PushError::BlockFull(got) if got == full), "{error}");
        // Deposits have none.
        builder.push(mint_to(TxKind::Call(ALICE), 0, 100_000)).expect("fits");
    });
    assert_eq!(parts.output.blob_gas_used, 9 * 6_553_500);
    assert_eq!(parts.transactions.len(), 11);

    // Isthmus has no footprint, whatever L1Block says.
    let mut isthmus = TestChain::new("isthmus");
    fees(&mut isthmus);
    let (pushed, parts, _) = isthmus.run(signed(transfer(0)));
    pushed.expect("valid");
    assert_eq!(parts.output.blob_gas_used, 0);
}

#[test]
fn jovian_scalar_is_the_attributes_not_the_states() {
    let mut chain = TestChain::new("jovian");
    fees(&mut chain); // 400 in L1Block
    let (_, parts, _) = chain.build(|builder| {
        builder.push(chain.l1_attributes(3)).expect("included");
        builder.push(signed(transfer(0))).expect("fits");
    });
    assert_eq!(parts.output.blob_gas_used, 300);
}

#[test]
fn jovian_blocks_begin_with_l1_attributes() {
    for fork in ["jovian", "karst"] {
        let chain = TestChain::new(fork);
        let mut state =
            State::builder().with_database(chain.db.clone()).with_bundle_update().build();
        let mut builder = chain
            .config
            .builder(&mut state, &chain.parent, chain.next.clone())
            .expect("the block starts");
        let error = builder.push(signed(transfer(0))).expect_err("no attributes");
        assert_eq!(error.to_string(), "missing deposit transaction");
        let error = builder.push(mint_to(TxKind::Call(ALICE), 0, 100_000)).expect_err("too short");
        assert!(error.to_string().contains("too short"), "{error}");
        // Attributes that do not fit are not the block's.
        let mut greedy = chain.l1_attributes(1).into_parts();
        if let OpTxEnvelope::Deposit(tx) = greedy.0 {
            let tx = TxDeposit { gas_limit: GAS_LIMIT + 1, ..tx.into_inner() };
            greedy.0 = tx.into();
        }
        let error = builder
            .push(Recovered::new_unchecked(greedy.0, greedy.1))
            .expect_err("more gas than the block has");
        assert!(matches!(error, PushError::BlockFull(BlockFull::Gas { .. })), "{error}");
        let error = builder.finish().expect_err("still none");
        assert!(matches!(error, ExecutionError::Invalid(ConsensusError::MissingL1Attributes)));
    }
}

#[test]
fn jovian_activation_block_has_deposits_only() {
    let spec = spec_with("isthmus", Some(("jovian", 1_000)));
    let mut chain = TestChain::with_spec("isthmus", spec);
    chain.next.extra_data = extra_data("jovian");
    let (_, parts, _) = chain.build(|builder| {
        builder.push(chain.l1_attributes(0)).expect("included");
        builder.push(mint_to(TxKind::Call(ALICE), 0, 100_000)).expect("fits");
        let error = builder.push(signed(transfer(0))).expect_err("a user transaction");
        assert!(matches!(error, PushError::BlockFull(BlockFull::ActivationBlock)), "{error}");
    });
    assert_eq!(parts.output.blob_gas_used, 0);
    assert_eq!(parts.transactions.len(), 2);
}

#[test]
fn refused_transactions_leave_no_trace() {
    let mut chain = TestChain::new("karst");
    fees(&mut chain);
    chain.next.gas_limit = 2_000_000;
    let bad = [
        (signed(transfer(7)), "nonce"),
        (signed(TxEip1559 { value: U256::from(11 * ETHER), ..transfer(0) }), "funds"),
        (signed(TxEip1559 { max_fee_per_gas: 1, ..transfer(0) }), "priority"),
        (
            signed(TxEip1559 { max_fee_per_gas: 1, max_priority_fee_per_gas: 1, ..transfer(0) }),
            "basefee",
        ),
        (signed(TxEip1559 { chain_id: 1, ..transfer(0) }), "chain ID"),
        (signed(TxEip1559 { gas_limit: 20_000, ..transfer(0) }), "gas"),
        (signed(TxEip1559 { gas_limit: 1_990_000, ..transfer(0) }), "available gas"),
        (
            Recovered::new_unchecked(
                OpTxEnvelope::from(alloy_consensus::Sealed::new(TxPostExec::default())),
                ALICE,
            ),
            "received type 125",
        ),
    ];
    let (_, with, _) = chain.build(|builder| {
        builder.push(chain.l1_attributes(400)).expect("included");
        for (tx, why) in bad {
            let error = builder.push(tx).expect_err(why).to_string();
            assert!(error.contains(why), "{why}: {error}");
        }
        builder.push(signed(transfer(0))).expect("valid");
        let again = builder.push(signed(transfer(0))).expect_err("used");
        assert!(matches!(again, PushError::Invalid(reason) if reason.is_nonce_too_low()));
    });
    let (_, without, _) = chain.build(|builder| {
        builder.push(chain.l1_attributes(400)).expect("included");
        builder.push(signed(transfer(0))).expect("valid");
    });
    assert_eq!(with.output.bundle, without.output.bundle);
    assert_eq!(with.output.receipts, without.output.receipts);
    assert_eq!(with.output.blob_gas_used, without.output.blob_gas_used);
}

#[test]
fn system_contracts_are_called_before_the_first_transaction() {
    for fork in FORKS {
        let chain = TestChain::new(fork);
        let (_, _, mut state) = chain.run(mint_to(TxKind::Call(ALICE), 0, 100_000));
        let mut slot = |address, slot: u64| {
            state.basic(address).expect("memory does not fail");
            state.storage(address, U256::from(slot)).expect("memory does not fail")
        };
        let ecotone = index(fork) >= index("ecotone");
        let root = slot(eip4788::BEACON_ROOTS_ADDRESS, 8_191 + 1_000);
        assert_eq!(root, if ecotone { U256::from_be_bytes([0xbe; 32]) } else { U256::ZERO });
        let isthmus = index(fork) >= index("isthmus");
        let hash = slot(eip2935::HISTORY_STORAGE_ADDRESS, 9);
        assert_eq!(hash, if isthmus { chain.parent.hash().into() } else { U256::ZERO }, "{fork}");
    }
}

/// Opcodes come with their forks, and BLOBBASEFEE is 1.
#[test]
fn opcodes_come_with_their_forks() {
    let cases: [(&str, &[u8], &str); 4] = [
        ("PUSH0", &[0x5f], "canyon"),
        ("TLOAD", &[0x60, 0, 0x5c], "ecotone"),
        // 1 / (BLOBBASEFEE == 1): jumps to a JUMPDEST only if it is.
        ("BLOBBASEFEE", &[0x4a, 0x60, 1, 0x14, 0x60, 8, 0x57, 0xfe, 0x5b], "ecotone"),
        ("CLZ", &[0x60, 0, 0x1e], "karst"),
    ];
    for (name, code, since) in cases {
        for fork in FORKS {
            let mut chain = TestChain::new(fork);
            chain.deploy(CONTRACT, code);
            let call = TxEip1559 { to: TxKind::Call(CONTRACT), gas_limit: 50_000, ..transfer(0) };
            let (pushed, _, _) = chain.run(signed(TxEip1559 { value: U256::ZERO, ..call }));
            let success = pushed.expect("valid").success;
            assert_eq!(success, index(fork) >= index(since), "{name} at {fork}");
        }
    }
}

#[test]
fn missing_beacon_root_is_the_blocks_fault() {
    let mut chain = TestChain::new("ecotone");
    chain.next.parent_beacon_block_root = None;
    let mut state = State::builder().with_database(chain.db).with_bundle_update().build();
    let error = chain
        .config
        .builder(&mut state, &chain.parent, chain.next)
        .expect_err("Ecotone needs the root");
    assert!(matches!(error, ExecutionError::Invalid(ConsensusError::MissingParentBeaconBlockRoot)));
}

#[test]
fn canyon_deploys_the_create2_deployer_once() {
    let deployer = address!("13b0D85CcB8bf860b6b79AF3029fCA081AE9beF2");
    for (time, deployed) in [(1_000, true), (999, true), (998, false), (1_001, false)] {
        let chain = TestChain::with_spec("regolith", spec_with("regolith", Some(("canyon", time))));
        let (_, parts, _) = chain.build(|builder| {
            builder.push(chain.l1_attributes(0)).expect("included");
        });
        let bundle = parts.output.bundle;
        let info = bundle.account(&deployer).and_then(|account| account.info.as_ref());
        assert_eq!(info.is_some(), deployed, "Canyon at {time}");
        if let Some(info) = info {
            assert!(bundle.contracts.contains_key(&info.code_hash), "the code is new as well");
            assert_eq!(info.nonce, 0);
        }
    }
}

/// Every fork: what is built is what is accepted, by every check there is.
#[test]
fn built_blocks_are_valid_blocks() {
    for fork in FORKS {
        let mut chain = TestChain::new(fork);
        fees(&mut chain);
        // LOG1 with topic 1 and no data.
        chain.deploy(CONTRACT, &[0x60, 1, 0x60, 0, 0x60, 0, 0xa1]);
        let call = TxEip1559 { to: TxKind::Call(CONTRACT), gas_limit: 50_000, ..transfer(1) };
        let (_, parts, _) = chain.build(|builder| {
            builder.push(chain.l1_attributes(400)).expect("included");
            builder.push(mint_to(TxKind::Call(ALICE), 5_000, 100_000)).expect("included");
            builder.push(signed(transfer(0))).expect("valid");
            builder.push(signed(call)).expect("valid");
        });
        let spec = chain.config.chain_spec();
        let (receipts_root, logs_bloom) =
            receipts_root_and_bloom(&parts.output.receipts, &**spec, 1_000);
        let roots = HeaderRoots {
            state_root: B256::repeat_byte(1),
            transactions_root: transactions_root(&parts.transactions),
            receipts_root,
            logs_bloom,
            message_passer_root: B256::repeat_byte(2),
        };
        let header = assemble_header(&**spec, &parts, &roots);
        let (block, built) = parts.into_block(header);
        validate_header(spec, block.header(), &chain.parent)
            .unwrap_or_else(|error| panic!("{fork}: {error}"));
        validate_block_pre_execution(spec, &block)
            .unwrap_or_else(|error| panic!("{fork}: {error}"));
        crate::validate_body_against_header(&block)
            .unwrap_or_else(|error| panic!("{fork}: {error}"));
        let output = chain
            .config
            .execute(chain.db.clone(), &block)
            .unwrap_or_else(|error| panic!("{fork}: {error}"));
        validate_post_execution(block.header(), &output, receipts_root, logs_bloom)
            .unwrap_or_else(|error| panic!("{fork}: {error}"));
        assert_eq!(output.bundle, built.bundle, "{fork}");
        assert_eq!(output.receipts, built.receipts, "{fork}");
        assert!(logs_bloom.0.iter().any(|byte| *byte != 0), "{fork}");
    }
}

/// revm's own way from transitions to a bundle says the same of what changed.
#[test]
fn bundles_are_revms_without_reverts() {
    // Stores the calldata word in slot 0; if it is zero, SELFDESTRUCT to the caller.
    let store_or_die = [0x60, 0, 0x35, 0x80, 0x60, 0, 0x55, 0x60, 12, 0x57, 0x33, 0xff, 0x5b, 0];
    let dies_at_once = [0x33, 0xff];
    for fork in ["canyon", "karst"] {
        let mut chain = TestChain::new(fork);
        fees(&mut chain);
        chain.deploy(CONTRACT, &store_or_die);
        chain
            .db
            .insert_account_storage(CONTRACT, U256::ZERO, U256::from(5))
            .expect("memory does not fail");
        let word = |nonce, word: u8| {
            signed(TxEip1559 {
                to: TxKind::Call(CONTRACT),
                gas_limit: 100_000,
                value: U256::ZERO,
                input: B256::with_last_byte(word).0.into(),
                ..transfer(nonce)
            })
        };
        let create = |nonce| {
            signed(TxEip1559 {
                to: TxKind::Create,
                gas_limit: 200_000,
                input: Bytes::copy_from_slice(&dies_at_once),
                ..transfer(nonce)
            })
        };
        // Each list is a block: slots changed, changed back, destroyed, made again; accounts made
        // and gone within the block.
        let blocks: [Vec<Recovered<OpTxEnvelope>>; 4] = [
            vec![word(0, 7)],
            vec![word(0, 7), word(1, 5)],
            vec![word(0, 0), word(1, 9)],
            vec![create(0), transfer_to_contract(1), word(2, 0)],
        ];
        for (index, block) in blocks.into_iter().enumerate() {
            let run = |merge: bool| {
                let mut state =
                    State::builder().with_database(chain.db.clone()).with_bundle_update().build();
                let mut env = chain.config.evm_env(chain.parent.header());
                env.block_env.number = U256::from(10);
                let mut executor = super::BlockExecutor::new(&chain.config, &mut state, env);
                let attributes = chain.l1_attributes(0);
                executor.execute(&attributes, DEPOSITOR, None).expect("included");
                for tx in &block {
                    assert!(executor.execute(tx, ALICE, None).expect("valid").success);
                }
                if merge {
                    drop(executor);
                    state.merge_transitions(BundleRetention::PlainState);
                    state.take_bundle()
                } else {
                    executor.finish().expect("a block").bundle
                }
            };
            let (ours, revms) = (run(false), run(true));
            let contract = ours.state.get(&CONTRACT);
            assert_eq!(contract.is_some(), index != 1, "{fork} {index}: changed back is unchanged");
            let destroyed = contract.is_some_and(|account| account.was_destroyed());
            assert_eq!(destroyed, fork == "canyon" && index > 1, "{fork} {index}");
            for (address, account) in &revms.state {
                let same = ours.state.get(address);
                let absent = account.info.is_none() && account.original_info.is_none();
                assert!(absent || same == Some(account), "{fork} {index}: {address}");
            }
            assert!(ours.state.keys().all(|address| revms.state.contains_key(address)));
            assert_eq!(ours.contracts, revms.contracts, "{fork} {index}");
        }
    }
}

fn transfer_to_contract(nonce: u64) -> Recovered<OpTxEnvelope> {
    signed(TxEip1559 { to: TxKind::Call(CONTRACT), gas_limit: 100_000, ..transfer(nonce) })
}

/// For blocks that are executed and not compared with their header.
fn header_without_roots(chain: &TestChain, parts: &BuiltParts) -> Header {
    let roots = HeaderRoots {
        state_root: B256::ZERO,
        transactions_root: B256::ZERO,
        receipts_root: B256::ZERO,
        logs_bloom: alloy_primitives::Bloom::ZERO,
        message_passer_root: B256::ZERO,
    };
    assemble_header(&**chain.config.chain_spec(), parts, &roots)
}

#[test]
fn bad_transactions_make_a_block_invalid() {
    let chain = TestChain::new("karst");
    let (_, mut parts, _) = chain.build(|builder| {
        builder.push(chain.l1_attributes(400)).expect("included");
        builder.push(signed(transfer(0))).expect("valid");
    });
    let header = header_without_roots(&chain, &parts);
    let second = signed(transfer(5));
    let hash = second.tx_hash();
    parts.transactions.push(second.into_inner());
    parts.senders.push(ALICE);
    let (block, _) = parts.into_block(header);
    let error = chain.config.execute(chain.db, &block).expect_err("nonce 5 after 0");
    let text = error.to_string();
    assert!(matches!(error, ExecutionError::Invalid(_)), "{text}");
    assert!(
        text.starts_with(&format!("could not apply tx 2 [{hash}]: nonce 5 too high")),
        "{text}"
    );
}

/// State that cannot be read is no verdict.
#[test]
fn database_errors_are_fatal() {
    #[derive(Debug)]
    struct Broken;
    #[derive(Debug, thiserror::Error)]
    #[error("disk on fire")]
    struct OnFire;
    impl revm::database_interface::DBErrorMarker for OnFire {}
    impl Database for Broken {
        type Error = OnFire;
        fn basic(&mut self, _: Address) -> Result<Option<revm::state::AccountInfo>, OnFire> {
            Err(OnFire)
        }
        fn code_by_hash(&mut self, _: B256) -> Result<revm::bytecode::Bytecode, OnFire> {
            Err(OnFire)
        }
        fn storage(&mut self, _: Address, _: U256) -> Result<U256, OnFire> {
            Err(OnFire)
        }
        fn block_hash(&mut self, _: u64) -> Result<B256, OnFire> {
            Err(OnFire)
        }
    }
    for fork in FORKS {
        let chain = TestChain::new(fork);
        let (_, parts, _) = chain.build(|builder| {
            builder.push(chain.l1_attributes(0)).expect("included");
        });
        let header = header_without_roots(&chain, &parts);
        let (block, _) = parts.into_block(header);
        let error = chain.config.execute(Broken, &block).expect_err("nothing can be read");
        assert!(matches!(error, ExecutionError::Fatal(_)), "{fork}: {error}");
        assert!(error.to_string().contains("disk on fire"), "{fork}: {error}");
    }
}
