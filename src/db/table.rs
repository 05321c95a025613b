//! A table is declared once. Its descriptor drives upserts, deletes, bulk loads, dumps, the catalog
//! comparison and the prepare test; there is no second list of columns anywhere.

use std::fmt::Write as _;

use super::value::{Key, Kind, Row};

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name in both engines.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

impl Column {
    /// An integer column.
    pub const fn integer(name: &'static str) -> Self {
        Self { name, kind: Kind::Integer }
    }

    /// A text column.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text }
    }

    /// A column of bytes.
    pub const fn blob(name: &'static str) -> Self {
        Self { name, kind: Kind::Blob }
    }
}

/// Columns by which rows are looked up, backed by an index in the migrations.
#[derive(Debug)]
pub struct Index {
    /// Position of each column in [`Table::columns`].
    pub columns: &'static [usize],
}

/// A table as code knows it.
#[derive(Debug)]
pub struct Table {
    /// Its name in both engines.
    pub name: &'static str,
    /// All columns in order; the first [`key`](Self::key) of them are the primary key.
    pub columns: &'static [Column],
    /// How many leading columns form the primary key.
    pub key: usize,
    /// Ways to look rows up other than by the whole key.
    pub indexes: &'static [Index],
}

/// A descriptor exists once per table.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Table {}

/// Statements carry this many rows or keys; a larger number goes out in several. Fixed sizes keep the
/// number of distinct statements, and so of prepared ones, small.
pub(super) const CHUNKS: [usize; 6] = [1024, 256, 64, 16, 4, 1];

/// Bytes in the texts and bytes of the rows of one page, unless it has a single row: an event may have 16 MiB, and a
/// thousand of them are not to be in memory at once.
pub const PAGE_BYTES: i64 = 4 << 20;

impl Table {
    /// The primary key of a row.
    pub fn key_of(&self, row: &Row) -> Key {
        row.0[..self.key].to_vec()
    }

    /// What a row holds in the columns of an index.
    pub fn index_of(&self, index: usize, row: &Row) -> Key {
        self.indexes[index].columns.iter().map(|&at| row.0[at].clone()).collect()
    }

    /// The columns of the primary key (`index` is `None`) or of an index.
    pub(super) fn columns_of(&self, index: Option<usize>) -> Vec<Column> {
        match index {
            None => self.columns[..self.key].to_vec(),
            Some(index) => self.indexes[index].columns.iter().map(|&at| self.columns[at]).collect(),
        }
    }

    pub(super) fn upsert(&self, rows: usize) -> String {
        self.values("INSERT", rows) + &self.on_conflict()
    }

    /// What makes an insert replace the row that is there.
    pub(super) fn on_conflict(&self) -> String {
        let keys = names(&self.columns[..self.key]);
        let rest = &self.columns[self.key..];
        if rest.is_empty() {
            return format!(" ON CONFLICT ({keys}) DO NOTHING");
        }
        let sets: Vec<_> = rest.iter().map(|c| format!("{0} = excluded.{0}", c.name)).collect();
        format!(" ON CONFLICT ({keys}) DO UPDATE SET {}", sets.join(", "))
    }

    /// For `SQLite` alone. OR FAIL leaves the rows before one that is refused, to a transaction that is not committed then;
    /// anything else keeps a copy of every page a statement changes, and writes as much again.
    pub(super) fn insert(&self, rows: usize) -> String {
        self.values("INSERT OR FAIL", rows)
    }

    fn values(&self, insert: &str, rows: usize) -> String {
        let mut sql = format!("{insert} INTO {} ({}) VALUES ", self.name, names(self.columns));
        tuples(&mut sql, self.columns, rows);
        sql
    }

    pub(super) fn delete(&self, keys: usize) -> String {
        let columns = &self.columns[..self.key];
        let mut sql = format!("DELETE FROM {} WHERE ({}) IN (VALUES ", self.name, names(columns));
        tuples(&mut sql, columns, keys);
        sql.push(')');
        sql
    }

    /// Rows by primary key (`index` is `None`) or by index. Drives from the keys, so that both engines
    /// probe the index once per key.
    pub(super) fn load(&self, index: Option<usize>, keys: usize) -> String {
        self.probe(index, keys, self.columns)
    }

    /// Those of the primary keys that have rows.
    pub(super) fn known(&self, keys: usize) -> String {
        self.probe(None, keys, &self.columns[..self.key])
    }

    fn probe(&self, index: Option<usize>, keys: usize, wanted: &[Column]) -> String {
        let columns = self.columns_of(index);
        let aliases: Vec<_> = (1..=columns.len()).map(|n| format!("k{n}")).collect();
        let mut sql = format!("WITH wanted ({}) AS (VALUES ", aliases.join(", "));
        tuples(&mut sql, &columns, keys);
        let select: Vec<_> = wanted.iter().map(|c| format!("t.{}", c.name)).collect();
        let on: Vec<_> =
            columns.iter().zip(&aliases).map(|(c, k)| format!("t.{} = wanted.{k}", c.name)).collect();
        let _ = write!(
            sql,
            ") SELECT {} FROM wanted CROSS JOIN {} t WHERE {}",
            select.join(", "),
            self.name,
            on.join(" AND ")
        );
        sql
    }

    /// The first `limit` rows after a key, in key order; without `after`, from the start.
    pub(super) fn page(&self, after: bool) -> String {
        self.page_of(&names(self.columns), after)
    }

    /// How many bytes of text and bytes each row of that page has.
    pub(super) fn page_sizes(&self, after: bool) -> String {
        let large = self.columns.iter().filter(|column| column.kind != Kind::Integer);
        let sizes: Vec<_> =
            large.map(|column| format!("COALESCE(OCTET_LENGTH({}), 0)", column.name)).collect();
        let size = if sizes.is_empty() { "0".to_owned() } else { sizes.join(" + ") };
        self.page_of(&format!("CAST({size} AS BIGINT) AS size"), after)
    }

    /// How many bytes of text and bytes that page has.
    pub(super) fn page_size(&self, after: bool) -> String {
        format!("SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM ({}) AS page", self.page_sizes(after))
    }

    fn page_of(&self, what: &str, after: bool) -> String {
        let columns = &self.columns[..self.key];
        let keys = names(columns);
        let mut sql = format!("SELECT {what} FROM {}", self.name);
        if after {
            // Both engines read this one, and `PostgreSQL` asks for types where no column tells them.
            let typed = |(at, column): (usize, &Column)| match column.kind {
                Kind::Integer => format!("CAST(${} AS BIGINT)", at + 1),
                Kind::Text => format!("CAST(${} AS TEXT)", at + 1),
                Kind::Blob => format!("${}", at + 1),
            };
            let after: Vec<_> = columns.iter().enumerate().map(typed).collect();
            let _ = write!(sql, " WHERE ({keys}) > ({})", after.join(", "));
        }
        let limit = if after { columns.len() + 1 } else { 1 };
        let _ = write!(sql, " ORDER BY {keys} LIMIT ${limit}");
        sql
    }
}

pub(super) fn names(columns: &[Column]) -> String {
    columns.iter().map(|c| c.name).collect::<Vec<_>>().join(", ")
}

/// Appends `(?, ?), (?, ?)…`, for `SQLite` alone. It keeps a list of parameters that have a name or a number and
/// walks it for each one it meets: a statement of ten thousand `$1`s would cost as many steps squared.
fn tuples(sql: &mut String, columns: &[Column], rows: usize) {
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for at in 0..columns.len() {
            sql.push_str(if at == 0 { "?" } else { ", ?" });
        }
        sql.push(')');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TAGS: Table = Table {
        name: "tags",
        columns: &[Column::text("repository"), Column::text("tag"), Column::text("digest")],
        key: 2,
        indexes: &[Index { columns: &[0, 2] }],
    };

    #[test]
    fn statements_follow_from_the_declaration() {
        assert_eq!(
            TAGS.upsert(2),
            "INSERT INTO tags (repository, tag, digest) VALUES (?, ?, ?), (?, ?, ?) \
             ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest"
        );
        assert_eq!(TAGS.delete(1), "DELETE FROM tags WHERE (repository, tag) IN (VALUES (?, ?))");
        assert_eq!(
            TAGS.load(Some(0), 1),
            "WITH wanted (k1, k2) AS (VALUES (?, ?)) \
             SELECT t.repository, t.tag, t.digest FROM wanted CROSS JOIN tags t \
             WHERE t.repository = wanted.k1 AND t.digest = wanted.k2"
        );
    }

    #[test]
    fn a_large_insert_took_steps_squared_for_its_numbered_parameters() {
        let largest = CHUNKS[0];
        for sql in [TAGS.upsert(largest), TAGS.insert(largest)] {
            assert_eq!((sql.matches('?').count(), sql.matches('$').count()), (3 * largest, 0));
        }
        for sql in [TAGS.delete(largest), TAGS.load(None, largest), TAGS.load(Some(0), largest)] {
            assert_eq!((sql.matches('?').count(), sql.matches('$').count()), (2 * largest, 0));
        }
    }
}
