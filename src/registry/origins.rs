//! Where commands come from: an operational table beside the log.
//!
//! An address is personal data. The log is never changed, so it must not hold one; it names actors by ids. What says from
//! where a command came stands here, under the id of the command, for as long as `audit.origins_keep`, and the audit joins
//! it in while it is there. Nothing else reads it.
//!
//! Whoever serves a request says where it comes from with [`Origin::scope`]; what is submitted inside knows it. It is
//! written after the commit and beside it: nobody waits for it, so a crash loses what was not written yet, and so does a
//! flood. The event itself is never lost. Only a command line waits, for its process is about to end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use super::{Committed, micros};
use crate::clock::{Clock, Micros};
use crate::db::{Db, Error, Operational, Row, Value};
use crate::events::CommandId;

tokio::task_local! {
    static HERE: Arc<Origin>;
}

/// Commands whose origins wait to be written, at most. Those of further ones are lost.
const QUEUE: usize = 4096;

/// Written at once, at most.
const BATCH: usize = 512;

/// From one write to the next: what comes meanwhile goes together.
const PAUSE: Duration = Duration::from_millis(100);

/// Rows of one statement. A rest is filled up by repeating its last row, which changes nothing.
const ROWS: [usize; 2] = [1, 32];

/// Removed by one statement.
const SWEPT: i64 = 1000;

/// Removed by one sweep, at most: so many times [`SWEPT`].
const SWEEPS: usize = 20;

/// The longest text a client says of itself that is kept.
const TEXT: usize = 256;

const COLUMNS: usize = 6;

/// The statements of [`ROWS`].
static INSERT: LazyLock<[String; 2]> = LazyLock::new(|| ROWS.map(insert));

const FIND: &str = "SELECT command_id, via, address, client, request_id FROM origins \
    WHERE command_id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

/// Commands looked up by one statement.
const FOUND: usize = 16;

const FORGET: &str = "DELETE FROM origins WHERE command_id IN \
    (SELECT command_id FROM origins WHERE recorded_at < $1 ORDER BY recorded_at LIMIT $2)";

/// Every named statement of this table, for the test that prepares each.
#[cfg(test)]
pub(super) fn statements() -> Vec<&'static str> {
    INSERT.iter().map(String::as_str).chain([FIND, FORGET]).collect()
}

/// What a command came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A request.
    Http,
    /// A command on this machine.
    Cli,
}

impl Via {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Cli => "cli",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Cli].into_iter().find(|via| via.as_str() == text)
    }
}

/// Where a command came from. All but the address is what the client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// What it came by.
    pub via: Via,
    /// The address of the peer: of a proxy, where there is one in between.
    pub address: Option<IpAddr>,
    /// What the client calls itself.
    pub client: Option<String>,
    /// What the client, or a proxy, calls the request.
    pub request_id: Option<String>,
}

impl Origin {
    /// A request from an address. Of the texts printable ASCII is kept, and no more than 256 bytes.
    pub fn request(address: IpAddr, client: Option<&str>, request_id: Option<&str>) -> Self {
        let address = Some(address.to_canonical());
        Self {
            via: Via::Http,
            address,
            client: client.and_then(plain),
            request_id: request_id.and_then(plain),
        }
    }

    /// A command on this machine.
    pub fn cli() -> Self {
        Self { via: Via::Cli, address: None, client: None, request_id: None }
    }

    /// Runs something that comes from here.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        HERE.scope(Arc::new(self), work)
    }

    /// Where what runs now comes from, if anybody said.
    pub(super) fn here() -> Option<Arc<Self>> {
        HERE.try_with(Arc::clone).ok()
    }

    /// Runs something from where what runs now comes from: for a task of its own.
    pub(super) fn carry<F: Future>(here: Option<Arc<Self>>, work: F) -> impl Future<Output = F::Output> {
        match here {
            Some(here) => HERE.scope(here, work).left_future(),
            None => work.right_future(),
        }
    }
}

/// What of a text may be kept and shown.
fn plain(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|c| matches!(c, ' '..='~')).take(TEXT).collect();
    (!plain.trim().is_empty()).then_some(plain)
}

fn insert(rows: usize) -> String {
    let row = |row: usize| {
        let names: Vec<_> = (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column)).collect();
        format!("({})", names.join(", "))
    };
    let rows: Vec<_> = (0..rows).map(row).collect();
    format!(
        "INSERT INTO origins (command_id, via, address, client, request_id, recorded_at) VALUES {} \
         ON CONFLICT (command_id) DO NOTHING",
        rows.join(", ")
    )
}

/// What is to be written.
enum Note {
    Row([Value; COLUMNS]),
    /// Says when everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// Writes origins beside whatever else goes on. Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Recorder {
    table: Table,
    clock: Clock,
    keep: Duration,
    notes: mpsc::Sender<Note>,
    lost: Arc<AtomicU64>,
}

impl Recorder {
    pub(super) fn start(db: &Db, clock: Clock, keep: Duration) -> Self {
        let table = Table(db.operational());
        let (notes, waiting) = mpsc::channel(QUEUE);
        let lost = Arc::<AtomicU64>::default();
        tokio::spawn(write_all(table.clone(), waiting, Arc::clone(&lost)));
        Self { table, clock, keep, notes, lost }
    }

    /// Notes where what was committed came from.
    pub(super) async fn note(&self, here: Option<&Origin>, committed: &Committed) {
        let (Some(here), Some(event)) = (here, committed.events.first()) else { return };
        if self.keep.is_zero() {
            return;
        }
        let row = row(&event.command, here, self.clock.now());
        if here.via == Via::Cli {
            self.table.write(&[row]).await;
        } else if self.notes.try_send(Note::Row(row)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything noted so far is written.
    pub(super) async fn flush(&self) {
        let (written, told) = oneshot::channel();
        if self.notes.send(Note::Flush(written)).await.is_ok() {
            let _ = told.await;
        }
    }

    /// Drops what was kept for long enough; bounded, and what is left is the next call's. Returns how many.
    pub(super) async fn sweep(&self) -> Result<u64, Error> {
        let before = self.clock.now().saturating_sub(micros(self.keep));
        let mut dropped = 0;
        for _ in 0..SWEEPS {
            let now = self.table.0.execute(FORGET, vec![before.into(), SWEPT.into()]).await?;
            dropped += now;
            if now < SWEPT.unsigned_abs() {
                break;
            }
        }
        Ok(dropped)
    }
}

async fn write_all(table: Table, mut waiting: mpsc::Receiver<Note>, lost: Arc<AtomicU64>) {
    let mut notes = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut notes, BATCH).await > 0 {
        let (mut rows, mut told) = (Vec::with_capacity(notes.len()), Vec::new());
        for note in notes.drain(..) {
            match note {
                Note::Row(row) => rows.push(row),
                Note::Flush(written) => told.push(written),
            }
        }
        table.write(&rows).await;
        for written in told {
            let _ = written.send(());
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "More commands came than their origins could be written");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn row(command: &CommandId, origin: &Origin, at: Micros) -> [Value; COLUMNS] {
    [
        command.as_str().into(),
        origin.via.as_str().into(),
        origin.address.map(|address| address.to_string()).into(),
        origin.client.as_deref().into(),
        origin.request_id.as_deref().into(),
        at.into(),
    ]
}

#[derive(Clone, Debug)]
struct Table(Operational);

impl Table {
    /// What cannot be written is lost, and said.
    async fn write(&self, rows: &[[Value; COLUMNS]]) {
        let mut rest = rows;
        while let Some(last) = rest.last() {
            let which = usize::from(rest.len() > ROWS[0]);
            let size = ROWS[which];
            let (now, then) = rest.split_at(size.min(rest.len()));
            let mut args: Vec<Value> = now.iter().flatten().cloned().collect();
            for _ in now.len()..size {
                args.extend(last.iter().cloned());
            }
            if let Err(error) = self.0.execute(&INSERT[which], args).await {
                let lost = rest.len();
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, lost, "The origins of commands cannot be written");
                return;
            }
            rest = then;
        }
    }
}

/// Where these commands came from, as far as that is kept.
pub(super) async fn find(db: &Db, commands: &[&CommandId]) -> Result<HashMap<String, Origin>, Error> {
    let (table, mut found) = (db.operational(), HashMap::new());
    for chunk in commands.chunks(FOUND) {
        let mut args: Vec<Value> = chunk.iter().map(|command| Value::from(command.as_str())).collect();
        // Filled up with what is in the list already.
        args.resize(FOUND, args[0].clone());
        let rows = table.query(FIND, args).await?;
        found.extend(rows.iter().filter_map(|row| Some((row.text(0).to_owned(), origin(row)?))));
    }
    Ok(found)
}

fn origin(row: &Row) -> Option<Origin> {
    Some(Origin {
        via: Via::parse(row.text(1))?,
        address: row.optional_text(2).and_then(|address| address.parse().ok()),
        client: row.optional_text(3).map(str::to_owned),
        request_id: row.optional_text(4).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_of_itself_is_kept_short_and_plain() {
        let address = "::ffff:192.0.2.1".parse().unwrap();
        let origin = Origin::request(address, Some("oras/1.2\u{1b}[2J\n\u{202e}ä x"), Some(" \t"));
        assert_eq!(origin.address, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(origin.client.as_deref(), Some("oras/1.2[2J x"));
        assert_eq!(origin.request_id, None);
        let long = Origin::request(address, Some(&"x".repeat(10_000)), None);
        assert_eq!(long.client.map(|client| client.len()), Some(TEXT));
    }

    #[tokio::test]
    async fn what_runs_in_a_task_of_its_own_comes_from_where_it_was_begun() {
        assert_eq!(Origin::here(), None);
        let here = Origin::cli().scope(async {
            let here = Origin::here();
            let inside = tokio::spawn(Origin::carry(here, async { Origin::here() }));
            let without = tokio::spawn(async { Origin::here() });
            (inside.await.unwrap(), without.await.unwrap())
        });
        assert_eq!(here.await, (Some(Arc::new(Origin::cli())), None));
    }
}
