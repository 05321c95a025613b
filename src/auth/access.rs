//! What a token is asked for, and what it says.
//!
//! The scopes of the distribution token specification (`docs/content/spec/auth/scope.md`): `repository:team/app:pull,push`,
//! several of them repeated or with spaces between them. What is granted has an entry for everything that was asked for,
//! also where nothing of it is allowed: that tells a client that asked, and may not, from one that did not ask.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Action, Policy, Principal, Question, Scope};
use crate::oci::{RepositoryName, excerpt};

/// Scopes of one token, at most. Every one of them is in the token, which has to fit into a header.
const MOST: usize = 32;

/// The longest scope, in bytes.
const LONGEST: usize = 512;

/// The type of what is about repositories.
const REPOSITORY: &str = "repository";

/// All actions at once.
const ALL: &str = "*";

/// Actions on one thing: what is asked for, or what a token allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Access {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one.
    pub name: String,
    /// The actions, sorted, each once.
    pub actions: BTreeSet<String>,
}

/// Why a text is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// It is not of the form.
    #[error("the scope {text:?} is not of the form repository:NAME:ACTION,ACTION")]
    Form {
        /// The text, shortened.
        text: String,
    },
    /// There are too many.
    #[error("a token has at most {MOST} scopes")]
    TooMany,
}

impl Access {
    /// All scopes of the parameters `scope` of a request, each with one or several. Those of the same thing are one.
    pub fn parse_all<'a>(parameters: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, AccessError> {
        let mut asked: Vec<Self> = Vec::new();
        for text in parameters.into_iter().flat_map(|parameter| parameter.split(' ')) {
            if text.is_empty() {
                continue;
            }
            let scope: Self = text.parse()?;
            match asked.iter_mut().find(|it| it.kind == scope.kind && it.name == scope.name) {
                Some(same) => same.actions.extend(scope.actions),
                None => asked.push(scope),
            }
            if asked.len() > MOST {
                return Err(AccessError::TooMany);
            }
        }
        Ok(asked)
    }

    /// What of it a policy allows somebody. Of what is unknown nothing is allowed, whatever it is.
    #[must_use]
    pub fn granted(&self, policy: &Policy, principal: &Principal) -> Self {
        let may = |action: Action, scope| policy.allows(&Question { principal, action, scope }).is_some();
        let name = self.name.parse::<RepositoryName>();
        let allowed: Vec<Action> = match (&*self.kind, &name) {
            (REPOSITORY, Ok(name)) => {
                Action::ALL.into_iter().filter(|action| may(*action, Scope::Repository(name))).collect()
            }
            _ => Vec::new(),
        };
        let is_asked = |action: &Action| self.covers(*action);
        let actions = allowed.into_iter().filter(is_asked).map(|action| action.as_str().to_owned()).collect();
        Self { kind: self.kind.clone(), name: self.name.clone(), actions }
    }

    /// Whether it is about a repository.
    pub fn is_of(&self, name: &RepositoryName) -> bool {
        self.kind == REPOSITORY && self.name == name.as_str()
    }

    /// Whether an action is among those it names.
    pub fn covers(&self, action: Action) -> bool {
        self.actions.contains(action.as_str()) || self.actions.contains(ALL)
    }
}

/// `type(class):name:action,action`. The class is passed over, as the specification has it; a name may have a colon.
impl FromStr for Access {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let malformed = || AccessError::Form { text: excerpt(text) };
        if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(malformed());
        }
        let (kind, rest) = text.split_once(':').ok_or_else(malformed)?;
        let (name, actions) = rest.rsplit_once(':').ok_or_else(malformed)?;
        let kind = match kind.split_once('(') {
            Some((kind, class)) if class.ends_with(')') => kind,
            Some(_) => return Err(malformed()),
            None => kind,
        };
        if kind.is_empty() || name.is_empty() {
            return Err(malformed());
        }
        let actions = actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned).collect();
        Ok(Self { kind: kind.to_owned(), name: name.to_owned(), actions })
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.kind, self.name)?;
        for (at, action) in self.actions.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{action}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy() -> Policy {
        let text = r#"
            version = 1
            [[allow]]
            to = ["anyone"]
            actions = ["pull"]
            repositories = ["public/**"]
            [[allow]]
            to = ["user:ada"]
            actions = ["pull", "push", "hold"]
            repositories = ["team/**"]
        "#;
        Policy::parse("p", text).unwrap()
    }

    fn granted(principal: &Principal, scope: &str) -> String {
        scope.parse::<Access>().unwrap().granted(&policy(), principal).to_string()
    }

    #[test]
    fn a_token_has_what_is_asked_for_and_allowed_and_an_entry_for_the_rest() {
        let ada = Principal::User { name: "ada".parse().unwrap(), groups: BTreeSet::new() };
        for (scope, expected) in [
            ("repository:team/a:pull,push", "repository:team/a:pull,push"),
            ("repository:team/a:push,pull,delete", "repository:team/a:pull,push"),
            ("repository:team/a:*", "repository:team/a:hold,pull,push"),
            ("repository(plugin):team/a:pull", "repository:team/a:pull"),
            ("repository:public/a:pull,push", "repository:public/a:pull"),
            ("repository:other:pull,push", "repository:other:"),
            ("repository:host:5000/team/a:pull", "repository:host:5000/team/a:"),
            ("registry:catalog:*", "registry:catalog:"),
            ("secret:team/a:pull", "secret:team/a:"),
            ("repository:team/a:", "repository:team/a:"),
            ("repository:team/a:PULL", "repository:team/a:"),
        ] {
            assert_eq!(granted(&ada, scope), expected, "{scope}");
        }
        assert_eq!(
            granted(&Principal::Anonymous, "repository:public/a:pull,push"),
            "repository:public/a:pull"
        );
        assert_eq!(granted(&Principal::Anonymous, "repository:team/a:pull"), "repository:team/a:");
    }

    #[test]
    fn scopes_come_repeated_or_with_spaces_and_the_second_is_not_dropped() {
        let all = |parameters: &[&str]| {
            let asked = Access::parse_all(parameters.iter().copied()).unwrap();
            asked.iter().map(Access::to_string).collect::<Vec<_>>()
        };
        let both = ["repository:a:pull,push", "repository:b:pull"];
        assert_eq!(all(&both), both);
        assert_eq!(all(&["repository:a:pull,push repository:b:pull"]), both);
        assert_eq!(all(&["repository:a:pull", "", " repository:b:pull ", "repository:a:push"]), both);
        assert!(all(&[]).is_empty());
        let many: Vec<String> = (0..=MOST).map(|n| format!("repository:r{n}:pull")).collect();
        assert_eq!(Access::parse_all(many.iter().map(String::as_str)), Err(AccessError::TooMany));
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        let long = format!("repository:{}:pull", "a".repeat(LONGEST));
        for text in [
            "repository",
            "repository:a",
            ":a:pull",
            "repository::pull",
            "repository(x:a:pull",
            "r:a\u{7}:p",
            &long,
        ] {
            assert!(matches!(text.parse::<Access>(), Err(AccessError::Form { .. })), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nobody_is_granted_more_than_was_asked_for(scope in "repository:(team|public|x)/a:[a-z,*]{0,20}") {
            let ada = Principal::User { name: "ada".parse().unwrap(), groups: BTreeSet::new() };
            let asked: Access = scope.parse().unwrap();
            let granted = asked.granted(&policy(), &ada);
            prop_assert!(asked.actions.contains("*") || granted.actions.is_subset(&asked.actions));
            prop_assert!(!granted.actions.contains("*") && !granted.actions.contains("delete"));
        }

        #[test]
        fn a_scope_is_read_as_it_is_written(text in "[a-z]{1,5}:[a-z/:0-9]{1,12}:([a-z]{1,4}(,[a-z]{1,4}){0,3})?") {
            let access: Access = text.parse().unwrap();
            prop_assert_eq!(access.to_string().parse::<Access>().unwrap(), access);
        }
    }
}
