//! Statements on many rows, as one: the cells of a column travel as an array. However many rows, it is one
//! round trip, one short text and one prepared statement; lists of parameters would need a statement for
//! every size and thousands of parameters to parse.

use super::Transaction;
use super::value;
use crate::db::table::{Column, Table, names};
use crate::db::{Key, Kind, Row};

/// Rows in one statement at most; bounds its message.
pub(in crate::db) const CHUNK: usize = 16 * 1024;

/// Every statement this module makes for a table.
pub(in crate::db) fn statements_of(table: &Table) -> Vec<String> {
    let mut all = vec![upsert_sql(table), insert_sql(table), delete_sql(table), load_sql(table, None)];
    all.extend((0..table.indexes.len()).map(|index| load_sql(table, Some(index))));
    all
}

fn insert_sql(table: &Table) -> String {
    let columns = names(table.columns);
    format!("INSERT INTO {} ({columns}) SELECT * FROM {}", table.name, unnest(table.columns))
}

fn upsert_sql(table: &Table) -> String {
    insert_sql(table) + &table.on_conflict()
}

fn delete_sql(table: &Table) -> String {
    let columns = &table.columns[..table.key];
    let aliases = aliases(columns);
    format!(
        "WITH gone ({}) AS MATERIALIZED (SELECT * FROM {}) DELETE FROM {} t USING gone WHERE {}",
        aliases.join(", "),
        unnest(columns),
        table.name,
        equal(columns, "gone")
    )
}

fn load_sql(table: &Table, index: Option<usize>) -> String {
    let columns = table.columns_of(index);
    let select: Vec<_> = table.columns.iter().map(|c| format!("t.{}", c.name)).collect();
    format!(
        "WITH wanted ({}) AS MATERIALIZED (SELECT * FROM {}) SELECT {} FROM wanted CROSS JOIN {} t WHERE {}",
        aliases(&columns).join(", "),
        unnest(&columns),
        select.join(", "),
        table.name,
        equal(&columns, "wanted")
    )
}

pub(in crate::db) async fn insert(
    tx: &mut Transaction,
    table: &Table,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    write(tx, &insert_sql(table), table.columns, rows).await
}

pub(in crate::db) async fn upsert(
    tx: &mut Transaction,
    table: &Table,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    write(tx, &upsert_sql(table), table.columns, rows).await
}

pub(in crate::db) async fn delete(
    tx: &mut Transaction,
    table: &Table,
    keys: &[Key],
) -> Result<(), sqlx::Error> {
    write(tx, &delete_sql(table), &table.columns[..table.key], keys).await
}

pub(in crate::db) async fn load(
    tx: &mut Transaction,
    table: &Table,
    index: Option<usize>,
    keys: &[Key],
) -> Result<Vec<Row>, sqlx::Error> {
    let columns = table.columns_of(index);
    let mut found = Vec::new();
    for chunk in keys.chunks(CHUNK) {
        let args = value::columns(kinds(&columns), chunk)?;
        found.extend(tx.rows(load_sql(table, index), args).await?);
    }
    Ok(found)
}

async fn write(
    tx: &mut Transaction,
    sql: &str,
    columns: &[Column],
    rows: &[impl AsRef<[crate::db::Value]>],
) -> Result<(), sqlx::Error> {
    for chunk in rows.chunks(CHUNK) {
        tx.run(sql.to_owned(), value::columns(kinds(columns), chunk)?).await?;
    }
    Ok(())
}

fn kinds(columns: &[Column]) -> impl Iterator<Item = Kind> {
    columns.iter().map(|column| column.kind)
}

fn aliases(columns: &[Column]) -> Vec<String> {
    (1..=columns.len()).map(|n| format!("k{n}")).collect()
}

fn equal(columns: &[Column], given: &str) -> String {
    let equal: Vec<_> =
        columns.iter().zip(1..).map(|(c, n)| format!("t.{} = {given}.k{n}", c.name)).collect();
    equal.join(" AND ")
}

fn unnest(columns: &[Column]) -> String {
    let kind = |column: &Column| match column.kind {
        Kind::Integer => "BIGINT",
        Kind::Text => "TEXT",
        Kind::Blob => "BYTEA",
    };
    let arrays: Vec<_> =
        columns.iter().zip(1..).map(|(c, n)| format!("CAST(${n} AS {}[])", kind(c))).collect();
    format!("UNNEST({})", arrays.join(", "))
}
