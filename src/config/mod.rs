//! Settings: defaults, then the environment, then flags.
//!
//! | variable | flag | default |
//! |---|---|---|
//! | `ARTIFACTSTORE_DATA` | `--data` | `./data` |
//! | `ARTIFACTSTORE_LISTEN` | `--listen` | `127.0.0.1:5000` |
//! | `ARTIFACTSTORE_DATABASE_URL` | | `sqlite://<data>/registry.db` |
//! | `ARTIFACTSTORE_STORAGE_LOCAL_ROOT` | | `<data>/storage` |
//! | `ARTIFACTSTORE_LOG_LEVEL` | | `info` |
//! | `ARTIFACTSTORE_ALLOW_SPARSE` | `--allow-sparse` | `false` |
//!
//! A variable with our prefix that means nothing is an error: a misspelt setting must not be silently
//! without effect.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What the name of every variable of ours begins with.
pub const PREFIX: &str = "ARTIFACTSTORE_";

/// Every variable there is.
const KNOWN: [&str; 6] =
    ["DATA", "LISTEN", "DATABASE_URL", "STORAGE_LOCAL_ROOT", "LOG_LEVEL", "ALLOW_SPARSE"];

/// The effective settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Everything the embedded registry keeps, unless told otherwise below.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The file of the log and its views.
    pub database: PathBuf,
    /// The root of the stored objects.
    pub storage: PathBuf,
    /// What is logged.
    pub log_level: String,
    /// Whether image manifests may name blobs their repository does not hold.
    pub allow_sparse: bool,
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--allow-sparse`
    pub allow_sparse: bool,
}

/// A setting that cannot be used, by its name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such setting.
    #[error("unknown setting {PREFIX}{name}; {hint}")]
    Unknown {
        /// The variable without its prefix.
        name: String,
        /// What it might have meant.
        hint: String,
    },
    /// Its value has no meaning.
    #[error("{PREFIX}{name} is {value:?}: {hint}")]
    Invalid {
        /// The variable without its prefix.
        name: &'static str,
        /// What it says.
        value: String,
        /// What it should say.
        hint: &'static str,
    },
}

impl Settings {
    /// Composes the settings from flags and the environment, given as name and value pairs.
    pub fn load(flags: Flags, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let ours =
            environment.filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_owned(), value)));
        let mut variables: BTreeMap<String, String> = ours.collect();
        if let Some(name) = variables.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(Error::Unknown { name: name.clone(), hint: suggestion(name) });
        }
        let mut take = |name: &str| variables.remove(name).filter(|value| !value.is_empty());
        let data = flags.data.or_else(|| take("DATA").map(PathBuf::from)).unwrap_or_else(|| "data".into());
        let hint = "give an address and a port, like 127.0.0.1:5000";
        let listen = match take("LISTEN") {
            None => SocketAddr::from(([127, 0, 0, 1], 5000)),
            Some(value) => value.parse().map_err(|_| Error::Invalid { name: "LISTEN", value, hint })?,
        };
        let listen = flags.listen.unwrap_or(listen);
        let database = match take("DATABASE_URL") {
            None => data.join("registry.db"),
            Some(url) => database(&url)?,
        };
        let storage = take("STORAGE_LOCAL_ROOT").map_or_else(|| data.join("storage"), PathBuf::from);
        let log_level = take("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
        let allow_sparse = match take("ALLOW_SPARSE").as_deref() {
            Some("true") => true,
            None | Some("false") => false,
            Some(value) => {
                let (name, hint) = ("ALLOW_SPARSE", "say true or false");
                return Err(Error::Invalid { name, value: value.to_owned(), hint });
            }
        };
        let allow_sparse = flags.allow_sparse || allow_sparse;
        Ok(Self { data, listen, database, storage, log_level, allow_sparse })
    }
}

fn database(url: &str) -> Result<PathBuf, Error> {
    let hint = "only the embedded engine is built in: sqlite:///absolute/path/registry.db";
    match url.strip_prefix("sqlite://") {
        Some(path) if Path::new(path).file_name().is_some() => Ok(path.into()),
        _ => Err(Error::Invalid { name: "DATABASE_URL", value: without_password(url), hint }),
    }
}

/// A URL as it may be shown.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}…{}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

fn suggestion(name: &str) -> String {
    let nearest = KNOWN.iter().min_by_key(|known| distance(name, known));
    match nearest {
        Some(known) if distance(name, known) <= 1 + known.len() / 3 => {
            format!("did you mean {PREFIX}{known}?")
        }
        _ => format!("the settings are {PREFIX}{{{}}}", KNOWN.join(", ")),
    }
}

/// Edit distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Settings, Error> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::load(Flags::default(), variables)
    }

    #[test]
    fn everything_has_a_default_below_the_data_directory() {
        let settings = load(&[("HOME", "/root")]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:5000");
        assert_eq!(settings.database, Path::new("data/registry.db"));
        assert_eq!(settings.storage, Path::new("data/storage"));
    }

    #[test]
    fn the_environment_overrides_defaults_and_flags_override_the_environment() {
        let environment = [("ARTIFACTSTORE_DATA", "/env"), ("ARTIFACTSTORE_STORAGE_LOCAL_ROOT", "/bytes")];
        let settings = load(&environment).unwrap();
        assert_eq!(settings.database, Path::new("/env/registry.db"));
        assert_eq!(settings.storage, Path::new("/bytes"));
        let flags = Flags { data: Some("/flag".into()), ..Flags::default() };
        let variables = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(Settings::load(flags, variables.into_iter()).unwrap().data, Path::new("/flag"));
        let url = load(&[("ARTIFACTSTORE_DATABASE_URL", "sqlite:///x/y.db")]).unwrap();
        assert_eq!(url.database, Path::new("/x/y.db"));
    }

    #[test]
    fn a_misspelt_setting_is_refused_with_a_suggestion() {
        let error = load(&[("ARTIFACTSTORE_DATABASE_URI", "x")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown setting ARTIFACTSTORE_DATABASE_URI; did you mean ARTIFACTSTORE_DATABASE_URL?"
        );
    }

    #[test]
    fn a_refused_database_url_does_not_show_its_password() {
        let error = load(&[("ARTIFACTSTORE_DATABASE_URL", "postgres://me:secret@host/db")]).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
