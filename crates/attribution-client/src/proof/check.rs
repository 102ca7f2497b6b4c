//! Checking proofs: from the leaf to the block.

use super::{PayoutPath, Proof, ProofError, Proven, RecordPath};
use crate::args::PayeeName;
use alloy_consensus::{Header as BlockHeader, constants::EMPTY_ROOT_HASH};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use ascribe_attribution::{
    DecodeError, Header, Payee, Payout, Record, Share, WHOLE, header_leaf,
    hub::{self, ListState},
    merkle,
};
use std::fmt::Display;

/// What a proof proves if its block is the chain's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What is proven, a line each.
    pub facts: Vec<String>,
    /// The chain that the proof is about.
    pub chain_id: u64,
    /// The block's number.
    pub block_number: u64,
    /// The block's hash.
    pub block_hash: B256,
    /// The output root that rollups post of the block; `None` before Isthmus.
    pub output_root: Option<B256>,
}

impl Verified {
    /// Checks that the block is the one with this hash.
    ///
    /// # Errors
    /// If it is another.
    pub fn check_block_hash(&self, allowed: B256) -> Result<(), ProofError> {
        let given = self.block_hash;
        if given == allowed { Ok(()) } else { Err(ProofError::BlockHash { given, allowed }) }
    }

    /// Checks that the block is the one with this output root.
    ///
    /// # Errors
    /// If it is another, or from before Isthmus.
    pub fn check_output_root(&self, allowed: B256) -> Result<(), ProofError> {
        match self.output_root {
            Some(given) if given == allowed => Ok(()),
            Some(given) => Err(ProofError::OutputRoot { given, allowed }),
            None => Err(ProofError::NoOutputRoot(self.block_number)),
        }
    }
}

impl Proof {
    /// Checks all of it, from the leaf to the block's hash. What is left to trust is that the chain has that block.
    ///
    /// # Errors
    /// The first step that fails.
    pub fn check(&self, hub: Address) -> Result<Verified, ProofError> {
        if self.hub != hub {
            return Err(ProofError::Hub { given: self.hub, allowed: hub });
        }
        let slots = &self.account.storage_proof;
        let given: Vec<B256> = slots.iter().map(|slot| slot.key.as_b256()).collect();
        let allowed = self.proven.slots(self.list);
        if given != allowed {
            return Err(ProofError::Slots { given, allowed });
        }
        let root = B256::from(slots[0].value);
        let mut facts = match &self.proven {
            Proven::Record(record) => self.check_record(record, root)?,
            Proven::Payout(payout) => {
                self.check_payout(payout, root, slots[1].value, slots[2].value)?
            }
        };
        self.check_storage()?;
        facts.push(format!(
            "the hub {hub} stores that root in slot {}, under storage root {}",
            given[0], self.account.storage_hash
        ));
        let header = self.check_block_header()?;
        self.check_account(header.state_root)?;
        let block_hash = keccak256(&self.block_header);
        facts.push(format!("the hub's account is under state root {}", header.state_root));
        facts.push(format!("the state is that of block {}, {block_hash}", header.number));
        Ok(Verified {
            facts,
            chain_id: self.chain_id,
            block_number: header.number,
            block_hash,
            output_root: output_root(&header, block_hash),
        })
    }

    fn check_record(&self, path: &RecordPath, root: B256) -> Result<Vec<String>, ProofError> {
        if root.is_zero() {
            return Err(ProofError::NoRoot { what: "record", list: self.list });
        }
        let header = path.batch_header[..].try_into();
        let header = header.map_err(|_| DecodeError::TooShort(path.batch_header.len()))?;
        let (header, records, _) = Header::from_bytes(header)?;
        check_field("chain id", header.chain_id, self.chain_id)?;
        check_field("hub", header.hub, self.hub)?;
        check_field("operator", header.operator, self.list.operator().unwrap_or_default())?;
        check_field("sequence number", header.sequence, self.list.sequence())?;
        let time = path.timestamp.checked_sub(header.time_base);
        let time = time.and_then(|time| u32::try_from(time).ok());
        let time =
            time.ok_or(ProofError::Timestamp { given: path.timestamp, allowed: header.time_base })?;
        let shares =
            path.shares.iter().map(|share| Share { source: share.source, weight: share.weight });
        let record = Record {
            adapter: path.adapter,
            prompt_tokens: path.prompt_tokens,
            completion_tokens: path.completion_tokens,
            time,
            shares: shares.collect(),
        };
        record.check()?;
        let leaf = record.leaf(path.index, header.time_base);
        check_path("record", leaf, &path.proof, root)?;
        let leaf = header_leaf(&path.batch_header);
        check_path("batchHeader", leaf, &path.batch_header_proof, root)?;

        let mut facts = vec![format!(
            "record {} of list {}: adapter {} of model {} answered {} prompt tokens with {} completion tokens at {}",
            path.index,
            self.list,
            path.adapter,
            header.model,
            path.prompt_tokens,
            path.completion_tokens,
            path.timestamp
        )];
        facts.extend(record.shares.iter().map(|share| {
            let payee = PayeeName(Payee::Source {
                model: header.model,
                adapter: path.adapter,
                source: share.source,
            });
            format!("of what sources earn by it, {payee} gets {}/{WHOLE}", share.weight)
        }));
        facts.push(format!(
            "operator {} vouches for it, as one of {records} in batch {} for this hub on chain {}; times from {}, details {}",
            header.operator, header.sequence, header.chain_id, header.time_base, header.detail_root
        ));
        facts.push(format!("record and header are under record root {root}"));
        Ok(facts)
    }

    fn check_payout(
        &self,
        path: &PayoutPath,
        root: B256,
        claimed: U256,
        state: U256,
    ) -> Result<Vec<String>, ProofError> {
        if root.is_zero() {
            return Err(ProofError::NoRoot { what: "payout", list: self.list });
        }
        let payee = Payee::from_key(path.payee).ok_or(ProofError::Payee(path.payee))?;
        let leaf = Payout { payee, amount: path.amount }.leaf(path.position);
        check_path("payout", leaf, &path.proof, root)?;
        let (_, bit) = hub::claimed_slot(self.list, path.position);
        let allowed = claimed.bit(bit.into());
        if path.claimed != allowed {
            return Err(ProofError::Claimed { given: path.claimed, allowed });
        }
        let ListState { unclaimed, payouts, merged } = state.try_into()?;
        let state = if merged { "merged into another" } else { "open" };
        let not = if path.claimed { "" } else { "not " };
        Ok(vec![
            format!(
                "payout {} of list {}: {} wei to {}",
                path.position,
                self.list,
                path.amount,
                PayeeName(payee)
            ),
            format!("it is {not}claimed of this list"),
            format!(
                "the list, of {payouts} payouts, is {state}: {unclaimed} wei of it are unclaimed"
            ),
            format!("it is under payout root {root}"),
        ])
    }

    fn check_storage(&self) -> Result<(), ProofError> {
        for slot in &self.account.storage_proof {
            let (key, value) = (slot.key.as_b256(), slot.value);
            let stored = (!value.is_zero()).then(|| alloy_rlp::encode(value));
            let path = Nibbles::unpack(keccak256(key));
            verify_proof(self.account.storage_hash, path, stored, &slot.proof).map_err(
                |error| ProofError::Storage { slot: key, value, error: Box::new(error) },
            )?;
        }
        Ok(())
    }

    fn check_account(&self, state_root: B256) -> Result<(), ProofError> {
        let account = &self.account;
        if account.address != self.hub {
            return Err(ProofError::Address { given: account.address, allowed: self.hub });
        }
        let stored = alloy_rlp::encode(TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root: account.storage_hash,
            code_hash: account.code_hash,
        });
        let path = Nibbles::unpack(keccak256(self.hub));
        verify_proof(state_root, path, Some(stored), &account.account_proof)
            .map_err(|error| ProofError::Account(Box::new(error)))
    }

    fn check_block_header(&self) -> Result<BlockHeader, ProofError> {
        let mut rest = &self.block_header[..];
        let header = BlockHeader::decode(&mut rest).map_err(ProofError::BlockHeader)?;
        if alloy_rlp::encode(&header) != self.block_header {
            let error = alloy_rlp::Error::Custom("these bytes are not the one way to write it");
            return Err(ProofError::BlockHeader(error));
        }
        Ok(header)
    }
}

fn check_field<T: PartialEq + Display>(
    field: &'static str,
    given: T,
    allowed: T,
) -> Result<(), ProofError> {
    if given == allowed {
        return Ok(());
    }
    let (given, allowed) = (given.to_string(), allowed.to_string());
    Err(ProofError::HeaderField { field, given, allowed })
}

fn check_path(
    what: &'static str,
    leaf: B256,
    siblings: &[B256],
    allowed: B256,
) -> Result<(), ProofError> {
    let given = merkle::root_from_proof(leaf, siblings);
    if given == allowed { Ok(()) } else { Err(ProofError::Path { what, given, allowed }) }
}

/// keccak256 of the version, 0, the state root, the storage root of the message passer, and the hash. From Isthmus on
/// the third is the header's withdrawals root; before, that is the root of an empty trie, or not there.
fn output_root(header: &BlockHeader, hash: B256) -> Option<B256> {
    let passer = header.withdrawals_root.filter(|root| *root != EMPTY_ROOT_HASH)?;
    Some(keccak256([B256::ZERO, header.state_root, passer, hash].concat()))
}
