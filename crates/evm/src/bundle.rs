//! From what transactions did one after the other to what the block changed.

use revm::database::{BundleAccount, BundleState, TransitionAccount, TransitionState};

/// What revm's `merge_transitions` makes of a block's transitions, without the reverts: those cost
/// two more copies of every changed slot, and storage takes old values from where they are.
pub(crate) fn into_bundle(transitions: TransitionState) -> BundleState {
    let mut bundle = BundleState::default();
    bundle.state.reserve(transitions.transitions.len());
    for (address, account) in transitions.transitions {
        if is_unchanged(&account) {
            continue;
        }
        if let Some((hash, code)) = account.has_new_contract() {
            bundle.contracts.insert(hash, code.clone());
        }
        let account = BundleAccount {
            info: account.info,
            original_info: account.previous_info,
            storage: account.storage,
            status: account.status,
        };
        bundle.state_size += account.size_hint();
        bundle.state.insert(address, account);
    }
    bundle
}

/// Touched, or changed and changed back.
fn is_unchanged(account: &TransitionAccount) -> bool {
    // Made and gone within the block: there was nothing before either.
    let absent = account.info.is_none() && account.previous_info.is_none();
    absent
        || !account.status.was_destroyed()
            && account.info == account.previous_info
            && account.storage.values().all(|slot| !slot.is_changed())
}
