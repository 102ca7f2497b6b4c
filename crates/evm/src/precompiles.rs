//! The precompiles of each fork.

use op_revm::{OpSpecId, precompiles::OpPrecompiles};
use revm::precompile::{
    EthPrecompileResult, Precompile, PrecompileHalt, PrecompileId, Precompiles, bn254,
    eth_precompile_fn,
};
use std::sync::OnceLock;

/// The longest bn256 pairing input from Karst on, in bytes: 300 pairs of 192 bytes
/// (specs: `karst/exec-engine.md`).
pub const KARST_BN254_PAIR_MAX_INPUT_SIZE: usize = 57_600;

const KARST_BN254_PAIR: Precompile =
    Precompile::new(PrecompileId::Bn254Pairing, bn254::pair::ADDRESS, karst_bn254_pair);

eth_precompile_fn!(karst_bn254_pair, run_karst_bn254_pair);

/// The precompiles that stand at their addresses under `spec`.
///
/// They are op-revm's, save for one: at Karst op-revm keeps Jovian's limit for the bn256 pairing
/// (81,984 bytes), where the fork's rule is [`KARST_BN254_PAIR_MAX_INPUT_SIZE`].
pub fn precompiles(spec: OpSpecId) -> &'static Precompiles {
    static KARST: OnceLock<Precompiles> = OnceLock::new();
    if spec.is_enabled_in(OpSpecId::KARST) {
        return KARST.get_or_init(|| {
            let mut set = op_revm::precompiles::karst().clone();
            set.extend([KARST_BN254_PAIR]);
            set
        });
    }
    OpPrecompiles::new_with_spec(spec).precompiles()
}

fn run_karst_bn254_pair(input: &[u8], gas_limit: u64) -> EthPrecompileResult {
    if input.len() > KARST_BN254_PAIR_MAX_INPUT_SIZE {
        return Err(PrecompileHalt::Bn254PairLength);
    }
    bn254::run_pair(
        input,
        bn254::pair::ISTANBUL_PAIR_PER_POINT,
        bn254::pair::ISTANBUL_PAIR_BASE,
        gas_limit,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, U256};

    fn pairing(spec: OpSpecId, pairs: usize) -> revm::precompile::PrecompileOutput {
        precompiles(spec)
            .get(&bn254::pair::ADDRESS)
            .expect("every fork has the pairing")
            .execute(&vec![0; pairs * 192], u64::MAX, 0)
            .expect("not a fatal error")
    }

    #[test]
    fn karst_pairing_takes_300_pairs() {
        assert!(pairing(OpSpecId::KARST, 300).is_success());
        let above = pairing(OpSpecId::KARST, 301);
        assert_eq!(above.halt_reason(), Some(&PrecompileHalt::Bn254PairLength));
        assert!(pairing(OpSpecId::JOVIAN, 427).is_success());
        assert!(pairing(OpSpecId::JOVIAN, 428).is_halt());
    }

    #[test]
    fn karst_has_the_osaka_precompiles() {
        let run = |spec, at: u64, input: &[u8]| {
            precompiles(spec)
                .get(&Address::from_word(U256::from(at).into()))
                .expect("the precompile exists")
                .execute(input, 100_000_000, 0)
                .expect("not a fatal error")
        };
        // EIP-7951: P256VERIFY costs twice as much.
        assert_eq!(run(OpSpecId::JOVIAN, 0x100, &[0; 160]).gas_used, 3_450);
        assert_eq!(run(OpSpecId::KARST, 0x100, &[0; 160]).gas_used, 6_900);
        // EIP-7823: MODEXP's operands have at most 1,024 bytes.
        let modexp = |len: u64| {
            let mut input = U256::from(len).to_be_bytes::<32>().to_vec();
            input.extend([0; 64]);
            input.extend(vec![1; len as usize]);
            input
        };
        assert!(run(OpSpecId::JOVIAN, 5, &modexp(1_025)).is_success());
        assert!(run(OpSpecId::KARST, 5, &modexp(1_024)).is_success());
        assert!(run(OpSpecId::KARST, 5, &modexp(1_025)).is_halt());
    }

    #[test]
    fn only_the_pairing_differs_from_op_revm() {
        for spec in [OpSpecId::BEDROCK, OpSpecId::FJORD, OpSpecId::ISTHMUS, OpSpecId::JOVIAN] {
            assert!(std::ptr::eq(
                precompiles(spec),
                OpPrecompiles::new_with_spec(spec).precompiles()
            ));
        }
        let ours = precompiles(OpSpecId::KARST);
        let theirs = op_revm::precompiles::karst();
        assert_eq!(ours.addresses_set(), theirs.addresses_set());
    }
}
