//! Where rows come from: a database, and what blocks above it change.

use crate::{IndexError, Table};
use alloy_primitives::Bytes;
use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
};

/// What a scan is told of each row: key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, IndexError> + 'a;

/// A row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Rows of the index as of one moment, and the transactions that they point into.
pub trait Rows {
    /// The value of a key.
    ///
    /// # Errors
    /// If it cannot be read.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError>;

    /// Rows with keys in `from..to`, in order, until `visit` breaks.
    ///
    /// # Errors
    /// If they cannot be read; whatever `visit` says.
    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), IndexError>;

    /// The last row with a key in `from..to`.
    ///
    /// # Errors
    /// If it cannot be read.
    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, IndexError>;

    /// The input of a transaction, by its block's number and its place there.
    ///
    /// # Errors
    /// If it cannot be read.
    fn input(&self, block: u64, transaction: u32) -> Result<Option<Bytes>, IndexError>;
}

/// Rows of one table: what a key has now, or that it is gone.
type Changed = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Changes of rows that are not in the database yet.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    tables: [Changed; Table::ALL.len()],
    inputs: BTreeMap<(u64, u32), Bytes>,
}

impl Changes {
    /// All changes of a table in the order of keys: the value that a key has now, or `None` if it is gone.
    pub fn of(&self, table: Table) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.tables[table as usize].iter().map(|(key, value)| (&key[..], value.as_deref()))
    }

    /// Adds later changes.
    pub fn extend(&mut self, later: &Self) {
        for (table, changed) in self.tables.iter_mut().zip(&later.tables) {
            table.extend(changed.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        self.inputs.extend(later.inputs.iter().map(|(place, input)| (*place, input.clone())));
    }

    pub(crate) fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.tables[table as usize].insert(key.into(), Some(value.into()));
    }

    pub(crate) fn put_input(&mut self, block: u64, transaction: u32, input: Bytes) {
        self.inputs.insert((block, transaction), input);
    }

    /// The same keys, all gone.
    pub(crate) fn into_removal(mut self) -> Self {
        for value in self.tables.iter_mut().flat_map(BTreeMap::values_mut) {
            *value = None;
        }
        self.inputs.clear();
        self
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&[u8], Option<&[u8]>)> {
        // A map's range must not end before it begins.
        let bounds = (Bound::Included(from), Bound::Excluded(to.max(from)));
        let rows = (from < to).then(|| self.tables[table as usize].range::<[u8], _>(bounds));
        rows.into_iter().flatten().map(|(key, value)| (&key[..], value.as_deref()))
    }
}

/// Rows with changes over them.
#[derive(Debug)]
pub struct Layers<'a, R> {
    base: &'a R,
    /// The later wins.
    layers: Vec<&'a Changes>,
}

impl<'a, R: Rows> Layers<'a, R> {
    /// `base` under `layers`, of which the later wins.
    pub fn new(base: &'a R, layers: impl IntoIterator<Item = &'a Changes>) -> Self {
        Self { base, layers: layers.into_iter().collect() }
    }

    /// What the layers say of keys in `from..to`.
    fn changed(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
    ) -> BTreeMap<&'a [u8], Option<&'a [u8]>> {
        self.layers.iter().flat_map(|layer| layer.range(table, from, to)).collect()
    }
}

impl<R: Rows> Rows for Layers<'_, R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let changed =
            self.layers.iter().rev().find_map(|layer| layer.tables[table as usize].get(key));
        match changed {
            Some(value) => Ok(value.clone()),
            None => self.base.get(table, key),
        }
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), IndexError> {
        let changed = self.changed(table, from, to);
        if changed.is_empty() {
            return self.base.scan(table, from, to, visit);
        }
        let mut changed = changed.into_iter().peekable();
        let mut flow = ControlFlow::Continue(());
        self.base.scan(table, from, to, &mut |key, value| {
            while let Some((earlier, change)) = changed.next_if(|(changed, _)| *changed <= key) {
                if let Some(value) = change {
                    flow = visit(earlier, value)?;
                    if flow.is_break() {
                        return Ok(flow);
                    }
                }
                if earlier == key {
                    return Ok(flow);
                }
            }
            flow = visit(key, value)?;
            Ok(flow)
        })?;
        for (key, change) in changed {
            if flow.is_break() {
                break;
            }
            if let Some(value) = change {
                flow = visit(key, value)?;
            }
        }
        Ok(())
    }

    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, IndexError> {
        let changed = self.changed(table, from, to);
        let mut below = self.base.last(table, from, to)?;
        while let Some((key, _)) = below.take_if(|(key, _)| changed.contains_key(&key[..])) {
            below = self.base.last(table, from, &key)?;
        }
        let above = changed.iter().rev().find_map(|(key, value)| value.map(|value| (*key, value)));
        Ok(match (above, below) {
            (Some((key, value)), below)
                if below.as_ref().is_none_or(|below| below.0[..] < *key) =>
            {
                Some((key.to_vec(), value.to_vec()))
            }
            (_, below) => below,
        })
    }

    fn input(&self, block: u64, transaction: u32) -> Result<Option<Bytes>, IndexError> {
        let place = (block, transaction);
        match self.layers.iter().rev().find_map(|layer| layer.inputs.get(&place)) {
            Some(input) => Ok(Some(input.clone())),
            None => self.base.input(block, transaction),
        }
    }
}

/// No rows at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Rows for Nothing {
    fn get(&self, _: Table, _: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        Ok(None)
    }

    fn scan(&self, _: Table, _: &[u8], _: &[u8], _: &mut Visit<'_>) -> Result<(), IndexError> {
        Ok(())
    }

    fn last(&self, _: Table, _: &[u8], _: &[u8]) -> Result<Option<Row>, IndexError> {
        Ok(None)
    }

    fn input(&self, _: u64, _: u32) -> Result<Option<Bytes>, IndexError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: Table = Table::Claims;

    fn changes() -> impl Strategy<Value = Vec<(u8, Option<u8>)>> {
        prop::collection::vec((0..20_u8, any::<Option<u8>>()), 0..20)
    }

    fn layer(changes: &[(u8, Option<u8>)]) -> Changes {
        let mut layer = Changes::default();
        for (key, value) in changes {
            layer.tables[TABLE as usize].insert(vec![*key], value.map(|value| vec![value]));
        }
        layer
    }

    proptest! {
        #[test]
        fn layers_read_as_their_sum(
            given in prop::collection::vec(changes(), 0..4), from in 0..20_u8, to in 0..21_u8, most in 0..20_usize,
        ) {
            let layers: Vec<_> = given.iter().map(|changes| layer(changes)).collect();
            // One layer's changes are another's base.
            let bottom = Layers::new(&Nothing, layers.first());
            let view = Layers::new(&bottom, layers.iter().skip(1));
            let mut sum = BTreeMap::new();
            for (key, value) in given.concat() {
                sum.insert(key, value);
            }
            sum.retain(|_, value| value.is_some());
            let rows: Vec<_> = sum.iter().map(|(key, value)| (*key, value.unwrap_or_default())).collect();
            for key in 0..20 {
                let value = view.get(TABLE, &[key]).expect("readable");
                prop_assert_eq!(value, sum.get(&key).map(|value| vec![value.unwrap_or_default()]));
            }
            let expected: Vec<_> = rows.iter().copied().filter(|row| from <= row.0 && row.0 < to).collect();
            let mut seen = Vec::new();
            view.scan(TABLE, &[from], &[to], &mut |key, value| {
                seen.push((key[0], value[0]));
                Ok(if seen.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            }).expect("readable");
            let wanted = if most == 0 { expected.len() } else { most.min(expected.len()) };
            prop_assert_eq!(&seen, &expected[..wanted]);
            let last = view.last(TABLE, &[from], &[to]).expect("readable");
            prop_assert_eq!(last, expected.last().map(|(key, value)| (vec![*key], vec![*value])));
        }
    }
}
