//! A call on its way into the EVM, and why it may not enter.

use super::revert;
use crate::RpcError;
use alloy_consensus::constants::{EIP1559_TX_TYPE_ID, EIP4844_TX_TYPE_ID, EIP7702_TX_TYPE_ID};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_op_evm::{OpTx, OpTxError};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use ascribe_evm::OpHaltReason;
use op_revm::{OpTransaction, OpTransactionError};
use revm::{
    context::{BlockEnv, TxEnv},
    context_interface::{
        either::Either,
        result::{HaltReason, InvalidTransaction, OutOfGasError},
    },
};

/// The version byte of a blob's hash.
const VERSIONED_HASH: u8 = 1;

/// A call: a transaction without signature, which pays for its gas at most, and never for L1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) from: Address,
    pub(crate) kind: TxKind,
    pub(crate) value: U256,
    pub(crate) nonce: u64,
    pub(crate) gas_limit: u64,
    /// Wei per gas that are paid.
    pub(crate) gas_price: U256,
    pub(crate) fee_cap: U256,
    pub(crate) tip_cap: U256,
    pub(crate) data: Bytes,
    pub(crate) access_list: AccessList,
    pub(crate) blob_fee_cap: U256,
    pub(crate) blob_hashes: Option<Vec<B256>>,
    pub(crate) authorizations: Option<Vec<SignedAuthorization>>,
}

/// What is known of the sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
}

/// Why a message does not even start to execute. geth's texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("nonce too high: address {address}, tx: {tx} state: {state}")]
    NonceTooHigh { address: Address, tx: u64, state: u64 },
    #[error("nonce too low: address {address}, tx: {tx} state: {state}")]
    NonceTooLow { address: Address, tx: u64, state: u64 },
    #[error("nonce has max value: address {address}, nonce: {nonce}")]
    NonceMax { address: Address, nonce: u64 },
    #[error(
        "max priority fee per gas higher than max fee per gas: address {address}, maxPriorityFeePerGas: {tip}, maxFeePerGas: {fee}"
    )]
    TipAboveFeeCap { address: Address, tip: U256, fee: U256 },
    #[error(
        "max fee per gas less than block base fee: address {address}, maxFeePerGas: {fee}, baseFee: {base_fee}"
    )]
    FeeCapTooLow { address: Address, fee: U256, base_fee: u64 },
    #[error("blob transaction of type create")]
    BlobCreate,
    #[error("blob transaction missing blob hashes")]
    NoBlobs,
    #[error("blob {0} has invalid hash version")]
    BlobVersion(usize),
    #[error(
        "max fee per blob gas less than block blob gas fee: address {address} blobGasFeeCap: {fee}, blobBaseFee: {base_fee}"
    )]
    BlobFeeCapTooLow { address: Address, fee: U256, base_fee: u128 },
    #[error("EIP-7702 transaction cannot be used to create contract (sender {0})")]
    SetCodeCreate(Address),
    #[error("EIP-7702 transaction with empty auth list (sender {0})")]
    NoAuthorizations(Address),
    #[error(
        "insufficient funds for gas * price + value: address {0} required balance exceeds 256 bits"
    )]
    CostOverflow(Address),
    #[error(
        "insufficient funds for gas * price + value: address {address} have {have} want {want}"
    )]
    InsufficientFunds { address: Address, have: U256, want: U256 },
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas { have: u64, want: u64 },
    #[error("insufficient gas for floor data gas cost: have {have}, want {want}")]
    FloorDataGas { have: u64, want: u64 },
    #[error("max initcode size exceeded: code size {size} limit {limit}")]
    InitCodeSize { size: usize, limit: usize },
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasLimitTooHigh { cap: u64, gas: u64 },
    /// What no text of geth fits.
    #[error("{0}")]
    Other(String),
}

impl MessageError {
    /// Whether more gas could help.
    pub(crate) const fn needs_more_gas(&self) -> bool {
        matches!(self, Self::IntrinsicGas { .. })
    }

    /// Whether less gas could help.
    pub(crate) const fn needs_less_gas(&self) -> bool {
        matches!(self, Self::GasLimitTooHigh { .. })
    }
}

impl Message {
    /// Whether its fees are zero, so that the base fee does not concern it.
    pub(crate) fn is_free(&self) -> bool {
        self.fee_cap.is_zero() && self.tip_cap.is_zero()
    }

    /// Takes the prices out of a block that the message does not pay.
    pub(crate) fn waive_prices(&self, block: &mut BlockEnv) {
        if self.gas_price.is_zero() {
            // Who pays nothing sees no price either.
            block.basefee = 0;
        }
        if self.blob_hashes.is_some()
            && self.blob_fee_cap.is_zero()
            && let Some(blob) = &mut block.blob_excess_gas_and_price
        {
            blob.blob_gasprice = 0;
        }
    }

    /// What is looked at before a message is executed, in geth's order.
    ///
    /// With `nonce`, the nonce must be the sender's. With `base_fee`, free messages are not excused
    /// from the block's base fee.
    pub(crate) fn check(
        &self,
        sender: Sender,
        block: &BlockEnv,
        nonce: bool,
        base_fee: bool,
    ) -> Result<(), MessageError> {
        let address = self.from;
        if nonce {
            let (tx, state) = (self.nonce, sender.nonce);
            if state < tx {
                return Err(MessageError::NonceTooHigh { address, tx, state });
            }
            if state > tx {
                return Err(MessageError::NonceTooLow { address, tx, state });
            }
            if state == u64::MAX {
                return Err(MessageError::NonceMax { address, nonce: state });
            }
        }
        if base_fee || !self.is_free() {
            let (tip, fee) = (self.tip_cap, self.fee_cap);
            if fee < tip {
                return Err(MessageError::TipAboveFeeCap { address, tip, fee });
            }
            if fee < U256::from(block.basefee) {
                let base_fee = block.basefee;
                return Err(MessageError::FeeCapTooLow { address, fee, base_fee });
            }
        }
        self.check_blobs(block, base_fee)?;
        if let Some(authorizations) = &self.authorizations {
            if self.kind.is_create() {
                return Err(MessageError::SetCodeCreate(address));
            }
            if authorizations.is_empty() {
                return Err(MessageError::NoAuthorizations(address));
            }
        }
        let want = self.cost().ok_or(MessageError::CostOverflow(address))?;
        let have = sender.balance;
        if have < want {
            return Err(MessageError::InsufficientFunds { address, have, want });
        }
        Ok(())
    }

    fn check_blobs(&self, block: &BlockEnv, base_fee: bool) -> Result<(), MessageError> {
        let Some(hashes) = &self.blob_hashes else { return Ok(()) };
        if self.kind.is_create() {
            return Err(MessageError::BlobCreate);
        }
        if hashes.is_empty() {
            return Err(MessageError::NoBlobs);
        }
        if let Some(index) = hashes.iter().position(|hash| hash[0] != VERSIONED_HASH) {
            return Err(MessageError::BlobVersion(index));
        }
        let price = block.blob_excess_gas_and_price.map_or(0, |blob| blob.blob_gasprice);
        let (address, fee) = (self.from, self.blob_fee_cap);
        if (base_fee || !fee.is_zero()) && fee < U256::from(price) {
            return Err(MessageError::BlobFeeCapTooLow { address, fee, base_fee: price });
        }
        Ok(())
    }

    /// Wei that the sender must have.
    fn cost(&self) -> Option<U256> {
        let gas = U256::from(self.gas_limit).checked_mul(self.fee_cap)?;
        let blobs = self.blob_hashes.as_ref().map_or(0, Vec::len) as u64;
        let blobs = U256::from(blobs * alloy_eips::eip4844::DATA_GAS_PER_BLOB)
            .checked_mul(self.blob_fee_cap)?;
        gas.checked_add(self.value)?.checked_add(blobs)
    }

    /// The message as the EVM takes it.
    pub(crate) fn to_tx(&self, chain_id: u64) -> OpTx {
        let mut tx = TxEnv {
            tx_type: EIP1559_TX_TYPE_ID,
            caller: self.from,
            gas_limit: self.gas_limit,
            gas_price: self.fee_cap.saturating_to(),
            gas_priority_fee: Some(self.tip_cap.saturating_to()),
            kind: self.kind,
            value: self.value,
            data: self.data.clone(),
            // The highest nonce is refused even by an EVM that looks at no nonce.
            nonce: self.nonce.min(u64::MAX - 1),
            chain_id: Some(chain_id),
            access_list: self.access_list.clone(),
            ..TxEnv::default()
        };
        if let Some(hashes) = &self.blob_hashes {
            tx.tx_type = EIP4844_TX_TYPE_ID;
            tx.blob_hashes = hashes.clone();
            tx.max_fee_per_blob_gas = self.blob_fee_cap.saturating_to();
        }
        if let Some(authorizations) = &self.authorizations {
            tx.tx_type = EIP7702_TX_TYPE_ID;
            tx.authorization_list = authorizations.iter().cloned().map(Either::Left).collect();
        }
        let mut tx = OpTransaction::new(tx);
        // Not posted on L1: no byte of it is paid for.
        tx.enveloped_tx = Some(Bytes::new());
        OpTx(tx)
    }

    /// geth's reason for what the EVM refused.
    pub(crate) fn refused(&self, error: OpTxError) -> MessageError {
        let OpTxError(OpTransactionError::Base(error)) = error else {
            return MessageError::Other("deposit transaction refused".to_owned());
        };
        let address = self.from;
        match error {
            InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
                MessageError::IntrinsicGas { have: gas_limit, want: initial_gas }
            }
            InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
                MessageError::FloorDataGas { have: gas_limit, want: gas_floor }
            }
            InvalidTransaction::CreateInitCodeSizeLimit => MessageError::InitCodeSize {
                size: self.data.len(),
                limit: revm::primitives::eip3860::MAX_INITCODE_SIZE,
            },
            InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
                MessageError::InsufficientFunds { address, have: *balance, want: *fee }
            }
            InvalidTransaction::NonceTooHigh { tx, state } => {
                MessageError::NonceTooHigh { address, tx, state }
            }
            InvalidTransaction::NonceTooLow { tx, state } => {
                MessageError::NonceTooLow { address, tx, state }
            }
            InvalidTransaction::TxGasLimitGreaterThanCap { gas_limit, cap } => {
                MessageError::GasLimitTooHigh { cap, gas: gas_limit }
            }
            other => MessageError::Other(other.to_string()),
        }
    }
}

/// How a message ended that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It gave up, and said something.
    Reverted(Bytes),
    /// It was stopped. The text is geth's.
    Halted(String),
}

impl Failure {
    /// geth's text.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Reverted(output) => revert::message(output),
            Self::Halted(text) => text.clone(),
        }
    }
}

impl From<Failure> for RpcError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Reverted(output) => Self::reverted(&output),
            Failure::Halted(text) => Self::server(text),
        }
    }
}

/// geth's text for a halt, as far as the reason alone tells.
pub(crate) fn halt_text(reason: &OpHaltReason) -> String {
    let OpHaltReason::Base(reason) = reason else { return "failed deposit".to_owned() };
    match reason {
        HaltReason::OutOfGas(OutOfGasError::ReentrancySentry) => {
            "out of gas: not enough gas for reentrancy sentry"
        }
        HaltReason::OutOfGas(OutOfGasError::InvalidOperand) => "out of gas: gas uint64 overflow",
        HaltReason::OutOfGas(_) => "out of gas",
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode",
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID",
        HaltReason::InvalidJump => "invalid jump destination",
        HaltReason::StackUnderflow => "stack underflow",
        HaltReason::StackOverflow => "stack limit reached",
        HaltReason::OutOfOffset => "return data out of bounds",
        HaltReason::CreateCollision => "contract address collision",
        HaltReason::PrecompileError => "precompile failed",
        HaltReason::PrecompileErrorWithContext(text) => text,
        HaltReason::NonceOverflow => "nonce uint64 overflow",
        HaltReason::CreateContractSizeLimit => "max code size exceeded",
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded",
        HaltReason::OverflowPayment | HaltReason::OutOfFunds => "insufficient balance for transfer",
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection"
        }
        HaltReason::CallTooDeep => "max call depth exceeded",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::context_interface::block::BlobExcessGasAndPrice;

    fn message() -> Message {
        Message {
            from: Address::repeat_byte(0x11),
            kind: TxKind::Call(Address::repeat_byte(0x22)),
            value: U256::from(5),
            nonce: 3,
            gas_limit: 100,
            gas_price: U256::ZERO,
            fee_cap: U256::ZERO,
            tip_cap: U256::ZERO,
            data: Bytes::new(),
            access_list: AccessList::default(),
            blob_fee_cap: U256::ZERO,
            blob_hashes: None,
            authorizations: None,
        }
    }

    fn block() -> BlockEnv {
        BlockEnv { basefee: 10, ..BlockEnv::default() }
    }

    fn rich() -> Sender {
        Sender { nonce: 3, balance: U256::from(1_000_000) }
    }

    #[test]
    fn free_messages_only_need_their_value() {
        let poor = Sender { nonce: 9, balance: U256::from(4) };
        let error = message().check(poor, &block(), false, false).expect_err("it is too poor");
        assert_eq!(
            error.to_string(),
            "insufficient funds for gas * price + value: address \
             0x1111111111111111111111111111111111111111 have 4 want 5"
        );
        assert_eq!(message().check(rich(), &block(), false, false), Ok(()));
    }

    #[test]
    fn what_pays_must_pay_the_base_fee() {
        let cheap = Message { fee_cap: U256::from(9), ..message() };
        let error = cheap.check(rich(), &block(), false, false);
        assert!(matches!(error, Err(MessageError::FeeCapTooLow { base_fee: 10, .. })));
        let free = message().check(rich(), &block(), false, true);
        assert!(matches!(free, Err(MessageError::FeeCapTooLow { .. })));
        let tip = Message { fee_cap: U256::from(9), tip_cap: U256::from(10), ..message() };
        let error = tip.check(rich(), &block(), false, false);
        assert!(matches!(error, Err(MessageError::TipAboveFeeCap { .. })));
        let huge = Message { fee_cap: U256::MAX, ..message() };
        let error = huge.check(rich(), &block(), false, false);
        assert!(matches!(error, Err(MessageError::CostOverflow(_))));
    }

    #[test]
    fn prices_are_waived_for_who_pays_none() {
        let priced = || BlockEnv {
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice {
                excess_blob_gas: 0,
                blob_gasprice: 7,
            }),
            ..block()
        };
        let prices = |message: Message| {
            let mut block = priced();
            message.waive_prices(&mut block);
            (block.basefee, block.blob_excess_gas_and_price.map_or(0, |blob| blob.blob_gasprice))
        };
        assert_eq!(prices(message()), (0, 7));
        let blobs = Message { blob_hashes: Some(vec![B256::ZERO]), ..message() };
        assert_eq!(prices(blobs.clone()), (0, 0));
        let paid = U256::from(20);
        let pays = Message { gas_price: paid, fee_cap: paid, blob_fee_cap: paid, ..blobs };
        assert_eq!(prices(pays), (10, 7));
    }

    #[test]
    fn nonces_count_where_they_shall() {
        let check = |nonce| {
            let sender = Sender { nonce, ..rich() };
            message().check(sender, &block(), true, false).map_err(|error| error.to_string())
        };
        assert_eq!(check(3), Ok(()));
        let address = Address::repeat_byte(0x11);
        assert_eq!(check(2), Err(format!("nonce too high: address {address}, tx: 3 state: 2")));
        assert_eq!(check(4), Err(format!("nonce too low: address {address}, tx: 3 state: 4")));
    }

    #[test]
    fn blobs_and_authorizations_need_a_recipient() {
        let create = |message: Message| Message { kind: TxKind::Create, ..message };
        let blobs = Message { blob_hashes: Some(vec![]), ..message() };
        let set_code = Message { authorizations: Some(vec![]), ..message() };
        let check = |message: Message| message.check(rich(), &block(), false, false);
        assert_eq!(check(create(blobs.clone())), Err(MessageError::BlobCreate));
        assert_eq!(check(blobs), Err(MessageError::NoBlobs));
        let wrong = Message { blob_hashes: Some(vec![B256::ZERO]), ..message() };
        assert_eq!(check(wrong), Err(MessageError::BlobVersion(0)));
        let from = message().from;
        assert_eq!(check(create(set_code.clone())), Err(MessageError::SetCodeCreate(from)));
        assert_eq!(check(set_code), Err(MessageError::NoAuthorizations(from)));
    }
}
