//! What is wrong with a token.

use std::fmt;

/// A part of a token: they stand between its dots, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// How it is signed.
    Header,
    /// What it says.
    Claims,
    /// The proof.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
        })
    }
}

/// Why a token is no good: words for the log, for a client it is `invalid_token` (RFC 6750 section 3.1). Names of claims
/// are those of the program or of the configuration: nothing that was in the token is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is too long. Nothing of it was looked at.
    #[error("the token is longer than {longest} bytes")]
    Length {
        /// What would have been looked at, in bytes.
        longest: usize,
    },
    /// It has not three parts (RFC 7515 section 7.1).
    #[error("the token has not three parts with dots between them")]
    Form,
    /// A part is not base64url, has padding, or bits to spare that are not zero.
    #[error("the token's {0} is not base64url as RFC 7515 has it")]
    Base64(Part),
    /// A part is no JSON object, or one nested too deep.
    #[error("the token's {0} is not a JSON object")]
    Json(Part),
    /// An object has a key twice: readers differ about which of the two counts.
    #[error("the token's {0} has a key twice")]
    Twice(Part),
    /// The header says something that is never believed: a key, where to find one, or that the rest is to be read in
    /// another way.
    #[error("the token's header has {name}")]
    Header {
        /// What.
        name: &'static str,
    },
    /// The header of a token of ours has something we write into none.
    #[error("the token's header has more than alg, typ and kid")]
    UnknownHeader,
    /// It is signed in a way that is not allowed, or that does not fit the key.
    #[error("the token's algorithm is none that is allowed with its key")]
    Algorithm,
    /// It is of another kind, `typ`.
    #[error("the token is of another type")]
    Type,
    /// It does not name its key: one of ours always does, an external one has to if there are several.
    #[error("the token does not name its key")]
    NoKey,
    /// It is signed by a key that is not known.
    #[error("the token's key is not known")]
    UnknownKey,
    /// Several keys have the name it gives.
    #[error("there are several keys of the name the token gives")]
    AmbiguousKey,
    /// The signature is not the one of its key.
    #[error("the token's signature is wrong")]
    Signature,
    /// It lacks a claim.
    #[error("the token has no claim {claim}")]
    Missing {
        /// Which.
        claim: &'static str,
    },
    /// A claim is of another type, out of range, or not written as it has to be.
    #[error("the token's claim {claim} is not what it has to be")]
    Malformed {
        /// Which.
        claim: &'static str,
    },
    /// A token of ours has a claim that is not known: it may be a limit.
    #[error("the token has a claim that is not known")]
    UnknownClaim,
    /// It is by somebody else, `iss`.
    #[error("the token is from another issuer")]
    Issuer,
    /// It is for somebody else, `aud`.
    #[error("the token is for another audience")]
    Audience,
    /// It ends before it begins.
    #[error("the token ends before it begins")]
    Order,
    /// It lasts longer than any may.
    #[error("the token lasts longer than {longest} seconds")]
    Lifetime {
        /// What it may, in seconds.
        longest: u64,
    },
    /// It was made later than now, `iat`.
    #[error("the token was made later than now")]
    Future,
    /// It is not good yet, `nbf`.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It is over, `exp`.
    #[error("the token is expired")]
    Expired,
    /// A claim of an external token is not one the configuration lets in.
    #[error("the token's claim {claim} is none that the configuration lets in")]
    Requirement {
        /// Where the claim is, as the configuration writes it.
        claim: Box<str>,
    },
    /// A claim of an external token gives no name of somebody or of a group.
    #[error("the token's claim {claim} gives no name: {reason}")]
    Name {
        /// Where the claim is, as the configuration writes it.
        claim: Box<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
}
