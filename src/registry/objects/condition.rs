//! What a key must name for a change of it to happen.
//!
//! The log decides at the moment of the change, so of two that create a key under the condition that there is none, one
//! is refused.

use crate::oci::Digest;

/// Contents, by SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Whatever it is.
    Any,
    /// One of these.
    Of(Vec<Digest>),
}

/// What a key must name, and what it must not. The default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// It must name one of these.
    pub is: Option<Contents>,
    /// It must name none of these.
    pub is_not: Option<Contents>,
}

impl Contents {
    fn has(&self, now: Option<&Digest>) -> bool {
        match self {
            Self::Any => now.is_some(),
            Self::Of(digests) => now.is_some_and(|now| digests.contains(now)),
        }
    }
}

impl Condition {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a key that names this content now, or nothing, may be changed.
    pub fn allows(&self, now: Option<&Digest>) -> bool {
        self.is.as_ref().is_none_or(|wanted| wanted.has(now))
            && self.is_not.as_ref().is_none_or(|unwanted| !unwanted.has(now))
    }
}
