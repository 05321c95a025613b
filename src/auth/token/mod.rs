//! Tokens: what a client shows in place of its password, how one is made, and how one is known to be good.
//!
//! Signed JSON web tokens (RFC 7519, RFC 7515), two kinds of this registry's own and those of others:
//!
//! | token | made by | good for |
//! |---|---|---|
//! | access | [`Issuer::access`] | a request, for minutes; says what was granted |
//! | refresh | [`Issuer::refresh`] | another access token, for days; grants nothing by itself |
//! | external | an issuer of workloads' identities, [`ExternalIssuer`] | an access token |
//!
//! A token says who somebody is. What they may do is asked of the policy again at every request, so that it counts at
//! once when a rule or a group goes. The groups an external issuer names are the exception: nobody can be asked for them
//! later, and they stand in the access token for as long as that is good.
//!
//! Everything here is a function of its arguments, the time included. Keys, tokens and documents of keys come as text;
//! reading files and asking other servers is done elsewhere. Nothing in an error comes out of a token or a key.
//!
//! | file | what |
//! |---|---|
//! | `keys`, `key_file`, `ring` | the registry's keys, the file they stand in, and which one signs |
//! | `options`, `purpose` | whom tokens are from and for, how long they last, and what tells the two kinds apart |
//! | `subject`, `claims` | whom a token is for, and all that it says |
//! | `issue`, `verify` | making tokens, and refusing all but good ones |
//! | `jws`, `validity` | the form of a token, and its times: the same rules for everybody's |
//! | `external` | tokens of other issuers |

mod claims;
mod error;
mod external;
mod issue;
mod jws;
mod key_file;
mod keys;
mod options;
mod purpose;
mod ring;
mod subject;
mod validity;
mod verify;

#[cfg(test)]
mod tests;

pub use claims::Claims;
pub use error::{Part, TokenError};
pub use external::{ExternalError, ExternalIssuer, ExternalIssuers, Jwks, JwksError};
pub use issue::{IssueError, Issued, Issuer};
pub use key_file::{KeyError, KeyFile};
pub use keys::{SigningKey, VerifyingKey};
pub use options::{Options, OptionsError};
pub use ring::KeyRing;
pub use subject::Subject;
pub use verify::Verifier;
