//! What tells the two kinds of the registry's tokens apart.

use super::Options;

/// What a token is good for. One kind is never taken for the other: both their type and their audience differ
/// (RFC 8725 sections 3.11 and 3.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Requests.
    Access,
    /// Access tokens.
    Refresh,
}

impl Purpose {
    /// `typ` of the header.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Access => "artifactstore-access+jwt",
            Self::Refresh => "artifactstore-refresh+jwt",
        }
    }

    /// `aud` for a service: no service has the sign that is in the second one.
    pub(super) fn audience(self, service: &str) -> String {
        match self {
            Self::Access => service.to_owned(),
            Self::Refresh => format!("{service}#refresh"),
        }
    }

    /// How long one may last at most, in seconds.
    pub(super) fn longest(self) -> u64 {
        match self {
            Self::Access => Options::LONGEST_ACCESS,
            Self::Refresh => Options::LONGEST_REFRESH,
        }
    }
}
