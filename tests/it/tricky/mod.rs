//! The tricky cases: requests that registries are known to answer wrongly, by their numbers in the
//! project's list of 82. Those that need authentication, retention or packages are tested with those.

mod lists;
mod manifests;
mod pulls;
mod uploads;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::support::{Client, Launch, Repo, Server};

/// Number, what is right, and the test of it.
type Case = (u8, &'static str, fn(&Bench));

/// What a case works with: repositories nobody else uses.
struct Bench {
    number: u8,
    client: Client,
    /// A server that takes manifests whose blobs it does not hold.
    sparse: Client,
}

impl Bench {
    fn repo(&self) -> Repo {
        self.named("case")
    }

    /// A repository of this case with a name of its own.
    fn named(&self, name: &str) -> Repo {
        Repo::new(&self.client, format!("tricky/{}/{name}", self.number))
    }
}

#[test]
fn the_tricky_cases() {
    let groups = [uploads::CASES, pulls::CASES, manifests::CASES, lists::CASES, wire::CASES];
    let mut cases: Vec<&Case> = groups.into_iter().flatten().collect();
    cases.sort_by_key(|(number, ..)| *number);
    let mut numbers: Vec<u8> = cases.iter().map(|(number, ..)| *number).collect();
    numbers.dedup();
    assert!(numbers.len() >= 60, "only {} cases are left: {numbers:?}", numbers.len());

    let server = Server::start();
    let sparse = Launch::new().flag("--allow-sparse").start();
    let failures = Mutex::new(Vec::new());
    let queue = Mutex::new(cases.iter());
    let work = || {
        loop {
            let next = queue.lock().expect("no holder panics").next();
            let Some((number, title, test)) = next else { break };
            let bench = Bench { number: *number, client: server.client(), sparse: sparse.client() };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(&bench))) {
                let trace = format!("{}{}", bench.client.trace(), bench.sparse.trace());
                let report = format!("case {number}: {title}\n  {}\n  {trace}\n", reason(&*panic));
                failures.lock().expect("no holder panics").push((*number, report));
            }
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    let mut failures = failures.into_inner().expect("no holder panics");
    failures.sort();
    let reports: Vec<_> = failures.into_iter().map(|(_, report)| report).collect();
    assert!(reports.is_empty(), "{} of {} cases fail\n\n{}", reports.len(), cases.len(), reports.join("\n"));
}

fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}
