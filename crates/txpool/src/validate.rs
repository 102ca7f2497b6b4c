//! What a transaction is asked before it may enter, in op-geth's order.

use crate::{
    PoolAccount, PoolConfig, PoolError, PoolState, PooledTx, StateError, TransactionOrigin,
};
use alloy_consensus::{Transaction, Typed2718, transaction::SignerRecoverable};
use alloy_eips::eip7702::constants::EIP7702_DELEGATION_DESIGNATOR;
use alloy_primitives::{Address, B256, Bytes, U256};
use ascribe_evm::{EstimatedSize, L1BlockInfo, OpSpecId, l1_fee};
use op_alloy_consensus::OpTxEnvelope;
use reth_primitives_traits::Recovered;
use std::{fmt, sync::Arc, time::Instant};

/// Gas that a block's L1-attributes deposit takes, which no transaction can have (op-geth).
const L1_INFO_GAS_OVERHEAD: u64 = 70_000;
/// EIP-7825, from Karst on.
const TX_GAS_CAP: u64 = 1 << 24;
/// EIP-3860, from Canyon on.
const MAX_INIT_CODE_SIZE: usize = 49_152;

/// The head that transactions are checked against.
pub(crate) struct Head {
    pub(crate) hash: B256,
    pub(crate) gas_limit: u64,
    /// Of the next block.
    pub(crate) base_fee: u64,
    pub(crate) spec: OpSpecId,
    pub(crate) l1: L1BlockInfo,
    pub(crate) state: Arc<dyn PoolState>,
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Head {
    const fn is_active(&self, spec: OpSpecId) -> bool {
        self.spec.is_enabled_in(spec)
    }

    /// Gas that a transaction may ask for, whatever the block's limit.
    pub(crate) fn tx_gas_cap(&self) -> Option<u64> {
        self.is_active(OpSpecId::KARST).then_some(TX_GAS_CAP)
    }

    /// Gas that a block has for transactions.
    const fn usable_gas(&self) -> u64 {
        self.gas_limit.saturating_sub(L1_INFO_GAS_OVERHEAD)
    }

    /// Whether a block can hold the transaction.
    pub(crate) fn can_hold(&self, tx: &PooledTx) -> bool {
        let gas = tx.tx.gas_limit();
        gas <= self.usable_gas() && self.tx_gas_cap().is_none_or(|cap| gas <= cap)
    }

    /// Wei that a transaction may cost: its value, all of its gas at its fee cap, the L1 fee and
    /// the operator fee for all of its gas. `None` if they are more than 2^256.
    pub(crate) fn cost(&self, tx: &PooledTx) -> Option<U256> {
        let gas = tx.tx.gas_limit();
        // Sizes count from Fjord on, and not in a block that still has Bedrock's attributes.
        let l1_cost = if self.is_active(OpSpecId::FJORD) && !self.l1.empty_ecotone_scalars {
            l1_fee::l1_cost_of_size(&self.l1, tx.estimated_size)
        } else {
            l1_fee::l1_cost(&self.l1, &tx.encoded, self.spec)
        };
        (U256::from(gas) * U256::from(tx.tx.max_fee_per_gas()))
            .checked_add(tx.tx.value())?
            .checked_add(l1_cost)?
            .checked_add(l1_fee::operator_fee(&self.l1, gas, self.spec))
    }

    pub(crate) fn warn_unreadable(&self, sender: Address, error: &StateError) {
        tracing::warn!(target: "txpool", head = %self.hash, %sender, %error, "sender not readable");
    }
}

/// A transaction that passed every check which needs no look at the others in the pool.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) tx: PooledTx,
    pub(crate) cost: U256,
    pub(crate) account: PoolAccount,
    /// What it was checked against.
    pub(crate) head: Arc<Head>,
}

/// A transaction as it was handed in.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) tx: OpTxEnvelope,
    pub(crate) encoded: Bytes,
    /// Known where it was recovered before.
    pub(crate) sender: Option<Address>,
    pub(crate) origin: TransactionOrigin,
}

/// The checks and what they go by.
#[derive(Debug, Clone)]
pub(crate) struct Validator {
    pub(crate) config: Arc<PoolConfig>,
    pub(crate) chain_id: u64,
}

impl Validator {
    /// Checks a transaction that comes in. `known` are accounts that need not be read.
    pub(crate) fn check(
        &self,
        head: Arc<Head>,
        incoming: Incoming,
        known: impl FnOnce(&Address) -> Option<PoolAccount>,
    ) -> Result<Candidate, PoolError> {
        let Incoming { tx, encoded, sender, origin } = incoming;
        let sender = self.check_rules(&head, &tx, encoded.len(), sender)?;
        let account = Self::check_account(&head, &tx, sender, known)?;
        let authorities = authorities(&tx);
        let size = PooledTx::measure(&tx, &encoded, authorities.len());
        let tx = PooledTx {
            hash: tx.tx_hash(),
            estimated_size: EstimatedSize::of(&encoded),
            local: self.config.is_local(origin, &sender),
            since: Instant::now(),
            id: 0,
            tx: Recovered::new_unchecked(tx, sender),
            encoded,
            authorities,
            size,
        };
        Self::price(head, tx, account)
    }

    /// Checks a candidate again, under another head.
    pub(crate) fn recheck(&self, head: Arc<Head>, tx: PooledTx) -> Result<Candidate, PoolError> {
        let sender = tx.sender();
        self.check_rules(&head, tx.tx.inner(), tx.encoded.len(), Some(sender))?;
        let account = Self::check_account(&head, tx.tx.inner(), sender, |_| None)?;
        Self::price(head, tx, account)
    }

    /// What needs no state. Returns the sender.
    fn check_rules(
        &self,
        head: &Head,
        tx: &OpTxEnvelope,
        size: usize,
        sender: Option<Address>,
    ) -> Result<Address, PoolError> {
        if matches!(tx, OpTxEnvelope::Deposit(_) | OpTxEnvelope::PostExec(_)) {
            return Err(PoolError::TypeNotPooled(tx.ty()));
        }
        let limit = self.config.max_tx_size;
        if size > limit {
            return Err(PoolError::Oversized { size, limit });
        }
        let prague = head.is_active(OpSpecId::ISTHMUS);
        if tx.is_eip7702() && !prague {
            return Err(PoolError::TypeNotYetActive { ty: tx.ty(), fork: "Prague" });
        }
        let shanghai = head.is_active(OpSpecId::CANYON);
        if shanghai && tx.is_create() && tx.input().len() > MAX_INIT_CODE_SIZE {
            let size = tx.input().len();
            return Err(PoolError::InitCodeTooLarge { size, limit: MAX_INIT_CODE_SIZE });
        }
        let gas = tx.gas_limit();
        if let Some(cap) = head.tx_gas_cap().filter(|cap| gas > *cap) {
            return Err(PoolError::GasLimitTooHigh { cap, gas });
        }
        if gas > head.usable_gas() {
            return Err(PoolError::ExceedsBlockGasLimit);
        }
        if let Some(limit) = self.config.max_tx_gas_limit.filter(|limit| gas > *limit) {
            return Err(PoolError::ExceedsTxGasLimit { gas, limit });
        }
        let (fee_cap, tip) = (tx.max_fee_per_gas(), tx.priority_fee_or_price());
        if tip > fee_cap {
            return Err(PoolError::TipAboveFeeCap);
        }
        if let Some(have) = tx.chain_id().filter(|have| *have != self.chain_id) {
            return Err(PoolError::WrongChainId { have, want: self.chain_id });
        }
        let sender = match sender {
            Some(sender) => sender,
            None => tx.recover_signer().map_err(|_| PoolError::InvalidSignature)?,
        };
        if tx.nonce() == u64::MAX {
            return Err(PoolError::NonceMax);
        }
        let needed = intrinsic_gas(tx, shanghai);
        if gas < needed {
            return Err(PoolError::IntrinsicGas { gas, needed });
        }
        if prague {
            let needed = floor_data_gas(tx.input());
            if gas < needed {
                return Err(PoolError::FloorDataGas { gas, needed });
            }
        }
        let needed = self.config.minimum_priority_fee;
        if tip < needed {
            return Err(PoolError::TipTooLow { tip, needed });
        }
        if fee_cap < u128::from(self.config.minimal_protocol_fee) {
            return Err(PoolError::Underpriced);
        }
        if tx.authorization_list().is_some_and(<[_]>::is_empty) {
            return Err(PoolError::EmptyAuthorizationList);
        }
        Ok(sender)
    }

    /// What needs the sender's account.
    fn check_account(
        head: &Head,
        tx: &OpTxEnvelope,
        sender: Address,
        known: impl FnOnce(&Address) -> Option<PoolAccount>,
    ) -> Result<PoolAccount, PoolError> {
        let unreadable = |error: StateError| PoolError::State(error.0);
        let account = match known(&sender) {
            Some(account) => account,
            None => head.state.account(sender).map_err(unreadable)?,
        };
        if tx.nonce() < account.nonce {
            return Err(PoolError::NonceTooLow { next: account.nonce, nonce: tx.nonce() });
        }
        if account.has_code() {
            let code = head.state.code(account.code_hash).map_err(unreadable)?;
            if !is_delegation(&code) {
                let code_len = code.len();
                return Err(PoolError::SenderNotEoa { address: sender, code_len });
            }
        }
        Ok(account)
    }

    /// The account must be able to pay.
    fn price(head: Arc<Head>, tx: PooledTx, account: PoolAccount) -> Result<Candidate, PoolError> {
        let cost = head.cost(&tx).ok_or(PoolError::CostOverflow)?;
        let balance = account.balance;
        if cost > balance {
            return Err(PoolError::InsufficientFunds { balance, cost });
        }
        Ok(Candidate { tx, cost, account, head })
    }
}

/// Gas that a transaction costs before it runs (EIP-2028, 2930, 3860, 7702).
fn intrinsic_gas(tx: &OpTxEnvelope, shanghai: bool) -> u64 {
    let input = tx.input();
    let (zeros, others) = count_bytes(input);
    let mut gas = if tx.is_create() { 53_000 } else { 21_000 } + zeros * 4 + others * 16;
    if tx.is_create() && shanghai {
        gas += 2 * (input.len() as u64).div_ceil(32);
    }
    if let Some(list) = tx.access_list() {
        let keys: usize = list.iter().map(|item| item.storage_keys.len()).sum();
        gas += 2_400 * list.len() as u64 + 1_900 * keys as u64;
    }
    gas + 25_000 * tx.authorization_count().unwrap_or_default()
}

/// Gas that a transaction's data costs at least (EIP-7623).
fn floor_data_gas(input: &[u8]) -> u64 {
    let (zeros, others) = count_bytes(input);
    21_000 + 10 * (zeros + 4 * others)
}

/// Zero bytes and others.
fn count_bytes(input: &[u8]) -> (u64, u64) {
    let zeros = input.iter().map(|byte| u64::from(*byte == 0)).sum();
    (zeros, input.len() as u64 - zeros)
}

/// Code that says where else the account's code is (EIP-7702).
fn is_delegation(code: &[u8]) -> bool {
    code.len() == EIP7702_DELEGATION_DESIGNATOR.len() + Address::len_bytes()
        && code.starts_with(&EIP7702_DELEGATION_DESIGNATOR)
}

/// Accounts whose authorizations are signed as they should, each once.
fn authorities(tx: &OpTxEnvelope) -> Vec<Address> {
    let list = tx.authorization_list().unwrap_or_default();
    let mut authorities: Vec<_> =
        list.iter().filter_map(|authorization| authorization.recover_authority().ok()).collect();
    authorities.sort_unstable();
    authorities.dedup();
    authorities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        TxPool,
        test_chain::{CHAIN_ID, ETHER, GAS_LIMIT, TestChain, Tx, account, authorization},
    };
    use alloy_primitives::{TxKind, bytes};
    use op_alloy_consensus::TxDeposit;

    fn pool() -> TxPool {
        TestChain::new().pool(PoolConfig::default())
    }

    fn refusal(pool: &TxPool, tx: &Tx) -> String {
        pool.add(tx.recovered(), TransactionOrigin::External).expect_err("refused").to_string()
    }

    #[test]
    fn refusals_are_op_geths() {
        let pool = pool();
        let create = Tx { to: TxKind::Create, ..Tx::default() };
        let cases = [
            (
                Tx { input: vec![0; 130_963].into(), ..Tx::default() },
                "oversized data: transaction size 131074, limit 131072",
            ),
            (
                Tx { input: vec![0; 49_153].into(), ..create.clone() },
                "max initcode size exceeded: code size 49153 limit 49152",
            ),
            (
                Tx { gas: (1 << 24) + 1, ..Tx::default() },
                "transaction gas limit too high (cap: 16777216, tx: 16777217)",
            ),
            (Tx::default().fees(9, 10), "max priority fee per gas higher than max fee per gas"),
            (
                Tx { chain_id: 1, ..Tx::default() },
                "invalid sender: invalid chain id for signer: have 1 want 901",
            ),
            (Tx { nonce: u64::MAX, ..Tx::default() }, "nonce has max value"),
            (
                Tx { gas: 20_000, ..Tx::default() },
                "intrinsic gas too low: gas 20000, minimum needed 21000",
            ),
            (
                Tx { gas: 53_005, input: vec![1].into(), ..create },
                "intrinsic gas too low: gas 53005, minimum needed 53018",
            ),
            (
                Tx { gas: 21_100, input: bytes!("000102"), ..Tx::default() },
                "insufficient gas for floor data gas cost: gas 21100, minimum needed 21090",
            ),
            (
                Tx::default().fees(1_000, 0),
                "transaction gas price below minimum: gas tip cap 0, minimum needed 1",
            ),
            (Tx::default().fees(6, 1), "transaction underpriced"),
            (
                Tx { value: ETHER, ..Tx::default() },
                "insufficient funds for gas * price + value: balance 1000000000000000000, \
                 tx cost 1000000000100000000, overshot 100000000",
            ),
        ];
        for (tx, text) in cases {
            // 21,100 gas is above 21,036 and 21,090: this one passes.
            if text.contains("floor") {
                assert!(pool.add(tx.recovered(), TransactionOrigin::External).is_ok());
                pool.clear();
                let text = "insufficient gas for floor data gas cost: \
                            gas 21080, minimum needed 21090";
                assert_eq!(refusal(&pool, &Tx { gas: 21_080, ..tx }), text);
            } else {
                assert_eq!(refusal(&pool, &tx), text);
            }
        }
    }

    #[test]
    fn block_gas_limit_leaves_room_for_the_attributes() {
        let mut chain = TestChain::new();
        chain.spec = OpSpecId::JOVIAN;
        let pool = chain.pool(PoolConfig::default());
        let fits = Tx { gas: GAS_LIMIT - 70_000, ..Tx::default() };
        assert!(pool.add(fits.recovered(), TransactionOrigin::External).is_ok());
        let tx = Tx { gas: GAS_LIMIT - 69_999, ..Tx::default() };
        assert_eq!(refusal(&pool, &tx), "exceeds block gas limit");
    }

    #[test]
    fn types_that_are_not_pooled() {
        let pool = pool();
        let deposit = Recovered::new_unchecked(TxDeposit::default().into(), account(1));
        assert_eq!(
            pool.add(deposit, TransactionOrigin::External),
            Err(PoolError::TypeNotPooled(0x7e))
        );
        let empty = Tx::default().delegating(vec![]);
        assert_eq!(
            pool.add(empty.clone(), TransactionOrigin::External),
            Err(PoolError::EmptyAuthorizationList)
        );
        let mut chain = TestChain::new();
        chain.spec = OpSpecId::HOLOCENE;
        let pool = chain.pool(PoolConfig::default());
        assert_eq!(
            pool.add(empty, TransactionOrigin::External).expect_err("refused").to_string(),
            "transaction type not supported: type 4 rejected, pool not yet in Prague"
        );
    }

    #[test]
    fn signature_is_looked_at_after_the_fees() {
        let pool = pool();
        let external = TransactionOrigin::External;
        let signature = alloy_primitives::Signature::new(U256::ZERO, U256::ZERO, false);
        let unsigned = |tx: &Tx| match tx.envelope() {
            OpTxEnvelope::Eip1559(tx) => OpTxEnvelope::from(alloy_consensus::Signed::new_unhashed(
                tx.strip_signature(),
                signature,
            )),
            _ => unreachable!("test transactions are of type 2"),
        };
        let cheap = Tx::default().fees(9, 10);
        let error = pool.add_unrecovered(unsigned(&cheap), external);
        assert_eq!(error, Err(PoolError::TipAboveFeeCap));
        let error = pool.add_unrecovered(unsigned(&Tx { gas: 0, ..Tx::default() }), external);
        assert_eq!(error, Err(PoolError::InvalidSignature));
    }

    #[test]
    fn code_decides_who_can_send() {
        let mut chain = TestChain::new();
        chain.set_code(account(2), bytes!("6001"));
        let delegation = [&EIP7702_DELEGATION_DESIGNATOR[..], account(9).as_slice()].concat();
        chain.set_code(account(3), delegation.into());
        let pool = chain.pool(PoolConfig::default());
        for (sender, balance) in [(2, ETHER), (3, ETHER)] {
            assert_eq!(chain.accounts[&account(sender)].balance, U256::from(balance));
        }
        assert_eq!(
            refusal(&pool, &Tx::of(2, 0)),
            "sender not an eoa: address 0x0202020202020202020202020202020202020202, len(code): 2"
        );
        // Delegated: one at a time, in order, but replaceable.
        assert_eq!(refusal(&pool, &Tx::of(3, 1)), "gapped-nonce tx from delegated accounts");
        assert!(pool.add(Tx::of(3, 0).recovered(), TransactionOrigin::External).is_ok());
        assert_eq!(
            refusal(&pool, &Tx::of(3, 1)),
            "in-flight transaction limit reached for delegated accounts"
        );
        let better = Tx::of(3, 0).fees(2_000, 20);
        assert!(pool.add(better.recovered(), TransactionOrigin::External).is_ok());
    }

    #[test]
    fn authorities_and_senders_exclude_each_other() {
        let (signed, authority) = authorization(0);
        let mut chain = TestChain::new();
        let rich = chain.accounts[&account(1)];
        chain.accounts.insert(authority, rich);
        let pool = chain.pool(PoolConfig::default());
        let own = |nonce| Tx { sender: authority, nonce, ..Tx::default() };
        let external = TransactionOrigin::External;
        let delegating = Tx::of(1, 0).delegating(vec![signed]);
        // Two of its own reserve the account.
        for nonce in 0..2 {
            assert!(pool.add(own(nonce).recovered(), external).is_ok());
        }
        assert_eq!(pool.add(delegating.clone(), external), Err(PoolError::AuthorityReserved));
        pool.clear();
        // One is fine, and then no second.
        assert!(pool.add(own(0).recovered(), external).is_ok());
        let hash = pool.add(delegating, external).expect("one is allowed");
        assert_eq!(pool.add(own(1).recovered(), external), Err(PoolError::DelegatedInFlight));
        pool.remove(&[hash]);
        assert!(pool.add(own(1).recovered(), external).is_ok());
    }

    #[test]
    fn fees_for_l1_and_the_operator_are_charged_at_worst() {
        let mut chain = TestChain::new();
        chain.l1.l1_base_fee = U256::from(1_000_000_000_u64);
        chain.l1.l1_base_fee_scalar = U256::from(1_000_000);
        chain.l1.operator_fee_scalar = Some(U256::from(7));
        chain.l1.operator_fee_constant = Some(U256::from(11));
        let tx = Tx::default();
        // A small transaction counts as 100 bytes; the operator takes 100 times the scalar per gas.
        let l1 = 100_u128 * 16 * 1_000_000_000 * 1_000_000 / 1_000_000;
        let operator = 100_000_u128 * 7 * 100 + 11;
        let cost = 100_000 * 1_000 + l1 + operator;
        chain.accounts.get_mut(&account(1)).expect("a rich account").balance = U256::from(cost - 1);
        let pool = chain.pool(PoolConfig::default());
        assert_eq!(
            refusal(&pool, &tx),
            format!(
                "insufficient funds for gas * price + value: balance {}, tx cost {cost}, overshot 1",
                cost - 1
            )
        );
        chain.accounts.get_mut(&account(1)).expect("a rich account").balance = U256::from(cost);
        pool.on_new_head(chain.advance(&[account(1)]));
        assert!(pool.add(tx.recovered(), TransactionOrigin::External).is_ok());
    }

    #[test]
    fn a_pool_without_a_head_takes_nothing() {
        let pool = TxPool::new(PoolConfig::default(), CHAIN_ID);
        let result = pool.add(Tx::default().recovered(), TransactionOrigin::External);
        assert_eq!(result, Err(PoolError::NotReady));
    }
}
