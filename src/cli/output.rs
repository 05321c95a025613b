//! What commands say: the one way to standard output and standard error.
//!
//! A reader that goes away, as in `… | head -1`, has seen what it wanted. The rest is dropped without a word and the
//! command ends with the status it would have had. `println!` and `eprintln!` would panic there.

use std::io::{self, ErrorKind, Write as _};

use serde_json::Value;

use super::Failure;
use crate::client::shown;

/// Writes to standard output.
pub(super) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure(format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes text and the end of its last line.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    write(format!("{text}\n").as_bytes())
}

/// Says one thing to programs or to people.
pub(super) fn print(as_json: bool, body: &Value, text: &str) -> Result<(), Failure> {
    if as_json { say(&format!("{body:#}")) } else { say(text) }
}

/// Writes to standard error as it is. Nothing depends on it.
pub(super) fn remark(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Says on standard error what went wrong. A name in it cannot do anything to the terminal.
pub(super) fn complain(reason: &str) {
    let lines: Vec<_> = reason.lines().map(|line| shown(line).to_string()).collect();
    remark(&format!("artifactstore: {}\n", lines.join("\n")));
}
