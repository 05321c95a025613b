//! One line on a terminal that says how far a transfer is.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::client::{Phase, Progress};

/// How often the line changes.
const TICK: Duration = Duration::from_millis(200);

/// Shows progress on standard error while it lives, if that is a terminal.
pub(in crate::cli) struct Meter {
    pub(in crate::cli) progress: Arc<Progress>,
    line: Option<JoinHandle<()>>,
}

impl Meter {
    pub(in crate::cli) fn start() -> Self {
        let progress = Arc::new(Progress::default());
        let watched = Arc::clone(&progress);
        let line = std::io::stderr().is_terminal().then(|| {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(TICK).await;
                    // Nothing depends on it.
                    let _ = write!(std::io::stderr(), "\r\x1b[K{}", line(&watched));
                }
            })
        });
        Self { progress, line }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            line.abort();
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(progress: &Progress) -> String {
    let ((files, all_files), (bytes, all_bytes)) = (progress.files(), progress.bytes());
    let what = match progress.phase() {
        Phase::Looking => return "looking for files".to_owned(),
        Phase::Hashing => "hashed",
        Phase::Uploading => "sent",
        Phase::Downloading => "received",
    };
    let of = if all_bytes > 0 { format!(" of {}", size(all_bytes)) } else { String::new() };
    format!("{what} {files} of {}, {}{of}", count(all_files, "file"), size(bytes))
}

/// So many of something.
pub(in crate::cli) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A number of bytes for people.
pub(in crate::cli) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    // Tenths, in whole numbers.
    let (mut tenths, mut unit) = (bytes.saturating_mul(10) / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_file_is_no_files() {
        assert_eq!([0, 1, 2].map(|number| super::count(number, "file")), ["0 files", "1 file", "2 files"]);
    }

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            (10 << 30, "10.0 GiB"),
            (1 << 50, "1.0 PiB"),
        ] {
            assert_eq!(super::size(bytes), text);
        }
    }
}
