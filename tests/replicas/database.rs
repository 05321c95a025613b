//! A database of its own for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use crate::place::Place;
use crate::runtime::wait;

/// Dropped with its value, whoever is connected.
#[derive(Debug)]
pub(crate) struct Database {
    admin: Place,
    pub(crate) place: Place,
}

/// An event as stored: its number and the hash over all of it.
pub(crate) type Leaf = (i64, Vec<u8>);

impl Database {
    /// An empty one on the server whose database `admin` is.
    pub(crate) fn create(admin: &Place) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("replicas_{}_{number}", std::process::id());
        execute(admin, &format!("CREATE DATABASE {name}")).unwrap();
        Self { admin: admin.clone(), place: admin.with_path(&name) }
    }

    pub(crate) fn execute(&self, sql: &str) {
        execute(&self.place, sql).unwrap();
    }

    /// Every event of the log, in order. Numbers that do not run from 1 without a gap, or end elsewhere than the
    /// head says, fail the test.
    #[track_caller]
    pub(crate) fn log(&self) -> Vec<Leaf> {
        let rows = self.query("SELECT sequence, leaf_hash FROM events ORDER BY sequence");
        let leaves: Vec<Leaf> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        for (leaf, expected) in leaves.iter().zip(1..) {
            assert_eq!(leaf.0, expected, "the log has a hole");
        }
        let head: i64 = self.query("SELECT next_sequence FROM log_head")[0].get(0);
        assert_eq!(head, i64::try_from(leaves.len()).unwrap() + 1, "the head is elsewhere than the end");
        leaves
    }

    /// The one number a query asks for.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.query(sql)[0].get(0)
    }

    fn query(&self, sql: &str) -> Vec<PgRow> {
        wait(async {
            let mut connection = PgConnection::connect(&self.place.to_string()).await?;
            sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await
        })
        .unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Servers of a test that failed may be gone; what stays behind goes away with them.
        let _ = execute(&self.admin, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.place.path));
    }
}

fn execute(place: &Place, sql: &str) -> Result<(), sqlx::Error> {
    wait(async {
        let mut connection = PgConnection::connect(&place.to_string()).await?;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
        connection.close().await
    })
}
