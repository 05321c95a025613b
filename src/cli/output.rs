//! What commands say: the one way to standard output and standard error.
//!
//! A reader that goes away, as in `… | head -1`, has seen what it wanted. The rest is dropped without a word and the
//! command ends with the status it would have had. `println!` and `eprintln!` would panic there.

use std::io::{self, ErrorKind, Write as _};

use serde_json::Value;

use super::Failure;
use crate::client::{is_unseen, shown};

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

/// The same of what a registry answered: JSON on one line, as all clients of it have it.
pub(super) fn answer(as_json: bool, body: &Value, text: &str) -> Result<(), Failure> {
    if as_json { say(&json(body)) } else { say(text) }
}

/// JSON on one line in which every character can be seen: the others are escaped, which means the same.
pub(super) fn json(value: &Value) -> String {
    use std::fmt::Write as _;
    let text = value.to_string();
    let mut plain = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if is_unseen(c) {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(c);
        }
    }
    plain
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn json_that_turns_the_line_round_on_a_terminal_is_escaped_and_means_the_same() {
        let value = json!({ "k\u{61c}": "a\u{202e}b\u{1b}[2J\u{9b}\u{2066}\n", "ö": ["\u{1f600}", 1] });
        let text = super::json(&value);
        let plain = "{\"k\\u061c\":\"a\\u202eb\\u001b[2J\\u009b\\u2066\\n\",\"ö\":[\"\u{1f600}\",1]}";
        assert_eq!(text, plain);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
