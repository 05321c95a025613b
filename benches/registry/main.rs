//! `cargo bench --bench registry [-- NAME…]`: the registry beside the programs people compare it with.
//!
//! Every number is a ratio out of one run: ours and the baseline do the same work in turns, and the median
//! of the pairs counts. The machine may be busy or slow; both sides feel that alike. What each number means
//! is in `benches/README.md`.

mod client;
mod content;
mod followers;
mod garbage;
mod manifests;
mod measure;
mod memory;
mod peers;
mod pull;
mod push;

use std::process::ExitCode;

use self::measure::Report;

/// Why something could not be measured.
type Failure = Box<dyn std::error::Error + Send + Sync>;

type Outcome<T> = Result<T, Failure>;

type Benchmark = (&'static str, fn(&mut Report) -> Outcome<()>);

const BENCHMARKS: [Benchmark; 9] = [
    ("push-1g", push::one_gibibyte),
    ("pull-1g", pull::one_gibibyte),
    ("pull-1m-64", pull::many_mebibytes),
    ("manifest-get", manifests::get),
    ("push-small-16", push::small_artifacts),
    ("push-gc", garbage::collected),
    ("put-over-tag", garbage::over_a_tag),
    ("follow-1000", followers::thousand),
    ("memory", memory::limits),
];

fn main() -> ExitCode {
    // Cargo itself adds `--bench`.
    let names: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let Some(unknown) = names.iter().find(|name| BENCHMARKS.iter().all(|(known, _)| known != name)) {
        let known: Vec<_> = BENCHMARKS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no benchmark {unknown:?}; there are {}", known.join(", "));
        return ExitCode::from(2);
    }
    let mut report = Report::default();
    let mut is_complete = true;
    for (name, run) in BENCHMARKS {
        if !names.is_empty() && names.iter().all(|wanted| wanted != name) {
            continue;
        }
        println!("{name}");
        if let Err(failure) = run(&mut report) {
            is_complete = false;
            eprintln!("{name} could not run: {failure}");
        }
    }
    println!("\n{report}");
    if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
