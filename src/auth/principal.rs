//! Who somebody is, as far as a policy asks.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::oci::excerpt;

/// The name of a user, a robot or a group: lower-case letters, digits, and `.`, `_`, `-`, `@`, `+`, `/` inside.
///
/// One spelling of every name: `Ada` and `ada` are not two people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty or too long.
    #[error("a name has 1 to {} bytes", Name::MAX_LEN)]
    Length,
    /// A character that may not stand where it stands.
    #[error(
        "the name {text:?} has {character:?}; names are lower-case letters, digits, and . _ - @ + / inside"
    )]
    Character {
        /// The name, shortened.
        text: String,
        /// The first such character.
        character: char,
    },
}

impl Name {
    /// The longest one, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(NameError::Length);
        }
        let last = text.len() - 1;
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = |at: usize, c: char| {
            is_plain(c) || (at > 0 && at < last && matches!(c, '.' | '_' | '-' | '@' | '+' | '/'))
        };
        match text.char_indices().find(|&(at, c)| !fits(at, c)) {
            Some((_, character)) => Err(NameError::Character { text: excerpt(text), character }),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Nobody in particular: a request without credentials.
    Anonymous,
    /// A person.
    User {
        /// Their name.
        name: Name,
        /// The groups they are in besides those of the policy.
        groups: BTreeSet<Name>,
    },
    /// A program: one with a key of its own, or a workload that an issuer of tokens vouches for.
    Robot {
        /// Its name.
        name: Name,
        /// The groups it is in besides those of the policy: those its issuer names.
        groups: BTreeSet<Name>,
    },
}

impl Principal {
    fn groups(&self) -> Option<&BTreeSet<Name>> {
        match self {
            Self::User { groups, .. } | Self::Robot { groups, .. } => Some(groups),
            Self::Anonymous => None,
        }
    }
}

/// As a [`Member`] is written; `anonymous` for nobody in particular.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::User { name, .. } => write!(f, "user:{name}"),
            Self::Robot { name, .. } => write!(f, "robot:{name}"),
        }
    }
}

/// Whom a rule or a group of a policy is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// Everybody, with credentials or without.
    Anyone,
    /// Everybody with credentials.
    Authenticated,
    /// A person.
    User(Name),
    /// A program.
    Robot(Name),
    /// Everybody in a group.
    Group(Name),
}

/// Why a text is nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// It is none of the forms there are.
    #[error("{text:?} is nobody; write user:NAME, robot:NAME, group:NAME, authenticated or anyone")]
    Form {
        /// The text, shortened.
        text: String,
    },
    /// What follows the colon is no name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Member {
    /// Whether somebody is meant. `is_in` tells which groups of the policy they are in.
    pub(super) fn is(&self, principal: &Principal, is_in: impl Fn(&Name) -> bool) -> bool {
        match (self, principal) {
            (Self::Anyone, _) | (Self::Authenticated, Principal::User { .. } | Principal::Robot { .. }) => {
                true
            }
            (Self::User(wanted), Principal::User { name, .. })
            | (Self::Robot(wanted), Principal::Robot { name, .. }) => wanted == name,
            (Self::Group(group), _) => {
                principal.groups().is_some_and(|groups| groups.contains(group)) || is_in(group)
            }
            (Self::Authenticated | Self::User(_) | Self::Robot(_), _) => false,
        }
    }
}

impl FromStr for Member {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        match text.split_once(':') {
            Some(("user", name)) => Ok(Self::User(name.parse()?)),
            Some(("robot", name)) => Ok(Self::Robot(name.parse()?)),
            Some(("group", name)) => Ok(Self::Group(name.parse()?)),
            None if text == "anyone" => Ok(Self::Anyone),
            None if text == "authenticated" => Ok(Self::Authenticated),
            _ => Err(MemberError::Form { text: excerpt(text) }),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::User(name) => write!(f, "user:{name}"),
            Self::Robot(name) => write!(f, "robot:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_they_are_written_and_nothing_else_is_one() {
        for text in ["anyone", "authenticated", "user:ada", "robot:ci-1", "group:acme/qa", "user:a@b.c"] {
            assert_eq!(text.parse::<Member>().unwrap().to_string(), text);
        }
        let long = format!("user:{}", "a".repeat(Name::MAX_LEN + 1));
        for text in [
            "", "ada", "user:", "user:Ada", "user:a b", "user:-a", "user:a/", "*", "anyone:", "User:a", &long,
        ] {
            assert!(text.parse::<Member>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_robot_is_in_the_groups_its_issuer_names_and_in_no_other() {
        let (name, group): (Name, Name) = ("ci/app".parse().unwrap(), "ci/release".parse().unwrap());
        let robot = Principal::Robot { name, groups: BTreeSet::from([group.clone()]) };
        let none = |_: &Name| false;
        assert!(Member::Group(group).is(&robot, none));
        assert!(!Member::Group("release".parse().unwrap()).is(&robot, none));
    }

    #[test]
    fn a_robot_is_not_the_user_of_its_name_and_nobody_is_in_a_group_by_name() {
        let name: Name = "ci".parse().unwrap();
        let (robot, user) = (
            Principal::Robot { name: name.clone(), groups: BTreeSet::new() },
            Principal::User { name: name.clone(), groups: BTreeSet::from([name.clone()]) },
        );
        let none = |_: &Name| false;
        assert!(Member::Robot(name.clone()).is(&robot, none) && !Member::Robot(name.clone()).is(&user, none));
        assert!(Member::User(name.clone()).is(&user, none) && !Member::User(name.clone()).is(&robot, none));
        assert!(Member::Group(name.clone()).is(&user, none) && !Member::Group(name.clone()).is(&robot, none));
        assert!(Member::Group(name).is(&robot, |_| true));
        assert!(Member::Anyone.is(&Principal::Anonymous, none));
        assert!(!Member::Authenticated.is(&Principal::Anonymous, none));
    }
}
