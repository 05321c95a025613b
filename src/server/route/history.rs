//! The route of the history of a tag.

use http::Method;

use super::parameters::Parameters;
use super::{Route, RouteError, read};
use crate::oci::RepositoryName;
use crate::registry::HistorySpan;
use crate::retention::parse_rfc3339;

/// Which part of the history of a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// How many entries at most.
    pub n: Option<usize>,
    /// Which.
    pub span: HistorySpan,
}

/// What a request asks for. The tag of a history is one that was: a malformed one never was.
pub(super) fn parse(
    method: &Method,
    name: RepositoryName,
    tag: &str,
    query: &Parameters,
) -> Result<Route, RouteError> {
    let moment = |name| query.read(name, "a moment like 2030-01-31T00:00:00Z", parse_rfc3339);
    let n = query.number("n", 0, None)?.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let last = query.number("last", 1, Some(i64::MAX.unsigned_abs()))?;
    let span = HistorySpan {
        before: moment("before")?,
        since: moment("since")?,
        last: last.map(u64::cast_signed),
        digest: query.digest("digest")?,
    };
    let tag = tag.parse().map_err(RouteError::Tag)?;
    read(method, Route::TagHistory(name, tag, History { n, span }))
}
