//! Who may do what: identities, and the policy that allows them things.
//!
//! A [`Policy`] is one file, read as a whole or not at all. It only ever allows: what no rule allows is refused, to an
//! administrator as to anybody. Nothing follows from something else: whoever may push may not therefore pull.
//!
//! Everything here is a function of what it is given. Who somebody is, and when a file is read again, is found out
//! elsewhere.

mod access;
mod action;
mod base32;
mod key;
mod password;
mod pattern;
mod policy;
mod presented;
mod principal;
mod throttle;
pub mod token;

pub use access::{Access, AccessError};
pub use action::{Action, ActionError};
pub use key::{ApiKey, ApiKeyError, ApiKeyId, ApiKeyIdError, KeyDigest, KeyGrant, KeyScope, KeyScopeError};
pub use password::{Htpasswd, HtpasswdError, NewPassword, PasswordError, PasswordHash, PasswordHashError};
pub use pattern::{PatternError, RepositoryPattern};
pub use policy::{Outcome, Policy, PolicyError, Question, Rule, Scope};
pub use presented::{Challenge, Presented, PresentedError, TokenFault};
pub use principal::{Member, MemberError, Name, NameError, Principal};
pub use throttle::{LoginThrottle, RetryAfter};
