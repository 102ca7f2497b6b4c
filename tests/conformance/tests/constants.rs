//! Numbers that op-geth, the specs and real headers publish.

use alloy_consensus::Header;
use alloy_primitives::{Address, Bytes, U256, address, bytes, hex};
use ascribe_chainspec::{ChainSpec, extra_data};
use ascribe_conformance::report;
use ascribe_evm::{
    EstimatedSize, L1BlockInfo, OpSpecId,
    l1_fee::{l1_block_info, l1_cost, l1_cost_of_size, l1_gas_used, operator_fee},
    precompiles,
};
use op_revm::constants::L1_BLOCK_CONTRACT;
use revm::{database::InMemoryDB, state::AccountInfo};
use serde_json::json;

/// op-geth's `emptyTx`: 30 bytes, none of them zero.
const EMPTY_TX: [u8; 30] = hex!("dd80808094095e7baea6a6c7c4c2dfeb977efac326af552d878080808080");

#[test]
fn constants() {
    let cases = [
        l1_fee(),
        fjord_size(),
        operator_fees(),
        l1_block_slots(),
        extra_datas(),
        base_fees(),
        precompile_limits(),
    ];
    report("constants", cases.iter().sum(), "constants");
}

/// op-geth `core/types/rollup_cost_test.go`.
fn l1_fee() -> usize {
    let bedrock = L1BlockInfo {
        l1_base_fee: U256::from(1_000_000_000),
        l1_fee_overhead: Some(U256::from(50)),
        l1_base_fee_scalar: U256::from(7_000_000),
        ..L1BlockInfo::default()
    };
    let ecotone = L1BlockInfo {
        l1_base_fee: U256::from(1_000_000_000),
        l1_base_fee_scalar: U256::from(2),
        l1_blob_base_fee: Some(U256::from(10_000_000)),
        l1_blob_base_fee_scalar: Some(U256::from(3)),
        ..L1BlockInfo::default()
    };
    let cases = [
        (&bedrock, OpSpecId::BEDROCK, 1_618_u64, 11_326_000_000_000_u64),
        (&bedrock, OpSpecId::REGOLITH, 530, 3_710_000_000_000),
        (&bedrock, OpSpecId::CANYON, 530, 3_710_000_000_000),
        (&ecotone, OpSpecId::ECOTONE, 480, 960_900),
        (&ecotone, OpSpecId::FJORD, 1_600, 3_203_000),
        (&ecotone, OpSpecId::KARST, 1_600, 3_203_000),
    ];
    for (info, spec, gas, fee) in cases {
        assert_eq!(l1_gas_used(info, &EMPTY_TX, spec), U256::from(gas), "{spec:?}");
        assert_eq!(l1_cost(info, &EMPTY_TX, spec), U256::from(fee), "{spec:?}");
    }
    // In the first Ecotone block nothing of Ecotone's parameters is set yet.
    let first_ecotone = L1BlockInfo { empty_ecotone_scalars: true, ..bedrock };
    assert_eq!(
        l1_cost(&first_ecotone, &EMPTY_TX, OpSpecId::ECOTONE),
        U256::from(3_710_000_000_000_u64)
    );
    assert_eq!(
        l1_cost(&first_ecotone, &EMPTY_TX, OpSpecId::FJORD),
        U256::from(3_710_000_000_000_u64)
    );
    cases.len() + 2
}

/// Bytes in which FastLZ finds nothing to compress: every three-byte sequence is new.
fn incompressible(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

/// op-geth's Fjord boundary and its parity with the Solidity library. FastLZ writes literals in
/// runs of up to 32, each behind one byte, so an incompressible input of `n` bytes has the size
/// `n + ceil(n / 32)`.
fn fjord_size() -> usize {
    let info = |base_fee, base_scalar, blob_fee, blob_scalar| L1BlockInfo {
        l1_base_fee: U256::from(base_fee),
        l1_base_fee_scalar: U256::from(base_scalar),
        l1_blob_base_fee: Some(U256::from(blob_fee)),
        l1_blob_base_fee_scalar: Some(U256::from(blob_scalar)),
        ..L1BlockInfo::default()
    };
    let op_geth = info(1_000_000_000_u64, 2_u64, 10_000_000_u64, 3_u64);
    for fastlz_size in [101, 150, 170] {
        let tx = incompressible(len_for_fastlz(fastlz_size));
        assert_eq!(EstimatedSize::of(&tx), EstimatedSize::MIN, "{fastlz_size}");
        assert_eq!(l1_gas_used(&op_geth, &tx, OpSpecId::FJORD), U256::from(1_600));
        assert_eq!(l1_cost(&op_geth, &tx, OpSpecId::FJORD), U256::from(3_203_000));
    }
    let above = incompressible(len_for_fastlz(171));
    assert_eq!(EstimatedSize::of(&above).scaled(), 836_500 * 171 - 42_585_600);
    assert!(l1_cost(&op_geth, &above, OpSpecId::FJORD) > U256::from(3_203_000));

    let parity = info(2_000_000, 20, 3_000_000, 15);
    let tx = incompressible(len_for_fastlz(235));
    assert_eq!(l1_gas_used(&parity, &tx, OpSpecId::FJORD), U256::from(2_463));
    assert_eq!(l1_cost(&parity, &tx, OpSpecId::FJORD), U256::from(105_484));
    assert_eq!(l1_cost_of_size(&parity, EstimatedSize::of(&tx)), U256::from(105_484));
    // The DA footprint rounds each transaction down to whole bytes before it multiplies.
    assert_eq!(EstimatedSize::of(&tx).bytes(), 153);
    assert_eq!(EstimatedSize::of(&tx).da_footprint(400), 61_200);
    assert_eq!(EstimatedSize::MIN.da_footprint(400), 40_000);
    9
}

fn len_for_fastlz(size: usize) -> usize {
    (1..size).find(|len| len + len.div_ceil(32) == size).expect("every size but 33k + 1 exists")
}

fn operator_fees() -> usize {
    let info = |scalar: u64, constant: u64| L1BlockInfo {
        operator_fee_scalar: Some(U256::from(scalar)),
        operator_fee_constant: Some(U256::from(constant)),
        ..L1BlockInfo::default()
    };
    let cases = [
        (OpSpecId::HOLOCENE, 1_000, 1_000, 10, 0_u64),
        (OpSpecId::ISTHMUS, 1_000, 1_000, 10, 11),
        // Divided before the constant is added.
        (OpSpecId::ISTHMUS, 1, 999_999, 7, 7),
        (
            OpSpecId::ISTHMUS,
            21_000,
            1_439_103_868,
            1_256_417_826_609_331_460,
            1_256_417_826_639_552_641,
        ),
        (OpSpecId::JOVIAN, 1_000, 1_000, 10, 100_000_010),
        (OpSpecId::JOVIAN, 1, 1, 0, 100),
        (OpSpecId::KARST, 1_000, 1_000, 10, 100_000_010),
    ];
    for (spec, gas, scalar, constant, fee) in cases {
        assert_eq!(
            operator_fee(&info(scalar, constant), gas, spec),
            U256::from(fee),
            "{spec:?} {gas} {scalar} {constant}"
        );
    }
    cases.len()
}

/// The storage of `L1Block`, with a different value in every field: the Isthmus specification's
/// text has two of them in the wrong place.
fn l1_block_slots() -> usize {
    let mut db = InMemoryDB::default();
    let slots = [
        (1, U256::from(1_001)),
        // sequence number 12, base fee scalar 10, blob base fee scalar 11
        (3, word(hex!("000000000000000000000000000000000000000a0000000b000000000000000c"))),
        (5, U256::from(1_005)),
        (6, U256::from(1_006)),
        (7, U256::from(1_007)),
        (8, word(hex!("0000000000000000000000000000000000000102deadbeef00000000cafebabe"))),
    ];
    db.insert_account_info(L1_BLOCK_CONTRACT, AccountInfo::from_balance(U256::ONE));
    for (slot, value) in slots {
        db.insert_account_storage(L1_BLOCK_CONTRACT, U256::from(slot), value)
            .expect("memory does not fail");
    }

    let bedrock = l1_block_info(&mut db, 1, OpSpecId::REGOLITH).expect("memory does not fail");
    assert_eq!(bedrock.l1_base_fee, U256::from(1_001));
    assert_eq!(bedrock.l1_fee_overhead, Some(U256::from(1_005)));
    assert_eq!(bedrock.l1_base_fee_scalar, U256::from(1_006));

    let jovian = l1_block_info(&mut db, 1, OpSpecId::JOVIAN).expect("memory does not fail");
    assert_eq!(jovian.l1_base_fee, U256::from(1_001));
    assert_eq!(jovian.l1_base_fee_scalar, U256::from(0x0a));
    assert_eq!(jovian.l1_blob_base_fee_scalar, Some(U256::from(0x0b)));
    assert_eq!(jovian.l1_blob_base_fee, Some(U256::from(1_007)));
    assert_eq!(jovian.da_footprint_gas_scalar, Some(0x0102));
    assert_eq!(jovian.operator_fee_scalar, Some(U256::from(0xdead_beef_u64)));
    assert_eq!(jovian.operator_fee_constant, Some(U256::from(0xcafe_babe_u64)));
    10
}

const fn word(bytes: [u8; 32]) -> U256 {
    U256::from_be_bytes(bytes)
}

fn extra_datas() -> usize {
    let cases: [(Bytes, u32, u32, Option<u64>); 4] = [
        // Base, block 42,710,625.
        (bytes!("010000007d0000000600000000004c4b40"), 125, 6, Some(5_000_000)),
        // What the deployer writes into a genesis.
        (bytes!("01000000fa000000060000000000000000"), 250, 6, Some(0)),
        // OP Sepolia, Holocene.
        (bytes!("00000000fa00000006"), 250, 6, None),
        (bytes!("00000000320000000a"), 50, 10, None),
    ];
    for (encoded, denominator, elasticity, min_base_fee) in &cases {
        let decoded = extra_data::decode(encoded).expect("a real one decodes");
        assert_eq!(decoded.denominator, *denominator);
        assert_eq!(decoded.elasticity, *elasticity);
        assert_eq!(decoded.min_base_fee, *min_base_fee);
    }
    let refused: [&[u8]; 6] = [
        &[],
        &hex!("00000000fa000000"),
        &hex!("01000000fa00000006"),
        &hex!("00000000fa000000060000000000000000"),
        &hex!("02000000fa000000060000000000000000"),
        &hex!("01000000fa00000006000000000000000000"),
    ];
    for encoded in refused {
        assert!(extra_data::decode(encoded).is_err(), "{}", hex::encode(encoded));
    }
    cases.len() + refused.len()
}

/// A chain with every fork up to and including `last` active from genesis.
fn chain(last: &str) -> ChainSpec {
    let forks = [
        "regolithTime",
        "canyonTime",
        "deltaTime",
        "ecotoneTime",
        "fjordTime",
        "graniteTime",
        "holoceneTime",
        "isthmusTime",
        "jovianTime",
        "karstTime",
    ];
    let mut config = json!({
        "chainId": 901,
        "bedrockBlock": 0,
        "optimism": {
            "eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250
        },
    });
    for fork in forks {
        config[fork] = json!(0);
        if fork == last {
            break;
        }
    }
    let extra_data = match last {
        "jovianTime" | "karstTime" => "0x01000000fa000000060000000000000000",
        "holoceneTime" | "isthmusTime" => "0x00000000fa00000006",
        _ => "0x",
    };
    let genesis = json!({
        "config": config, "alloc": {}, "difficulty": "0x0", "gasLimit": "0x1c9c380",
        "timestamp": "0x0", "extraData": extra_data, "baseFeePerGas": "0x3b9aca00",
    });
    ChainSpec::from_genesis(serde_json::from_value(genesis).expect("a genesis")).expect("a chain")
}

/// op-geth `consensus/misc/eip1559/eip1559_test.go`, and Jovian's rules on top.
fn base_fees() -> usize {
    struct Case {
        last: &'static str,
        base_fee: u64,
        gas_used: u64,
        footprint: u64,
        extra_data: Bytes,
        expected: u64,
    }
    let case = |last, gas_used, expected| Case {
        last,
        base_fee: 1_000_000_000,
        gas_used,
        footprint: 0,
        extra_data: Bytes::new(),
        expected,
    };
    let holocene = |gas_used, extra_data, expected| Case {
        extra_data,
        ..case("holoceneTime", gas_used, expected)
    };
    let jovian = |base_fee, gas_used, footprint, extra_data, expected| Case {
        last: "jovianTime",
        base_fee,
        gas_used,
        footprint,
        extra_data,
        expected,
    };
    let usual = bytes!("01000000fa000000060000000000000000");
    let five_mwei = bytes!("010000007d0000000600000000004c4b40");
    let cases = [
        case("regolithTime", 5_000_000, 1_000_000_000),
        case("regolithTime", 4_000_000, 996_000_000),
        case("regolithTime", 10_000_000, 1_020_000_000),
        case("canyonTime", 5_000_000, 1_000_000_000),
        case("canyonTime", 4_000_000, 999_200_000),
        case("canyonTime", 10_000_000, 1_004_000_000),
        // The parameters are the parent header's.
        holocene(10_000_000, bytes!("00000000fa00000006"), 1_004_000_000),
        holocene(10_000_000, bytes!("000000003200000006"), 1_020_000_000),
        holocene(3_000_000, bytes!("00000000640000000a"), 1_000_000_000),
        holocene(6_000_000, bytes!("00000000640000000a"), 1_010_000_000),
        // The larger of gas and footprint counts.
        jovian(1_000_000_000, 4_000_000, 10_000_000, usual.clone(), 1_004_000_000),
        jovian(1_000_000_000, 10_000_000, 4_000_000, usual.clone(), 1_004_000_000),
        jovian(1_000_000_000, 4_000_000, 3_000_000, usual, 999_200_000),
        // The minimum lifts, and never lowers.
        jovian(5_000_000, 0, 0, five_mwei.clone(), 5_000_000),
        jovian(1_000, 0, 0, five_mwei.clone(), 5_000_000),
        jovian(1_000, 30_000_000, 0, five_mwei.clone(), 5_000_000),
        jovian(1_000_000_000, 5_000_000, 0, five_mwei, 1_000_000_000),
    ];
    let count = cases.len();
    for case in cases {
        let parent = Header {
            number: 1,
            timestamp: 2,
            gas_limit: 30_000_000,
            gas_used: case.gas_used,
            base_fee_per_gas: Some(case.base_fee),
            blob_gas_used: Some(case.footprint),
            extra_data: case.extra_data.clone(),
            ..Header::default()
        };
        let got = chain(case.last).next_block_base_fee(&parent, 4).expect("a base fee");
        assert_eq!(
            got, case.expected,
            "{}: {} gas, {} footprint, {}",
            case.last, case.gas_used, case.footprint, case.extra_data
        );
    }
    count
}

/// The longest inputs of the precompiles whose cost grows with it. At the limit they run (on
/// points at infinity); one byte or element above, they halt before they look.
fn precompile_limits() -> usize {
    const PAIRING: Address = address!("0000000000000000000000000000000000000008");
    const G1_MSM: Address = address!("000000000000000000000000000000000000000c");
    const G2_MSM: Address = address!("000000000000000000000000000000000000000e");
    const BLS_PAIRING: Address = address!("000000000000000000000000000000000000000f");
    let bn254 = (PAIRING, 192);
    let cases = [
        (OpSpecId::GRANITE, bn254, 112_687),
        (OpSpecId::HOLOCENE, bn254, 112_687),
        (OpSpecId::ISTHMUS, bn254, 112_687),
        (OpSpecId::JOVIAN, bn254, 81_984),
        (OpSpecId::KARST, bn254, 57_600),
        (OpSpecId::ISTHMUS, (G1_MSM, 160), 513_760),
        (OpSpecId::JOVIAN, (G1_MSM, 160), 288_960),
        (OpSpecId::KARST, (G1_MSM, 160), 288_960),
        (OpSpecId::ISTHMUS, (G2_MSM, 288), 488_448),
        (OpSpecId::JOVIAN, (G2_MSM, 288), 278_784),
        (OpSpecId::KARST, (G2_MSM, 288), 278_784),
        (OpSpecId::ISTHMUS, (BLS_PAIRING, 384), 235_008),
        (OpSpecId::JOVIAN, (BLS_PAIRING, 384), 156_672),
        (OpSpecId::KARST, (BLS_PAIRING, 384), 156_672),
    ];
    for (spec, (at, element), limit) in cases {
        let precompile = precompiles(spec).get(&at).expect("the precompile exists");
        let run =
            |len: usize| precompile.execute(&vec![0; len], u64::MAX, 0).expect("no fatal error");
        let fits = limit / element * element;
        assert!(run(fits).is_success(), "{spec:?} {at}: {fits} bytes must run");
        assert!(run(fits + element).is_halt(), "{spec:?} {at}: {} bytes", fits + element);
    }
    // Before Granite the pairing had no limit of its own.
    let fjord = precompiles(OpSpecId::FJORD).get(&PAIRING).expect("the precompile exists");
    assert!(fjord.execute(&vec![0; 600 * 192], u64::MAX, 0).expect("no fatal error").is_success());
    cases.len() + 1
}
