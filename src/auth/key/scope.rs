//! The limits of a key.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::auth::policy::covers;
use crate::auth::{Action, ActionError, PatternError, RepositoryPattern, Scope};
use crate::oci::excerpt;

/// Parts of one scope, at most: every request with the key may look at each of them.
const PARTS: usize = 32;

/// All actions at once.
const ALL: &str = "*";

/// What a key is for: `pull,push:team/**`, several of them with a space between. `*` stands for every action, and a
/// pattern for all repositories, `**`, also for the registry as a whole, as in a policy.
///
/// It only ever takes away: `*:**` is whatever the robot may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyScope(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    actions: BTreeSet<Action>,
    repositories: RepositoryPattern,
}

/// Why a text is not what a key is for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyScopeError {
    /// It is not of the form, or empty: such a key would be for nothing.
    #[error("{text:?} is not of the form ACTION,ACTION:PATTERN, as in pull,push:team/**")]
    Form {
        /// The part, shortened.
        text: String,
    },
    /// It names no action.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// What follows the colon fits no repository.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// It has too many parts.
    #[error("a key is for at most {PARTS} patterns of repositories")]
    TooMany,
}

impl KeyScope {
    /// Whether something is among what it is for.
    pub fn covers(&self, action: Action, scope: Scope<'_>) -> bool {
        self.0.iter().any(|part| part.actions.contains(&action) && covers(&part.repositories, scope))
    }
}

impl FromStr for KeyScope {
    type Err = KeyScopeError;

    fn from_str(text: &str) -> Result<Self, KeyScopeError> {
        // One more than there may be is enough to know: a long text is not read to its end.
        let parts: Vec<Part> = text.split(' ').take(PARTS + 1).map(str::parse).collect::<Result<_, _>>()?;
        if parts.len() > PARTS { Err(KeyScopeError::TooMany) } else { Ok(Self(parts)) }
    }
}

impl FromStr for Part {
    type Err = KeyScopeError;

    fn from_str(text: &str) -> Result<Self, KeyScopeError> {
        let malformed = || KeyScopeError::Form { text: excerpt(text) };
        let (actions, repositories) = text.split_once(':').ok_or_else(malformed)?;
        if actions.is_empty() {
            return Err(malformed());
        }
        let actions = match actions {
            ALL => Action::ALL.into(),
            some => some.split(',').map(str::parse).collect::<Result<_, _>>()?,
        };
        Ok(Self { actions, repositories: repositories.parse()? })
    }
}

/// As it is read, every action once and in one order.
impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(Part::to_string).collect();
        f.write_str(&parts.join(" "))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.actions.len() == Action::ALL.len() {
            return write!(f, "{ALL}:{}", self.repositories);
        }
        let actions: Vec<&str> = self.actions.iter().map(|action| action.as_str()).collect();
        write!(f, "{}:{}", actions.join(","), self.repositories)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(scope: &str, action: Action, repository: &str) -> bool {
        let name = repository.parse().unwrap();
        scope.parse::<KeyScope>().unwrap().covers(action, Scope::Repository(&name))
    }

    #[test]
    fn a_key_is_for_its_actions_on_its_repositories_and_nothing_else() {
        let scope = "pull,push:team/** pull:public/*";
        assert!(covers(scope, Action::Push, "team/a/b") && covers(scope, Action::Pull, "public/a"));
        for (action, repository) in [
            (Action::Delete, "team/a"),
            (Action::Push, "public/a"),
            (Action::Pull, "team"),
            (Action::Pull, "x/a"),
        ] {
            assert!(!covers(scope, action, repository), "{action} {repository}");
        }
        // Nothing follows from something else, as in a policy.
        assert!(!covers("push:**", Action::Pull, "a"));
        assert!(Action::ALL.into_iter().all(|action| covers("*:a", action, "a")));
    }

    #[test]
    fn the_registry_as_a_whole_needs_the_pattern_for_everything() {
        let is = |scope: &str| scope.parse::<KeyScope>().unwrap().covers(Action::Audit, Scope::Registry);
        assert!(is("audit:**") && is("pull:a *:**"));
        assert!(!is("audit:*") && !is("audit:a/**") && !is("pull:**"));
    }

    #[test]
    fn scopes_are_written_in_one_way() {
        let all = "pull,push,overwrite,delete,retain,hold,release,dispose,approve,audit,admin:a";
        for (text, written) in [
            ("pull:a", "pull:a"),
            ("push,pull,push:team/**", "pull,push:team/**"),
            ("pull:b pull:a", "pull:b pull:a"),
            ("*:**", "*:**"),
            (all, "*:a"),
        ] {
            assert_eq!(text.parse::<KeyScope>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_scope_is_refused_with_the_reason() {
        let form = |text: &str| {
            format!("{text:?} is not of the form ACTION,ACTION:PATTERN, as in pull,push:team/**")
        };
        let double = "** stands alone as the last component of a pattern, as in team/**";
        let many = vec!["pull:a"; PARTS + 1].join(" ");
        for (text, reason) in [
            ("", form("")),
            ("pull", form("pull")),
            (":team", form(":team")),
            ("pull:a ", form("")),
            ("pull:a  push:a", form("")),
            ("pusch:a", "there is no action \"pusch\"; is it push?".to_owned()),
            ("pull,:a", "there is no action \"\"".to_owned()),
            ("*,pull:a", "there is no action \"*\"".to_owned()),
            ("pull:", "a pattern of repositories has 1 to 255 bytes".to_owned()),
            ("pull:**/a", double.to_owned()),
            ("pull:host:5000", "\"host:5000\" fits no component of a repository name".to_owned()),
            (&many, "a key is for at most 32 patterns of repositories".to_owned()),
        ] {
            assert_eq!(text.parse::<KeyScope>().unwrap_err().to_string(), reason, "{text:?}");
        }
        assert!(many["pull:a ".len()..].parse::<KeyScope>().is_ok());
    }

    proptest! {
        #[test]
        fn a_scope_is_read_as_it_is_written(
            text in "(pull|push|hold|\\*)(,(pull|admin)){0}:[a-z]{1,4}(/\\*\\*)?( (pull,push|audit,pull):[a-z*]{1}){0,3}",
        ) {
            let scope: KeyScope = text.parse().unwrap();
            prop_assert_eq!(scope.to_string().parse::<KeyScope>().unwrap(), scope);
        }

        #[test]
        fn no_text_is_a_scope_by_panic(text in ".{0,40}", close in "[pul,:*/ ]{0,20}") {
            let _ = (text.parse::<KeyScope>(), close.parse::<KeyScope>());
        }
    }
}
