//! What the patterns of a schema weigh: known before the schema is compiled, and before a text is looked through.
//!
//! A pattern of twenty bytes can mean a machine of a megabyte, and a schema has room for thousands. Looking through a text
//! takes time linear in its length, but times the size of the machine.

use std::collections::HashMap;

use regex_automata::nfa::thompson::{Compiler, NFA, State};

/// Different patterns in a schema at most.
const MAX_PATTERNS: usize = 100;

/// Bytes of all of them as they are written: a class of five may be read as a table of kilobytes.
const MAX_WRITTEN: usize = 32 << 10;

/// What one may weigh, compiled, in bytes.
pub(super) const MAX_PATTERN: usize = 1 << 20;

/// What all of them may weigh, compiled, in bytes. What is used to look through texts is a few times that.
const MAX_ALL: usize = 8 << 20;

/// The patterns met so far, each counted once: those that are the same are compiled once.
#[derive(Debug, Default)]
pub(super) struct Patterns<'a> {
    steps: HashMap<&'a str, u64>,
    written: usize,
    compiled: usize,
}

impl<'a> Patterns<'a> {
    /// How many steps a byte of text may take, or in what way there is too much. Nothing for a text that is no pattern:
    /// what is wrong with it, and where, says the library that compiles the schema.
    pub(super) fn weigh(&mut self, pattern: &'a str) -> Result<u64, String> {
        if let Some(known) = self.steps.get(pattern) {
            return Ok(*known);
        }
        self.written += pattern.len();
        if self.steps.len() == MAX_PATTERNS || self.written > MAX_WRITTEN {
            return Err(format!(
                "it has more than {MAX_PATTERNS} patterns, or more than {MAX_WRITTEN} bytes of them; name values with enum \
                 and properties with properties"
            ));
        }
        let limit = MAX_PATTERN.min(MAX_ALL - self.compiled);
        let steps = match compile(pattern, limit) {
            Compiled::Machine(machine) => {
                self.compiled += machine.memory_usage().min(limit);
                machine.states().iter().map(ways).fold(0, u64::saturating_add)
            }
            Compiled::TooLarge => {
                let shown: String = pattern.chars().take(60).collect();
                return Err(format!(
                    "the pattern {shown:?} compiles to more than {MAX_PATTERN} bytes, or all patterns up to it to more than \
                     {MAX_ALL}; repeat less in it"
                ));
            }
            Compiled::NoPattern => 0,
        };
        self.steps.insert(pattern, steps);
        Ok(steps)
    }
}

enum Compiled {
    Machine(NFA),
    TooLarge,
    NoPattern,
}

/// As the library does it, which has no number for the size.
fn compile(pattern: &str, limit: usize) -> Compiled {
    let Ok(pattern) = jsonschema_regex::to_rust_regex(pattern) else { return Compiled::NoPattern };
    match Compiler::new().configure(NFA::config().nfa_size_limit(Some(limit))).build(&pattern) {
        Ok(machine) => Compiled::Machine(machine),
        Err(error) if error.size_limit().is_some() => Compiled::TooLarge,
        Err(_) => Compiled::NoPattern,
    }
}

/// Ways on from a state.
fn ways(state: &State) -> u64 {
    match state {
        State::Union { alternates } => alternates.len() as u64,
        State::BinaryUnion { .. } => 2,
        _ => 1,
    }
}
