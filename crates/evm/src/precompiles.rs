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
