//! Work on a database that no node has open: `init`, `db stats`, `db verify`, `db unwind`, `attribution reindex`.

use std::path::{Path, PathBuf};

use ascribe_attribution_index::{Index, answer::Stats};
use ascribe_chainspec::{ChainSpec, ChainSpecError};
use ascribe_storage::{
    GenesisProgress, Storage, StorageError, StorageOptions, StorageStats, VerifyReport, VerifyStage,
};
use indicatif::{HumanBytes, ProgressBar};

use crate::{
    args::{DatadirArgs, DbArgs},
    progress,
};

/// What can stop work on a database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The chain is not known.
    #[error(transparent)]
    Chain(#[from] ChainSpecError),
    /// A preset with rules but without state.
    #[error(
        "the chain '{0}' has no genesis state here, so no database can begin with it: give a genesis file"
    )]
    NoState(String),
    /// The folder cannot be made.
    #[error("cannot make the folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no database.
    #[error("there is no database in {0}: run 'ascribe init' first")]
    Missing(PathBuf),
    /// The database has something to say.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Folder of the database within a datadir.
pub(crate) fn database_dir(datadir: &Path) -> PathBuf {
    datadir.join("db")
}

/// Opens the database of a chain, and begins it with the genesis when there is none.
pub(crate) fn open_or_create(
    datadir: &DatadirArgs,
    options: StorageOptions,
    spec: &ChainSpec,
) -> Result<Storage, DatabaseError> {
    if !spec.has_state() {
        return Err(DatabaseError::NoState(datadir.chain.clone()));
    }
    let path = database_dir(&datadir.resolve());
    std::fs::create_dir_all(&path)
        .map_err(|source| DatabaseError::Folder { path: path.clone(), source })?;
    let mut bar: Option<ProgressBar> = None;
    let mut tell = |at: GenesisProgress| {
        let bar = bar.get_or_insert_with(|| progress::bar("genesis", Some(at.total)));
        bar.set_position(at.accounts);
    };
    let storage = Storage::open(path, options, spec, &mut tell)?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(storage)
}

/// Opens a database that has to be there.
fn open(datadir: &DatadirArgs, db: &DbArgs) -> Result<Storage, DatabaseError> {
    let path = database_dir(&datadir.resolve());
    if !path.join("CURRENT").exists() {
        return Err(DatabaseError::Missing(path));
    }
    open_or_create(datadir, db.into(), &ChainSpec::parse(&datadir.chain)?)
}

/// `ascribe init`: begins a database with the genesis. Doing it again changes nothing.
pub fn init(datadir: &DatadirArgs, db: &DbArgs) -> Result<String, DatabaseError> {
    let spec = ChainSpec::parse(&datadir.chain)?;
    open_or_create(datadir, db.into(), &spec)?;
    let dir = datadir.resolve();
    Ok(format!("chain {}: genesis {} in {}", spec.chain_id(), spec.genesis_hash(), dir.display()))
}

/// `ascribe db stats`.
pub fn stats(datadir: &DatadirArgs, db: &DbArgs) -> Result<StorageStats, DatabaseError> {
    Ok(open(datadir, db)?.stats()?)
}

/// The statistics as a table for people.
pub fn stats_table(stats: &StorageStats) -> String {
    let mut out = format!(
        "head {}   state kept from {}\n{:<20} {:>14} {:>12} {:>12}\n",
        stats.head, stats.history_floor, "column family", "keys (about)", "on disk", "in memory"
    );
    for column in &stats.columns {
        out += &format!(
            "{:<20} {:>14} {:>12} {:>12}\n",
            column.name,
            column.keys,
            HumanBytes(column.table_bytes).to_string(),
            HumanBytes(column.memtable_bytes).to_string(),
        );
    }
    out + &format!("{:<20} {:>14} {:>12}", "all", "", HumanBytes(stats.table_bytes()).to_string())
}

/// `ascribe db verify`: the whole database against itself, the state root from its leaves.
pub fn verify(datadir: &DatadirArgs, db: &DbArgs) -> Result<VerifyReport, DatabaseError> {
    let storage = open(datadir, db)?;
    let mut current: Option<(VerifyStage, ProgressBar)> = None;
    let report = storage.reader().verify(&mut |at| {
        if current.as_ref().is_none_or(|(stage, _)| *stage != at.stage) {
            if let Some((_, bar)) = current.take() {
                bar.finish_and_clear();
            }
            let name = match at.stage {
                VerifyStage::Blocks => "blocks",
                VerifyStage::Codes => "codes",
                VerifyStage::State => "state",
                VerifyStage::History => "history",
                VerifyStage::Attribution => "attribution",
            };
            current = Some((at.stage, progress::bar(name, at.total)));
        }
        if let Some((_, bar)) = &current {
            bar.set_position(at.done);
        }
    });
    if let Some((_, bar)) = current {
        bar.finish_and_clear();
    }
    Ok(report?)
}

/// `ascribe attribution reindex`: makes the attribution index again from blocks, and tells what is in it.
pub fn reindex_attribution(datadir: &DatadirArgs, db: &DbArgs) -> Result<Stats, DatabaseError> {
    let storage = open(datadir, db)?;
    let bar = progress::bar("attribution", None);
    storage.reindex_attribution(&mut |at| {
        bar.set_length(at.total);
        bar.set_position(at.done);
    })?;
    bar.finish_and_clear();
    let head = storage.reader().head().number;
    Ok(Index::new(storage.reader()).stats(&(0..=head)).map_err(StorageError::from)?)
}

/// `ascribe db unwind`: takes off every block above `to`.
pub fn unwind(datadir: &DatadirArgs, db: &DbArgs, to: u64) -> Result<u64, DatabaseError> {
    let storage = open(datadir, db)?;
    let head = storage.reader().head().number;
    let bar = progress::bar("unwind", Some(head.saturating_sub(to)));
    storage.unwind_to(to, &mut |at| bar.set_position(head - at))?;
    bar.finish_and_clear();
    Ok(storage.reader().head().number)
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::args::NodeArgs;

    fn args(dir: &Path, chain: &str) -> NodeArgs {
        let command = NodeArgs::augment_args(Command::new("node"));
        let dir = dir.to_str().expect("a name in UTF-8");
        let line = ["node", "--datadir", dir, "--chain", chain];
        let matches = command.try_get_matches_from(line).expect("valid flags");
        NodeArgs::from_arg_matches(&matches).expect("valid flags")
    }

    #[test]
    fn a_database_is_made_once_and_checked() {
        let dir = tempfile::tempdir().expect("a folder");
        let args = args(dir.path(), "devnet");
        assert!(matches!(stats(&args.datadir, &args.db), Err(DatabaseError::Missing(_))));
        let first = init(&args.datadir, &args.db).expect("made");
        assert_eq!(init(&args.datadir, &args.db).expect("found"), first);
        assert_eq!(stats(&args.datadir, &args.db).expect("readable").head, 0);
        let report = verify(&args.datadir, &args.db).expect("in order");
        assert_eq!((report.blocks, report.accounts), (1, 13));
        assert_eq!(unwind(&args.datadir, &args.db, 0).expect("nothing to do"), 0);
    }

    #[test]
    fn a_database_of_another_chain_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let devnet = args(dir.path(), "devnet");
        init(&devnet.datadir, &devnet.db).expect("made");
        let file = dir.path().join("other.json");
        let refused = |genesis: &alloy_genesis::Genesis| {
            let text = serde_json::to_vec(genesis).expect("JSON");
            std::fs::write(&file, text).expect("written");
            let other = args(dir.path(), file.to_str().expect("a name in UTF-8"));
            init(&other.datadir, &other.db).expect_err("another chain")
        };
        let mut genesis = ChainSpec::devnet().genesis().clone();
        genesis.config.chain_id = 902;
        let error = refused(&genesis);
        assert!(
            matches!(
                error,
                DatabaseError::Storage(StorageError::ChainIdMismatch { stored: 901, given: 902 })
            ),
            "{error}"
        );
        genesis.timestamp = 7;
        let error = refused(&genesis);
        assert!(
            matches!(error, DatabaseError::Storage(StorageError::GenesisMismatch { .. })),
            "{error}"
        );
    }

    #[test]
    fn a_preset_without_state_begins_no_database() {
        let dir = tempfile::tempdir().expect("a folder");
        let args = args(dir.path(), "op-mainnet");
        assert!(matches!(init(&args.datadir, &args.db), Err(DatabaseError::NoState(_))));
    }
}
