//! Where things are: `[host[:port]/]repository[:tag|@digest]`, and the server.

use std::fmt;
use std::str::FromStr;

use crate::oci::{Digest, Reference, RepositoryName};

/// The server nobody named.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:5000";

/// Where the registry is that everybody calls `docker.io`.
pub(super) const HUB: &str = "registry-1.docker.io";

/// What else it is called.
pub(super) const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", HUB];

/// A registry's address: scheme and authority.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    is_plain: bool,
    authority: String,
}

/// A repository of a server, and maybe something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The registry.
    pub server: Server,
    /// The repository.
    pub repository: RepositoryName,
    /// A tag or a digest.
    pub reference: Option<Reference>,
}

/// Why a text names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It names no server.
    #[error(
        "{text:?} is not a server; write https://host[:port], or http://host[:port] for an unencrypted one"
    )]
    Server {
        /// The text.
        text: String,
    },
    /// It names no repository.
    #[error("{text:?} is not [host/]repository[:tag]: {reason}")]
    Syntax {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Server {
    /// Whether requests are not encrypted.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What `docker login` calls it.
    pub fn login(&self) -> &str {
        if self.authority == HUB { "docker.io" } else { &self.authority }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_plain { "http" } else { "https" }, self.authority)
    }
}

impl FromStr for Server {
    type Err = PlaceError;

    /// `https://host[:port]` or `http://host[:port]`; without a scheme HTTPS, and HTTP for this machine itself.
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let refuse = || PlaceError::Server { text: crate::secret::without_password(text) };
        let (scheme, rest) =
            text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let parsed: http::uri::Authority = authority.parse().map_err(|_| refuse())?;
        if parsed.host().is_empty() || authority.contains('@') {
            return Err(refuse());
        }
        let is_plain = match scheme {
            Some("http") => true,
            Some("https") => false,
            None => is_loopback(parsed.host()),
            Some(_) => return Err(refuse()),
        };
        let authority = if HUB_NAMES.contains(&authority) { HUB } else { authority };
        Ok(Self { is_plain, authority: authority.to_owned() })
    }
}

impl Place {
    /// Reads `[host[:port]/]repository[:tag|@digest]`.
    ///
    /// With `server`, all of it is the repository. Otherwise a first part that looks like a host (it has a dot or a
    /// port, or is `localhost`) is the server, else `fallback` is, else [`DEFAULT_SERVER`].
    pub fn parse(text: &str, server: Option<&str>, fallback: Option<&str>) -> Result<Self, PlaceError> {
        if let Some((_, rest)) = text.split_once("://") {
            let text = crate::secret::without_password(text);
            let reason = format!("it begins with a scheme; write {rest:?}, or name the server with --server");
            let reason = if rest.contains('@') { "it begins with a scheme".to_owned() } else { reason };
            return Err(PlaceError::Syntax { text, reason });
        }
        let (server, rest): (Server, &str) = match (server, text.split_once('/')) {
            (Some(server), _) => (server.parse()?, text),
            (None, Some((host, rest))) if is_host(host) => (host.parse()?, rest),
            (None, _) => (fallback.unwrap_or(DEFAULT_SERVER).parse()?, text),
        };
        let refuse = |reason: String| PlaceError::Syntax { text: text.to_owned(), reason };
        let (name, reference) = match rest.split_once('@') {
            Some((name, digest)) => {
                let digest: Digest = digest.parse().map_err(|e| refuse(format!("{e}")))?;
                // As docker does: a tag beside a digest says nothing.
                let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
                (name, Some(Reference::Digest(digest)))
            }
            None => match rest.rsplit_once(':') {
                Some((name, tag)) => {
                    let tag = tag.parse().map_err(|e| refuse(format!("{e}")))?;
                    (name, Some(Reference::Tag(tag)))
                }
                None => (rest, None),
            },
        };
        // The way docker has it: without a name before the slash they are those of Docker itself.
        let official = (server.authority == HUB && !name.contains('/')).then(|| format!("library/{name}"));
        let name = official.as_deref().unwrap_or(name);
        let repository = name.parse().map_err(|e| refuse(format!("{e}")))?;
        Ok(Self { server, repository, reference })
    }
}

/// Reads `[server][/][repository]`: a server, and maybe one of its repositories.
///
/// The server may have a scheme. With `server`, all of the text is the repository. Otherwise a first part that looks like
/// a host is the server, else `fallback` is, else [`DEFAULT_SERVER`].
pub fn server_and_repository(
    text: &str,
    server: Option<&str>,
    fallback: Option<&str>,
) -> Result<(Server, Option<RepositoryName>), PlaceError> {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(_, rest)| {
        // With what stands between them.
        text.split_at(text.len() - rest.len())
    });
    let (host, name) = rest.split_once('/').unwrap_or((rest, ""));
    let (server, name) = match server {
        Some(server) if scheme.is_empty() => (server.to_owned(), text),
        Some(_) => {
            let text = crate::secret::without_password(text);
            let reason = "it begins with a scheme, and --server names the server".to_owned();
            return Err(PlaceError::Syntax { text, reason });
        }
        None if !scheme.is_empty() || is_host(host) => (format!("{scheme}{host}"), name),
        None => (fallback.unwrap_or(DEFAULT_SERVER).to_owned(), text),
    };
    let refuse =
        |e: crate::oci::NameError| PlaceError::Syntax { text: text.to_owned(), reason: e.to_string() };
    let name = name.strip_suffix('/').unwrap_or(name);
    let repository = if name.is_empty() { None } else { Some(name.parse().map_err(refuse)?) };
    Ok((server.parse()?, repository))
}

fn is_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost"
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, server: Option<&str>, fallback: Option<&str>) -> String {
        let place = Place::parse(text, server, fallback).unwrap();
        let reference = place.reference.map(|reference| format!(" {reference}")).unwrap_or_default();
        format!("{} {}{reference}", place.server, place.repository)
    }

    #[test]
    fn a_reference_says_where_things_are() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, expected) in [
            ("team/runs", "http://127.0.0.1:5000 team/runs".to_owned()),
            ("team/runs:v1", "http://127.0.0.1:5000 team/runs v1".to_owned()),
            ("host.example/team/runs:v1", "https://host.example team/runs v1".to_owned()),
            ("localhost:5001/runs", "http://localhost:5001 runs".to_owned()),
            ("[::1]:5001/runs", "http://[::1]:5001 runs".to_owned()),
            ("127.0.0.2/runs", "http://127.0.0.2 runs".to_owned()),
            ("docker.io/team/runs:v1", "https://registry-1.docker.io team/runs v1".to_owned()),
            ("docker.io/alpine", "https://registry-1.docker.io library/alpine".to_owned()),
            (&format!("runs@{digest}"), format!("http://127.0.0.1:5000 runs {digest}")),
            (&format!("h:1/runs:v1@{digest}"), format!("https://h:1 runs {digest}")),
        ] {
            assert_eq!(place(text, None, None), expected);
        }
    }

    #[test]
    fn a_named_server_comes_before_the_reference_and_a_fallback_behind_it() {
        assert_eq!(place("a.b/c", Some("http://host.example"), None), "http://host.example a.b/c");
        assert_eq!(place("a/c", None, Some("https://host.example/")), "https://host.example a/c");
        assert_eq!(place("a.b/c", None, Some("https://host.example")), "https://a.b c");
        assert_eq!(place("a/c", Some("host.example:1"), Some("x")), "https://host.example:1 a/c");
    }

    #[test]
    fn a_server_is_named_with_a_repository_or_without() {
        for (text, server, expected) in [
            ("", None, "http://127.0.0.1:5000 -"),
            ("team/runs", None, "http://127.0.0.1:5000 team/runs"),
            ("host.example", None, "https://host.example -"),
            ("host.example/", None, "https://host.example -"),
            ("host.example/team/runs", None, "https://host.example team/runs"),
            ("http://host:5000", None, "http://host:5000 -"),
            ("http://host:5000/team/runs", None, "http://host:5000 team/runs"),
            ("a.b/runs", Some("http://host"), "http://host a.b/runs"),
            ("", Some("http://host"), "http://host -"),
        ] {
            let (at, repository) = server_and_repository(text, server, None).unwrap();
            let repository = repository.as_ref().map_or("-", RepositoryName::as_str);
            assert_eq!(format!("{at} {repository}"), expected, "{text}");
        }
        for (text, server) in [
            ("ftp://host/a", None),
            ("http:///a", None),
            ("Team", None),
            ("team/runs:v1", None),
            ("http://me:secret@host/a", None),
            ("http://me:secret@host/a", Some("http://host")),
        ] {
            let refused = server_and_repository(text, server, None).unwrap_err().to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in ["", "A/b", "a:", "a:b:c/d", "a@sha256:0", "host.example/", "a b", "https://host/a"] {
            assert!(Place::parse(text, None, None).is_err(), "{text}");
        }
        let error = Place::parse("https://host.example/a", None, None).unwrap_err().to_string();
        assert!(error.contains("begins with a scheme; write \"host.example/a\", or"), "{error}");
        let error = Place::parse("https://me:secret@host.example/a", None, None).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        for server in ["", "ftp://host", "http://", "http://host/path", "http://user:secret@host", "a b"] {
            let error = Place::parse("a", Some(server), None).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
