//! Tokens of other issuers: workloads prove who they are with what their platform gave them (`OpenID` Connect Core 2).
//!
//! ```toml
//! [[issuer]]
//! alias = "github"
//! issuer = "https://token.actions.githubusercontent.com"
//! audience = "reg.example"
//! require = { repository_owner = "octo", ref = ["refs/heads/main", "refs/tags/v*"] }
//! name = "repository"
//!
//! [[issuer]]
//! alias = "k8s"
//! issuer = "https://cluster.example"
//! audience = "reg.example"
//! require = { sub = ["system:serviceaccount:ci:*"] }
//! name = "/kubernetes.io/serviceaccount/name"
//! ```
//!
//! Whom such a token names is a robot, `github/…`: its name and all its groups are in the namespace of the alias, so that
//! it is never somebody this registry knows. At least one claim has to be required: an issuer of everybody's workloads
//! vouches for everybody.

mod algorithm;
mod claim;
mod config;
mod issuers;
mod jwks;
mod name;

use std::collections::BTreeSet;

use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::jws::{ClaimSet, Unproven};
use super::subject::is_in_namespace;
use super::validity::Validity;
use super::{Subject, TokenError};
use crate::auth::Name;
use crate::clock::Micros;
use crate::secret::Secret;

use claim::{ClaimPath, Requirement};
use name::mapped;

pub use config::ExternalError;
pub use issuers::ExternalIssuers;
pub use jwks::{Jwks, JwksError};

/// The longest token, in bytes. A header may be that long.
const LONGEST: usize = 16 * 1024;

/// Groups of one token, at most: they all have to fit into one of ours.
const GROUPS: usize = 64;

/// Somebody who vouches for workloads. Holding one is proof that its configuration was checked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "config::Written")]
pub struct ExternalIssuer {
    alias: Name,
    issuer: Box<str>,
    audience: Box<str>,
    algorithms: Vec<Algorithm>,
    require: Vec<(ClaimPath, Requirement)>,
    name: ClaimPath,
    groups: Option<ClaimPath>,
    /// In seconds.
    max_lifetime: u64,
}

impl ExternalIssuer {
    /// What it is called here, and the namespace of all it names.
    pub fn alias(&self) -> &Name {
        &self.alias
    }

    /// Its name in its tokens, an https URL; its keys are found from there (`OpenID` Connect Discovery 4).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whom its tokens have to be for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Whether a name is in its namespace: nobody this registry knows may have such a one.
    pub fn owns(&self, name: &Name) -> bool {
        is_in_namespace(name, &self.alias)
    }

    /// The name it gives for the value of a claim: what a policy writes. Nothing if there is none for it.
    pub fn name_of(&self, value: &str) -> Option<Name> {
        mapped(&self.alias, value).ok()
    }

    /// Who a token is from, if it is good at a time, by keys that the issuer published.
    /// [`TokenError::UnknownKey`] may mean that the issuer has newer ones.
    pub fn verify(&self, token: &Secret, keys: &Jwks, now: Micros) -> Result<Subject, TokenError> {
        let token = Unproven::read(token, LONGEST)?;
        let algorithm = algorithm::named(token.header.algorithm()?).ok_or(TokenError::Algorithm)?;
        if !self.algorithms.contains(&algorithm) {
            return Err(TokenError::Algorithm);
        }
        // Tokens for something else than saying who somebody is have a type of their own (RFC 8725 section 3.11).
        if token.header.kind()?.is_some_and(|kind| !kind.eq_ignore_ascii_case("JWT")) {
            return Err(TokenError::Type);
        }
        let key = keys.find(token.header.key()?, algorithm)?;
        self.subject(&token.verified(key, algorithm)?, now)
    }

    /// Who is meant by claims that are proven.
    fn subject(&self, claims: &ClaimSet, now: Micros) -> Result<Subject, TokenError> {
        if claims.text("iss")? != &*self.issuer {
            return Err(TokenError::Issuer);
        }
        if !claims.audiences()?.contains(&&*self.audience) {
            return Err(TokenError::Audience);
        }
        claims.text("sub")?;
        Validity::read(claims)?.check(now, self.max_lifetime)?;
        for (path, requirement) in &self.require {
            let value = path.of(claims).and_then(Value::as_str);
            if !value.is_some_and(|value| requirement.lets_in(value)) {
                return Err(TokenError::Requirement { claim: path.as_str().into() });
            }
        }
        let name = self.named(&self.name, path_text(self.name.of(claims)))?;
        let subject = Subject::external(self.alias.clone(), name, self.groups(claims)?);
        Ok(subject.expect("mapped names are in the namespace"))
    }

    /// The groups it names. An issuer that names none may leave the claim out.
    fn groups(&self, claims: &ClaimSet) -> Result<BTreeSet<Name>, TokenError> {
        let Some(path) = &self.groups else { return Ok(BTreeSet::new()) };
        match path.of(claims) {
            None => Ok(BTreeSet::new()),
            Some(Value::Array(all)) if all.len() > GROUPS => Err(refused(path, "it has more than 64 groups")),
            Some(Value::Array(all)) => {
                all.iter().map(|group| self.named(path, path_text(Some(group)))).collect()
            }
            Some(one) => self.named(path, path_text(Some(one))).map(|group| BTreeSet::from([group])),
        }
    }

    fn named(&self, path: &ClaimPath, value: Result<&str, &'static str>) -> Result<Name, TokenError> {
        value.and_then(|value| mapped(&self.alias, value)).map_err(|reason| refused(path, reason))
    }
}

fn path_text(value: Option<&Value>) -> Result<&str, &'static str> {
    value.and_then(Value::as_str).ok_or("it is not there, or no text")
}

fn refused(path: &ClaimPath, reason: &'static str) -> TokenError {
    TokenError::Name { claim: path.as_str().into(), reason }
}
