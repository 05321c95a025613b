//! What is allowed: one file of rules.
//!
//! ```toml
//! version = 1
//!
//! [groups]
//! release = ["user:ada", "robot:ci"]
//!
//! [[allow]]
//! to = ["group:release"]
//! actions = ["pull", "push"]
//! repositories = ["team/**"]
//! ```
//!
//! A rule allows each of its actions to each of those it names on each repository that fits. There are no rules that
//! forbid: what somebody may do is never more than the rules say one by one, in whatever order they stand. What concerns
//! the registry as a whole needs a rule for every repository, `**`.

mod file;

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Member, Name, Principal, RepositoryPattern};
use crate::oci::RepositoryName;

pub use file::PolicyError;

/// What is allowed, to whom and where. Holding one is proof that its file was read to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    groups: BTreeMap<Name, Vec<Member>>,
    rules: Vec<Rule>,
}

/// One thing that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it stands in the file, from 1.
    pub line: usize,
    to: Vec<Member>,
    actions: BTreeSet<Action>,
    repositories: Vec<RepositoryPattern>,
}

/// Where something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// In one repository, whether there is such a one or not.
    Repository(&'a RepositoryName),
    /// In the registry as a whole.
    Registry,
}

/// Whether somebody may do something somewhere.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// What.
    pub action: Action,
    /// Where.
    pub scope: Scope<'a>,
}

/// What a rule says to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It allows it.
    Allows,
    /// It is for others.
    OtherPrincipals,
    /// It is about something else.
    OtherActions,
    /// It is about other repositories.
    OtherRepositories,
}

impl Policy {
    /// One that allows nothing.
    pub fn nothing() -> Self {
        Self { groups: BTreeMap::new(), rules: Vec::new() }
    }

    /// Whether it is allowed: by which rule.
    pub fn allows(&self, question: &Question<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| self.outcome(rule, question) == Outcome::Allows)
    }

    /// What every rule says, in the order of the file.
    pub fn explain<'a>(
        &'a self,
        question: &'a Question<'_>,
    ) -> impl Iterator<Item = (&'a Rule, Outcome)> + use<'a> {
        self.rules.iter().map(|rule| (rule, self.outcome(rule, question)))
    }

    fn outcome(&self, rule: &Rule, question: &Question<'_>) -> Outcome {
        if !rule.to.iter().any(|member| self.is(member, question.principal)) {
            Outcome::OtherPrincipals
        } else if !rule.actions.contains(&question.action) {
            Outcome::OtherActions
        } else if !rule.repositories.iter().any(|pattern| covers(pattern, question.scope)) {
            Outcome::OtherRepositories
        } else {
            Outcome::Allows
        }
    }

    fn is(&self, member: &Member, principal: &Principal) -> bool {
        member.is(principal, |group| {
            // No group is in another: the file says so or is refused.
            let members = self.groups.get(group);
            members.is_some_and(|members| members.iter().any(|member| member.is(principal, |_| false)))
        })
    }
}

/// Whether a pattern is for a place: that for everything also for the registry as a whole.
pub(super) fn covers(pattern: &RepositoryPattern, scope: Scope<'_>) -> bool {
    match scope {
        Scope::Repository(name) => pattern.matches(name),
        Scope::Registry => pattern.is_everything(),
    }
}

#[cfg(test)]
mod tests;
