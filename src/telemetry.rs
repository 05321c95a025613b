//! Logging set-up: one line per event on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging. `filter` is a level (`info`) or `tracing` directives (`info,artifactstore::server=debug`).
///
/// The error says what is wrong with the filter.
pub fn start(filter: &str) -> Result<(), String> {
    // `tracing` takes a lone word that is no level for a module, and logs nothing.
    if let Some(word) = filter.split(',').map(str::trim).find(|directive| is_misspelt_level(directive)) {
        return Err(format!("{word:?} is no level"));
    }
    let parsed = EnvFilter::builder().parse(filter).map_err(|error| error.to_string())?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start in one process (tests) keeps the first.
    let _ = subscriber.try_init();
    Ok(())
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
}
