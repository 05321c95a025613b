//! The log over a real database, with one small projection of its own.

mod appending;
mod following;
mod paging;
mod replaying;
mod replicas;
mod rows;
mod snapshots;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::clock::{ManualClock, SECOND};
use crate::db::testing::{On, Place, on_both};
use crate::db::{Access, Db, Index, Row, Value};
use crate::hash;
use crate::oci::{Algorithm, Digest};

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

static REPOSITORIES: Table = Table {
    name: "repositories",
    columns: &[Column::text("name"), Column::integer("created_at"), Column::integer("sequence")],
    key: 1,
    indexes: &[],
};

/// Tags as the real projection folds them, except that it looks everything up itself and declares nothing.
struct Tags;

/// Counts the tags ever moved per repository, in `created_at`.
struct Moves;

impl Projection for Tags {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&TAGS]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::TagMoved(fact) => {
                assert_ne!(fact.tag.as_str(), "unfoldable");
                let row = Row(vec![
                    fact.repository.as_str().into(),
                    fact.tag.as_str().into(),
                    fact.digest.as_str().into(),
                    fact.content.as_str().into(),
                    event.recorded_at.into(),
                    event.sequence.into(),
                ]);
                vec![Change::Upsert(&TAGS, row)]
            }
            Fact::ManifestDeleted(fact) => {
                let named = rows.lookup(&TAGS, 0, &index(&fact.content));
                named.into_iter().map(|row| Change::Delete(&TAGS, TAGS.key_of(row))).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Projection for Moves {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&REPOSITORIES]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        vec![Read::row(&REPOSITORIES, vec!["r".into()])]
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        if !matches!(event.fact, Fact::TagMoved(_)) {
            return Vec::new();
        }
        let before = rows.get(&REPOSITORIES, &["r".into()]).map_or(0, |row| row.integer(1));
        let row = Row(vec!["r".into(), (before + 1).into(), event.sequence.into()]);
        vec![Change::Upsert(&REPOSITORIES, row)]
    }
}

fn projections(version: i64) -> Projections {
    Projections::new(vec![Box::new(Tags), Box::new(Moves)], version)
}

/// Remembers what it was told, in order, and how often it had to forget.
#[derive(Default)]
struct Told(Mutex<Vec<Sequence>>, AtomicUsize, Mutex<Vec<Vec<usize>>>);

impl Told {
    fn sequences(&self) -> Vec<Sequence> {
        self.0.lock().unwrap().clone()
    }

    fn forgot(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }

    /// The sizes of the payloads it was told of together.
    fn pages(&self) -> Vec<Vec<usize>> {
        self.2.lock().unwrap().clone()
    }
}

impl Observer for Told {
    fn committed(&self, events: &[Event]) {
        self.0.lock().unwrap().extend(events.iter().map(|event| event.sequence));
        self.2.lock().unwrap().push(events.iter().map(|event| event.payload().len()).collect());
    }

    fn lost_track(&self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

struct Fixture {
    on: On,
    db: Db,
    log: Log,
    clock: ManualClock,
    told: Arc<Told>,
    _place: Place,
}

impl Fixture {
    async fn new(on: On) -> Self {
        let place = Place::new(on).await;
        let db = place.open(Access::Create).await;
        let clock = ManualClock::at(1000 * SECOND);
        let told = Arc::new(Told::default());
        let log = Log::open(db.clone(), projections(1), clock.clock(), Arc::clone(&told) as _).await.unwrap();
        Self { on, db, log, clock, told, _place: place }
    }

    async fn submit(&self, command: Do) -> Result<Committed, Refusal<String>> {
        self.log.submit(Actor::anonymous(), command).await
    }

    /// Submits all at once: they are queued before the appender runs, and so make one batch.
    async fn batch(&self, commands: Vec<Do>) -> Vec<Result<Committed, Refusal<String>>> {
        let all = futures_util::future::join_all(commands.into_iter().map(|command| self.submit(command)));
        tokio::task::unconstrained(all).await
    }

    async fn moved(&self, n: i64) {
        for outcome in self.batch((0..n).map(|n| set(&format!("t{n}"), n)).collect()).await {
            outcome.unwrap();
        }
    }

    async fn rows(&self, sql: &'static str) -> Vec<Row> {
        self.db.query(sql, vec![]).await.unwrap()
    }

    async fn sequences(&self) -> Vec<i64> {
        self.rows("SELECT sequence FROM events ORDER BY sequence")
            .await
            .iter()
            .map(|r| r.integer(0))
            .collect()
    }

    async fn execute(&self, sql: &str, args: Vec<Value>) {
        let mut tx = self.db.write().await.unwrap();
        tx.execute(Box::leak(sql.to_owned().into_boxed_str()), args).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Has the database do something about a row.
    async fn trigger(&self, name: &str, event: &str, when: &str, action: &str) {
        if self.on == On::Sqlite {
            let sql = format!("CREATE TRIGGER {name} {event} WHEN {when} BEGIN {action}; END");
            return self.execute(&sql, vec![]).await;
        }
        let function = format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN {action}; RETURN NEW; END $$"
        );
        self.execute(&function, vec![]).await;
        let trigger =
            format!("CREATE TRIGGER {name} {event} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()");
        self.execute(&trigger, vec![]).await;
    }

    /// Has the database refuse a row.
    async fn refuse(&self, name: &str, event: &str, when: &str) {
        let action = match self.on {
            On::Sqlite => "SELECT RAISE(ABORT, 'refused')",
            On::Postgres => "RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'",
        };
        self.trigger(name, event, when, action).await;
    }

    async fn state(&self) -> StateDigest {
        digest(&mut self.db.snapshot().await.unwrap(), &projections(1)).await.unwrap()
    }
}

type Decide = dyn Fn(&Rows) -> Result<Decision, String> + Send + Sync;

/// A command made of closures.
struct Do {
    reads: Vec<Read>,
    weight: usize,
    decide: Box<Decide>,
}

impl Command for Do {
    type Rejection = String;

    fn reads(&self) -> Vec<Read> {
        self.reads.clone()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, String> {
        (self.decide)(rows)
    }

    fn weight(&self) -> usize {
        self.weight
    }
}

fn decide(decide: impl Fn(&Rows) -> Result<Vec<Fact>, String> + Send + Sync + 'static) -> Do {
    let decide = move |rows: &Rows| Ok(Decision { facts: decide(rows)?, contents: Vec::new() });
    Do { reads: Vec::new(), weight: 0, decide: Box::new(decide) }
}

/// Moves a tag to the `n`th content, whatever it was.
fn set(tag: &str, n: i64) -> Do {
    let fact = moved(tag, n);
    let mut command = decide(move |_| Ok(vec![fact.clone()]));
    command.reads = vec![Read::row(&TAGS, tag_key(tag)), Read::row(&REPOSITORIES, vec!["r".into()])];
    command
}

fn moved(tag: &str, n: i64) -> Fact {
    TagMoved {
        repository: "r".parse().unwrap(),
        tag: tag.parse().unwrap(),
        digest: content(n),
        content: content(n),
        previous: None,
    }
    .into()
}

fn content(n: i64) -> Digest {
    hash::digest(Algorithm::Blake3, &n.to_be_bytes())
}

fn tag_key(tag: &str) -> Vec<Value> {
    vec!["r".into(), tag.into()]
}

fn index(content: &Digest) -> Vec<Value> {
    vec!["r".into(), content.as_str().into()]
}
