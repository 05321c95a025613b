//! Transactions and the typed statements inside them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::table::{CHUNKS, PAGE_BYTES};
use super::{Error, Key, Row, Table, Value, postgres, sqlite};

/// A transaction. Dropping it without [`commit`](Self::commit) undoes everything. One that was begun by
/// [`Db::snapshot`](super::Db::snapshot) sees one moment and can only read: the engine refuses its writes.
#[derive(Debug)]
pub struct Tx {
    engine: Engine,
    statements: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(super) enum Engine {
    Sqlite(sqlite::Transaction),
    Postgres(postgres::Transaction),
}

impl Tx {
    pub(super) fn new(engine: Engine, statements: Arc<AtomicU64>) -> Self {
        Self { engine, statements }
    }

    /// Runs a query.
    pub async fn query(&mut self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.rows(sql.to_owned(), args).await
    }

    /// Runs a statement and says how many rows it touched.
    pub async fn execute(&mut self, sql: &'static str, args: Vec<Value>) -> Result<u64, Error> {
        self.run(sql.to_owned(), args).await
    }

    /// Rows whose primary key (`index` is `None`) or index columns equal one of `keys`, each row once.
    pub async fn load(
        &mut self,
        table: &Table,
        index: Option<usize>,
        keys: &[Key],
    ) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        if let Engine::Postgres(tx) = &mut self.engine {
            count(&self.statements, keys.len());
            rows = postgres::load(tx, table, index, keys).await.map_err(Error::statement)?;
            let mut seen = HashSet::new();
            rows.retain(|row| seen.insert(table.key_of(row)));
            return Ok(rows);
        }
        for (chunk, size) in chunks(keys, true) {
            let args = padded(chunk, size);
            rows.extend(self.rows(table.load(index, size), args).await?);
        }
        let mut seen = HashSet::new();
        rows.retain(|row| seen.insert(table.key_of(row)));
        Ok(rows)
    }

    /// Inserts rows; one that exists already is an [`Error::Constraint`], after which the transaction is of no use.
    pub async fn insert(&mut self, table: &Table, rows: &[Row]) -> Result<(), Error> {
        if let Engine::Postgres(tx) = &mut self.engine {
            count(&self.statements, rows.len());
            return postgres::insert(tx, table, rows).await.map_err(Error::statement);
        }
        self.add(table, rows.iter().collect()).await
    }

    /// Inserts or replaces rows. No key may occur twice.
    pub async fn upsert(&mut self, table: &Table, rows: &[Row]) -> Result<(), Error> {
        if let Engine::Postgres(tx) = &mut self.engine {
            count(&self.statements, rows.len());
            return postgres::upsert(tx, table, rows).await.map_err(Error::statement);
        }
        self.replace(table, rows.iter().collect()).await
    }

    /// The same for very many rows of which most are new. `SQLite` is asked first which of them it has: an insert is
    /// cheaper by far there, see [`Table::insert`].
    pub async fn fill(&mut self, table: &Table, rows: &[Row]) -> Result<(), Error> {
        if let Engine::Postgres(_) = &self.engine {
            return self.upsert(table, rows).await;
        }
        let keys: Vec<Key> = rows.iter().map(|row| table.key_of(row)).collect();
        let known: HashSet<Key> = self.known(table, &keys).await?.into_iter().map(|row| row.0).collect();
        let (old, new): (Vec<_>, Vec<_>) = rows.iter().zip(&keys).partition(|(_, key)| known.contains(*key));
        let rows = |these: Vec<(_, _)>| these.into_iter().map(|(row, _)| row).collect();
        self.add(table, rows(new)).await?;
        self.replace(table, rows(old)).await
    }

    /// Inserts rows into `SQLite`.
    async fn add(&mut self, table: &Table, rows: Vec<&Row>) -> Result<(), Error> {
        for (chunk, size) in chunks(&rows, false) {
            self.run(table.insert(size), cells(chunk)).await?;
        }
        Ok(())
    }

    /// Inserts or replaces rows in `SQLite`.
    async fn replace(&mut self, table: &Table, rows: Vec<&Row>) -> Result<(), Error> {
        for (chunk, size) in chunks(&rows, false) {
            self.run(table.upsert(size), cells(chunk)).await?;
        }
        Ok(())
    }

    /// Those keys that `SQLite` has rows of.
    async fn known(&mut self, table: &Table, keys: &[Key]) -> Result<Vec<Row>, Error> {
        let mut known = Vec::new();
        for (chunk, size) in chunks(keys, true) {
            known.extend(self.rows(table.known(size), padded(chunk, size)).await?);
        }
        Ok(known)
    }

    /// Deletes rows by primary key; a missing one is not an error.
    pub async fn delete(&mut self, table: &Table, keys: &[Key]) -> Result<(), Error> {
        if let Engine::Postgres(tx) = &mut self.engine {
            count(&self.statements, keys.len());
            return postgres::delete(tx, table, keys).await.map_err(Error::statement);
        }
        for (chunk, size) in chunks(keys, false) {
            let args = chunk.iter().flatten().cloned().collect();
            self.run(table.delete(size), args).await?;
        }
        Ok(())
    }

    /// Up to `limit` rows in key order, after the key `after`: fewer at the end, and where they would have more than
    /// [`PAGE_BYTES`]. Only an empty page says that there are no more.
    pub async fn page(&mut self, table: &Table, after: Option<&Key>, limit: i64) -> Result<Vec<Row>, Error> {
        let args = |limit: i64| {
            let mut args = after.cloned().unwrap_or_default();
            args.push(Value::Integer(limit));
            args
        };
        let mut rows = limit;
        // Asked before, since what a query has found is in memory. Both engines know a size without reading. Few pages
        // are too large, and of those alone the size of each row is asked for.
        if limit > 1 && self.size(table, after.is_some(), args(limit)).await? > PAGE_BYTES {
            let sizes = self.rows(table.page_sizes(after.is_some()), args(limit)).await?;
            rows = fitting(sizes.iter().map(|row| row.integer(0)));
        }
        self.rows(table.page(after.is_some()), args(rows)).await
    }

    /// Bytes of text and bytes on a page.
    async fn size(&mut self, table: &Table, after: bool, args: Vec<Value>) -> Result<i64, Error> {
        let sum = self.rows(table.page_size(after), args).await?;
        Ok(sum.first().map_or(0, |row| row.integer(0)))
    }

    /// Empties a table.
    pub async fn clear(&mut self, table: &Table) -> Result<(), Error> {
        self.run(format!("DELETE FROM {}", table.name), Vec::new()).await.map(drop)
    }

    /// Makes the transaction durable.
    pub async fn commit(self) -> Result<(), Error> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        match self.engine {
            Engine::Sqlite(tx) => tx.commit().await.map_err(Error::Commit),
            Engine::Postgres(tx) => tx.commit().await,
        }
    }

    async fn rows(&mut self, sql: String, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let found = match &mut self.engine {
            Engine::Sqlite(tx) => tx.query(sql, args).await,
            Engine::Postgres(tx) => tx.query(sql, &args).await,
        };
        found.map_err(Error::statement)
    }

    async fn run(&mut self, sql: String, args: Vec<Value>) -> Result<u64, Error> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let done = match &mut self.engine {
            Engine::Sqlite(tx) => tx.execute(sql, args).await,
            Engine::Postgres(tx) => tx.execute(sql, &args).await,
        };
        done.map_err(Error::statement)
    }
}

/// Statements on the operational tables, each its own transaction.
///
/// One whose connection breaks is run again, and nobody knows whether it had been carried out: every statement here
/// must come to the same when it is repeated at once.
#[derive(Clone, Debug)]
pub struct Operational(pub(super) Sessions);

#[derive(Clone, Debug)]
pub(super) enum Sessions {
    Sqlite(sqlite::Connections),
    Postgres(postgres::Connections),
}

impl Operational {
    /// Runs a query.
    pub async fn query(&self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        let found = match &self.0 {
            Sessions::Sqlite(connections) => connections.query(sql, args).await,
            Sessions::Postgres(connections) => {
                // Boxed, here and below: requests on uploads would be large futures otherwise.
                Box::pin(connections.again(|| connections.query(sql, args.clone()))).await
            }
        };
        found.map_err(Error::statement)
    }

    /// Runs a statement and says how many rows it touched.
    pub async fn execute(&self, sql: &'static str, args: Vec<Value>) -> Result<u64, Error> {
        let done = match &self.0 {
            Sessions::Sqlite(connections) => connections.execute(sql, args).await,
            Sessions::Postgres(connections) => {
                Box::pin(connections.again(|| connections.execute(sql, args.clone()))).await
            }
        };
        done.map_err(Error::statement)
    }
}

/// How many rows of these sizes make a page: at least one, if there is one.
fn fitting(sizes: impl Iterator<Item = i64>) -> i64 {
    let (mut rows, mut bytes) = (0, 0);
    for size in sizes {
        bytes += size;
        if rows > 0 && bytes > PAGE_BYTES {
            break;
        }
        rows += 1;
    }
    rows
}

/// Counts the one statement that a server needs for any number of rows.
fn count(statements: &AtomicU64, rows: usize) {
    statements.fetch_add(rows.div_ceil(postgres::CHUNK) as u64, Ordering::Relaxed);
}

/// What rows have, one after the other.
fn cells(rows: &[&Row]) -> Vec<Value> {
    rows.iter().flat_map(|row| &row.0).cloned().collect()
}

/// The arguments of a load of `size` keys. What a short chunk lacks is filled up with NULLs, which equal
/// nothing: repeating a key instead would repeat all the rows an index finds under it.
pub(super) fn padded(chunk: &[Key], size: usize) -> Vec<Value> {
    let padding = (size - chunk.len()) * chunk[0].len();
    chunk.iter().flatten().cloned().chain(std::iter::repeat_n(Value::Null, padding)).collect()
}

/// Cuts `items` into pieces of the sizes in [`CHUNKS`], largest first. With `fill`, a rest may travel in
/// the next larger size (its statement is padded), which saves round trips; otherwise sizes are exact.
fn chunks<T>(items: &[T], fill: bool) -> Vec<(&[T], usize)> {
    let mut pieces = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let exact = CHUNKS.iter().copied().find(|&size| size <= rest.len()).expect("the smallest chunk is 1");
        let filled = CHUNKS.iter().rev().copied().find(|&size| size >= rest.len());
        let size = match filled {
            Some(size) if fill => size,
            _ => exact,
        };
        let (piece, tail) = rest.split_at(size.min(rest.len()));
        pieces.push((piece, size));
        rest = tail;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_padded_only_where_padding_is_harmless() {
        let items = [0; 300];
        let sizes = |fill| chunks(&items, fill).iter().map(|(p, s)| (p.len(), *s)).collect::<Vec<_>>();
        assert_eq!(sizes(true), [(300, 1024)]);
        assert_eq!(sizes(false), [(256, 256), (16, 16), (16, 16), (4, 4), (4, 4), (4, 4)]);
        assert_eq!(chunks(&items[..0], true), []);
    }
}
