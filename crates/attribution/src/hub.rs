//! The hub as those see it who call it, read its events, or prove what it stores.

#![allow(
    missing_docs,
    clippy::too_many_arguments,
    reason = "the contract's source says what they are"
)]

use crate::{ListId, Payout, Rates, abi::IAttribution};
use alloy_primitives::{B256, U256, keccak256};

alloy_sol_types::sol! {
    #![sol(all_derives)]

    struct HubRates {
        uint96 prompt;
        uint96 completion;
        uint96 record;
        uint16 modelShare;
        uint16 adapterShare;
        uint16 sourceShare;
        uint16 operatorShare;
    }

    struct Claim {
        uint256 list;
        uint256 position;
        uint256 payee;
        uint256 amount;
        bytes32[] proof;
    }

    interface IAttributionHub {
        event ModelRegistered(uint32 indexed model, address indexed owner);
        event AdapterRegistered(
            uint32 indexed model, uint32 indexed adapter, address indexed owner, bytes32 generation, bytes32 corpusRoot
        );
        event BatchSettled(
            uint256 indexed list, uint32 indexed model, address indexed operator, uint64 sequence, uint64 timeBase,
            uint64 timeEnd, uint32 records, uint32 payouts, uint64 promptTokens, uint64 completionTokens,
            uint128 total, bytes32 recordRoot, bytes32 payoutRoot, bytes32 detailRoot, HubRates rates
        );
        event PayoutsMerged(uint256 indexed list, uint256[] lists, uint32 payouts, uint128 total, bytes32 payoutRoot);
        event Claimed(uint256 indexed list, uint256 position, uint256 indexed payee, address indexed to, uint256 amount);

        error ZeroAddress();
        error NotOwner();
        error SourceTaken(uint32 source);
        error AlreadyRegistered(address operator);
        error BondTooSmall(uint256 needed, uint256 found);
        error BondLocked(uint256 until);
        error DelayTooLong(uint256 delay);
        error NotOperator(address account);
        error OperatorUnbonding(address operator);
        error WrongChain(uint256 chainId);
        error WrongHub(address hub);
        error WrongSequence(uint64 expected, uint64 given);
        error UnknownModel(uint32 model);
        error UnknownAdapter(uint32 model, uint64 adapter);
        error Underfunded(uint256 total, uint256 given);
        error UnknownList(uint256 list);
        error ListMerged(uint256 list);
        error AlreadyClaimed(uint256 list, uint256 position);
        error InvalidProof();
        error UnknownPayee(uint256 payee);
        error PaymentFailed(address to);
        error NothingToMerge();
        error WrongListCount(uint256 lists, uint256 payouts);
        error WrongPayouts(uint256 list);
        error Unbalanced(uint256 expected, uint256 total);

        function registerModel(HubRates rates) external returns (uint32);
        function transferModel(uint32 model, address to) external;
        function modelCount() external view returns (uint32);
        function modelOf(uint32 model) external view returns (address modelOwner, uint32 adapters, HubRates rates);
        function registerAdapter(uint32 model, address owner, bytes32 generation, bytes32 corpusRoot)
            external returns (uint32);
        function registerAdapters(uint32 model, address owner, bytes32[] generations, bytes32[] corpusRoots)
            external returns (uint32);
        function adapterOf(uint32 model, uint32 adapter)
            external view returns (address adapterOwner, bytes32 generation, bytes32 corpusRoot);
        function setSources(uint32 model, uint32 adapter, uint32 first, address[] payees) external;
        function registerOperator() external payable;
        function operatorOf(address operator) external view returns (uint128 bond, uint64 sequence, uint64 until);
        function minimumBond() external view returns (uint256);
        function pause() external;
        function unpause() external;
        function submitBatch(bytes batch) external payable returns (uint256);
        function claim(Claim claim) external;
        function claimMany(Claim[] claims) external;
        function mergePayouts(uint256[] lists, bytes[] payouts) external returns (uint256);
        function payeeOf(uint256 payee) external view returns (address);
        function isClaimed(uint256 list, uint256 position) external view returns (bool);
        function mergedLists() external view returns (uint64);
        function listOf(uint256 list)
            external view
            returns (bytes32 payoutRoot, bytes32 recordRoot, uint128 unclaimed, uint32 payouts, bool merged);
    }
}

/// Slot of the hub's mapping from lists to what it keeps of them.
const LISTS: U256 = U256::from_limbs([301, 0, 0, 0]);
/// Slot of the hub's mapping from lists to what is claimed of them.
const CLAIMED: U256 = U256::from_limbs([302, 0, 0, 0]);

/// Place of a mapping's value, as Solidity lays it out.
fn mapped(key: U256, mapping: U256) -> U256 {
    keccak256([key.to_be_bytes::<32>(), mapping.to_be_bytes::<32>()].concat()).into()
}

/// The hub's slot with a list's payout root.
pub fn payout_root_slot(list: ListId) -> U256 {
    mapped(list.number(), LISTS)
}

/// The hub's slot with the record root of a batch.
pub fn record_root_slot(list: ListId) -> U256 {
    payout_root_slot(list).wrapping_add(U256::ONE)
}

/// The hub's slot with a list's [`ListState`].
pub fn list_state_slot(list: ListId) -> U256 {
    payout_root_slot(list).wrapping_add(U256::from(2))
}

/// The hub's slot with the bit of a position in a list, and that bit's place, from the lowest: 1 if it is claimed.
pub fn claimed_slot(list: ListId, position: u32) -> (U256, u8) {
    let words = mapped(list.number(), CLAIMED);
    let word = mapped(U256::from(position / 256), words);
    (word, (position % 256) as u8)
}

/// What the hub keeps of a list besides its roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListState {
    /// Wei that claims can take yet; none once it is merged.
    pub unclaimed: u128,
    /// How many payouts the list has.
    pub payouts: u32,
    /// Whether the list was merged into another.
    pub merged: bool,
}

/// A word that the hub does not keep of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:#x} is not the state of an open or merged list")]
pub struct NotAListState(pub U256);

/// Reads `state << 160 | payouts << 128 | unclaimed`. Of a list that the hub does not know that is 0, an error.
impl TryFrom<U256> for ListState {
    type Error = NotAListState;

    fn try_from(word: U256) -> Result<Self, NotAListState> {
        let [low, high, payouts_and_state, above] = word.into_limbs();
        let merged = match (payouts_and_state >> 32, above) {
            (1, 0) => false,
            (2, 0) => true,
            _ => return Err(NotAListState(word)),
        };
        let unclaimed = u128::from(high) << 64 | u128::from(low);
        Ok(Self { unclaimed, payouts: payouts_and_state as u32, merged })
    }
}

impl Claim {
    /// A claim of the payout at this position of a list, with the siblings of its leaf.
    pub fn new(list: ListId, position: u32, payout: &Payout, proof: Vec<B256>) -> Self {
        Self {
            list: list.number(),
            position: U256::from(position),
            payee: payout.payee.key(),
            amount: U256::from(payout.amount),
            proof,
        }
    }
}

impl From<HubRates> for IAttribution::Rates {
    fn from(rates: HubRates) -> Self {
        Self {
            prompt: rates.prompt,
            completion: rates.completion,
            record: rates.record,
            modelShare: rates.modelShare,
            adapterShare: rates.adapterShare,
            sourceShare: rates.sourceShare,
            operatorShare: rates.operatorShare,
        }
    }
}

impl From<HubRates> for Rates {
    fn from(rates: HubRates) -> Self {
        IAttribution::Rates::from(rates).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, b256};

    #[test]
    fn slots_are_where_solidity_puts_them() {
        let list = ListId::of_batch(Address::repeat_byte(0xab), 7);
        // As `cast index uint256` has it, of the list's number and 301.
        let root = b256!("52348b9ad333057b8f5a5eafb9d6a5711494e076113c9da01f1838605b6cfce2");
        assert_eq!(B256::from(payout_root_slot(list)), root);
        let slot = |offset: u64| U256::from_be_bytes(root.0) + U256::from(offset);
        assert_eq!(record_root_slot(list), slot(1));
        assert_eq!(list_state_slot(list), slot(2));
    }

    #[test]
    fn states_of_lists_are_read() {
        let word = |state: u64, payouts: u32, unclaimed: u128| {
            U256::from(state) << 160 | U256::from(payouts) << 128 | U256::from(unclaimed)
        };
        for (payouts, unclaimed) in [(0, 0), (1, 1), (7, 1 << 70), (u32::MAX, u128::MAX)] {
            for merged in [false, true] {
                let wanted = ListState { unclaimed, payouts, merged };
                let word = word(1 + u64::from(merged), payouts, unclaimed);
                assert_eq!(ListState::try_from(word), Ok(wanted));
            }
        }
        for state in [0, 3, 0x80, 0xff, 1 << 8 | 1, 1 << 32 | 1, 1 << 63 | 2] {
            let word = word(state, 7, 9);
            assert_eq!(ListState::try_from(word), Err(NotAListState(word)));
        }
        assert_eq!(ListState::try_from(U256::ZERO), Err(NotAListState(U256::ZERO)));
    }
}
