//! Reading a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde::Deserialize;
use toml::Spanned;

use super::{Policy, Rule};
use crate::auth::{Action, Member, Name, RepositoryPattern};

/// Rules of one file, at most: every request may look at each of them.
const RULES: usize = 10_000;

/// Why a text is no policy: the file, the line and the reason. It has no other effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {reason}")]
pub struct PolicyError {
    path: String,
    line: usize,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<i64>,
    #[serde(default)]
    groups: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    #[serde(default)]
    allow: Vec<Spanned<Allow>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    to: Spanned<Vec<Spanned<String>>>,
    actions: Spanned<Vec<Spanned<String>>>,
    repositories: Spanned<Vec<Spanned<String>>>,
}

impl Policy {
    /// Reads a policy; `path` is what errors call it.
    pub fn parse(path: &str, text: &str) -> Result<Self, PolicyError> {
        let reader = Reader { path, text };
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            reader.error(at, error.message().replace('\n', ", "))
        })?;
        if *file.version.get_ref() != 1 {
            return Err(reader.at(&file.version, "there is version 1 of policies"));
        }
        let mut groups = BTreeMap::new();
        for (name, members) in &file.groups {
            let group: Name = name.get_ref().parse().map_err(|error| reader.at(name, error))?;
            groups.insert(group, members.iter().map(|it| reader.member(it)).collect::<Result<_, _>>()?);
        }
        if let Some(one_more) = file.allow.get(RULES) {
            return Err(reader.at(one_more, format!("a policy has at most {RULES} rules")));
        }
        let rules = file.allow.iter().map(|allow| reader.rule(allow)).collect::<Result<_, _>>()?;
        Ok(Self { groups, rules })
    }
}

struct Reader<'a> {
    path: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn rule(&self, allow: &Spanned<Allow>) -> Result<Rule, PolicyError> {
        let Allow { to, actions, repositories } = allow.get_ref();
        Ok(Rule {
            line: self.line(allow.span().start),
            to: self.each(to, str::parse::<Member>)?,
            actions: self.actions(actions)?,
            repositories: self.each(repositories, str::parse::<RepositoryPattern>)?,
        })
    }

    /// A group has people and programs, and no groups: that nobody is in one by way of another keeps it readable.
    fn member(&self, text: &Spanned<String>) -> Result<Member, PolicyError> {
        match text.get_ref().parse() {
            Ok(member @ (Member::User(_) | Member::Robot(_))) => Ok(member),
            Ok(_) => Err(self.at(text, "a group has members of the form user:NAME and robot:NAME")),
            Err(error) => Err(self.at(text, error)),
        }
    }

    fn actions(&self, list: &Spanned<Vec<Spanned<String>>>) -> Result<BTreeSet<Action>, PolicyError> {
        let actions = self.each(list, |text| match text {
            "*" => Ok(Action::ALL.to_vec()),
            text => text.parse().map(|action| vec![action]),
        })?;
        Ok(actions.into_iter().flatten().collect())
    }

    /// A list that says nothing is a mistake: a rule without effect was meant to have one.
    fn each<T, E: Display>(
        &self,
        list: &Spanned<Vec<Spanned<String>>>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, PolicyError> {
        if list.get_ref().is_empty() {
            return Err(self.at(list, "this list is empty, and the rule would allow nothing"));
        }
        let read = |text: &Spanned<String>| parse(text.get_ref()).map_err(|error| self.at(text, error));
        list.get_ref().iter().map(read).collect()
    }

    fn at<T>(&self, place: &Spanned<T>, reason: impl Display) -> PolicyError {
        self.error(place.span().start, reason)
    }

    fn error(&self, at: usize, reason: impl Display) -> PolicyError {
        PolicyError { path: self.path.to_owned(), line: self.line(at), reason: reason.to_string() }
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }
}
