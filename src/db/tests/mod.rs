//! The facade over real databases: what both engines promise, and what each does in its own way.

mod postgres;
mod sqlite;

use super::testing::{On, Place, on_both};
use super::*;

static TAGS: Table = Table {
    name: "tags",
    columns: &[
        Column::text("repository"),
        Column::text("tag"),
        Column::text("digest"),
        Column::text("content"),
        Column::integer("moved_at"),
        Column::integer("sequence"),
    ],
    key: 2,
    indexes: &[Index { columns: &[0, 3] }],
};

static CONTENTS: Table = Table {
    name: "manifest_contents",
    columns: &[Column::text("content"), Column::blob("bytes")],
    key: 1,
    indexes: &[],
};

async fn fresh(on: On) -> (Place, Db) {
    let place = Place::new(on).await;
    let db = place.open(Access::Create).await;
    (place, db)
}

fn tag(n: i64) -> Row {
    Row(vec![
        "r".into(),
        format!("t{n:05}").into(),
        "d".into(),
        format!("c{}", n / 3).into(),
        n.into(),
        n.into(),
    ])
}

fn tag_key(n: i64) -> Key {
    TAGS.key_of(&tag(n))
}

fn moved(rows: &[Row]) -> Vec<i64> {
    let mut all: Vec<i64> = rows.iter().map(|row| row.integer(4)).collect();
    all.sort_unstable();
    all
}

async fn with_tags(on: On, n: i64) -> (Place, Db) {
    let (place, db) = fresh(on).await;
    let mut tx = db.write().await.unwrap();
    tx.insert(&TAGS, &(0..n).map(tag).collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
    (place, db)
}

on_both![
    rows_are_loaded_by_key_however_many_are_asked_for,
    rows_are_loaded_by_index_however_many_are_asked_for,
    every_kind_of_cell_comes_back_as_it_was_written,
    rows_are_replaced_by_key_and_deleted_in_bulk,
    a_page_of_large_rows_was_as_long_as_one_of_small_rows,
    a_table_is_filled_with_rows_that_are_new_and_rows_that_are_there,
    a_row_that_is_there_already_is_a_constraint_error,
    a_null_or_a_value_of_the_wrong_kind_was_taken_for_a_failing_engine,
    a_failing_statement_is_not_a_constraint_error,
    an_event_is_neither_changed_nor_deleted,
    a_null_fits_a_column_of_any_kind_whatever_came_before_it,
    a_dropped_transaction_leaves_nothing,
    a_snapshot_sees_one_moment_and_refuses_writes,
    reading_works_beside_an_open_writer,
];

async fn rows_are_loaded_by_key_however_many_are_asked_for(on: On) {
    let (_place, db) = with_tags(on, 3500).await;
    let mut tx = db.snapshot().await.unwrap();
    for n in [0, 1, 3, 300, 3000] {
        let mut keys: Vec<Key> = (0..n).map(tag_key).collect();
        assert_eq!(moved(&tx.load(&TAGS, None, &keys).await.unwrap()), (0..n).collect::<Vec<_>>());
        keys.extend((0..n).map(tag_key)); // every key twice
        keys.push(tag_key(9999)); // and one that is not there
        assert_eq!(moved(&tx.load(&TAGS, None, &keys).await.unwrap()), (0..n).collect::<Vec<_>>());
    }
}

async fn rows_are_loaded_by_index_however_many_are_asked_for(on: On) {
    let (_place, db) = with_tags(on, 9000).await;
    let mut tx = db.snapshot().await.unwrap();
    for n in [0, 1, 3, 300, 3000] {
        let mut keys: Vec<Key> = (0..n).map(|n| vec!["r".into(), format!("c{n}").into()]).collect();
        assert_eq!(moved(&tx.load(&TAGS, Some(0), &keys).await.unwrap()), (0..n * 3).collect::<Vec<_>>());
        keys.extend_from_within(..);
        keys.push(vec!["other".into(), "c0".into()]);
        assert_eq!(moved(&tx.load(&TAGS, Some(0), &keys).await.unwrap()), (0..n * 3).collect::<Vec<_>>());
    }
}

async fn every_kind_of_cell_comes_back_as_it_was_written(on: On) {
    let (_place, db) = fresh(on).await;
    let mut tx = db.write().await.unwrap();
    let rows = [Row(vec!["".into(), Vec::new().into()]), Row(vec!["ä\u{1}b".into(), vec![0, 255].into()])];
    tx.insert(&CONTENTS, &rows).await.unwrap();
    tx.commit().await.unwrap();
    let found =
        db.query("SELECT content, bytes, NULL, 1 FROM manifest_contents ORDER BY content", vec![]).await;
    let found = found.unwrap();
    assert_eq!(found.len(), 2);
    for (row, found) in rows.iter().zip(found) {
        assert_eq!(found.0[..2], row.0[..]);
        assert_eq!(found.0[2..], [Value::Null, Value::Integer(1)]);
    }
}

async fn rows_are_replaced_by_key_and_deleted_in_bulk(on: On) {
    let (_place, db) = with_tags(on, 1400).await;
    let mut tx = db.write().await.unwrap();
    let changed = |n: i64| {
        let mut row = tag(n);
        row.0[4] = (n + 10_000).into();
        row
    };
    tx.upsert(&TAGS, &(700..2100).map(changed).collect::<Vec<_>>()).await.unwrap();
    tx.delete(&TAGS, &(0..350).map(tag_key).chain([tag_key(5000)]).collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.snapshot().await.unwrap();
    let rows = tx.page(&TAGS, None, 10_000).await.unwrap();
    let expected: Vec<i64> = (350..700).chain(10_700..12_100).collect();
    assert_eq!(moved(&rows), expected);
    let page = tx.page(&TAGS, Some(&tag_key(698)), 3).await.unwrap();
    assert_eq!(page.iter().map(|row| row.integer(5)).collect::<Vec<_>>(), [699, 700, 701]);
}

async fn a_page_of_large_rows_was_as_long_as_one_of_small_rows(on: On) {
    let (_place, db) = fresh(on).await;
    let mib = 1 << 20;
    let sizes = [mib - 8, 3 * mib - 8, 1, 5 * mib, 0, 4 * mib - 1, 7];
    let mut tx = db.write().await.unwrap();
    let row = |(n, size): (usize, usize)| Row(vec![format!("c{n}").into(), vec![7; size].into()]);
    tx.insert(&CONTENTS, &sizes.into_iter().enumerate().map(row).collect::<Vec<_>>()).await.unwrap();
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = tx.page(&CONTENTS, after.as_ref(), 1000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(CONTENTS.key_of(last));
        pages.push(page.iter().map(|row| row.blob(1).len()).collect::<Vec<_>>());
    }
    // The keys count too.
    let expected: [&[usize]; 5] = [&[mib - 8, 3 * mib - 8, 1], &[5 * mib], &[0], &[4 * mib - 1], &[7]];
    assert_eq!(pages, expected);
    assert_eq!(tx.page(&CONTENTS, None, 2).await.unwrap().len(), 2);
}

async fn a_table_is_filled_with_rows_that_are_new_and_rows_that_are_there(on: On) {
    let (_place, db) = with_tags(on, 100).await;
    let mut tx = db.write().await.unwrap();
    let moved = |n| {
        let mut row = tag(n);
        row.0[2] = "moved".into();
        row
    };
    let rows: Vec<Row> = (50..1500).map(moved).collect();
    tx.fill(&TAGS, &rows).await.unwrap();
    tx.fill(&TAGS, &[]).await.unwrap();
    let found = tx.page(&TAGS, None, 2000).await.unwrap();
    let mut expected: Vec<Row> = (0..50).map(tag).chain(rows).collect();
    expected.sort_unstable_by_key(|row| TAGS.key_of(row));
    assert_eq!(found, expected);
}

async fn a_row_that_is_there_already_is_a_constraint_error(on: On) {
    let (_place, db) = with_tags(on, 1).await;
    let mut tx = db.write().await.unwrap();
    let error = tx.insert(&TAGS, &[tag(1), tag(0)]).await.unwrap_err();
    assert!(matches!(error, Error::Constraint(_)), "{error:?}");
}

async fn a_null_or_a_value_of_the_wrong_kind_was_taken_for_a_failing_engine(on: On) {
    let (_place, db) = fresh(on).await;
    for wrong in [Value::Null, "text".into(), vec![1].into()] {
        let mut row = tag(0);
        row.0[4] = wrong;
        let mut tx = db.write().await.unwrap();
        let error = tx.insert(&TAGS, &[row]).await.unwrap_err();
        assert!(matches!(error, Error::Constraint(_)), "{error:?}");
    }
    let mut tx = db.write().await.unwrap();
    tx.insert(&TAGS, &[tag(0)]).await.unwrap();
}

async fn a_failing_statement_is_not_a_constraint_error(on: On) {
    let (_place, db) = fresh(on).await;
    let error = db.query("SELECT nonsense FROM nowhere", vec![]).await.unwrap_err();
    assert!(matches!(error, Error::Engine(_)), "{error:?}");
}

async fn an_event_is_neither_changed_nor_deleted(on: On) {
    let (_place, db) = fresh(on).await;
    let mut tx = db.write().await.unwrap();
    let insert = "INSERT INTO events VALUES (1, 't', 0, 'a', NULL, NULL, 'c', $1, $1, $1, $1)";
    tx.execute(insert, vec![Vec::new().into()]).await.unwrap();
    tx.commit().await.unwrap();
    for sql in ["UPDATE events SET actor = 'b'", "DELETE FROM events"] {
        let mut tx = db.write().await.unwrap();
        let error = tx.execute(sql, vec![]).await.unwrap_err();
        assert!(matches!(error, Error::Constraint(_)), "{error:?}");
    }
}

async fn a_null_fits_a_column_of_any_kind_whatever_came_before_it(on: On) {
    let (_place, db) = fresh(on).await;
    let insert = "INSERT INTO referrers VALUES ('r', 's', $1, 'd', 'm', $2, $3, '{}')";
    for (n, cell) in [Value::Null, "x".into(), Value::Null].into_iter().enumerate() {
        let mut tx = db.write().await.unwrap();
        let args = vec![n.to_string().into(), 1.into(), cell.clone()];
        tx.execute(insert, args).await.unwrap();
        tx.commit().await.unwrap();
        let found =
            db.query("SELECT artifact_type FROM referrers WHERE content = $1", vec![n.to_string().into()]);
        assert_eq!(found.await.unwrap()[0].0, [cell]);
    }
}

async fn a_dropped_transaction_leaves_nothing(on: On) {
    let (_place, db) = fresh(on).await;
    let mut tx = db.write().await.unwrap();
    tx.insert(&TAGS, &[tag(0)]).await.unwrap();
    drop(tx);
    let mut tx = db.write().await.unwrap();
    assert!(tx.page(&TAGS, None, 1).await.unwrap().is_empty());
}

async fn a_snapshot_sees_one_moment_and_refuses_writes(on: On) {
    let (_place, db) = with_tags(on, 1).await;
    let mut snapshot = db.snapshot().await.unwrap();
    assert_eq!(snapshot.page(&TAGS, None, 9).await.unwrap().len(), 1);
    let mut tx = db.write().await.unwrap();
    tx.insert(&TAGS, &[tag(1)]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(snapshot.page(&TAGS, None, 9).await.unwrap().len(), 1);
    assert!(matches!(snapshot.insert(&TAGS, &[tag(2)]).await, Err(Error::Engine(_))));
    drop(snapshot);
    assert_eq!(db.query("SELECT tag FROM tags", vec![]).await.unwrap().len(), 2);
}

async fn reading_works_beside_an_open_writer(on: On) {
    let (place, db) = with_tags(on, 2).await;
    let reader = place.open(Access::Read).await;
    assert_eq!(reader.query("SELECT tag FROM tags", vec![]).await.unwrap().len(), 2);
    let mut tx = db.write().await.unwrap();
    tx.insert(&TAGS, &[tag(7)]).await.unwrap();
    assert_eq!(reader.query("SELECT tag FROM tags", vec![]).await.unwrap().len(), 2);
    tx.commit().await.unwrap();
    assert_eq!(reader.query("SELECT tag FROM tags", vec![]).await.unwrap().len(), 3);
    let mut refused = reader.write().await.unwrap();
    assert!(matches!(refused.insert(&TAGS, &[tag(8)]).await, Err(Error::Engine(_))));
    drop(refused);
    assert!(reader.operational().execute("DELETE FROM uploads", vec![]).await.is_err());
}
