//! What can be allowed.

use std::fmt;
use std::str::FromStr;

use crate::oci::excerpt;
use crate::setting::nearest;

/// What somebody may do. None of them implies another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Read what is in a repository, and that it is there.
    Pull,
    /// Add to a repository: blobs, manifests, new tags, packages, objects.
    Push,
    /// Have a tag that exists name another manifest, or a key another object.
    Overwrite,
    /// Remove what nothing protects.
    Delete,
    /// Give a class, extend a retention, and shorten one where its mode lets somebody.
    Retain,
    /// Place a hold.
    Hold,
    /// Release a hold.
    Release,
    /// Propose, cancel and execute a disposition.
    Dispose,
    /// Approve or reject what somebody else proposed.
    Approve,
    /// Read the log and the audit.
    Audit,
    /// Change what holds for everybody: schemas, webhooks, garbage collection, verification, the clock.
    Admin,
}

/// Why a text is no action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no action {text:?}{}", nearest.as_ref().map(|it| format!("; is it {it}?")).unwrap_or_default())]
pub struct ActionError {
    text: String,
    nearest: Option<String>,
}

impl Action {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Pull,
        Self::Push,
        Self::Overwrite,
        Self::Delete,
        Self::Retain,
        Self::Hold,
        Self::Release,
        Self::Dispose,
        Self::Approve,
        Self::Audit,
        Self::Admin,
    ];

    /// As policies, tokens and errors have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Overwrite => "overwrite",
            Self::Delete => "delete",
            Self::Retain => "retain",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Dispose => "dispose",
            Self::Approve => "approve",
            Self::Audit => "audit",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let found = Self::ALL.into_iter().find(|action| action.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.into_iter().map(|action| (action.as_str().to_owned(), action.as_str()));
            ActionError { text: excerpt(text), nearest: nearest(text, known) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_read_as_it_is_written_and_no_other_text_is_one() {
        for action in Action::ALL {
            assert_eq!(action.to_string().parse(), Ok(action));
            assert!(action.as_str().to_uppercase().parse::<Action>().is_err());
        }
        for text in ["", "*", "pull,push", " pull", "root"] {
            assert!(text.parse::<Action>().is_err(), "{text:?}");
        }
        let refused = "pusch".parse::<Action>().unwrap_err();
        assert_eq!(refused.to_string(), "there is no action \"pusch\"; is it push?");
    }
}
