//! Addresses of services, as the environment gives them.

use std::fmt;
use std::net::SocketAddr;

/// `scheme://user:password@address/path`. None of the parts needs escaping in the services of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    scheme: String,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
}

impl Place {
    /// The service a variable names. Missing ones fail the test: a suite that skips proves nothing.
    pub(crate) fn of_variable(name: &str) -> Self {
        let value = std::env::var(name).unwrap_or_else(|_| {
            panic!("{name} is not set; start the services with: eval \"$(tests/services up DIR)\"")
        });
        Self::parse(&value)
            .unwrap_or_else(|| panic!("{name} is no scheme://user:password@127.0.0.1:port/path"))
    }

    pub(crate) fn new(scheme: &str, (user, password): (&str, &str), address: SocketAddr, path: &str) -> Self {
        let (user, password) = (user.to_owned(), Some(password.to_owned()));
        Self { scheme: scheme.to_owned(), user, password, address, path: path.to_owned() }
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let (login, place) = rest.rsplit_once('@')?;
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (login, None),
        };
        let (address, path) = place.split_once('/').unwrap_or((place, ""));
        let address = address.replace("localhost", "127.0.0.1").parse().ok()?;
        let (scheme, user, path) = (scheme.to_owned(), user.to_owned(), path.to_owned());
        Some(Self { scheme, user, password, address, path })
    }

    /// The same service, reached through something else.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// Another database of the same server.
    pub(crate) fn with_path(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    pub(crate) fn with_password(&self, password: &str) -> Self {
        Self { password: Some(password.to_owned()), ..self.clone() }
    }

    /// Without login and path.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map_or(String::new(), |password| format!(":{password}"));
        write!(f, "{}://{}{password}@{}/{}", self.scheme, self.user, self.address, self.path)
    }
}
