//! The program as a command that ends.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use super::PATIENCE;

/// The program: what cargo built, or what `ARTIFACTSTORE_BIN` names.
fn program() -> OsString {
    std::env::var_os("ARTIFACTSTORE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_artifactstore").into())
}

/// The program with none of the settings of whoever runs the tests.
pub(crate) fn command() -> Command {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ARTIFACTSTORE_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the program with these arguments to its end.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Ran {
    run_command(command().args(arguments))
}

/// Runs a command on a data directory.
#[track_caller]
pub(crate) fn run_on(data: &Path, arguments: &[&str]) -> Ran {
    run_command(command().args(arguments).arg("--data").arg(data))
}

/// Runs it to its end; one that goes on is killed and the test fails.
#[track_caller]
pub(crate) fn run_command(command: &mut Command) -> Ran {
    let said = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program can be run");
    let pid = rustix::process::Pid::from_child(&child);
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()));
    let Ok(output) = end.recv_timeout(PATIENCE) else {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        panic!("{said} goes on after {} s", PATIENCE.as_secs());
    };
    let output = output.expect("it is our child");
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    Ran { command: said, code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    command: String,
    code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// It could not run, and said so in one line that holds each of these texts.
    #[track_caller]
    pub(crate) fn refused(self, texts: &[&str]) -> Self {
        let ran = self.expect(2);
        assert!(ran.out.is_empty(), "{ran}");
        for text in texts {
            assert!(ran.err.contains(text), "expected {text:?}: {ran}");
        }
        assert!(!ran.err.contains("panicked"), "{ran}");
        ran
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {:?}\n{}{}", self.command, self.code, self.out, self.err)
    }
}
