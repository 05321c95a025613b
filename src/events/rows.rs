//! The rows a batch works on: what was read from the database, as changed by the batch so far.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::Error;
use crate::db::{Key, Row, Table, Tx, Value};

/// Something a decision or a projection wants to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    table: &'static Table,
    index: Option<usize>,
    key: Key,
}

impl Read {
    /// The row with this primary key.
    pub fn row(table: &'static Table, key: Key) -> Self {
        Self { table, index: None, key }
    }

    /// All rows with these values in the columns of an index.
    pub fn lookup(table: &'static Table, index: usize, key: Key) -> Self {
        Self { table, index: Some(index), key }
    }

    fn order(&self) -> (&'static str, Option<usize>, &Key) {
        (self.table.name, self.index, &self.key)
    }
}

/// A change to one view row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Insert the row, or replace the one with its key.
    Upsert(&'static Table, Row),
    /// Remove the row with this key, if there is one.
    Delete(&'static Table, Key),
}

/// The working set.
///
/// Asking for something that was not loaded answers "nothing" and notes the read; whoever runs a pure
/// function over the rows loads what was missed and runs it again. So declared reads are only a way to
/// fetch a whole batch in a few statements; forgetting one costs a round trip, never a wrong answer.
#[derive(Debug, Default)]
pub struct Rows {
    tables: HashMap<&'static str, Loaded>,
    missed: RefCell<Vec<Read>>,
}

#[derive(Debug)]
struct Loaded {
    table: &'static Table,
    rows: HashMap<Key, Slot>,
    /// Per index of the table: the keys of the rows under each value that was looked up.
    lookups: Vec<HashMap<Key, BTreeSet<Key>>>,
}

#[derive(Debug)]
struct Slot {
    row: Option<Row>,
    changed: bool,
}

impl Rows {
    /// The row with this primary key.
    pub fn get(&self, table: &'static Table, key: &[Value]) -> Option<&Row> {
        if let Some(slot) = self.tables.get(table.name).and_then(|loaded| loaded.rows.get(key)) {
            return slot.row.as_ref();
        }
        self.missed.borrow_mut().push(Read::row(table, key.to_vec()));
        None
    }

    /// The rows with these values in the columns of an index, in key order.
    pub fn lookup(&self, table: &'static Table, index: usize, key: &[Value]) -> Vec<&Row> {
        let loaded = self.tables.get(table.name);
        if let Some((loaded, keys)) =
            loaded.and_then(|loaded| Some((loaded, loaded.lookups[index].get(key)?)))
        {
            return keys.iter().filter_map(|key| loaded.rows.get(key)?.row.as_ref()).collect();
        }
        self.missed.borrow_mut().push(Read::lookup(table, index, key.to_vec()));
        Vec::new()
    }

    /// What was asked for and not there since the last call.
    pub(super) fn take_missed(&self) -> Vec<Read> {
        std::mem::take(&mut *self.missed.borrow_mut())
    }

    /// Loads what is not loaded yet, with one statement per table and kind of read.
    pub(super) async fn load(&mut self, tx: &mut Tx, reads: Vec<Read>) -> Result<(), Error> {
        let mut wanted: Vec<Read> = reads.into_iter().filter(|read| !self.is_loaded(read)).collect();
        wanted.sort_by(|a, b| a.order().cmp(&b.order()));
        wanted.dedup();
        for group in wanted.chunk_by(|a, b| (a.table, a.index) == (b.table, b.index)) {
            let (table, index) = (group[0].table, group[0].index);
            let keys: Vec<Key> = group.iter().map(|read| read.key.clone()).collect();
            let found = tx.load(table, index, &keys).await?;
            self.add(table, index, keys, found);
        }
        Ok(())
    }

    fn is_loaded(&self, read: &Read) -> bool {
        self.tables.get(read.table.name).is_some_and(|loaded| match read.index {
            None => loaded.rows.contains_key(&read.key),
            Some(index) => loaded.lookups[index].contains_key(&read.key),
        })
    }

    /// Adds rows read from the database. A row the batch changed already keeps its newer state.
    fn add(&mut self, table: &'static Table, index: Option<usize>, keys: Vec<Key>, found: Vec<Row>) {
        let loaded = self.loaded(table);
        for row in found {
            loaded.rows.entry(table.key_of(&row)).or_insert(Slot { row: Some(row), changed: false });
        }
        let Some(index) = index else {
            for key in keys {
                loaded.rows.entry(key).or_insert(Slot { row: None, changed: false });
            }
            return;
        };
        // From all rows and not only from those found: the batch may have changed some so that they match
        // now, or do not any more.
        let mut lookups: HashMap<Key, BTreeSet<Key>> =
            keys.into_iter().map(|key| (key, BTreeSet::new())).collect();
        for (id, slot) in &loaded.rows {
            let wanted = slot.row.as_ref().and_then(|row| lookups.get_mut(&table.index_of(index, row)));
            if let Some(ids) = wanted {
                ids.insert(id.clone());
            }
        }
        loaded.lookups[index].extend(lookups);
    }

    /// Applies a change, so that later decisions of the batch see it.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Upsert(table, row) => self.loaded(table).set(table.key_of(&row), Some(row)),
            Change::Delete(table, key) => self.loaded(table).set(key, None),
        }
    }

    /// Takes the net changes per table: rows to write and keys to delete, each key at most once, in key order, in which
    /// a large table is written faster.
    pub(super) fn into_changes(self) -> Vec<(&'static Table, Vec<Row>, Vec<Key>)> {
        let mut changes = Vec::new();
        for loaded in self.tables.into_values() {
            let mut upserts = Vec::new();
            let mut deletes = Vec::new();
            for (key, slot) in loaded.rows.into_iter().filter(|(_, slot)| slot.changed) {
                match slot.row {
                    Some(row) => upserts.push(row),
                    None => deletes.push(key),
                }
            }
            let key = loaded.table.key;
            upserts.sort_unstable_by(|a: &Row, b: &Row| a.0[..key].cmp(&b.0[..key]));
            deletes.sort_unstable();
            if !upserts.is_empty() || !deletes.is_empty() {
                changes.push((loaded.table, upserts, deletes));
            }
        }
        changes
    }

    fn loaded(&mut self, table: &'static Table) -> &mut Loaded {
        self.tables.entry(table.name).or_insert_with(|| Loaded {
            table,
            rows: HashMap::new(),
            lookups: table.indexes.iter().map(|_| HashMap::new()).collect(),
        })
    }
}

impl Loaded {
    fn set(&mut self, key: Key, row: Option<Row>) {
        let before = self.rows.get(&key).and_then(|slot| slot.row.as_ref());
        for (index, lookups) in self.lookups.iter_mut().enumerate().filter(|(_, lookups)| !lookups.is_empty())
        {
            // A row that is not loaded is under no value that was looked up: a lookup loads its rows.
            if let Some(ids) = before.and_then(|row| lookups.get_mut(&self.table.index_of(index, row))) {
                ids.remove(&key);
            }
            let after = row.as_ref().and_then(|row| lookups.get_mut(&self.table.index_of(index, row)));
            if let Some(ids) = after {
                ids.insert(key.clone());
            }
        }
        self.rows.insert(key, Slot { row, changed: true });
    }
}
