//! `cargo bench --bench log [-- NAME…]`: group commit on `PostgreSQL`, against one transaction per event; and replay on
//! `SQLite`, against a plain insert.
//!
//! Both sides do their work on one server in one run, in turns; only the ratios mean something. The server is
//! that of `ARTIFACTSTORE_TEST_POSTGRES` (`eval "$(tests/services up DIR)"`); `replay` needs none.

mod append;
mod commands;
mod replay;

use std::process::ExitCode;
use std::time::Duration;

/// That of the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Why something could not be measured.
type Failure = Box<dyn std::error::Error + Send + Sync>;

type Outcome<T> = Result<T, Failure>;

/// Rounds that count. One more comes first: it warms connections and prepared statements.
const ROUNDS: usize = 5;

/// How much was done in how long.
#[derive(Clone, Copy, Debug)]
struct Measured {
    count: u32,
    taken: Duration,
}

impl Measured {
    fn per_second(self) -> f64 {
        f64::from(self.count) / self.taken.as_secs_f64()
    }
}

/// Shows the rounds of ours and theirs and the median of their ratios.
fn compare(what: &str, ours: &[Measured], theirs: &[Measured], aim: &str) {
    let mut ratios: Vec<f64> =
        ours.iter().zip(theirs).map(|(ours, theirs)| ours.per_second() / theirs.per_second()).collect();
    ratios.sort_by(f64::total_cmp);
    let median = |all: &[Measured]| {
        let mut rates: Vec<f64> = all.iter().map(|measured| measured.per_second()).collect();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    println!(
        "  {what}: {:.0}/s against {:.0}/s, ratio {:.1} [{:.1}..{:.1}], aim {aim}",
        median(ours),
        median(theirs),
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
}

fn main() -> ExitCode {
    // Cargo itself adds `--bench`.
    let names: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [alone, path] = &names[..]
        && alone == replay::ALONE
    {
        return replayed_alone(path);
    }
    if let Some(unknown) =
        names.iter().find(|name| !["append", "commands", "replay"].contains(&name.as_str()))
    {
        eprintln!("there is no benchmark {unknown:?}; there are append, commands, replay");
        return ExitCode::from(2);
    }
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut is_complete = true;
    let mut note = |name: &str, outcome: Outcome<()>| {
        if let Err(failure) = outcome {
            is_complete = false;
            eprintln!("{name} could not run: {failure}");
        }
    };
    if is_wanted("append") {
        println!("append");
        note("append", runtime.block_on(append::run()));
    }
    if is_wanted("commands") {
        println!("commands");
        note("commands", runtime.block_on(commands::run()));
    }
    if is_wanted("replay") {
        println!("replay");
        note("replay", runtime.block_on(replay::run()));
    }
    if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replayed_alone(path: &str) -> ExitCode {
    let measured = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(replay::alone(path.as_ref())));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
