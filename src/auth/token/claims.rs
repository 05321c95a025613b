//! What the registry's own tokens say.
//!
//! | claim | what |
//! |---|---|
//! | `iss`, `aud` | whom it is from and for |
//! | `sub` | who it is for: `user:NAME`, `robot:NAME` or `anonymous` |
//! | `iat`, `nbf`, `exp` | when it was made, begins and ends, in seconds since 1970 |
//! | `jti` | what names it in the log |
//! | `access` | access tokens only: what was granted (distribution specification, `auth/jwt.md`), also where it is nothing |
//! | `external` | only if an external issuer vouches for it: its alias, and the groups it named |

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::jws::ClaimSet;
use super::purpose::Purpose;
use super::validity::Validity;
use super::{Subject, TokenError};
use crate::auth::{Access, Name, Principal};
use crate::clock::{Micros, SECOND};

/// What a token says that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whom it is for.
    pub subject: Subject,
    /// What was granted when it was made. Empty for a refresh token, which grants nothing by itself.
    pub access: Vec<Access>,
    /// What names it in the log.
    pub id: Box<str>,
    /// When it was made; what happened to somebody later, as a new password, it does not know.
    pub issued_at: Micros,
    /// When it ends.
    pub expires_at: Micros,
}

/// The claims as they are written.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub(super) iss: &'a str,
    pub(super) aud: &'a str,
    pub(super) sub: String,
    pub(super) iat: i64,
    pub(super) nbf: i64,
    pub(super) exp: i64,
    pub(super) jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access: Option<&'a [Access]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) external: Option<External>,
}

/// The claim `external`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct External {
    issuer: String,
    groups: Vec<String>,
}

impl External {
    pub(super) fn of(subject: &Subject) -> Option<Self> {
        let groups = match subject.principal() {
            Principal::Robot { groups, .. } => groups.iter().map(Name::to_string).collect(),
            Principal::Anonymous | Principal::User { .. } => Vec::new(),
        };
        subject.issuer().map(|issuer| Self { issuer: issuer.to_string(), groups })
    }

    /// Somebody whom it makes of a robot that `sub` names.
    fn apply(self, sub: &Subject) -> Option<Subject> {
        let Principal::Robot { name, .. } = sub.principal() else { return None };
        let groups: Option<BTreeSet<Name>> = self.groups.iter().map(|group| group.parse().ok()).collect();
        Subject::external(self.issuer.parse().ok()?, name.clone(), groups?)
    }
}

impl Claims {
    /// Reads what is signed, whatever time it is. Whoever asks looks at the issuer, audience and times.
    pub(super) fn read(set: &ClaimSet, validity: Validity, purpose: Purpose) -> Result<Self, TokenError> {
        let is_known = |claim: &str| match claim {
            "iss" | "aud" | "sub" | "iat" | "nbf" | "exp" | "jti" | "external" => true,
            "access" => purpose == Purpose::Access,
            _ => false,
        };
        if !set.names().all(is_known) {
            return Err(TokenError::UnknownClaim);
        }
        let access = match purpose {
            Purpose::Access => {
                let access = set.get("access").ok_or(TokenError::Missing { claim: "access" })?;
                Vec::deserialize(access).map_err(|_| TokenError::Malformed { claim: "access" })?
            }
            Purpose::Refresh => Vec::new(),
        };
        Ok(Self {
            subject: subject(set)?,
            access,
            id: set.text("jti")?.into(),
            issued_at: validity.issued * SECOND,
            expires_at: validity.expires * SECOND,
        })
    }
}

fn subject(set: &ClaimSet) -> Result<Subject, TokenError> {
    let sub = Subject::read(set.text("sub")?).ok_or(TokenError::Malformed { claim: "sub" })?;
    let Some(external) = set.get("external") else { return Ok(sub) };
    let external = External::deserialize(external).ok();
    external.and_then(|it| it.apply(&sub)).ok_or(TokenError::Malformed { claim: "external" })
}
