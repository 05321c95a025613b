//! Nothing changes: of what is held or retained, whatever is called, as the most powerful one there is.
//!
//! The calls are driven by what there is to call: every operation of `docs/openapi.json` that is no GET, every method
//! the routes of the distribution specification allow, every command of the program. One without an entry in
//! [`operations`], [`routes`] or [`commands`] fails the test by its name.

mod commands;
mod operations;
mod record;
mod routes;
mod world;

use std::collections::BTreeSet;

use serde_json::Value;

use super::packages::OPENAPI;
use crate::support::{Client, Request, Server};
use record::Tried;
use world::World;

/// Views that tell of runs and of the clock, and of nothing anybody keeps. All others stay as they are, row by row.
const OF_RUNS: [&str; 3] = ["compliance_clock", "gc_runs", "scrub_runs"];

/// What becomes of a call.
#[derive(Clone, Debug)]
enum Outcome<T: 'static> {
    /// Refused with one of these, and on record if anything protected was at stake.
    Refused(&'static [T], Option<Tried>),
    /// It works with this answer, and changes nothing but the views of [`OF_RUNS`].
    Runs(T),
    /// It has this answer and only adds something, so it is called when the states have been compared; then all that was
    /// refused is refused again. Also a refusal may add: what was sent before it came.
    Adds(T, Option<Tried>),
}

/// One request and what becomes of it.
#[derive(Debug)]
struct Call {
    request: Request,
    outcome: Outcome<u16>,
}

/// An entry: a name, and how it is called. Without a call its text says why.
type Entry = (&'static str, Vec<Call>, &'static str);

/// The operations that are no GET.
fn mutating() -> BTreeSet<&'static str> {
    let paths = OPENAPI["paths"].as_object().unwrap().values();
    let methods = paths.flat_map(|path| path.as_object().unwrap());
    methods
        .filter(|(method, _)| ["post", "put", "patch", "delete"].contains(&method.as_str()))
        .map(|(_, operation)| operation["operationId"].as_str().unwrap())
        .collect()
}

#[track_caller]
fn are_all(entries: &[Entry], there: &BTreeSet<&str>) {
    let named: BTreeSet<&str> = entries.iter().map(|(name, ..)| *name).collect();
    let missing: Vec<_> = there.difference(&named).collect();
    let gone: Vec<_> = named.difference(there).collect();
    assert!(missing.is_empty(), "say what these do to what is protected: {missing:?}");
    assert!(gone.is_empty(), "there is no such thing: {gone:?}");
    for (name, calls, why) in entries {
        assert!(!calls.is_empty() || !why.is_empty(), "{name} is neither called nor is it said why");
    }
}

/// The views, but for those of runs, and the digest of each.
#[track_caller]
fn state(server: &Server) -> Vec<Value> {
    let checked = server.run(&["replay", "--check", "--json"]).expect(0).json();
    let mut tables = checked["live"]["tables"].as_array().unwrap().clone();
    let all = tables.len();
    tables.retain(|table| !OF_RUNS.contains(&table["name"].as_str().unwrap()));
    assert_eq!(tables.len(), all - OF_RUNS.len(), "a view of runs is not there any more");
    tables
}

/// Fails with the names of the views that differ.
#[track_caller]
fn is_as_before(before: &[Value], server: &Server) {
    let after = state(server);
    let changed: Vec<_> = after.iter().filter(|table| !before.contains(table)).collect();
    assert!(changed.is_empty() && before.len() == after.len(), "these views changed: {changed:?}");
}

/// Makes those calls whose outcome is asked for, and notes what must be on record.
#[track_caller]
fn call(client: &Client, entries: &[Entry], adds: bool, tried: &mut Vec<Tried>) {
    let mut wrong = Vec::new();
    for (name, calls, _) in entries {
        for Call { request, outcome } in calls {
            if matches!(outcome, Outcome::Adds(..)) != adds {
                continue;
            }
            let answer = client.send(request);
            let expected = match outcome {
                Outcome::Refused(statuses, record) => {
                    tried.extend(record.clone());
                    statuses
                }
                Outcome::Adds(status, record) => {
                    tried.extend(record.clone());
                    std::slice::from_ref(status)
                }
                Outcome::Runs(status) => std::slice::from_ref(status),
            };
            if !expected.contains(&answer.status) {
                wrong
                    .push(format!("{name}: {} {} is {expected:?}: {answer}", request.method, request.target));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_changes_what_is_held_or_retained() {
    let mut world = World::make();
    let client = world.server.client();
    let mut entries = operations::entries(&world);
    are_all(&entries, &mutating());
    let routes = routes::entries(&world);
    are_all(&routes, &routes::mutating(&world));
    entries.extend(routes);
    let commands = commands::entries(&world);
    commands::are_all(&commands);

    let whole = world.pull();
    let before = state(&world.server);
    let mut tried = Vec::new();
    call(&client, &entries, false, &mut tried);
    commands::beside(&world, &commands, false, &mut tried);
    is_as_before(&before, &world.server);
    assert_eq!(world.pull(), whole);

    call(&client, &entries, true, &mut tried);
    commands::beside(&world, &commands, true, &mut tried);
    call(&client, &entries, false, &mut tried);
    assert_eq!(world.pull(), whole);

    world.server.stop();
    let before = state(&world.server);
    commands::alone_all(&world, &commands, &mut tried);
    is_as_before(&before, &world.server);
    record::is_told(&world.server.data().join("registry.db"), &tried);

    assert_eq!(world.restart().pull(), whole);
}
