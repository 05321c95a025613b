//! The commands of the program: beside the server as its clients, and alone on its directory.

use std::collections::BTreeSet;
use std::fs;

use super::Outcome;
use super::record::Tried;
use super::world::World;
use crate::support::{Ran, command, run, run_command};

/// Where a command runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// As a client of the server.
    Beside,
    /// On its directory, when it has stopped.
    Alone,
}

struct Run {
    place: Place,
    arguments: Vec<String>,
    outcome: Outcome<i32>,
}

/// A command, how it is run, and without that why it is not.
pub(super) struct Entry(&'static str, Vec<Run>, &'static str);

const NO_DISPOSITION: &str = "disp_01arz3ndektsv4rrffq69g5fav";

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn refused(text: &str, record: impl Into<Option<Tried>>) -> Run {
    Run { place: Place::Beside, arguments: words(text), outcome: Outcome::Refused(&[2], record.into()) }
}

fn locally(text: &str, record: Option<Tried>) -> Run {
    let record = record.map(Tried::locally);
    Run { place: Place::Alone, arguments: words(text), outcome: Outcome::Refused(&[2], record) }
}

fn alone(text: &str) -> Run {
    Run { place: Place::Alone, arguments: words(text), outcome: Outcome::Runs(0) }
}

fn adds(text: &str) -> Run {
    Run { place: Place::Beside, arguments: words(text), outcome: Outcome::Adds(0, None) }
}

pub(super) fn entries(world: &World) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        READING.split(", ").map(|name| Entry(name, Vec::new(), "only reads")).collect();
    entries.extend([
        Entry("serve", Vec::new(), "is what all this is tried on"),
        Entry("copy", Vec::new(), "reads this registry and fills another"),
        Entry("ingest guide-board", Vec::new(), "packs a directory and pushes it as `package push` does"),
        Entry("keys rotate", Vec::new(), "another key signs URLs; what they open is for reading"),
        Entry("snapshot", Vec::new(), "writes down what the views hold, and an event that says so"),
        Entry("push", Vec::new(), "stores content under the digest of its bytes"),
        Entry("storage probe", vec![alone("storage probe")], ""),
        Entry("migrate", vec![alone("migrate")], ""),
        Entry("replay", vec![alone("replay")], ""),
        Entry("gc", vec![alone("gc"), alone("gc --dry-run"), alone("gc"), alone("gc")], ""),
        Entry("scrub", vec![alone("scrub")], ""),
        Entry("dispose", vec![alone("dispose --dry-run"), alone("dispose"), alone("dispose")], ""),
        Entry("clock resync", vec![alone("clock resync --reason right")], "of a clock that is right"),
    ]);
    entries.extend(retaining(world));
    entries.extend(disposing(world));
    entries.extend(packages(world));
    entries.extend(webhooks());
    entries
}

fn webhooks() -> Vec<Entry> {
    let none = |step: &str| vec![refused(&format!("webhooks {step} whk_01arz3ndektsv4rrffq69g5fav"), None)];
    vec![
        Entry("webhooks create", vec![refused("webhooks create http://127.0.0.1/", None)], ""),
        Entry("webhooks change", none("change"), ""),
        Entry("webhooks delete", none("delete"), ""),
        Entry("webhooks retry", none("retry"), ""),
        Entry("webhooks suspend", none("suspend"), ""),
        Entry("webhooks resume", none("resume"), ""),
    ]
}

const READING: &str = "version, audit, events tail, health, verify, explain, pull, stat, completions, man, package pull, package verify, \
    package show, package list, package files, package download, package events, package manifest, retention show, \
    retention classes, hold list, disposition show, disposition list, disposition certificate, clock show, webhooks list, \
    webhooks show, \
    config check, config show, config example";

fn retaining(world: &World) -> Vec<Entry> {
    let tried = |how: &str, tag: &str| Tried::new(&world.evidence, &format!("retention.{how}"), tag);
    let shorten = "retention shorten --until 2001-01-01T00:00:00Z --reason wrong";
    let extend = "retention extend --reason wrong";
    vec![
        Entry(
            "retention shorten",
            vec![
                refused(&format!("{shorten} evidence:governed"), tried("shorten", "governed")),
                refused(&format!("{shorten} evidence:immutable"), tried("shorten", "immutable")),
                refused(
                    &format!("{shorten} --bypass-governance-retention evidence:immutable"),
                    tried("shorten", "immutable"),
                ),
            ],
            "",
        ),
        Entry(
            "retention extend",
            vec![
                refused(
                    &format!("{extend} --until 2000-01-01T00:00:00Z evidence:held"),
                    tried("extend", "held"),
                ),
                refused(
                    &format!("{extend} --class transient evidence:immutable"),
                    tried("extend", "immutable"),
                ),
                adds(&format!("{extend} --forever evidence:immutable")),
            ],
            "",
        ),
        Entry(
            "hold place",
            vec![adds("hold place evidence:list --matter 9 --reason asked")],
            "protects more",
        ),
        Entry(
            "hold release",
            vec![
                refused("hold release evidence hold_01arz3ndektsv4rrffq69g5fav --reason over", None),
                refused(&format!("hold release evidence {} --reason over", last(&world.released)), None),
            ],
            "",
        ),
    ]
}

/// The id at the end of a path.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn disposing(world: &World) -> Vec<Entry> {
    let tried = |verb: &str, tag: &str| {
        Tried::new(&world.evidence, &format!("disposition{verb}"), world.tagged(tag).target())
    };
    let (waiting, voided) = (last(&world.waiting), last(&world.voided));
    let propose = |tag: &str| format!("disposition propose evidence:{tag} --reason over");
    vec![
        Entry(
            "disposition propose",
            vec![
                refused(&propose("governed"), tried("", "governed")),
                refused(&propose("held"), tried("", "held")),
                locally(&propose("immutable"), Some(tried("", "immutable"))),
                locally(&propose("over"), None),
            ],
            "",
        ),
        Entry(
            "disposition approve",
            vec![
                refused(&format!("disposition approve evidence {waiting}"), tried(".approve", "over")),
                locally(&format!("disposition approve evidence {voided}"), Some(tried(".approve", "held"))),
                locally(&format!("disposition approve evidence {NO_DISPOSITION}"), None),
            ],
            "",
        ),
        Entry(
            "disposition execute",
            vec![
                refused(&format!("disposition execute evidence {voided}"), tried(".execute", "held")),
                locally(&format!("disposition execute evidence {waiting}"), Some(tried(".execute", "over"))),
                locally(&format!("disposition execute evidence {voided}"), Some(tried(".execute", "held"))),
            ],
            "",
        ),
        Entry(
            "disposition reject",
            vec![
                refused(&format!("disposition reject evidence {voided} --reason late"), None),
                locally(&format!("disposition reject evidence {NO_DISPOSITION} --reason late"), None),
            ],
            "",
        ),
    ]
}

fn packages(world: &World) -> Vec<Entry> {
    let folder = world.folder.path().to_str().unwrap();
    let tried = |action: &str, subject: &str| Tried::new(&world.evidence, action, subject);
    let (mut aborts, mut drops, mut puts) = (Vec::new(), Vec::new(), Vec::new());
    for tag in ["governed", "immutable", "held"] {
        let id = world.tagged(tag).package.clone().unwrap();
        let x = format!("{id}/x");
        aborts.push(refused(&format!("package abort {id}"), tried("package.abort", &id)));
        drops.push(refused(&format!("package drop {id} x"), tried("file.drop", &x)));
        let put = format!("package ingest {id} {folder}/file --path x --replace");
        puts.push(refused(&put, tried("file.replace", &x)));
    }
    let finalize = format!("package finalize {} --tag plain", world.drafts[1].id);
    let outcome = Outcome::Adds(2, Some(Tried::new(&world.archive, "tag.move", "plain")));
    let ends = vec![Run { place: Place::Beside, arguments: words(&finalize), outcome }];
    vec![
        Entry("package abort", aborts, ""),
        Entry("package drop", drops, ""),
        Entry("package ingest", puts, ""),
        Entry("package finalize", ends, ""),
        Entry("package create", vec![adds("package create --to evidence")], "a draft of its own"),
        Entry(
            "package push",
            vec![adds(&format!("package push {folder} --to evidence:pushed"))],
            "a package of its own",
        ),
    ]
}

/// Every command there is, by its words.
fn there() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![String::new()];
    while let Some(name) = open.pop() {
        let arguments: Vec<&str> = name.split_whitespace().chain(["--help"]).collect();
        let help = run(&arguments).expect(0).out;
        let Some((_, listed)) = help.split_once("\nCommands:\n") else {
            all.insert(name);
            continue;
        };
        let below = listed.lines().take_while(|line| !line.is_empty());
        let below = below.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let below = below.filter_map(|line| line.split_whitespace().next()).filter(|word| *word != "help");
        open.extend(below.map(|word| format!("{name} {word}").trim().to_owned()));
    }
    all
}

#[track_caller]
pub(super) fn are_all(entries: &[Entry]) {
    let there = there();
    let named: BTreeSet<String> = entries.iter().map(|Entry(name, ..)| (*name).to_owned()).collect();
    let missing: Vec<_> = there.difference(&named).collect();
    let gone: Vec<_> = named.difference(&there).collect();
    assert!(missing.is_empty(), "say what these commands do to what is protected: {missing:?}");
    assert!(gone.is_empty(), "there is no such command: {gone:?}");
    for Entry(name, runs, why) in entries {
        assert!(!runs.is_empty() || !why.is_empty(), "{name} is neither run nor is it said why");
    }
}

#[track_caller]
fn check(ran: Ran, outcome: &Outcome<i32>, tried: &mut Vec<Tried>) {
    match outcome {
        Outcome::Refused(codes, record) => {
            ran.expect(codes[0]);
            tried.extend(record.clone());
        }
        Outcome::Adds(code, record) => {
            ran.expect(*code);
            tried.extend(record.clone());
        }
        Outcome::Runs(code) => drop(ran.expect(*code)),
    }
}

/// Runs those that are clients, and whose outcome is asked for.
#[track_caller]
pub(super) fn beside(world: &World, entries: &[Entry], adds: bool, tried: &mut Vec<Tried>) {
    let server = format!("http://{}", world.server.address());
    fs::write(world.folder.path().join("file"), "from the command line").unwrap();
    for Run { arguments, outcome, .. } in runs(entries, Place::Beside) {
        if matches!(outcome, Outcome::Adds(..)) == adds {
            let mut command = command();
            command.args(arguments).env("ARTIFACTSTORE_SERVER", &server);
            command.env("DOCKER_CONFIG", world.folder.path()).env_remove("XDG_RUNTIME_DIR");
            check(run_command(&mut command), outcome, tried);
        }
    }
}

/// Runs those on the directory, without any grace, and with disposal by schedule switched on.
#[track_caller]
pub(super) fn alone_all(world: &World, entries: &[Entry], tried: &mut Vec<Tried>) {
    let settings = [
        ("ARTIFACTSTORE_GC_GRACE", "0s"),
        ("ARTIFACTSTORE_GC_QUARANTINE", "0s"),
        ("ARTIFACTSTORE_RETENTION_SCHEDULED_DISPOSAL", "true"),
    ];
    for Run { arguments, outcome, .. } in runs(entries, Place::Alone) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        check(world.server.run_with(&arguments, &settings), outcome, tried);
    }
}

fn runs(entries: &[Entry], place: Place) -> impl Iterator<Item = &Run> {
    entries.iter().flat_map(|Entry(_, runs, _)| runs).filter(move |run| run.place == place)
}
