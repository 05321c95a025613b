//! What a manifest is asked for by (distribution-spec, "Pulling manifests").

use std::str::FromStr;

use super::digest::{Digest, DigestError};
use super::name::{Tag, TagError};
use super::text::checked_text;

/// A tag or a digest: the last part of a manifest's URL.
///
/// Text with a `:` is a digest or an error, never a tag: a malformed digest must not create one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// A name that may move.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

impl Reference {
    /// The reference as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

/// Why a text is neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It has no `:`, so it was meant as a tag, and is none.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// It has a `:`, so it was meant as a digest, and is none.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(s: &str) -> Result<Self, ReferenceError> {
        if s.contains(':') { Ok(Self::Digest(s.parse()?)) } else { Ok(Self::Tag(s.parse()?)) }
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

checked_text!(Reference, "a tag or a digest");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_without_a_colon_is_a_tag() {
        assert!(matches!("v1".parse(), Ok(Reference::Tag(tag)) if tag.as_str() == "v1"));
        assert!(matches!(".v1".parse::<Reference>(), Err(ReferenceError::Tag(_))));
        // A digest without its algorithm happens to be a fine tag.
        assert!(matches!("a".repeat(64).parse(), Ok(Reference::Tag(_))));
    }

    #[test]
    fn a_malformed_digest_is_never_a_tag() {
        for text in ["sha256:baddigeststring", "md5:00", ":", "v1:"] {
            assert!(matches!(text.parse::<Reference>(), Err(ReferenceError::Digest(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_reference_keeps_its_text(text in "(sha256:[0-9a-f]{64}|[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20})") {
            let reference: Reference = text.parse().unwrap();
            prop_assert_eq!(reference.as_str(), &text);
            prop_assert_eq!(matches!(reference, Reference::Digest(_)), text.contains(':'));
        }
    }
}
