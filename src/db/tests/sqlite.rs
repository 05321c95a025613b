//! The embedded engine.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

fn path(dir: &TempDir) -> PathBuf {
    dir.path().join("registry.db")
}

async fn open(dir: &TempDir, access: Access) -> Result<Db, Error> {
    Db::open(&Options::new(Url::Sqlite(path(dir))), access).await
}

async fn fresh() -> (TempDir, Db) {
    let dir = TempDir::new().unwrap();
    let db = open(&dir, Access::Create).await.unwrap();
    (dir, db)
}

async fn with_tags(n: i64) -> (TempDir, Db) {
    let (dir, db) = fresh().await;
    let mut tx = db.write().await.unwrap();
    tx.insert(&TAGS, &(0..n).map(tag).collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
    (dir, db)
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
    let synced = db.operational_synced().query("PRAGMA synchronous", vec![]).await.unwrap();
    let file = db.operational_synced().query("PRAGMA database_list", vec![]).await.unwrap();
    assert_eq!(synced[0].integer(0), 2);
    assert!(file[0].text(2).ends_with("registry-operational.db"), "{file:?}");
}

#[tokio::test]
async fn reading_works_with_no_server_running() {
    let (dir, db) = with_tags(2).await;
    db.close().await;
    assert!(!dir.path().join("registry.db-wal").exists(), "closing folds the log into the file");
    let reader = open(&dir, Access::Read).await.unwrap();
    assert_eq!(reader.query("SELECT tag FROM tags", vec![]).await.unwrap().len(), 2);
    reader.close().await;
    let again = open(&dir, Access::Create).await.unwrap();
    assert_eq!(again.query("SELECT tag FROM tags", vec![]).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_that_was_never_checkpointed_was_taken_for_a_foreign_one() {
    let (dir, db) = fresh().await;
    // Both files are young: everything but their first page is in the WAL.
    open(&dir, Access::Read).await.unwrap();
    open(&dir, Access::Create).await.unwrap();
    drop(db);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_missing() {
    let dir = TempDir::new().unwrap();
    let error = open(&dir, Access::Read).await.unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    assert!(!path(&dir).exists(), "looking does not create");
    let db = open(&dir, Access::Create).await.unwrap();
    db.close().await;
    std::fs::remove_file(dir.path().join("registry-operational.db")).unwrap();
    let error = open(&dir, Access::Read).await.unwrap_err();
    assert!(matches!(&error, Error::Missing { path } if path.contains("operational")), "{error:?}");
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let text = b"not a database at all, but long enough to look like one ".repeat(3);
    std::fs::write(path(&dir), &text).unwrap();
    for access in [Access::Create, Access::Read] {
        std::fs::write(dir.path().join("registry-operational.db"), []).unwrap();
        let error = open(&dir, access).await.unwrap_err();
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
    let error = open(&dir, Access::Create).await.unwrap_err();
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
            let error = open(&dir, access).await.unwrap_err();
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
    let error = open(&dir, Access::Read).await.unwrap_err();
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
