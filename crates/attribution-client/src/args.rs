//! What several commands take: a node, the hub, a key, and names of lists, payees and blocks.

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};
use ascribe_attribution::{ListId, Payee};
use clap::Args;
use serde::{Serialize, Serializer};
use std::{convert::Infallible, fmt, str::FromStr};

/// Where chains have the hub.
pub(crate) const HUB: &str = "0x4200000000000000000000000000000000000a77";

/// An argument that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Not a payout list.
    #[error(
        "{0:?} is no list: allowed are its number, decimal or hexadecimal, OPERATOR:SEQUENCE, and merged:N"
    )]
    List(String),
    /// Not a payee.
    #[error(
        "{0:?} is no payee: allowed are model:M, adapter:M:A, source:M:A:S, operator:ADDRESS, and its key in hexadecimal"
    )]
    Payee(String),
    /// Not a block.
    #[error(
        "{0:?} is no block: allowed are a number, decimal or hexadecimal, earliest, finalized, safe and latest"
    )]
    Block(String),
    /// Not an amount of money.
    #[error(
        "{0:?} is no amount: allowed are wei, or a number with its unit: wei, gwei or ether, below 2^128 wei"
    )]
    Amount(String),
    /// No key to sign with.
    #[error("nobody to sign: give --private-key (or ETH_PRIVATE_KEY) or --mnemonic")]
    NoKey,
    /// A secret key that is none. What was given stays secret.
    #[error("--private-key is no secret key: allowed are 32 bytes in hexadecimal, not zero")]
    PrivateKey,
    /// A mnemonic that is none. What was given stays secret.
    #[error("--mnemonic is no mnemonic: allowed are 12 to 24 English words of BIP-39")]
    Mnemonic,
}

/// The node to speak to.
#[derive(Args, Debug, Clone)]
pub struct NodeArgs {
    /// JSON-RPC of a node, by HTTP or WebSocket
    #[arg(
        long,
        value_name = "URL",
        env = "ETH_RPC_URL",
        default_value = "http://127.0.0.1:8545",
        hide_env_values = true
    )]
    pub(crate) rpc_url: String,
}

/// The contract that settles.
#[derive(Args, Debug, Clone, Copy)]
pub struct HubArgs {
    /// Contract that settles batches
    #[arg(long, value_name = "ADDRESS", default_value = HUB)]
    pub(crate) hub: Address,
}

/// Who signs.
#[derive(Args, Debug, Clone)]
pub struct KeyArgs {
    /// Secret key of the account that sends
    #[arg(long, value_name = "KEY", env = "ETH_PRIVATE_KEY", hide_env_values = true)]
    private_key: Option<Secret>,
    /// Mnemonic of the account that sends, in place of its key
    #[arg(long, value_name = "WORDS")]
    mnemonic: Option<Secret>,
    /// Which account of the mnemonic
    #[arg(long, value_name = "N", default_value_t = 0, requires = "mnemonic")]
    mnemonic_index: u32,
}

impl KeyArgs {
    /// Who signs.
    pub(crate) fn signer(&self) -> Result<PrivateKeySigner, ArgumentError> {
        match (&self.mnemonic, &self.private_key) {
            (Some(words), _) => {
                MnemonicBuilder::try_from_phrase_nth(words.0.trim(), self.mnemonic_index)
                    .map_err(|_| ArgumentError::Mnemonic)
            }
            (None, Some(key)) => key.0.trim().parse().map_err(|_| ArgumentError::PrivateKey),
            (None, None) => Err(ArgumentError::NoKey),
        }
    }

    /// Who signs, if somebody is to.
    pub(crate) fn signer_if_any(&self) -> Result<Option<PrivateKeySigner>, ArgumentError> {
        match self.signer() {
            Err(ArgumentError::NoKey) => Ok(None),
            signer => signer.map(Some),
        }
    }
}

/// Text that nobody gets to see.
#[derive(Clone)]
struct Secret(String);

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A payout list: its number, `OPERATOR:SEQUENCE`, or `merged:N`.
pub(crate) fn list(text: &str) -> Result<ListId, ArgumentError> {
    let parsed = match text.split_once(':') {
        Some(("merged", count)) => count.parse().ok().map(ListId::of_merge),
        Some((operator, sequence)) => operator
            .parse::<Address>()
            .ok()
            .filter(|operator| !operator.is_zero())
            .zip(sequence.parse().ok())
            .map(|(operator, sequence)| ListId::of_batch(operator, sequence)),
        None => number(text).and_then(|number| ListId::try_from(number).ok()),
    };
    parsed.ok_or_else(|| ArgumentError::List(text.to_owned()))
}

/// A number, decimal or hexadecimal.
fn number(text: &str) -> Option<U256> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let base = if digits.len() == text.len() { 10 } else { 16 };
    let canonical = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    U256::from_str_radix(digits, base).ok().filter(|_| canonical)
}

/// A block: a number or a tag.
pub(crate) fn block(text: &str) -> Result<BlockNumberOrTag, ArgumentError> {
    match text {
        "pending" => None,
        _ => match text.parse() {
            Ok(number) => Some(BlockNumberOrTag::Number(number)),
            Err(_) => text.parse().ok(),
        },
    }
    .ok_or_else(|| ArgumentError::Block(text.to_owned()))
}

/// A block: a number, a tag, or a hash.
pub(crate) fn block_or_hash(text: &str) -> Result<alloy_eips::BlockId, ArgumentError> {
    match text.parse::<B256>() {
        Ok(hash) if text.starts_with("0x") => Ok(hash.into()),
        _ => block(text).map(Into::into),
    }
}

/// An amount of money, in wei if it has no unit.
pub(crate) fn wei(text: &str) -> Result<u128, ArgumentError> {
    let unit = text.find(|char: char| char.is_ascii_alphabetic()).unwrap_or(text.len());
    let (amount, unit) = text.split_at(unit);
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let places = match unit {
        "" | "wei" => Some(0),
        "gwei" => Some(9),
        "ether" => Some(18),
        _ => None,
    };
    places
        .filter(|places| !whole.is_empty() && part.len() <= *places)
        .map(|places| format!("{whole}{part:0<places$}"))
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| ArgumentError::Amount(text.to_owned()))
}

/// A payee by name: `model:M`, `adapter:M:A`, `source:M:A:S`, `operator:ADDRESS`. Its key is read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PayeeName(pub(crate) Payee);

impl FromStr for PayeeName {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, ArgumentError> {
        let mut parts = text.split(':');
        let kind = parts.next().unwrap_or_default();
        let mut index = || parts.next().and_then(|part| part.parse::<u32>().ok());
        let payee = match kind {
            "model" => index().map(|model| Payee::Model { model }),
            "adapter" => {
                index().zip(index()).map(|(model, adapter)| Payee::Adapter { model, adapter })
            }
            "source" => index()
                .zip(index())
                .zip(index())
                .map(|((model, adapter), source)| Payee::Source { model, adapter, source }),
            "operator" => parts
                .next()
                .and_then(|part| part.parse().ok())
                .map(|operator| Payee::Operator { operator }),
            key if key.starts_with("0x") => number(key).and_then(Payee::from_key),
            _ => None,
        };
        payee
            .filter(|_| parts.next().is_none())
            .map(Self)
            .ok_or_else(|| ArgumentError::Payee(text.to_owned()))
    }
}

impl fmt::Display for PayeeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Payee::Model { model } => write!(f, "model:{model}"),
            Payee::Adapter { model, adapter } => write!(f, "adapter:{model}:{adapter}"),
            Payee::Source { model, adapter, source } => {
                write!(f, "source:{model}:{adapter}:{source}")
            }
            Payee::Operator { operator } => write!(f, "operator:{operator}"),
        }
    }
}

impl Serialize for PayeeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;
    use clap::Parser;

    const OPERATOR: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

    #[test]
    fn lists_have_three_names() {
        let batch = ListId::of_batch(OPERATOR, 7);
        for text in [batch.to_string(), batch.number().to_string(), format!("{OPERATOR}:7")] {
            assert_eq!(list(&text), Ok(batch), "{text}");
        }
        for text in ["merged:12", "12", "0xc"] {
            assert_eq!(list(text), Ok(ListId::of_merge(12)), "{text}");
        }
        let above = format!("{:#x}", U256::from(1) << 224);
        let zero = format!("{}:0", Address::ZERO);
        let signed = format!("{OPERATOR}:-1");
        for text in ["", "0x", "merged", "merged:", "merged:x", "1_0", "-1", "x:1", ":", &above] {
            assert_eq!(list(text), Err(ArgumentError::List(text.to_owned())));
        }
        for text in [zero, signed] {
            assert_eq!(list(&text), Err(ArgumentError::List(text)));
        }
    }

    #[test]
    fn payees_have_two_names() {
        let names = ["model:0", "adapter:0:3", "source:0:3:7", &format!("operator:{OPERATOR}")];
        for name in names {
            let payee: PayeeName = name.parse().expect("a payee");
            assert_eq!(payee.to_string(), name);
            let key = format!("{:#066x}", payee.0.key());
            assert_eq!(key.parse(), Ok(payee), "{key}");
        }
        let wrong = [
            "",
            "model",
            "model:",
            "model:x",
            "model:0:1",
            "adapter:0",
            "source:0:3",
            "source:0:3:7:9",
            "operator:0",
            "0x",
            "0x05",
            "7",
            "model:4294967296",
            "model:-1",
        ];
        for name in wrong {
            assert_eq!(name.parse::<PayeeName>(), Err(ArgumentError::Payee(name.to_owned())));
        }
    }

    #[test]
    fn blocks_have_numbers_tags_and_hashes() {
        assert_eq!(block("12"), Ok(12.into()));
        assert_eq!(block("0xc"), Ok(12.into()));
        assert_eq!(block("safe"), Ok(BlockNumberOrTag::Safe));
        for text in ["pending", "", "-1", "0x", "best"] {
            assert_eq!(block(text), Err(ArgumentError::Block(text.to_owned())));
        }
        let hash = B256::repeat_byte(7);
        assert_eq!(block_or_hash(&hash.to_string()), Ok(hash.into()));
        assert_eq!(block_or_hash("12"), Ok(12.into()));
    }

    #[test]
    fn amounts_have_units() {
        assert_eq!(wei("12"), Ok(12));
        assert_eq!(wei("12wei"), Ok(12));
        assert_eq!(wei("1.5gwei"), Ok(1_500_000_000));
        assert_eq!(wei("0.1ether"), Ok(100_000_000_000_000_000));
        let above = (U256::from(u128::MAX) + U256::from(1)).to_string();
        for text in [
            "",
            "wei",
            "-1",
            "1 ether",
            "1eth",
            "0x1",
            "1.5",
            "0.0000000001gwei",
            "1.2.3ether",
            &above,
        ] {
            assert_eq!(wei(text), Err(ArgumentError::Amount(text.to_owned())));
        }
    }

    #[derive(Parser, Debug)]
    struct Cli {
        #[command(flatten)]
        key: KeyArgs,
    }

    fn key(line: &[&str]) -> KeyArgs {
        Cli::parse_from([&["cli"], line].concat()).key
    }

    #[test]
    fn keys_sign_and_stay_secret() {
        let text = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        for text in [text.to_owned(), format!("0x{text}")] {
            let key = key(&["--private-key", &text]);
            assert_eq!(key.signer().expect("a key").address(), OPERATOR);
            assert!(!format!("{key:?}").contains("ac09"), "{key:?}");
        }
        let words = "test test test test test test test test test test test junk";
        assert_eq!(key(&["--mnemonic", words]).signer().expect("a key").address(), OPERATOR);
        let second = key(&["--mnemonic", words, "--mnemonic-index", "1"]);
        let second = second.signer().expect("a key").address();
        assert_eq!(second, address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"));
        let wrong = |line: &[&str]| key(line).signer().expect_err("no key");
        assert_eq!(wrong(&["--private-key", "0x12"]), ArgumentError::PrivateKey);
        assert_eq!(wrong(&["--private-key", &"00".repeat(32)]), ArgumentError::PrivateKey);
        assert_eq!(wrong(&["--mnemonic", "test junk"]), ArgumentError::Mnemonic);
        let none = KeyArgs { private_key: None, mnemonic: None, mnemonic_index: 0 };
        assert_eq!(none.signer().expect_err("no key"), ArgumentError::NoKey);
        assert!(Cli::try_parse_from(["cli", "--mnemonic-index", "1"]).is_err());
    }
}
