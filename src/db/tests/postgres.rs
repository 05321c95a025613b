//! The server.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::db::testing::Database;

async fn server() -> (Database, Db) {
    let database = Database::new().await;
    let db = Db::open(&database.options(), Access::Create).await.unwrap();
    (database, db)
}

fn at(url: &str) -> Options {
    Options { connect_timeout: Duration::from_secs(3), ..Options::new(Url::Postgres(url.into())) }
}

async fn refused(url: &str) -> String {
    let error = Db::open(&at(url), Access::Create).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    error.to_string()
}

async fn setting(db: &Db, sql: &'static str) -> String {
    db.query(sql, vec![]).await.unwrap()[0].text(0).to_owned()
}

#[tokio::test]
async fn acknowledged_writes_are_synced_and_those_of_sessions_are_not() {
    let (_database, db) = server().await;
    let mut tx = db.write().await.unwrap();
    let sql = "SELECT current_setting('synchronous_commit')";
    assert_eq!(tx.query(sql, vec![]).await.unwrap()[0].text(0), "on");
    assert_eq!(db.operational().query(sql, vec![]).await.unwrap()[0].text(0), "off");
    assert_eq!(db.operational_synced().query(sql, vec![]).await.unwrap()[0].text(0), "on");
    assert_eq!(setting(&db, "SELECT current_setting('transaction_isolation')").await, "read committed");
    assert_eq!(setting(&db, "SELECT current_setting('application_name')").await, "artifactstore");
}

#[tokio::test]
async fn every_text_is_ordered_bytewise() {
    let (_database, db) = server().await;
    let sql = "SELECT CAST(c.relname || '.' || a.attname AS TEXT) FROM pg_attribute a \
               JOIN pg_class c ON c.oid = a.attrelid JOIN pg_collation l ON l.oid = a.attcollation \
               WHERE c.relnamespace = CAST(CAST(current_schema() AS TEXT) AS regnamespace) AND c.relkind = 'r' \
               AND a.attnum > 0 AND l.collname <> 'C' AND c.relname NOT LIKE 'artifactstore%'";
    assert_eq!(db.query(sql, vec![]).await.unwrap(), []);
}

#[tokio::test]
async fn two_writers_take_turns() {
    let (_database, db) = server().await;
    let mut tx = db.write().await.unwrap();
    let head = "INSERT INTO log_head VALUES (1, 'x', 1, 1, 0, 0)";
    tx.execute(head, vec![]).await.unwrap();
    tx.commit().await.unwrap();
    let first = db.write().await.unwrap();
    let mut second = Box::pin(db.write());
    let waiting =
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    loop {
        assert!(futures_util::poll!(&mut second).is_pending(), "the head is taken");
        if !db.query(waiting, vec![]).await.unwrap().is_empty() {
            break;
        }
    }
    first.commit().await.unwrap();
    second.await.unwrap();
}

#[tokio::test]
async fn a_head_that_stays_taken_makes_the_database_unavailable_and_nothing_worse() {
    let database = Database::new().await;
    let options = Options { lock_timeout: Duration::from_millis(50), ..database.options() };
    let db = Db::open(&options, Access::Create).await.unwrap();
    let mut tx = db.write().await.unwrap();
    tx.execute("INSERT INTO log_head VALUES (1, 'x', 1, 1, 0, 0)", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    // The lock's time-out also ends a transaction that stands still, but not this one.
    let first = db.write_unlimited().await.unwrap();
    for _ in 0..3 {
        let error = db.write().await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
    drop(first);
    // The connection whose BEGIN failed half-way is as good as new.
    db.write().await.unwrap().commit().await.unwrap();
    db.write().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_begin_that_was_given_up_held_the_head_for_ever() {
    let (_database, db) = server().await;
    let mut tx = db.write().await.unwrap();
    tx.execute("INSERT INTO log_head VALUES (1, 'x', 1, 1, 0, 0)", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    for polls in 0..20 {
        let mut begun = Box::pin(db.write());
        for _ in 0..polls {
            if futures_util::poll!(&mut begun).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(begun);
    }
    db.write().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_commit_after_a_failed_statement_was_called_a_success() {
    let (_database, db) = server().await;
    let mut tx = db.write().await.unwrap();
    tx.insert(&TAGS, &[tag(0)]).await.unwrap();
    tx.insert(&TAGS, &[tag(0)]).await.unwrap_err();
    assert!(tx.commit().await.is_err());
    assert!(db.query("SELECT tag FROM tags", vec![]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_except_where_none_does() {
    let database = Database::new().await;
    let options = Options { statement_timeout: Duration::from_millis(50), ..database.options() };
    let db = Db::open(&options, Access::Create).await.unwrap();
    let slow = "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT pg_sleep(0.2)) s(x) WHERE x IS NOT NULL";
    let error = db.query(slow, vec![]).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    let mut tx = db.write_unlimited().await.unwrap();
    tx.query(slow, vec![]).await.unwrap();
}

#[tokio::test]
async fn reads_went_on_failing_after_the_server_was_restarted() {
    let (database, db) = server().await;
    let tags = "SELECT tag FROM tags";
    let all = (0..8).map(|_| db.query(tags, vec![]));
    for answer in futures_util::future::join_all(all).await {
        answer.unwrap();
    }
    database.disconnect_all().await;
    for _ in 0..10 {
        db.query(tags, vec![]).await.unwrap();
    }
}

#[tokio::test]
async fn a_transaction_whose_connection_dies_is_unavailable() {
    let (database, db) = server().await;
    let mut tx = db.write().await.unwrap();
    tx.insert(&TAGS, &[tag(0)]).await.unwrap();
    database.disconnect_all().await;
    let error = tx.insert(&TAGS, &[tag(1)]).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    drop(tx);
    let mut tx = db.write().await.unwrap();
    assert!(tx.page(&TAGS, None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn replicas_that_start_together_migrate_once() {
    let database = Arc::new(Database::new().await);
    let starts = (0..6).map(|_| {
        let database = Arc::clone(&database);
        tokio::spawn(async move { Db::open(&database.options(), Access::Create).await.map(drop) })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_reader_wants_the_schema_it_knows() {
    let database = Database::new().await;
    let open = async |access| Db::open(&database.options(), access).await;
    let error = open(Access::Read).await.unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    let db = open(Access::Create).await.unwrap();
    open(Access::Read).await.unwrap();
    let alter = async |sql: &'static str| {
        let mut tx = db.write().await.unwrap();
        tx.execute(sql, vec![]).await.unwrap();
        tx.commit().await.unwrap();
    };
    alter("INSERT INTO artifactstore_migrations VALUES (9000, '', now(), true, '', 0)").await;
    for access in [Access::Create, Access::Read] {
        let error = open(access).await.unwrap_err();
        assert!(matches!(error, Error::Newer { found: 9000, .. }), "{error:?}");
    }
    alter("DELETE FROM artifactstore_migrations").await;
    let error = open(Access::Read).await.unwrap_err();
    assert!(matches!(error, Error::Older { found: 0, .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_of_another_program_is_foreign_and_left_alone() {
    let (database, db) = server().await;
    let mut tx = db.write().await.unwrap();
    tx.execute("DROP TABLE artifactstore_migrations", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    for access in [Access::Create, Access::Read] {
        let error = Db::open(&database.options(), access).await.unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
    }
    let table = "SELECT 1 FROM pg_class WHERE relname = 'artifactstore_migrations'";
    assert!(db.query(table, vec![]).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_said_in_one_sentence_without_the_password() {
    let database = Database::new().await;
    let url = database.url();
    let nowhere = refused(&url.replace(database.name(), "no_such_database")).await;
    assert!(nowhere.contains("no_such_database does not exist; create it"), "{nowhere}");
    let (_, host) = url.rsplit_once('@').expect("the server asks for a role");
    let nobody = refused(&format!("postgres://nobody_here:hunter2@{host}")).await;
    assert!(nobody.contains("nobody_here"), "{nobody}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = refused(&format!("postgres://u:hunter2@{closed}/db")).await;
    assert!(down.contains("no server listens there"), "{down}");
    let garbled = refused("postgres://u:hunter2@host:port/db").await;
    assert!(garbled.contains("not understood"), "{garbled}");
    let unknown = refused(&format!("{url}?sslpassword=hunter2")).await;
    assert!(unknown.contains("sslpassword is not known"), "{unknown}");
    let plain = refused(&format!("{url}?sslmode=require")).await;
    assert!(plain.contains("TLS"), "{plain}");
    for sentence in [nowhere, nobody, down, garbled, unknown, plain] {
        assert!(!sentence.contains("hunter2"), "{sentence}");
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u@{}/db", silent.local_addr().unwrap());
    let options = Options { connect_timeout: Duration::from_millis(100), ..at(&url) };
    let error = Db::open(&options, Access::Create).await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { problem, .. } if problem.starts_with("nothing answers")),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_announcement_is_heard_and_a_lost_connection_noticed() {
    let (database, db) = server().await;
    let mut listener = db.listener().unwrap();
    assert_eq!(listener.hear().await, None, "it does not listen yet");
    listener.attach().await.unwrap();
    db.announce("1").await.unwrap();
    assert_eq!(listener.hear().await.as_deref(), Some("1"));
    database.disconnect_all().await;
    assert_eq!(listener.hear().await, None);
    listener.attach().await.unwrap();
    db.announce("2").await.unwrap();
    assert_eq!(listener.hear().await.as_deref(), Some("2"));
}

#[tokio::test]
async fn any_number_of_rows_is_one_statement() {
    let (_database, db) = server().await;
    let mut tx = db.write().await.unwrap();
    let rows: Vec<_> = (0..2477).map(tag).collect();
    let keys: Vec<_> = (0..2477).map(tag_key).collect();
    let before = db.statements();
    tx.insert(&TAGS, &rows).await.unwrap();
    tx.upsert(&TAGS, &rows).await.unwrap();
    assert_eq!(tx.load(&TAGS, None, &keys).await.unwrap().len(), 2477);
    tx.delete(&TAGS, &keys).await.unwrap();
    assert_eq!(db.statements() - before, 4);
}

#[tokio::test]
async fn a_user_that_may_not_make_tables_is_told_what_it_lacks() {
    let database = Database::new().await;
    let name = format!("artifactstore_test_{}", ulid::Ulid::generate().to_string().to_lowercase());
    // What a fresh database of version 15 gives to everybody.
    let rights = format!("REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {name}");
    database.execute(format!("CREATE ROLE {name} LOGIN PASSWORD 'x'; {rights}")).await;
    let url = database.url();
    let (_, place) = url.rsplit_once('@').expect("the server asks for a role");
    let refused = refused(&format!("postgres://{name}:x@{place}")).await;
    database.execute(format!("DROP OWNED BY {name}; DROP ROLE {name}")).await;
    assert!(refused.contains("GRANT CREATE ON SCHEMA public"), "{refused}");
}
