//! What is told to operators: one line per event on standard error, and errors with their causes.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::setting::{Kind, Problem, Setting, Values};

const LEVEL: Setting = Setting {
    key: "log_level",
    kind: Kind::Text,
    default: "info",
    doc: "error, warn, info, debug, trace or off; or directives such as \"info,artifactstore::server=debug\".",
};

/// What can be set about logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A level (`info`) or `tracing` directives (`info,artifactstore::server=debug`).
    pub level: String,
}

impl Options {
    /// What can be set.
    pub const SETTINGS: &[&Setting] = &[&LEVEL];

    /// What was set.
    pub fn from_values(values: &Values) -> Result<Self, Problem> {
        let level = values.text(&LEVEL).unwrap_or("info").to_owned();
        filter(&level).map_err(|reason| LEVEL.problem(format!("{reason}; try info or debug")))?;
        Ok(Self { level })
    }
}

/// Starts logging. The error says what is wrong with the level.
pub fn start(options: &Options) -> Result<(), String> {
    let parsed = filter(&options.level)?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        // It would report a line that cannot be written (a full disk) on the same standard error, by a macro
        // that panics then: the request that logs would die, or the log's appender.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start in one process (tests) keeps the first.
    let _ = subscriber.try_init();
    Ok(())
}

/// An error with its causes, in one line. A cause that the error already told is not told twice.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let reason = cause.to_string();
        if !text.ends_with(&reason) {
            text = format!("{text}: {reason}");
        }
        source = cause.source();
    }
    text
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    // `tracing` takes a lone word that is no level for a module, and logs nothing.
    if let Some(word) = level.split(',').map(str::trim).find(|directive| is_misspelt_level(directive)) {
        return Err(format!("{word:?} is no level"));
    }
    let filter = EnvFilter::builder().parse(level).map_err(|error| error.to_string())?;
    // What it signs holds session tokens.
    Ok(filter.add_directive("aws_sigv4=off".parse().expect("a literal directive")))
}

fn is_misspelt_level(directive: &str) -> bool {
    let is_word = !directive.is_empty() && directive.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_word && directive.parse::<LevelFilter>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_word_is_a_level() {
        for filter in ["verbose", "info,sqlx", "warning"] {
            assert!(filter.split(',').any(is_misspelt_level), "{filter}");
        }
        for filter in ["info", "off", "WARN", "info,artifactstore::server=debug", "sqlx=warn", ""] {
            assert!(!filter.split(',').any(is_misspelt_level), "{filter}");
        }
    }

    #[test]
    fn an_error_tells_each_of_its_causes_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Told(&'static str, #[source] Option<Box<Told>>);
        let because = |text, cause| Told(text, Some(Box::new(cause)));
        assert_eq!(
            with_causes(&because("no list", because("no disk", Told("EIO", None)))),
            "no list: no disk: EIO"
        );
        assert_eq!(with_causes(&because("no list: EIO", Told("EIO", None))), "no list: EIO");
    }
}
