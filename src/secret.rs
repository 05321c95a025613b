//! Values that must never be shown.

use std::fmt;

/// A password or key. It cannot be printed: what holds one shows `***` in its place, also in errors and logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// The value, for whoever has to present it to somebody.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value.into())
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL without its password, and without its query, which may hold one too.
pub fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    let place = rest.split(['?', '#']).next().unwrap_or_default();
    match place.rsplit_once('@') {
        Some((user, place)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}{separator}{user}@{place}")
        }
        // A password that was not encoded may hold the sign that begins a query.
        None if rest.contains('@') => format!("{scheme}{separator}***"),
        None => format!("{scheme}{separator}{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("https://host:9000/path", "https://host:9000/path"),
            ("postgres://me:secret@host:5433/db?sslpassword=x", "postgres://me@host:5433/db"),
            ("postgres://me:se@cr:et@host/db", "postgres://me@host/db"),
            ("postgres://me:se?cret@host/db", "postgres://***"),
            ("me:secret@host", "me@host"),
            ("plain", "plain"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
