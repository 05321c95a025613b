//! The schema as an engine reports it.

use super::Kind;

/// A table as it is in the database, for comparison with [`Table`](super::Table)s and between engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<(String, Kind)>,
    /// The columns that may be NULL.
    pub nullable: Vec<String>,
    /// The columns of its primary key, in the key's order.
    pub key: Vec<String>,
}

impl Shape {
    /// Puts tables together from their columns, which come table by table and in order: table, column, kind,
    /// whether it may be NULL, its place in the primary key.
    pub(super) fn collect<'a>(
        columns: impl Iterator<Item = (&'a str, &'a str, Kind, bool, Option<i64>)>,
    ) -> Vec<Self> {
        let mut tables: Vec<(Self, Vec<(i64, String)>)> = Vec::new();
        for (table, column, kind, is_nullable, place) in columns {
            if tables.last().is_none_or(|(shape, _)| shape.name != table) {
                let shape = Self { name: table.to_owned(), columns: vec![], nullable: vec![], key: vec![] };
                tables.push((shape, Vec::new()));
            }
            let (shape, key) = tables.last_mut().expect("one was just added");
            shape.columns.push((column.to_owned(), kind));
            if is_nullable {
                shape.nullable.push(column.to_owned());
            }
            key.extend(place.map(|place| (place, column.to_owned())));
        }
        let finished = tables.into_iter().map(|(shape, mut key)| {
            key.sort();
            Self { key: key.into_iter().map(|(_, column)| column).collect(), ..shape }
        });
        finished.collect()
    }
}
