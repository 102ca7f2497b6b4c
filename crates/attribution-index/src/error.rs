//! What can go wrong.

use crate::Table;
use ascribe_attribution::ListId;
use std::{error::Error, sync::Arc};

/// Why the index has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IndexError {
    /// What the index is kept in could not be read.
    #[error(transparent)]
    Read(Arc<dyn Error + Send + Sync>),
    /// A row that the index has not written like this.
    #[error("a row of {table:?} is damaged: {reason}")]
    Damaged {
        /// Of which table.
        table: Table,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A list whose content was nowhere to be found when it was indexed.
    #[error("the index knows of list {0}, but has not found what is in it")]
    Unfound(ListId),
    /// A question that makes no sense.
    #[error("{0}")]
    Question(&'static str),
}

impl IndexError {
    /// That something could not be read.
    pub fn read(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Read(Arc::new(error))
    }

    pub(crate) const fn damaged(table: Table, reason: &'static str) -> Self {
        Self::Damaged { table, reason }
    }
}
