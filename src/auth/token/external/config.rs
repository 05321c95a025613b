//! How an external issuer is configured.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::claim::{ClaimPath, Glob, Requirement};
use super::{ExternalIssuer, algorithm};
use crate::auth::{Name, NameError};
use crate::oci::excerpt;
use crate::setting::{Kind, Value};

/// The longest URL or audience, in bytes.
const LONGEST: usize = 512;

/// Required claims of one issuer, and patterns of one claim, at most.
const MOST: usize = 64;

/// How long a token may last that an external issuer made.
const LIFETIME: Kind = Kind::Duration { min: Duration::from_mins(1), max: Duration::from_hours(24) };

/// Algorithms for whoever says nothing about them.
const USUAL: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Why an external issuer can not be used as it is configured. Says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// Its alias is no name.
    #[error("alias: {0}")]
    Alias(#[source] NameError),
    /// Its alias is two names.
    #[error("alias: a name without /, which follows it in the names of its workloads")]
    Slash,
    /// It is no URL of https.
    #[error(
        "issuer: a URL like https://token.example, as it is in the tokens, without user, query and fragment"
    )]
    Issuer,
    /// No audience is named.
    #[error("audience: 1 to {LONGEST} visible ASCII characters; what the workload asks its token for")]
    Audience,
    /// An algorithm is not known, or not asymmetric.
    #[error("algorithms: {text:?} is none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA")]
    Algorithm {
        /// What was written, shortened.
        text: String,
    },
    /// No algorithm is allowed.
    #[error("algorithms: this list is empty, and no token would be let in")]
    NoAlgorithm,
    /// Every token of the issuer would be let in, or too much is required to look at.
    #[error("require: 1 to {MOST} claims; without one everybody's workloads at this issuer would be let in")]
    Require,
    /// What is written for a claim is no value and no list of patterns.
    #[error(
        "require: {claim:?} is a text without *, or a list of 1 to {MOST} patterns, in which * is any text without / \
         and :, and /** or :** at the end all that follows"
    )]
    Pattern {
        /// Where the claim is, shortened.
        claim: String,
    },
    /// A text is no place of a claim.
    #[error(
        "{key}: {text:?} is neither the name of a claim nor a JSON pointer like /kubernetes.io/namespace"
    )]
    Claim {
        /// Where it stands.
        key: &'static str,
        /// What was written, shortened.
        text: String,
    },
    /// Tokens would last too short or too long.
    #[error("max_lifetime: {hint}")]
    Lifetime {
        /// What to write.
        hint: String,
    },
    /// There are more issuers than are looked at.
    #[error("there are at most {most} external issuers")]
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// Two have the same alias or the same URL.
    #[error("{0:?} is there twice")]
    Twice(String),
}

/// A configuration as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    alias: String,
    issuer: String,
    audience: String,
    algorithms: Option<Vec<String>>,
    require: BTreeMap<String, Wanted>,
    #[serde(default = "sub")]
    name: String,
    groups: Option<String>,
    max_lifetime: Option<String>,
}

/// What is required of one claim.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    Exact(String),
    Any(Vec<String>),
}

/// The claim every token has and no two workloads share.
fn sub() -> String {
    "sub".to_owned()
}

impl TryFrom<Written> for ExternalIssuer {
    type Error = ExternalError;

    fn try_from(written: Written) -> Result<Self, ExternalError> {
        let is_visible = |text: &str| {
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let alias: Name = written.alias.parse().map_err(ExternalError::Alias)?;
        if alias.as_str().contains('/') {
            return Err(ExternalError::Slash);
        }
        if !is_visible(&written.issuer) || !is_https(&written.issuer) {
            return Err(ExternalError::Issuer);
        }
        if !is_visible(&written.audience) {
            return Err(ExternalError::Audience);
        }
        if !(1..=MOST).contains(&written.require.len()) {
            return Err(ExternalError::Require);
        }
        Ok(Self {
            alias,
            issuer: written.issuer.into(),
            audience: written.audience.into(),
            algorithms: algorithms(written.algorithms)?,
            require: written.require.into_iter().map(required).collect::<Result<_, _>>()?,
            name: place("name", &written.name)?,
            groups: written.groups.map(|groups| place("groups", &groups)).transpose()?,
            max_lifetime: lifetime(written.max_lifetime.as_deref())?,
        })
    }
}

/// A URL of https with a host (`OpenID` Connect Core 2, `iss`).
fn is_https(url: &str) -> bool {
    let rest = url.strip_prefix("https://").unwrap_or_default();
    !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', '@', '\\'])
}

fn algorithms(names: Option<Vec<String>>) -> Result<Vec<Algorithm>, ExternalError> {
    let Some(names) = names else { return Ok(USUAL.to_vec()) };
    if names.is_empty() {
        return Err(ExternalError::NoAlgorithm);
    }
    let known = |name: &String| {
        algorithm::named(name).ok_or_else(|| ExternalError::Algorithm { text: excerpt(name) })
    };
    names.iter().map(known).collect()
}

fn required((claim, wanted): (String, Wanted)) -> Result<(ClaimPath, Requirement), ExternalError> {
    let path = place("require", &claim)?;
    let requirement = match wanted {
        Wanted::Exact(only) if !only.is_empty() && !only.contains('*') => {
            Some(Requirement::Exact(only.into()))
        }
        Wanted::Any(globs) if (1..=MOST).contains(&globs.len()) => {
            let globs: Result<Vec<Glob>, ()> = globs.iter().map(|glob| glob.parse()).collect();
            globs.ok().map(Requirement::Any)
        }
        Wanted::Exact(_) | Wanted::Any(_) => None,
    };
    let requirement = requirement.ok_or_else(|| ExternalError::Pattern { claim: excerpt(&claim) })?;
    Ok((path, requirement))
}

fn place(key: &'static str, text: &str) -> Result<ClaimPath, ExternalError> {
    ClaimPath::from_str(text).map_err(|()| ExternalError::Claim { key, text: excerpt(text) })
}

fn lifetime(text: Option<&str>) -> Result<u64, ExternalError> {
    match LIFETIME.parse(text.unwrap_or("24h")) {
        Ok(Value::Duration(longest)) => Ok(longest.as_secs()),
        Ok(_) => unreachable!("a duration is read as one"),
        Err(hint) => Err(ExternalError::Lifetime { hint }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        alias = "github"
        issuer = "https://token.actions.githubusercontent.com"
        audience = "reg.example"
        algorithms = ["RS256"]
        require = { repository_owner = "octo", ref = ["refs/heads/main", "refs/tags/v*"] }
        name = "repository"
        groups = "/teams/names"
        max_lifetime = "1h"
    "#;

    fn read(text: &str) -> Result<ExternalIssuer, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn what_is_configured_is_read_and_the_rest_has_its_usual_values() {
        let full = read(GOOD).unwrap();
        assert_eq!((full.alias().as_str(), full.audience()), ("github", "reg.example"));
        assert_eq!(full.issuer(), "https://token.actions.githubusercontent.com");
        assert_eq!((full.algorithms, full.max_lifetime), (vec![Algorithm::RS256], 3600));
        let short =
            read("alias = \"k8s\"\nissuer = \"https://k\"\naudience = \"r\"\nrequire = { sub = [\"**\"] }");
        let short = short.unwrap();
        assert_eq!((&*short.algorithms, short.max_lifetime), (&USUAL[..], 86_400));
        assert_eq!((short.name.as_str(), short.groups), ("sub", None));
    }

    #[test]
    fn what_could_let_in_anybody_or_nobody_is_refused() {
        let good = "https://token.actions.githubusercontent.com";
        for (from, to, reason) in [
            ("\"github\"", "\"git/hub\"", "alias: a name without /"),
            ("\"github\"", "\"GitHub\"", "alias: the name \"GitHub\" has 'G'"),
            (good, "http://token.example", "issuer: a URL like https"),
            (good, "https://", "issuer: a URL like https"),
            (good, "https:///x", "issuer: a URL like https"),
            (good, "https://me:pw@token.example", "issuer: a URL like https"),
            (good, "https://token.example?x", "issuer: a URL like https"),
            ("\"reg.example\"", "\"\"", "audience: 1 to 512"),
            ("[\"RS256\"]", "[]", "algorithms: this list is empty"),
            ("RS256", "HS256", "algorithms: \"HS256\" is none of"),
            ("RS256", "none", "algorithms: \"none\" is none of"),
            ("RS256", "rs256", "algorithms: \"rs256\" is none of"),
            (
                "{ repository_owner = \"octo\", ref = [\"refs/heads/main\", \"refs/tags/v*\"] }",
                "{}",
                "require: 1 to 64",
            ),
            ("\"octo\"", "\"octo*\"", "require: \"repository_owner\" is a text without *"),
            ("\"octo\"", "\"\"", "require: \"repository_owner\" is a text without *"),
            ("\"octo\"", "[]", "require: \"repository_owner\" is a text without *"),
            ("\"octo\"", "[\"a**\"]", "require: \"repository_owner\" is a text without *"),
            ("\"octo\"", "1", "data did not match"),
            ("repository_owner =", "\"/a~\" =", "require: \"/a~\" is neither"),
            ("name = \"repository\"", "name = \"\"", "name: \"\" is neither"),
            ("/teams/names", "/teams~", "groups: \"/teams~\" is neither"),
            ("1h", "25h", "max_lifetime: give a time"),
            ("1h", "1s", "max_lifetime: give a time"),
            ("max_lifetime", "maxlifetime", "unknown field `maxlifetime`"),
            ("audience = \"reg.example\"", "", "missing field `audience`"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let refused = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(refused.contains(reason), "{to}: {refused}");
        }
    }
}
