//! The irregular state change of Canyon.

use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{Address, B256, Bytes, address, b256, hex, map::AddressMap};
use revm::{Database, DatabaseCommit, bytecode::Bytecode, state::Account};

/// Where Canyon puts the create2 deployer.
const CREATE2_DEPLOYER: Address = address!("0x13b0D85CcB8bf860b6b79AF3029fCA081AE9beF2");

const CREATE2_DEPLOYER_CODE_HASH: B256 =
    b256!("0xb0550b5b431e30d38000efb7107aaa0ade03d48a7198a140edda9d27134468b2");

/// Deployed bytecode (specs: `canyon/overview.md`).
static CREATE2_DEPLOYER_CODE: [u8; 1584] =
    match hex::const_decode_to_array(include_bytes!("create2_deployer.hex")) {
        Ok(code) => code,
        Err(_) => panic!("create2_deployer.hex is not hex"),
    };

/// Whether the block at `timestamp` is the first of Canyon.
///
/// Told by the block time of 2 s that every chain with a Canyon transition has; on a faster chain
/// the next blocks qualify too, which changes nothing, as the code is there by then.
pub(crate) fn is_first_block(spec: &impl OpHardforks, timestamp: u64) -> bool {
    spec.is_canyon_active_at_timestamp(timestamp)
        && !spec.is_canyon_active_at_timestamp(timestamp.saturating_sub(2))
}

/// Sets the code of the create2 deployer, leaving its balance and nonce.
pub(crate) fn deploy_create2_deployer<DB: Database + DatabaseCommit>(
    db: &mut DB,
) -> Result<(), DB::Error> {
    let mut info = db.basic(CREATE2_DEPLOYER)?.unwrap_or_default();
    if info.code_hash == CREATE2_DEPLOYER_CODE_HASH {
        return Ok(());
    }
    info.code_hash = CREATE2_DEPLOYER_CODE_HASH;
    info.code = Some(Bytecode::new_raw(Bytes::from_static(&CREATE2_DEPLOYER_CODE)));
    let mut account = Account::from(info);
    account.mark_touch();
    db.commit(AddressMap::from_iter([(CREATE2_DEPLOYER, account)]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn code_has_its_hash() {
        assert_eq!(keccak256(CREATE2_DEPLOYER_CODE), CREATE2_DEPLOYER_CODE_HASH);
    }
}
