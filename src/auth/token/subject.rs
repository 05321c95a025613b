//! Whom a token is for.

use std::collections::BTreeSet;

use crate::auth::{Member, Name, Principal};

/// Somebody, and who says so.
///
/// Of whom this registry knows a token says no more than who it is: the groups are looked up at each request. Of whom
/// an external issuer vouches for the groups are part of this, since nobody could look them up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    principal: Principal,
    issuer: Option<Name>,
}

impl Subject {
    /// Somebody this registry knows, or nobody in particular. Groups are left out.
    pub fn known(mut principal: Principal) -> Self {
        match &mut principal {
            Principal::User { groups, .. } | Principal::Robot { groups, .. } => groups.clear(),
            Principal::Anonymous => {}
        }
        Self { principal, issuer: None }
    }

    /// A workload an external issuer vouches for. Nothing if its name or one of its groups is not in the namespace of
    /// the issuer, which is what keeps it apart from everybody this registry knows.
    pub(super) fn external(issuer: Name, name: Name, groups: BTreeSet<Name>) -> Option<Self> {
        let is_own = |name: &Name| is_in_namespace(name, &issuer);
        let is_fit = is_own(&name) && groups.iter().all(is_own);
        is_fit.then_some(Self { principal: Principal::Robot { name, groups }, issuer: Some(issuer) })
    }

    /// Who it is. The groups of whom this registry knows are not among it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The alias of the external issuer that vouches for it; nothing for whom this registry knows, whose groups are
    /// to be looked up.
    pub fn issuer(&self) -> Option<&Name> {
        self.issuer.as_ref()
    }

    /// What `sub` says: a [`Principal`] as it is written.
    pub(super) fn read(sub: &str) -> Option<Self> {
        let groups = BTreeSet::new();
        let principal = match sub.parse() {
            Ok(Member::User(name)) => Principal::User { name, groups },
            Ok(Member::Robot(name)) => Principal::Robot { name, groups },
            Err(_) if sub == Principal::Anonymous.to_string() => Principal::Anonymous,
            Ok(Member::Anyone | Member::Authenticated | Member::Group(_)) | Err(_) => return None,
        };
        Some(Self::known(principal))
    }
}

/// Whether a name is `alias/` and something.
pub(super) fn is_in_namespace(name: &Name, alias: &Name) -> bool {
    let rest = name.as_str().strip_prefix(alias.as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_it_is_is_written_as_it_is_read_and_without_groups() {
        let name = || "ada".parse::<Name>().unwrap();
        let groups = || BTreeSet::from(["qa".parse().unwrap()]);
        for principal in [
            Principal::Anonymous,
            Principal::User { name: name(), groups: groups() },
            Principal::Robot { name: name(), groups: groups() },
        ] {
            let subject = Subject::known(principal.clone());
            assert_eq!(Subject::read(&principal.to_string()), Some(subject.clone()));
            assert_eq!(subject.principal().to_string(), principal.to_string());
            assert!(!matches!(
                subject.principal(),
                Principal::User { groups, .. } | Principal::Robot { groups, .. } if !groups.is_empty()
            ));
        }
        for sub in
            ["", "ada", "user:", "user:Ada", "group:qa", "anyone", "authenticated", "Anonymous", "user:a b"]
        {
            assert_eq!(Subject::read(sub), None, "{sub}");
        }
    }

    #[test]
    fn who_is_vouched_for_is_in_the_namespace_of_its_issuer_with_all_its_groups() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let external = |it: &str, group: &str| {
            Subject::external(name("github"), name(it), BTreeSet::from([name(group)]))
        };
        let subject = external("github/app", "github/qa").unwrap();
        assert_eq!(subject.issuer(), Some(&name("github")));
        assert_eq!(subject.principal().to_string(), "robot:github/app");
        for (it, group) in [
            ("ada", "github/qa"),
            ("github", "github/qa"),
            ("githubs/app", "github/qa"),
            ("gitlab/app", "github/qa"),
            ("github/app", "qa"),
            ("github/app", "gitlab/qa"),
        ] {
            assert_eq!(external(it, group), None, "{it} {group}");
        }
    }
}
