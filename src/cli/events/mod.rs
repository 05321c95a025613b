//! `artifactstore events tail`: the log of any artifactstore registry over HTTP, or of a data directory, event by event,
//! with proof that none was missed.

mod here;
mod output;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use tokio::time::{Interval, MissedTickBehavior};

use super::interrupt::{Signals, Stop};
use super::output::complain;
use super::{Failure, Outcome};
use crate::client::place::server_and_repository;
use crate::client::tail::{self, Cursor, Error, Filter, Options, Reader, Remote, Start, Tail, cursor};
use crate::client::{Client, Credentials, Server};
use crate::config::{Flags, SERVER_VARIABLE};
use crate::package::PackageId;
use crate::telemetry::with_causes;
use here::Here;
use output::{Output, Written};

const SERVER_HELP: &str = "The registry, https://host[:port]; then the argument is the repository [default: \
    ARTIFACTSTORE_SERVER, else http://127.0.0.1:5000]";

/// How often the cursor file is written while events come, at most: after a crash so much is told again.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// What can be done with the log.
#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// Print what happened, the oldest first, and prove that nothing was missed.
    ///
    /// Sequence numbers have no gaps: an event that is lost, told twice or out of order, and a log that was set back or
    /// is another one, ends it with exit code 1 and says so. With --follow it waits for what is yet to come, and goes on
    /// where it was when the connection breaks, as long as it takes.
    Tail(TailArguments),
}

#[derive(Debug, Args)]
pub(super) struct TailArguments {
    /// Which registry, and maybe one repository of it: [http[s]://host[:port]][/repository]
    #[arg(value_name = "SERVER[/REPOSITORY]", default_value = "", hide_default_value = true)]
    place: String,
    #[arg(long, value_name = "URL", help = SERVER_HELP)]
    server: Option<String>,
    /// Read the log of the registry in this data directory, beside a running server or without one
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<String>,
    /// The same with the registry of this configuration file
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    config: Option<PathBuf>,
    /// Begin behind this event: its number, start for the whole log, or now. Says nothing where there is a cursor file.
    #[arg(long, value_name = "N|now|start", default_value = "start", value_parser = since)]
    since: Since,
    /// Wait for what is yet to come.
    #[arg(long)]
    follow: bool,
    /// Only events of these types: package, tag.moved, v1.blob, …
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
    types: Vec<String>,
    /// Only events of this package.
    #[arg(long, value_name = "ID")]
    package: Option<PackageId>,
    /// Print every event as JSON on a line, byte for byte as the registry has it; like --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// How events are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Keep the place in this file, and go on from there the next time.
    #[arg(long, value_name = "FILE")]
    cursor: Option<PathBuf>,
    /// End after so many events.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// How an event is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// sequence, time, type, repository, subject, actor
    Text,
    /// JSON
    Json,
    #[value(help = "a CloudEvent as JSON")]
    Cloudevents,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    After(i64),
    Now,
}

fn since(text: &str) -> Result<Since, String> {
    match text {
        "now" => Ok(Since::Now),
        "start" => Ok(Since::After(0)),
        digits => digits
            .parse()
            .ok()
            .filter(|number| *number >= 0 && !digits.starts_with('+'))
            .map(Since::After)
            .ok_or_else(|| "write the number of an event, start or now".to_owned()),
    }
}

impl Events {
    pub(super) async fn run(self) -> Outcome {
        let Self::Tail(arguments) = self;
        arguments.run().await
    }
}

impl TailArguments {
    async fn run(self) -> Outcome {
        // From here on they end the command in order.
        let signals = Signals::listen()?;
        let is_here = self.data.is_some() || self.config.is_some();
        let (server, repository) = if is_here {
            (None, here::repository(&self.place)?)
        } else {
            let fallback = std::env::var(SERVER_VARIABLE).ok().filter(|server| !server.is_empty());
            let (server, repository) =
                server_and_repository(&self.place, self.server.as_deref(), fallback.as_deref())?;
            (Some(server), repository)
        };
        let mut types: Vec<String> = self.types.iter().map(|it| it.trim().to_owned()).collect();
        types.sort();
        types.dedup();
        let filter = Filter { repository, types, package: self.package };
        let (place, start) = Place::open(self.cursor.as_deref(), server.as_ref(), &filter, self.since)?;
        let format = if self.json { Format::Json } else { self.format };
        let output = Output::new(format);
        let options = Options { filter: filter.clone(), is_followed: self.follow, limit: self.limit };
        let Some(server) = server else {
            let values = self.data.map(|directory| ("data", directory)).into_iter().collect();
            let flags = Flags { file: self.config, values };
            let reader = Here::open(flags, &filter, format, self.follow).await?;
            return print(reader, start, options, output, place, signals).await;
        };
        let asked = match format {
            Format::Cloudevents => tail::Format::CloudEvents,
            Format::Text | Format::Json => tail::Format::Json,
        };
        let client = Client::new(server, Credentials::from_environment())?;
        let reader = Remote::new(client, &filter, asked, self.follow);
        print(reader, start, options, output, place, signals).await
    }
}

/// Where the place is kept, if it is.
struct Place {
    file: Option<cursor::File>,
    server: Option<String>,
    saved: Option<Cursor>,
}

impl Place {
    /// Takes the file, if one is named, and where to begin.
    fn open(
        path: Option<&Path>,
        server: Option<&Server>,
        filter: &Filter,
        since: Since,
    ) -> Result<(Self, Start), Failure> {
        let (file, kept) = match path.map(cursor::File::open).transpose()? {
            None => (None, None),
            Some((file, kept)) => (Some(file), kept),
        };
        let server = server.map(ToString::to_string);
        let start = match (&file, kept, since) {
            (Some(file), Some(cursor), _) => {
                file.check_filter(&cursor.filter, filter)?;
                Start::At(cursor)
            }
            (_, _, Since::After(number)) => Start::After(number),
            (_, _, Since::Now) => Start::Now,
        };
        Ok((Self { file, server, saved: None }, start))
    }

    /// Writes it down, unless it is there already.
    fn save(&mut self, cursor: &Cursor) -> Result<(), Failure> {
        let Some(file) = self.file.as_ref().filter(|_| self.saved.as_ref() != Some(cursor)) else {
            return Ok(());
        };
        let mut kept = cursor.clone();
        kept.server.clone_from(&self.server);
        file.save(&kept)?;
        self.saved = Some(cursor.clone());
        Ok(())
    }

    /// Writes it down from time to time, until that fails.
    async fn keep(&mut self, ticks: &mut Interval, cursor: &Cursor) -> Failure {
        loop {
            ticks.tick().await;
            if let Err(failure) = self.save(cursor) {
                return failure;
            }
        }
    }

    /// What to do to go on from there.
    fn advice(&self, cursor: &Cursor) -> String {
        let sequence = cursor.sequence;
        match &self.file {
            Some(_) => format!("the same command goes on behind event {sequence}"),
            None => format!("with --since {sequence} it goes on from there"),
        }
    }
}

/// Prints events until they end, the reader of the output is gone, or a signal comes. Whatever it is, the place that is
/// kept is behind the last event that was written, never before it was.
async fn print(
    reader: impl Reader,
    start: Start,
    options: Options,
    output: Output,
    mut place: Place,
    mut signals: Signals,
) -> Outcome {
    let mut tail = tokio::select! {
        begun = Tail::begin(reader, start, options) => match begun {
            Ok(tail) => tail,
            Err(error) => return ended(error),
        },
        stop = signals.next() => stop.end("nothing was printed"),
    };
    // Behind everything that was written.
    let mut done = tail.cursor();
    place.save(&done)?;
    let mut ticks = tokio::time::interval(SAVE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = remark;
    let outcome = loop {
        let told = tokio::select! {
            told = tail.next(&mut trouble) => told,
            failed = place.keep(&mut ticks, &done) => return Err(failed),
            stop = signals.next() => return stopped(&stop, &mut place, &done),
        };
        let events = match told {
            Ok(Some(events)) => events,
            Ok(None) => break Ok(true),
            Err(error) => break ended(error),
        };
        let written = tokio::select! {
            written = output.write(events) => written?,
            // Nobody reads: what is on its way may be told again.
            stop = signals.next() => return stopped(&stop, &mut place, &done),
        };
        if written == Written::Unread {
            break Ok(true);
        }
        done = tail.cursor();
    };
    place.save(&done)?;
    outcome
}

fn stopped(stop: &Stop, place: &mut Place, done: &Cursor) -> Outcome {
    place.save(done)?;
    stop.end(&place.advice(done))
}

/// Why it ended: what is wrong with the log is what was found, and not that it could not run.
fn ended(error: Error) -> Outcome {
    match error {
        Error::Fault(fault) => {
            complain(&fault.to_string());
            Ok(false)
        }
        Error::Passing { .. } | Error::Failed(_) => Err(error.into()),
    }
}

/// Says once that it is tried again, and why.
fn remark(error: &Error) {
    complain(&format!("{}; trying again", with_causes(error)));
}
