//! All external issuers of a registry.

use super::super::jws::Unproven;
use super::{ExternalError, ExternalIssuer, LONGEST};
use crate::auth::{Name, token::TokenError};
use crate::secret::Secret;

/// Issuers of one registry, at most.
const MOST: usize = 16;

/// External issuers, each with an alias and a URL of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalIssuers(Vec<ExternalIssuer>);

impl ExternalIssuers {
    /// Those of a configuration.
    pub fn new(issuers: Vec<ExternalIssuer>) -> Result<Self, ExternalError> {
        if issuers.len() > MOST {
            return Err(ExternalError::TooMany { most: MOST });
        }
        for (at, one) in issuers.iter().enumerate() {
            for other in &issuers[..at] {
                if one.alias == other.alias {
                    return Err(ExternalError::Twice(one.alias.to_string()));
                }
                if one.issuer == other.issuer {
                    return Err(ExternalError::Twice(one.issuer.to_string()));
                }
            }
        }
        Ok(Self(issuers))
    }

    /// The one a token claims to be from, which proves nothing: it says whose keys to verify it by. A token that claims
    /// to be from nobody here is [`TokenError::Issuer`].
    pub fn claimed_by(&self, token: &Secret) -> Result<&ExternalIssuer, TokenError> {
        let claims = Unproven::read(token, LONGEST)?.claims()?;
        let claimed = claims.text("iss")?;
        self.0.iter().find(|issuer| issuer.issuer() == claimed).ok_or(TokenError::Issuer)
    }

    /// The one in whose namespace a name is. Nobody this registry knows may have such a name.
    pub fn owner_of(&self, name: &Name) -> Option<&ExternalIssuer> {
        self.0.iter().find(|issuer| issuer.owns(name))
    }

    /// Each of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &ExternalIssuer> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(alias: &str, url: &str) -> ExternalIssuer {
        let text =
            format!("alias = {alias:?}\nissuer = {url:?}\naudience = \"r\"\nrequire = {{ sub = \"x\" }}");
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn two_issuers_share_neither_alias_nor_url() {
        let a = || issuer("a", "https://a");
        for (other, twice) in [(issuer("a", "https://b"), "a"), (issuer("b", "https://a"), "https://a")] {
            let refused = ExternalIssuers::new(vec![a(), other]).unwrap_err();
            assert_eq!(refused, ExternalError::Twice(twice.to_owned()));
        }
        let many = (0..=MOST).map(|n| issuer(&format!("a{n}"), &format!("https://a{n}"))).collect();
        assert_eq!(ExternalIssuers::new(many), Err(ExternalError::TooMany { most: MOST }));
    }

    #[test]
    fn a_name_below_an_alias_is_of_its_issuer() {
        let issuers =
            ExternalIssuers::new(vec![issuer("a", "https://a"), issuer("ab", "https://b")]).unwrap();
        let owner = |name: &str| issuers.owner_of(&name.parse().unwrap()).map(|it| it.alias().as_str());
        assert_eq!(
            (owner("a/x"), owner("ab/x/y"), owner("a"), owner("b/a/x")),
            (Some("a"), Some("ab"), None, None)
        );
    }
}
