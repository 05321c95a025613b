//! The facade over a real database in a temporary folder.

use std::path::PathBuf;

use tempfile::TempDir;

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

fn path(dir: &TempDir) -> PathBuf {
    dir.path().join("registry.db")
}

async fn fresh() -> (TempDir, Db) {
    let dir = TempDir::new().unwrap();
    let db = Db::open(&path(&dir), Access::Create).await.unwrap();
    (dir, db)
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

async fn with_tags(n: i64) -> (TempDir, Db) {
    let (dir, db) = fresh().await;
    let mut tx = db.write().await.unwrap();
    tx.insert(&TAGS, &(0..n).map(tag).collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
    (dir, db)
}

#[tokio::test]
async fn rows_are_loaded_by_key_however_many_are_asked_for() {
    let (_dir, db) = with_tags(3500).await;
    let mut tx = db.snapshot().await.unwrap();
    for n in [0, 1, 3, 300, 3000] {
        let mut keys: Vec<Key> = (0..n).map(tag_key).collect();
        assert_eq!(moved(&tx.load(&TAGS, None, &keys).await.unwrap()), (0..n).collect::<Vec<_>>());
        keys.extend((0..n).map(tag_key)); // every key twice
        keys.push(tag_key(9999)); // and one that is not there
        assert_eq!(moved(&tx.load(&TAGS, None, &keys).await.unwrap()), (0..n).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn rows_are_loaded_by_index_however_many_are_asked_for() {
    let (_dir, db) = with_tags(9000).await;
    let mut tx = db.snapshot().await.unwrap();
    for n in [0, 1, 3, 300, 3000] {
        let mut keys: Vec<Key> = (0..n).map(|n| vec!["r".into(), format!("c{n}").into()]).collect();
        assert_eq!(moved(&tx.load(&TAGS, Some(0), &keys).await.unwrap()), (0..n * 3).collect::<Vec<_>>());
        keys.extend_from_within(..);
        keys.push(vec!["other".into(), "c0".into()]);
        assert_eq!(moved(&tx.load(&TAGS, Some(0), &keys).await.unwrap()), (0..n * 3).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn padding_a_load_repeated_the_rows_of_its_last_key() {
    let (_dir, db) = fresh().await;
    let mut tx = db.write().await.unwrap();
    let same =
        |n: i64| Row(vec!["r".into(), n.to_string().into(), "d".into(), "c".into(), n.into(), n.into()]);
    tx.insert(&TAGS, &(0..1000).map(same).collect::<Vec<_>>()).await.unwrap();
    // 257 keys travel as 1024; 767 repetitions of a key with 1000 rows would be a lot of nothing.
    let mut keys: Vec<Key> = (0..256).map(|n| vec!["r".into(), format!("none{n}").into()]).collect();
    keys.push(vec!["r".into(), "c".into()]);
    let sql = Box::leak(TAGS.load(Some(0), 1024).into_boxed_str());
    let raw = tx.query(sql, tx::padded(&keys, 1024)).await.unwrap();
    assert_eq!(raw.len(), 1000);
    assert_eq!(tx.load(&TAGS, Some(0), &keys).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn every_kind_of_cell_comes_back_as_it_was_written() {
    let (_dir, db) = fresh().await;
    let mut tx = db.write().await.unwrap();
    let rows = [Row(vec!["".into(), Vec::new().into()]), Row(vec!["ä\0b".into(), vec![0, 255].into()])];
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

#[tokio::test]
async fn rows_are_replaced_by_key_and_deleted_in_bulk() {
    let (_dir, db) = with_tags(1400).await;
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

#[tokio::test]
async fn a_row_that_is_there_already_is_a_constraint_error() {
    let (_dir, db) = with_tags(1).await;
    let mut tx = db.write().await.unwrap();
    let error = tx.insert(&TAGS, &[tag(1), tag(0)]).await.unwrap_err();
    assert!(matches!(error, Error::Constraint(_)), "{error:?}");
}

#[tokio::test]
async fn a_null_or_a_value_of_the_wrong_kind_was_taken_for_a_failing_engine() {
    let (_dir, db) = fresh().await;
    let mut tx = db.write().await.unwrap();
    for wrong in [Value::Null, "text".into(), vec![1].into()] {
        let mut row = tag(0);
        row.0[4] = wrong;
        let error = tx.insert(&TAGS, &[row]).await.unwrap_err();
        assert!(matches!(error, Error::Constraint(_)), "{error:?}");
    }
    tx.insert(&TAGS, &[tag(0)]).await.unwrap();
}

#[tokio::test]
async fn a_failing_statement_is_not_a_constraint_error() {
    let (_dir, db) = fresh().await;
    let error = db.query("SELECT nonsense FROM nowhere", vec![]).await.unwrap_err();
    assert!(matches!(error, Error::Engine(_)), "{error:?}");
}

#[tokio::test]
async fn an_event_is_neither_changed_nor_deleted() {
    let (_dir, db) = fresh().await;
    let mut tx = db.write().await.unwrap();
    let insert = "INSERT INTO events VALUES (1, 't', 0, 'a', NULL, NULL, 'c', x'', x'', x'', x'')";
    tx.execute(insert, vec![]).await.unwrap();
    for sql in ["UPDATE events SET actor = 'b'", "DELETE FROM events"] {
        let error = tx.execute(sql, vec![]).await.unwrap_err();
        assert!(matches!(error, Error::Constraint(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing() {
    let (_dir, db) = fresh().await;
    let mut tx = db.write().await.unwrap();
    tx.insert(&TAGS, &[tag(0)]).await.unwrap();
    drop(tx);
    let mut tx = db.write().await.unwrap();
    assert!(tx.page(&TAGS, None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_snapshot_sees_one_moment_and_refuses_writes() {
    let (_dir, db) = with_tags(1).await;
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

#[tokio::test]
async fn an_index_was_passed_over_for_a_scan_of_the_repository() {
    let (_dir, db) = with_tags(50).await;
    let mut tx = db.snapshot().await.unwrap();
    for (index, name) in [
        (None, "PRIMARY KEY (repository=? AND tag=?)"),
        (Some(0), "INDEX tags_content (repository=? AND content=?)"),
    ] {
        for size in table::CHUNKS {
            let sql = format!("EXPLAIN QUERY PLAN {}", TAGS.load(index, size));
            let keys = vec![Value::from("x"); 2 * size];
            let plan = tx.query(Box::leak(sql.into_boxed_str()), keys).await.unwrap();
            let plan: Vec<&str> = plan.iter().map(|row| row.text(3)).collect();
            assert!(
                plan.iter().any(|step| step.starts_with("SEARCH t USING") && step.contains(name)),
                "{plan:?}"
            );
            assert!(!plan.iter().any(|step| step.starts_with("SCAN t")), "{plan:?}");
        }
    }
}

#[tokio::test]
async fn a_page_and_a_delete_walk_the_primary_key() {
    let (_dir, db) = with_tags(50).await;
    let mut tx = db.write().await.unwrap();
    for (sql, args) in [(TAGS.page(true), 3), (TAGS.delete(4), 8)] {
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let plan = tx.query(Box::leak(sql.into_boxed_str()), vec![Value::from("1"); args]).await.unwrap();
        assert!(
            plan.iter().any(|step| step.text(3).starts_with("SEARCH tags USING PRIMARY KEY")),
            "{plan:?}"
        );
        assert!(!plan.iter().any(|step| step.text(3).contains("TEMP B-TREE")), "{plan:?}");
    }
}

#[tokio::test]
async fn acknowledged_writes_are_synced_and_those_of_sessions_are_not() {
    let (_dir, db) = fresh().await;
    let mut tx = db.write().await.unwrap();
    let full = tx.query("PRAGMA synchronous", vec![]).await.unwrap();
    let journal = tx.query("PRAGMA journal_mode", vec![]).await.unwrap();
    assert_eq!((full[0].integer(0), journal[0].text(0)), (2, "wal"));
    let normal = db.operational().query("PRAGMA synchronous", vec![]).await.unwrap();
    assert_eq!(normal[0].integer(0), 1);
}

#[tokio::test]
async fn reading_works_beside_an_open_writer() {
    let (dir, db) = with_tags(2).await;
    let reader = Db::open(&path(&dir), Access::Read).await.unwrap();
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

#[tokio::test]
async fn reading_works_with_no_server_running() {
    let (dir, db) = with_tags(2).await;
    db.close().await;
    assert!(!dir.path().join("registry.db-wal").exists(), "closing folds the log into the file");
    let reader = Db::open(&path(&dir), Access::Read).await.unwrap();
    assert_eq!(reader.query("SELECT tag FROM tags", vec![]).await.unwrap().len(), 2);
    reader.close().await;
    let again = Db::open(&path(&dir), Access::Create).await.unwrap();
    assert_eq!(again.query("SELECT tag FROM tags", vec![]).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_that_was_never_checkpointed_was_taken_for_a_foreign_one() {
    let (dir, db) = fresh().await;
    // Both files are young: everything but their first page is in the WAL.
    Db::open(&path(&dir), Access::Read).await.unwrap();
    Db::open(&path(&dir), Access::Create).await.unwrap();
    drop(db);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_missing() {
    let dir = TempDir::new().unwrap();
    let error = Db::open(&path(&dir), Access::Read).await.unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    assert!(!path(&dir).exists(), "looking does not create");
    let db = Db::open(&path(&dir), Access::Create).await.unwrap();
    db.close().await;
    std::fs::remove_file(dir.path().join("registry-operational.db")).unwrap();
    let error = Db::open(&path(&dir), Access::Read).await.unwrap_err();
    assert!(matches!(&error, Error::Missing { path } if path.contains("operational")), "{error:?}");
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let text = b"not a database at all, but long enough to look like one ".repeat(3);
    std::fs::write(path(&dir), &text).unwrap();
    for access in [Access::Create, Access::Read] {
        std::fs::write(dir.path().join("registry-operational.db"), []).unwrap();
        let error = Db::open(&path(&dir), access).await.unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
    }
    assert_eq!(std::fs::read(path(&dir)).unwrap(), text);
}

#[tokio::test]
async fn a_sqlite_file_of_another_program_is_foreign() {
    let dir = TempDir::new().unwrap();
    let (donor, db) = fresh().await;
    db.close().await;
    let mut file = std::fs::read(path(&donor)).unwrap();
    file[68..72].fill(0); // application_id
    std::fs::write(path(&dir), &file).unwrap();
    let error = Db::open(&path(&dir), Access::Create).await.unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
    assert_eq!(std::fs::read(path(&dir)).unwrap(), file);
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_its_number() {
    for file in ["registry.db", "registry-operational.db"] {
        let (dir, db) = fresh().await;
        db.close().await;
        record_migration(&dir.path().join(file), 9000).await;
        for access in [Access::Create, Access::Read] {
            let error = Db::open(&path(&dir), access).await.unwrap_err();
            assert!(
                matches!(&error, Error::Newer { path, found: 9000, known } if *known < 9000 && path.ends_with(file)),
                "{error:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_older_schema_is_not_migrated_by_a_reader() {
    let (dir, db) = fresh().await;
    let mut tx = db.write().await.unwrap();
    tx.execute("DELETE FROM _sqlx_migrations", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    db.close().await;
    let error = Db::open(&path(&dir), Access::Read).await.unwrap_err();
    assert!(matches!(error, Error::Older { found: 0, .. }), "{error:?}");
}

async fn record_migration(file: &std::path::Path, version: i64) {
    use sqlx::{ConnectOptions as _, Connection as _};
    let mut raw = sqlx::sqlite::SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES ($1, '', 1, x'', 0)")
        .bind(version)
        .execute(&mut raw)
        .await
        .unwrap();
    raw.close().await.unwrap();
}

#[tokio::test]
async fn a_scratch_database_has_the_schema_and_touches_no_live_file() {
    let (dir, db) = with_tags(1).await;
    let scratch = Db::scratch(dir.path()).await.unwrap();
    let mut tx = scratch.write().await.unwrap();
    tx.insert(&TAGS, &[tag(5)]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(moved(&db.query("SELECT * FROM tags", vec![]).await.unwrap()), [0]);
}
