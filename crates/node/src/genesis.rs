//! `ascribe genesis`: makes `genesis.json` and `rollup.json` of a new chain.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::{B256, U64};
use ascribe_chainspec::{
    FileError, RollupConfig,
    genesis::{self, Alloc, DevnetConfig, GenesisError, L1Start, NewChain},
    read_json,
};
use ascribe_l1::{L1Client, L1Error, L1Options, L1Tag};
use clap::Args;
use serde::{Deserialize, Serialize};

/// Largest L1 block that is read, in bytes: its transactions may be in it.
const MAX_L1_BLOCK_BYTES: u64 = 64 << 20;

/// What a new chain is made from.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Genesis")]
pub struct ChainArgs {
    /// TOML file that describes the chain [default: the built-in configs/devnet.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the contracts, where scripts/contracts has built them
    #[arg(long, value_name = "DIR", default_value = "contracts")]
    pub artifacts: PathBuf,
    /// Take predeploys and preinstalls from this alloc or genesis, e.g. one that op-deployer made,
    /// instead of from --artifacts
    #[arg(long, value_name = "FILE")]
    pub predeploys: Option<PathBuf>,
}

impl ChainArgs {
    /// The description of the chain.
    pub(crate) fn read_config(&self) -> Result<DevnetConfig, GenesisError> {
        self.config.as_ref().map_or_else(|| Ok(DevnetConfig::devnet()), DevnetConfig::from_file)
    }

    /// Its contracts.
    pub(crate) fn alloc(&self, config: &DevnetConfig) -> Result<Alloc, GenesisError> {
        match &self.predeploys {
            Some(file) => genesis::alloc_from_file(file),
            None => genesis::alloc_from_artifacts(config, &self.artifacts),
        }
    }
}

/// Everything `ascribe genesis` takes.
#[derive(Args, Debug, Clone)]
pub struct GenesisArgs {
    /// The chain.
    #[command(flatten)]
    pub chain: ChainArgs,
    /// L1 whose newest block the chain begins after
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "l1_block",
        help_heading = "Genesis"
    )]
    pub l1: Option<String>,
    /// The L1 block that the chain begins after, as eth_getBlockByNumber answers it
    #[arg(long = "l1.block", value_name = "FILE", conflicts_with = "l1", help_heading = "Genesis")]
    pub l1_block: Option<PathBuf>,
    /// Folder that genesis.json and rollup.json are written to
    #[arg(long, value_name = "DIR", default_value = ".", help_heading = "Genesis")]
    pub out: PathBuf,
}

/// A chain that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// Configuration or contracts make no chain.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The L1 cannot be asked.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The L1 block cannot be read.
    #[error("--l1.block: {0}")]
    L1Block(#[from] FileError),
    /// The L1 has no block yet.
    #[error("the L1 at {0} has no block")]
    EmptyL1(String),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Where the files of a chain are in a folder.
#[derive(Debug, Clone)]
pub(crate) struct ChainFiles {
    pub(crate) genesis: PathBuf,
    pub(crate) rollup: PathBuf,
}

impl ChainFiles {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { genesis: folder.join("genesis.json"), rollup: folder.join("rollup.json") }
    }

    /// Writes both; `rollup.json` comes last, so that it is there only when all is.
    pub(crate) fn write(&self, chain: &NewChain) -> Result<(), MakeError> {
        if let Some(folder) = self.genesis.parent() {
            let failed = |source| MakeError::Write { path: folder.to_owned(), source };
            fs::create_dir_all(folder).map_err(failed)?;
        }
        write_json(&self.genesis, &chain.genesis)?;
        write_json(&self.rollup, &chain.rollup)
    }
}

/// `ascribe genesis`. Returns what to tell the user.
pub async fn run(args: &GenesisArgs) -> Result<String, MakeError> {
    let config = args.chain.read_config()?;
    let alloc = args.chain.alloc(&config)?;
    let start = match (&args.l1, &args.l1_block) {
        (_, Some(file)) => read_l1_block(file)?,
        (url, None) => {
            let url = url.as_deref().unwrap_or_default();
            newest_block(url, config.l1.chain_id).await?
        }
    };
    let chain = genesis::new_chain(&config, alloc, start)?;
    let files = ChainFiles::in_folder(&args.out);
    files.write(&chain)?;
    let RollupConfig { l2_chain_id, genesis, .. } = &chain.rollup;
    Ok(format!(
        "chain {l2_chain_id}: genesis {} after L1 block {} in {} and {}",
        genesis.l2.hash,
        genesis.l1.number,
        files.genesis.display(),
        files.rollup.display()
    ))
}

/// The newest block of an L1.
pub(crate) async fn newest_block(url: &str, chain_id: u64) -> Result<L1Start, MakeError> {
    let l1 = L1Client::connect(url, L1Options::default(), chain_id).await?;
    let block = l1.block_by_tag(L1Tag::Latest).await?;
    let block = block.ok_or_else(|| MakeError::EmptyL1(url.to_owned()))?.block_ref();
    Ok(L1Start { hash: block.hash, number: block.number, timestamp: block.timestamp })
}

fn read_l1_block(path: &Path) -> Result<L1Start, FileError> {
    #[derive(Deserialize)]
    struct Block {
        hash: B256,
        number: U64,
        timestamp: U64,
    }
    let Block { hash, number, timestamp } = read_json(path, "block", MAX_L1_BLOCK_BYTES)?;
    Ok(L1Start { hash, number: number.to(), timestamp: timestamp.to() })
}

/// Writes a file in full or not at all.
fn write_json(path: &Path, value: &impl Serialize) -> Result<(), MakeError> {
    let write = || -> io::Result<()> {
        let unfinished = path.with_extension("json.new");
        let mut file = BufWriter::new(fs::File::create(&unfinished)?);
        serde_json::to_writer_pretty(&mut file, value)?;
        file.write_all(b"\n")?;
        file.into_inner()?.sync_all()?;
        fs::rename(unfinished, path)
    };
    write().map_err(|source| MakeError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_rpc_answers_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("block.json");
        let hash = B256::repeat_byte(3);
        let text =
            format!(r#"{{"hash":"{hash}","number":"0x10","timestamp":"0x65","size":"0x1"}}"#);
        fs::write(&path, text).expect("written");
        let start = L1Start { hash, number: 16, timestamp: 101 };
        assert_eq!(read_l1_block(&path).expect("a block"), start);
        fs::write(&path, "null").expect("written");
        assert!(read_l1_block(&path).is_err());
    }

    #[tokio::test]
    async fn contracts_that_are_not_built_are_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let args = GenesisArgs {
            chain: ChainArgs { config: None, artifacts: dir.path().to_owned(), predeploys: None },
            l1: None,
            l1_block: Some(dir.path().join("block.json")),
            out: dir.path().to_owned(),
        };
        let error = run(&args).await.expect_err("no contracts").to_string();
        assert!(error.contains("run 'scripts/contracts build'"), "{error}");
        assert!(!ChainFiles::in_folder(dir.path()).genesis.exists());
    }
}
