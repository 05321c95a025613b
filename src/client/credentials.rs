//! Credentials where other clients keep them: docker's and podman's files, and credential helpers.

use std::collections::HashMap;
use std::fmt;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Error;
use super::place::HUB_NAMES;
use crate::secret::Secret;

/// Bytes of a configuration file at most.
const MAX_FILE: u64 = 4 << 20;

/// A credential helper answers within this time; it may have to ask somebody.
const HELPER: Duration = Duration::from_mins(1);

/// How often it is looked whether the helper ended.
const POLL: Duration = Duration::from_millis(10);

/// What docker calls the server of `docker.io` in its files.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// What docker calls the user of an identity token.
const TOKEN_USER: &str = "<token>";

/// The files in which credentials are looked up, the first first.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    files: Vec<PathBuf>,
}

/// How to log in somewhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// With a name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// With a token that the token service exchanges.
    Identity(Secret),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user}, ***)"),
            Self::Identity(_) => f.write_str("Identity(***)"),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: HashMap<String, Entry>,
    creds_store: String,
    cred_helpers: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

impl Credentials {
    /// None: nobody is logged in.
    pub fn none() -> Self {
        Self::default()
    }

    /// In these files, the first first. Those that do not exist are passed over.
    pub fn in_files(files: Vec<PathBuf>) -> Self {
        Self { files }
    }

    /// Where docker and podman keep them: `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, then
    /// `$XDG_RUNTIME_DIR/containers/auth.json`.
    pub fn from_environment() -> Self {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let docker = folder("DOCKER_CONFIG").or_else(|| folder("HOME").map(|home| home.join(".docker")));
        let podman = folder("XDG_RUNTIME_DIR").map(|run| run.join("containers/auth.json"));
        Self::in_files(docker.map(|folder| folder.join("config.json")).into_iter().chain(podman).collect())
    }

    /// How to log in at a server, `host[:port]`; that of `docker.io` under any of its names. In each file a helper for the server comes before its own entry,
    /// and the common helper last.
    pub async fn of(&self, host: &str) -> Result<Option<Login>, Error> {
        let asked = if HUB_NAMES.contains(&host) { HUB_KEY } else { host };
        for path in &self.files {
            let Some(file) = read(path, host)? else { continue };
            if let Some(helper) = entry(&file.cred_helpers, host)
                && let Some(login) = helped(helper, asked).await?
            {
                return Ok(Some(login));
            }
            if let Some(login) =
                entry(&file.auths, host).map(|entry| stored(entry, host)).transpose()?.flatten()
            {
                return Ok(Some(login));
            }
            if !file.creds_store.is_empty()
                && let Some(login) = helped(&file.creds_store, asked).await?
            {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }
}

fn read(path: &Path, host: &str) -> Result<Option<File>, Error> {
    let refuse = |reason: String| Error::Credentials {
        host: host.to_owned(),
        reason: format!("{}: {reason}", path.display()),
    };
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(error.to_string())),
    };
    if meta.len() > MAX_FILE {
        return Err(refuse(format!("it is larger than {MAX_FILE} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    // The parser's own message could repeat a part of the file.
    let file = serde_json::from_slice(&bytes);
    file.map(Some).map_err(|error| refuse(format!("line {} is not as docker writes it", error.line())))
}

/// The entry of a host, as docker spells hosts: also with a scheme and a path.
fn entry<'a, T>(entries: &'a HashMap<String, T>, host: &str) -> Option<&'a T> {
    let plain = |key: &'a str| {
        let key = key.split_once("://").map_or(key, |(_, rest)| rest);
        key.split('/').next().unwrap_or_default()
    };
    let names: &[&str] = if HUB_NAMES.contains(&host) { &HUB_NAMES } else { &[host] };
    let spelt = |name: &&str| entries.iter().find(|(key, _)| plain(key) == *name).map(|(_, value)| value);
    entries.get(host).or_else(|| names.iter().find_map(spelt))
}

fn stored(entry: &Entry, host: &str) -> Result<Option<Login>, Error> {
    if !entry.identitytoken.is_empty() {
        return Ok(Some(Login::Identity(entry.identitytoken.as_str().into())));
    }
    if entry.auth.is_empty() {
        let login =
            Login::Password { user: entry.username.clone(), password: entry.password.as_str().into() };
        // With a common helper, docker leaves empty entries behind.
        return Ok(Some(login).filter(|_| !entry.username.is_empty()));
    }
    let refuse = || Error::Credentials {
        host: host.to_owned(),
        reason: "auth is not base64 of user:password".to_owned(),
    };
    let decoded = STANDARD.decode(entry.auth.trim()).map_err(|_| refuse())?;
    let text = String::from_utf8(decoded).map_err(|_| refuse())?;
    let (user, password) = text.trim_end_matches('\0').split_once(':').ok_or_else(refuse)?;
    Ok(Some(Login::Password { user: user.to_owned(), password: password.into() }))
}

/// Asks `docker-credential-<name> get`. `None` when it knows nothing of the host.
async fn helped(name: &str, host: &str) -> Result<Option<Login>, Error> {
    let refuse = |reason: String| Error::Credentials {
        host: host.to_owned(),
        reason: format!("docker-credential-{name} {reason}"),
    };
    if name.contains(['/', '\\']) {
        return Err(refuse("is no name of a credential helper".to_owned()));
    }
    let (name_, host_) = (name.to_owned(), host.to_owned());
    let asked = tokio::task::spawn_blocking(move || ask(&name_, &host_)).await;
    let (said, is_fine) = asked.expect("asking does not panic").map_err(&refuse)?;
    if !is_fine {
        // The protocol has no code for it, only this sentence.
        if String::from_utf8_lossy(&said).contains("credentials not found") {
            return Ok(None);
        }
        return Err(refuse("failed".to_owned()));
    }
    let helped: Helped = serde_json::from_slice(&said)
        .map_err(|_| refuse("did not answer with Username and Secret".to_owned()))?;
    let secret = Secret::from(helped.secret);
    Ok(Some(match helped.username.as_str() {
        TOKEN_USER => Login::Identity(secret),
        user => Login::Password { user: user.to_owned(), password: secret },
    }))
}

/// Runs a helper: what it said, and whether it found something.
fn ask(name: &str, host: &str) -> Result<(Vec<u8>, bool), String> {
    let mut child = Command::new(format!("docker-credential-{name}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
    // A helper that does not read what it is asked says so with its answer.
    let _ = child.stdin.take().expect("it is piped").write_all(host.as_bytes());
    let output = child.stdout.take().expect("it is piped");
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        output.take(MAX_FILE).read_to_end(&mut said).map(|_| said)
    });
    let deadline = Instant::now() + HELPER;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("gave no answer in {} s", HELPER.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    let said = reader.join().expect("reading does not panic").map_err(|error| error.to_string())?;
    Ok((said, status.success()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn login(file: &serde_json::Value, host: &str) -> Result<Option<Login>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, file.to_string()).unwrap();
        Credentials::in_files(vec![folder.path().join("none"), path]).of(host).await
    }

    #[tokio::test]
    async fn entries_are_found_however_docker_spelt_the_host() {
        let auth = STANDARD.encode("me:pass:word");
        let expected = Login::Password { user: "me".to_owned(), password: "pass:word".into() };
        for key in ["host:5000", "https://host:5000", "http://host:5000/v2/"] {
            let file = json!({ "auths": { key: { "auth": auth }, "other": {} } });
            assert_eq!(login(&file, "host:5000").await.unwrap(), Some(expected.clone()), "{key}");
            assert_eq!(login(&file, "host").await.unwrap(), None);
            assert_eq!(login(&file, "other").await.unwrap(), None);
        }
        for key in ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"] {
            let file = json!({ "auths": { key: { "auth": auth }, "docker.iox": {} } });
            assert_eq!(login(&file, "registry-1.docker.io").await.unwrap(), Some(expected.clone()), "{key}");
        }
        let file = json!({ "auths": { "host": { "auth": auth, "identitytoken": "t" } } });
        assert_eq!(login(&file, "host").await.unwrap(), Some(Login::Identity("t".into())));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_said_without_secrets() {
        for file in [
            json!({ "auths": { "host": { "auth": "hunter2 is not base64" } } }),
            json!({ "auths": { "host": { "auth": STANDARD.encode("hunter2") } } }),
            json!({ "auths": { "host": { "auth": { "hunter2": 1 } } } }),
            json!({ "credHelpers": { "host": "../hunter" } }),
            json!({ "credsStore": "there-is-none-of-this-name" }),
        ] {
            let error = login(&file, "host").await.unwrap_err().to_string();
            assert!(error.contains("host") && !error.contains("hunter2"), "{error}");
        }
    }
}
