//! Taking turns, and what comes out of it.

use std::fmt;

use super::Outcome;
use super::peers::Peer;

/// Rounds that count. One more comes first and is thrown away: it warms caches and connections.
pub(super) const ROUNDS: usize = 5;

/// One party's turn: does the work of a round and says how many seconds it took.
pub(super) type Turn<'a> = Box<dyn FnMut(usize) -> Outcome<f64> + 'a>;

/// Lets the parties take turns, round by round, always in the same order. Returns their seconds by party.
pub(super) fn take_turns(turns: &mut [Turn<'_>]) -> Outcome<Vec<Vec<f64>>> {
    let mut seconds = vec![Vec::with_capacity(ROUNDS); turns.len()];
    for round in 0..=ROUNDS {
        for (turn, seconds) in turns.iter_mut().zip(&mut seconds) {
            let taken = turn(round)?;
            if round > 0 {
                seconds.push(taken);
            }
        }
        if round > 0 {
            let taken: Vec<_> = seconds.iter().map(|all| format!("{:.3} s", all[round - 1])).collect();
            println!("  round {round}: {}", taken.join("  "));
        }
    }
    Ok(seconds)
}

/// A line of the result: ours against one baseline.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) name: &'static str,
    pub(super) baseline: &'static str,
    /// What `work` counts, per second.
    pub(super) unit: &'static str,
    /// How much was done in a round.
    pub(super) work: usize,
    /// The speed ratio to reach, if there is one.
    pub(super) aim: Option<f64>,
}

/// Resident memory of one party during one benchmark, MiB.
#[derive(Debug)]
struct Resident {
    benchmark: &'static str,
    party: &'static str,
    idle: f64,
    peak: f64,
    limit: Option<f64>,
}

/// Everything measured so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<[String; 6]>,
    resident: Vec<Resident>,
}

impl Report {
    /// Adds a comparison of the seconds of ours and theirs, round by round. Above 1 ours is faster.
    pub(super) fn compare(&mut self, comparison: &Comparison, ours: &[f64], theirs: &[f64]) {
        let ratios = sorted(ours.iter().zip(theirs).map(|(ours, theirs)| theirs / ours));
        let speed = |seconds: &[f64]| {
            let work = u32::try_from(comparison.work).map_or(f64::INFINITY, f64::from);
            let speed = work / median(&sorted(seconds.iter().copied()));
            format!("{speed:.0} {}", comparison.unit)
        };
        let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
        self.rows.push([
            comparison.name.to_owned(),
            speed(ours),
            format!("{} {}", comparison.baseline, speed(theirs)),
            format!("{:.2} [{low:.2}..{high:.2}]", median(&ratios)),
            comparison.aim.map_or_else(|| "-".to_owned(), |aim| format!("{aim:.2}")),
            comparison.aim.map_or("-", |aim| yes_no(median(&ratios) >= aim)).to_owned(),
        ]);
    }

    /// Adds a comparison of how long the slow ones took, round by round. Above 1 ours took longer; `aim` is how much
    /// longer it may.
    pub(super) fn compare_latency(
        &mut self,
        name: &str,
        baseline: &str,
        aim: Option<f64>,
        ours: &[f64],
        theirs: &[f64],
    ) {
        let ratios = sorted(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
        let took = |seconds: &[f64]| format!("{:.1} ms", median(&sorted(seconds.iter().copied())) * 1000.0);
        let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
        self.rows.push([
            name.to_owned(),
            took(ours),
            format!("{baseline} {}", took(theirs)),
            format!("{:.2} [{low:.2}..{high:.2}]", median(&ratios)),
            aim.map_or_else(|| "-".to_owned(), |aim| format!("at most {aim:.2}")),
            aim.map_or("-", |aim| yes_no(median(&ratios) <= aim)).to_owned(),
        ]);
    }

    /// Adds something that is measured by itself, and how much of it there may be.
    pub(super) fn bound(&mut self, name: &str, unit: &str, found: f64, most: f64) {
        self.rows.push([
            name.to_owned(),
            format!("{found:.2} {unit}"),
            "-".to_owned(),
            "-".to_owned(),
            format!("at most {most:.0} {unit}"),
            yes_no(found <= most).to_owned(),
        ]);
    }

    /// Notes the memory a party needed since it was started or last noted.
    pub(super) fn note_memory(&mut self, benchmark: &'static str, peer: &Peer) -> Outcome<()> {
        self.note_memory_within(benchmark, peer, None)
    }

    /// The same where there is a limit to keep, MiB.
    pub(super) fn note_memory_within(
        &mut self,
        benchmark: &'static str,
        peer: &Peer,
        limit: Option<f64>,
    ) -> Outcome<()> {
        let (party, idle, peak) = (peer.name(), peer.idle(), peer.peak()?);
        self.resident.push(Resident { benchmark, party, idle, peak, limit });
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.rows.is_empty() {
            table(f, ["name", "ours", "baseline", "ratio [min..max]", "aim", "reached"], &self.rows)?;
            writeln!(f)?;
        }
        let rows: Vec<[String; 6]> = self.resident.iter().map(Resident::row).collect();
        table(f, ["memory during", "of", "idle MiB", "peak MiB", "limit", "kept"], &rows)
    }
}

impl Resident {
    fn row(&self) -> [String; 6] {
        [
            self.benchmark.to_owned(),
            self.party.to_owned(),
            format!("{:.0}", self.idle),
            format!("{:.0}", self.peak),
            self.limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit:.0}")),
            self.limit.map_or("-", |limit| yes_no(self.peak < limit)).to_owned(),
        ]
    }
}

fn table(f: &mut fmt::Formatter<'_>, head: [&str; 6], rows: &[[String; 6]]) -> fmt::Result {
    let head = head.map(str::to_owned);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| rows.iter().chain([&head]).map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; 6]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        format!("| {} |", cells.join(" | "))
    };
    writeln!(f, "{}", line(&head))?;
    let rules: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    writeln!(f, "|{}|", rules.join("|"))?;
    rows.iter().try_for_each(|row| writeln!(f, "{}", line(row)))
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

fn yes_no(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}
