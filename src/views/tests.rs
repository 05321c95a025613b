//! The declarations against the real schema.

use std::collections::BTreeMap;

use super::*;
use crate::db::testing::{On, Place, on_both};
use crate::db::{Access, Db, Kind, Shape, Table, Value};
use crate::events;
use crate::hash;
use crate::oci::{Algorithm, Digest};

on_both![
    every_statement_prepares_on_the_real_schema,
    the_declared_tables_are_the_tables_there_are,
    many_digests_are_resolved_in_their_order,
];

async fn db(on: On) -> (Place, Db) {
    let place = Place::new(on).await;
    let db = place.open(Access::Create).await;
    (place, db)
}

fn tables() -> Vec<&'static Table> {
    projections().tables().into_iter().chain(events::tables()).collect()
}

async fn every_statement_prepares_on_the_real_schema(on: On) {
    let (_place, db) = db(on).await;
    let named = STATEMENTS.iter().copied().flatten().map(|sql| (*sql).to_owned());
    let named = named.chain(events::statements().map(str::to_owned));
    for sql in named.chain(tables().into_iter().flat_map(|table| db.statements_of(table))) {
        db.prepare(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

async fn the_declared_tables_are_the_tables_there_are(on: On) {
    type Declared = (Vec<(String, Kind)>, Vec<String>);
    let (_place, db) = db(on).await;
    let found = db.catalog().await.unwrap().into_iter().map(|shape| (shape.name, (shape.columns, shape.key)));
    let mut found: BTreeMap<String, Declared> = found.collect();
    for operational in ["uploads", "signing_keys", "maintenance", "orphans", "origins", "webhooks"] {
        found.remove(operational).expect("operational tables are not declared");
    }
    let declared = tables().into_iter().map(|table| {
        let columns: Vec<_> = table.columns.iter().map(|c| (c.name.to_owned(), c.kind)).collect();
        let key = columns[..table.key].iter().map(|(name, _)| name.clone()).collect();
        (table.name.to_owned(), (columns, key))
    });
    assert_eq!(found, declared.collect());
}

#[tokio::test]
async fn both_engines_have_the_same_tables_columns_and_keys() {
    let (_files, embedded) = db(On::Sqlite).await;
    let (_server, shared) = db(On::Postgres).await;
    let (embedded, shared): (Vec<Shape>, Vec<Shape>) =
        (embedded.catalog().await.unwrap(), shared.catalog().await.unwrap());
    assert!(embedded.len() > 10, "{embedded:?}");
    assert_eq!(embedded, shared);
}

#[tokio::test]
async fn no_table_is_declared_by_two_projections() {
    let names: Vec<_> = tables().iter().map(|table| table.name).collect();
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}

/// `MISSING` looks at everything: it is verify's question.
const WALKS_A_TABLE: &[&str] = &["LEFT JOIN manifest_contents"];

#[tokio::test]
async fn no_question_walks_a_table_or_sorts() {
    let (_place, db) = db(On::Sqlite).await;
    let lookups =
        tables().into_iter().flat_map(|table| db.statements_of(table)).filter(|sql| sql.starts_with("WITH"));
    let named = STATEMENTS.iter().copied().flatten().map(|sql| (*sql).to_owned());
    for sql in named.chain(lookups) {
        if WALKS_A_TABLE.iter().any(|part| sql.contains(part)) {
            continue;
        }
        let args = (1..=9).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
        let explain: &str = Box::leak(format!("EXPLAIN QUERY PLAN {sql}").into_boxed_str());
        let plan = db.query(explain, vec![Value::from("1"); args]).await.unwrap();
        for step in plan.iter().map(|row| row.text(3)) {
            // What a subquery does stands in steps of its own.
            let is_fine = ["SEARCH", "CORRELATED SCALAR SUBQUERY"].iter().any(|fine| step.starts_with(fine))
                || step.contains("wanted")
                || step.contains("CONSTANT ROW");
            assert!(is_fine, "{sql}: {step}");
            // One term on a repository alone is a walk through all of it, unless the answer is all of it.
            let walks = step.ends_with("(repository=?)");
            assert!(!walks, "{sql}: {step}");
        }
    }
}

async fn many_digests_are_resolved_in_their_order(on: On) {
    let (_place, db) = db(on).await;
    let digest = |n: u32| hash::digest(Algorithm::Sha256, &n.to_be_bytes());
    let content = |n: u32| hash::digest(Algorithm::Blake3, &n.to_be_bytes());
    let mut tx = db.write().await.unwrap();
    let known = (0..300).filter(|n| n % 3 != 0);
    let row = |n| crate::db::Row(vec![digest(n).as_str().into(), content(n).as_str().into()]);
    tx.insert(&contents::CONTENT_DIGESTS, &known.map(row).collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
    for count in [0, 1, 64, 65, 300] {
        let wanted: Vec<Digest> = (0..count).chain(0..count.min(3)).map(digest).collect();
        let found = contents::find_all(&db, &wanted).await.unwrap();
        let expected: Vec<_> =
            (0..count).chain(0..count.min(3)).map(|n| (n % 3 != 0).then(|| content(n))).collect();
        assert_eq!(found, expected);
    }
}
