//! Query parameters.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::RouteError;
use crate::oci::Digest;

/// What may stand in a query value, or with its slashes in a path, as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A text for a query value or a path.
pub fn plain(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, PLAIN)
}

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many at most.
    pub n: Option<usize>,
    /// After which; it need not exist.
    pub last: String,
}

impl Page {
    /// How many entries, where a page has no more than `most`.
    pub fn limit(&self, most: usize) -> usize {
        self.n.unwrap_or(most).min(most)
    }
}

/// Which referrers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these artifact types; all when empty.
    pub artifact_types: Vec<String>,
    /// Continue after this one.
    pub after: Option<Digest>,
}

/// Decoded query parameters. Those a route does not know (`ns`, `state`, `origin`, …) are ignored.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that says something: an empty one counts as absent.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.one(name).filter(|value| !value.is_empty())
    }

    /// A switch: off when it is not there, on when nothing follows its name.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, RouteError> {
        match self.one(name) {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(other) => {
                Err(RouteError::Query { name, reason: format!("{other:?} is neither true nor false") })
            }
        }
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn page(&self) -> Result<Page, RouteError> {
        let n = self.given("n");
        let invalid =
            |n: &str| RouteError::Query { name: "n", reason: format!("{n:?} is not a number of entries") };
        let n = n.map(|n| n.parse().map_err(|_| invalid(n))).transpose()?;
        Ok(Page { n, last: self.one("last").unwrap_or_default().to_owned() })
    }

    pub(super) fn filter(&self) -> Result<Filter, RouteError> {
        // Clients send the `+` of a media type raw, and a media type holds no space.
        let types = self.all("artifactType").filter(|t| !t.is_empty()).map(|t| t.replace(' ', "+"));
        let after = self.one("last").map(|last| last.parse().map_err(RouteError::Digest)).transpose()?;
        Ok(Filter { artifact_types: types.collect(), after })
    }
}
