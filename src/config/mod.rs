//! Settings: defaults, then the file, then the environment, then flags.
//!
//! Each module declares what can be set about it and makes its own options; this one knows sources and
//! precedence, and no setting but `data`. Every key `section.key` of the file is also the variable
//! `ARTIFACTSTORE_SECTION_KEY`. An empty value is the same as none.
//!
//! What means nothing is an error, wherever it stands: a misspelt setting must not be silently without effect.

mod aliases;
mod error;
mod example;
mod file;
mod sources;
mod suggest;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use error::Error;
pub use example::{example, reference};
pub use sources::{Entry, Source};

use crate::server::{Options as Serving, TlsOptions};
use crate::setting::{Kind, Problem, Setting, Values};
use crate::{db, registry, retention, storage, telemetry};

/// What the name of every variable of ours begins with.
pub const PREFIX: &str = "ARTIFACTSTORE_";

/// What the tests' own variables begin with: no settings, and found in the shells of those who run tests.
const TESTS_PREFIX: &str = "ARTIFACTSTORE_TEST_";

/// Names the configuration file; like the flag `--config`.
pub const FILE_VARIABLE: &str = "ARTIFACTSTORE_CONFIG";

/// Names the registry that clients talk to: no setting of a registry, and no mistake in its environment either.
pub const SERVER_VARIABLE: &str = "ARTIFACTSTORE_SERVER";

const DATA: Setting = Setting {
    key: "data",
    kind: Kind::Path,
    default: "data",
    doc: "The data directory: everything that has no place of its own below.",
};

/// The settings that have a flag, and the flag.
pub const FLAGS: [(&str, &str); 4] = [
    ("data", "--data"),
    ("listen", "--listen"),
    ("log_level", "--log-level"),
    ("allow_sparse", "--allow-sparse"),
];

/// The effective settings, as the options of each part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The data directory.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What is logged.
    pub log: telemetry::Options,
    /// Where the log and its views are.
    pub database: db::Options,
    /// Where bytes are.
    pub storage: storage::Options,
    /// How the registry behaves.
    pub registry: registry::Options,
    /// How it is served.
    pub server: Serving,
    /// How it is encrypted, if it is.
    pub tls: Option<TlsOptions>,
}

/// The settings and where each of them comes from.
#[derive(Clone, Debug)]
pub struct Config {
    /// What holds.
    pub settings: Settings,
    /// Every setting in the order of the example file.
    pub entries: Vec<Entry>,
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`
    pub file: Option<PathBuf>,
    /// Values by the key of their setting, one of [`FLAGS`].
    pub values: Vec<(&'static str, String)>,
}

impl Config {
    /// Composes the settings from the file that flags or environment name, the environment (as name and value
    /// pairs) and the flags. There is no file unless one is named, and one that is named must exist.
    pub fn load(flags: Flags, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut sources = sources::Sources::default();
        let variables: Vec<_> = environment.collect();
        let named = variables.iter().find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
        if let Some(path) = flags.file.or_else(|| named.map(|(_, path)| path.into())) {
            sources.file(&path)?;
        }
        sources.environment(&variables)?;
        sources.flags(flags.values)?;
        aliases::apply(&mut sources, &variables)?;
        let (values, entries) = sources.compose();
        let settings =
            Settings::from_values(&values).map_err(|problem| Error::unusable(problem, &entries))?;
        Ok(Self { settings, entries })
    }
}

impl Settings {
    fn from_values(values: &Values) -> Result<Self, Problem> {
        Ok(Self {
            data: values.path(&DATA).ok_or_else(|| DATA.problem(DATA.kind.hint()))?,
            listen: Serving::listen(values)?,
            log: telemetry::Options::from_values(values)?,
            database: db::Options::from_values(values)?,
            storage: storage::Options::from_values(values)?,
            registry: registry::Options::from_values(values)?,
            server: Serving::from_values(values)?,
            tls: TlsOptions::from_values(values)?,
        })
    }
}

/// Every setting there is, section by section, those without one first.
pub fn declared() -> Vec<&'static Setting> {
    let mut all: Vec<&Setting> = vec![&DATA];
    all.extend(db::Options::SETTINGS);
    all.extend(storage::Options::SETTINGS);
    all.extend(storage::s3::Options::SETTINGS);
    all.extend(Serving::SETTINGS);
    all.extend(TlsOptions::SETTINGS);
    all.extend(telemetry::Options::SETTINGS);
    all.extend(registry::Options::SETTINGS);
    all.extend(retention::Policy::SETTINGS);
    let mut sections: Vec<&str> = vec![""];
    for setting in &all {
        if !sections.contains(&section(setting.key)) {
            sections.push(section(setting.key));
        }
    }
    all.sort_by_key(|setting| sections.iter().position(|name| *name == section(setting.key)));
    all
}

/// The section a key stands in; empty for the top of the file.
fn section(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(section, _)| section)
}

/// The variable of a key.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "_"))
}

/// The flag of a key, where it has one.
pub fn flag(key: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(of, _)| *of == key).map(|(_, flag)| *flag)
}
