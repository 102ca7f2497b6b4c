//! Bytecode: what forge wrote for our contracts, and what npm brought of the official ones.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Bytes, hex, keccak256};
use alloy_sol_types::SolValue;
use serde::Deserialize;

use super::{GenesisError, predeploys::implementation_address};
use crate::{file, predeploys};

/// Largest artifact that is read, in bytes. Syntax trees and metadata are in there too.
const MAX_ARTIFACT_BYTES: u64 = 64 << 20;
/// The package of the official contracts, below the folder of the forge project.
const OFFICIAL: &str = "node_modules/@eth-optimism/contracts-bedrock";
/// The package of the ERC-4337 contracts.
const ACCOUNTS: &str = "node_modules/@account-abstraction/contracts/artifacts";

/// The forge project: ours in `out`, the official ones in `node_modules`.
#[derive(Debug, Clone)]
pub struct Artifacts {
    dir: PathBuf,
}

#[derive(Deserialize)]
struct ForgeArtifact {
    bytecode: ForgeCode,
    #[serde(rename = "deployedBytecode")]
    deployed: ForgeCode,
}

#[derive(Deserialize)]
struct ForgeCode {
    object: Bytes,
}

#[derive(Deserialize)]
struct HardhatArtifact {
    bytecode: Bytes,
    #[serde(rename = "deployedBytecode")]
    deployed: Bytes,
}

/// Code with the file it came from.
struct Code {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Artifacts {
    /// The forge project in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Code that creates one of our contracts.
    pub fn creation_code(&self, name: &str) -> Result<Bytes, GenesisError> {
        Ok(self.read::<ForgeArtifact>(&self.ours(name))?.bytecode.object)
    }

    /// Code of one of our contracts. None of them has immutables.
    pub(super) fn own(&self, name: &str) -> Result<Bytes, GenesisError> {
        Ok(self.read::<ForgeArtifact>(&self.ours(name))?.deployed.object)
    }

    /// Code of an official contract without immutables.
    pub(super) fn official(&self, name: &str) -> Result<Bytes, GenesisError> {
        Ok(self.official_code(name)?.bytes.into())
    }

    /// `OptimismMintableERC721Factory`, which has its settings in its code.
    pub(super) fn erc721_factory(&self, l1_chain_id: u64) -> Result<Bytes, GenesisError> {
        let mut code = self.official_code("OptimismMintableERC721Factory")?;
        let bridge = predeploys::L2_ERC721_BRIDGE.into_word();
        code.fill(&[378, 675], bridge)?;
        code.fill(&[262, 708], word(l1_chain_id))?;
        Ok(code.bytes.into())
    }

    /// `EAS`, as its constructor would leave it at its implementation address. It recomputes its
    /// EIP-712 domain when it is called through the proxy.
    pub(super) fn eas(&self, chain_id: u64) -> Result<Bytes, GenesisError> {
        let mut code = self.official_code("EAS")?;
        let this = implementation_address(predeploys::EAS);
        let type_hash = keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
        );
        let (name, version) = (keccak256("EAS"), keccak256("1.3.0"));
        let domain = (type_hash, name, version, word(chain_id), this).abi_encode();
        code.fill(&[10_075], keccak256(domain))?;
        code.fill(&[10_033], word(chain_id))?;
        code.fill(&[9_991], this.into_word())?;
        code.fill(&[10_158], name)?;
        code.fill(&[10_195], version)?;
        code.fill(&[10_116], type_hash)?;
        code.fill(&[1_847], B256::right_padding_from(b"EAS"))?;
        Ok(code.bytes.into())
    }

    /// `EntryPoint` 0.7 and the `SenderCreator` that its constructor deploys.
    pub(super) fn entry_point(&self, sender_creator: Address) -> Result<[Bytes; 2], GenesisError> {
        /// Where the creation code of the one holds the code of the other.
        const SENDER_CREATOR: std::ops::Range<usize> = 16_199..16_650;
        let path = self.dir.join(ACCOUNTS).join("EntryPoint.json");
        let artifact: HardhatArtifact = self.read(&path)?;
        let creator = artifact.bytecode.get(SENDER_CREATOR).map(Bytes::copy_from_slice);
        let creator = creator.ok_or_else(|| other_release(&path))?;
        let mut code = Code { path, bytes: artifact.deployed.into() };
        code.fill(&[3_362, 12_875], sender_creator.into_word())?;
        Ok([code.bytes.into(), creator])
    }

    /// The library of preinstalls, as source: their codes are constants in it and in no artifact.
    pub(super) fn preinstalls(&self) -> Result<PreinstallSource, GenesisError> {
        let path = self.dir.join(OFFICIAL).join("src/libraries/Preinstalls.sol");
        let bytes = self.bytes(&path)?;
        match String::from_utf8(bytes) {
            Ok(source) => Ok(PreinstallSource { path, source }),
            Err(_) => Err(GenesisError::Artifact { path, reason: "it is not text" }),
        }
    }

    fn ours(&self, name: &str) -> PathBuf {
        self.dir.join(format!("out/{name}.sol/{name}.json"))
    }

    fn official_code(&self, name: &str) -> Result<Code, GenesisError> {
        let path = self.dir.join(OFFICIAL).join(format!("forge-artifacts/{name}.sol/{name}.json"));
        let artifact: ForgeArtifact = self.read(&path)?;
        Ok(Code { path, bytes: artifact.deployed.object.into() })
    }

    fn read<T: serde::de::DeserializeOwned>(&self, path: &Path) -> Result<T, GenesisError> {
        if !path.exists() {
            return Err(GenesisError::NoArtifact { path: path.to_owned() });
        }
        Ok(file::read_json(path, "contract artifact", MAX_ARTIFACT_BYTES)?)
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>, GenesisError> {
        if !path.exists() {
            return Err(GenesisError::NoArtifact { path: path.to_owned() });
        }
        Ok(file::read(path, "contract source", MAX_ARTIFACT_BYTES)?)
    }
}

impl Code {
    /// Writes an immutable into its places, which the compiler leaves zero.
    fn fill(&mut self, places: &[usize], value: B256) -> Result<(), GenesisError> {
        for &at in places {
            match self.bytes.get_mut(at..at + 32) {
                Some(place) if place.iter().all(|byte| *byte == 0) => {
                    place.copy_from_slice(value.as_slice());
                }
                _ => return Err(other_release(&self.path)),
            }
        }
        Ok(())
    }
}

/// `Preinstalls.sol`.
pub(super) struct PreinstallSource {
    path: PathBuf,
    source: String,
}

impl PreinstallSource {
    /// The constant `<name>Code`.
    pub(super) fn code(&self, name: &str) -> Result<Bytes, GenesisError> {
        let constant = format!(" {name}Code =");
        let text = self.source.split_once(&constant).and_then(|(_, rest)| {
            let (_, rest) = rest.split_once("hex\"")?;
            rest.split_once('"').map(|(digits, _)| digits)
        });
        let code = text.and_then(|digits| hex::decode(digits).ok());
        Ok(code.ok_or_else(|| other_release(&self.path))?.into())
    }

    /// `Permit2`, which has the chain and its EIP-712 domain in its code.
    pub(super) fn permit2(&self, at: Address, chain_id: u64) -> Result<Bytes, GenesisError> {
        let bytes = self.code("Permit2Template")?.to_vec();
        let domain = (
            keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"),
            keccak256("Permit2"),
            word(chain_id),
            at,
        );
        let mut code = Code { path: self.path.clone(), bytes };
        // The template holds values of a chain of its own.
        for (place, value) in [(6_945, word(chain_id)), (6_983, keccak256(domain.abi_encode()))] {
            let place = code.bytes.get_mut(place..place + 32);
            place.ok_or_else(|| other_release(&self.path))?.copy_from_slice(value.as_slice());
        }
        Ok(code.bytes.into())
    }
}

fn word(value: u64) -> B256 {
    B256::from(alloy_primitives::U256::from(value))
}

fn other_release(path: &Path) -> GenesisError {
    let reason = "it is of another release than the genesis is made from";
    GenesisError::Artifact { path: path.to_owned(), reason }
}
