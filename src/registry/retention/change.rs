//! Retentions: made longer, raised to another class, shortened where that is allowed.

use std::collections::BTreeSet;

use super::item::{Found, Item, find};
use super::{Explanation, REASON, given, voided};
use crate::clock::Micros;
use crate::events::{
    Command, Decision, Read, RetentionExtended, RetentionResolved, RetentionShortened, Rows, Target,
};
use crate::oci::RepositoryName;
use crate::registry::{Actor, Error, Registry, Status, protection};
use crate::retention::{LATEST, Retained, Rule};
use crate::views::policies;
use crate::views::retentions::{self, Retention};

/// Why a disposition ends with the extension of what it is about.
const EXTENDED: &str = "its retention was extended";

/// Why it ends with a change to what protects it as well.
pub(super) fn around(target: &Target) -> String {
    format!("the retention of {target}, which protects it, was changed")
}

/// How a retention is to become longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Until a moment.
    Until(Micros),
    /// For ever.
    ForEver,
    /// Under a class that demands no less. What is under no retention yet comes under it.
    Class(String),
}

impl Registry {
    /// Makes a retention longer; never shorter. Asked for what is so already it changes nothing (R11).
    pub async fn extend_retention(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        item: &Item,
        extension: &Extension,
        reason: &str,
    ) -> Result<Explanation, Error> {
        let to = match extension {
            Extension::Until(until) => To::Until(Some(sayable(*until)?)),
            Extension::ForEver => To::Until(None),
            Extension::Class(class) => {
                let rule = self.inner.policy.rule(repository.as_str(), Some(class))?;
                To::Rule { asked: class.clone(), rule }
            }
        };
        let reason = given("reason", reason, REASON)?;
        let (repository, item) = (repository.clone(), item.clone());
        let command = Extend {
            repository: repository.clone(),
            item: item.clone(),
            to,
            reason,
            now: self.retention_begins(),
        };
        let subject = (&repository, item.to_string());
        self.submit_weakening(actor, "retention.extend", subject, command).await?;
        self.explain(&repository, Some(&item)).await
    }

    /// Makes a retention in governance mode end earlier. `bypass` says that the caller has the right to and means it;
    /// in compliance mode it helps nobody, nor below what the policy wants of the repository.
    pub async fn shorten_retention(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        item: &Item,
        until: Micros,
        reason: &str,
        bypass: bool,
    ) -> Result<Explanation, Error> {
        let reason = given("reason", reason, REASON)?;
        let (repository, item) = (repository.clone(), item.clone());
        let command = Shorten {
            repository: repository.clone(),
            item: item.clone(),
            until: sayable(until)?,
            least: self.inner.policy.least(repository.as_str()),
            reason,
            bypass,
        };
        let subject = (&repository, item.to_string());
        self.submit_weakening(actor, "retention.shorten", subject, command).await?;
        self.explain(&repository, Some(&item)).await
    }
}

/// A moment that the log can say.
fn sayable(at: Micros) -> Result<Micros, Error> {
    if (-LATEST..=LATEST).contains(&at) { Ok(at) } else { Err(Error::TimeInvalid) }
}

/// The retention of an item, and what it is of.
pub(super) fn retention_of(
    rows: &Rows,
    repository: &RepositoryName,
    item: &Item,
) -> Result<(Target, Option<Retention>), Error> {
    let found = find(rows, repository, item)?;
    if let Found::Package(package) = &found {
        let package = package.clone();
        match package.status {
            Status::Finalized => {}
            Status::Created | Status::Uploading => return Err(Error::NotRetainedYet(package.id)),
            status => return Err(Error::NothingLeft { package: package.id, status }),
        }
    }
    let target = found.target();
    let retention = retentions::get(rows, repository, &target);
    Ok((target, retention))
}

#[derive(Clone, Debug)]
enum To {
    /// `None` for ever.
    Until(Option<Micros>),
    /// The class that was asked for, and what the policy makes of it.
    Rule { asked: String, rule: Rule },
}

/// A retention gets a later end, or a stronger class.
#[derive(Debug)]
struct Extend {
    repository: RepositoryName,
    item: Item,
    to: To,
    reason: String,
    now: Micros,
}

impl Command for Extend {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        Vec::new()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let (target, retention) = retention_of(rows, &self.repository, &self.item)?;
        let repository = self.repository.clone();
        let Some(Retention { retained: before, .. }) = retention else {
            let To::Rule { rule, .. } = &self.to else {
                return Err(Error::NotRetained(self.item.to_string()));
            };
            let Retained { rule, from, until, .. } = Retained::begin(rule.clone(), self.now);
            let fact = RetentionResolved { repository, target, rule, from, until };
            return Ok(Decision { facts: vec![fact.into()], contents: Vec::new() });
        };
        let after = match &self.to {
            To::Until(until) => before.extended(*until)?,
            // A later version of the same class is no other class.
            To::Rule { asked, rule } if [asked, &rule.class].contains(&&before.rule.class) => before.clone(),
            To::Rule { rule, .. } => before.raised(rule.clone(), self.now)?,
        };
        if after == before {
            return Ok(Decision::default());
        }
        let mut facts = Vec::new();
        for under in protection::beneath(rows, &self.repository, &target) {
            let reason = if under == target { EXTENDED.to_owned() } else { around(&target) };
            facts.extend(voided(rows, &self.repository, &under, &reason));
        }
        let fact = RetentionExtended {
            repository,
            target,
            rule: (after.rule != before.rule).then_some(after.rule),
            from: after.from,
            until: after.until,
            floor: after.floor,
            previous: before.until,
            reason: self.reason.clone(),
        };
        facts.push(fact.into());
        Ok(Decision { facts, contents: Vec::new() })
    }
}

/// What the policy wanted of its repository when a retention came to be, and when it was raised last. A later version
/// takes nothing of that away (R7).
fn leasts_then(rows: &Rows, retention: &Retention) -> Vec<Rule> {
    let versions = BTreeSet::from([retention.resolved_under, retention.retained.rule.policy_version]);
    let then = |version: u64| {
        // Of the seeded policy there is no event; it wants nothing of any repository.
        policies::get(rows, version)?.parsed().least(retention.repository.as_str())
    };
    versions.into_iter().filter_map(then).collect()
}

/// A retention in governance mode ends earlier.
#[derive(Debug)]
struct Shorten {
    repository: RepositoryName,
    item: Item,
    until: Micros,
    /// What the policy of now wants of its repository.
    least: Option<Rule>,
    reason: String,
    bypass: bool,
}

impl Command for Shorten {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        Vec::new()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let (target, retention) = retention_of(rows, &self.repository, &self.item)?;
        let retention = retention.ok_or_else(|| Error::NotRetained(self.item.to_string()))?;
        // First: to nobody it is to look as if a right were missing.
        let after = retention.retained.shortened(self.until, self.least.as_ref())?;
        for least in leasts_then(rows, &retention) {
            retention.retained.shortened(self.until, Some(&least))?;
        }
        if !self.bypass {
            return Err(Error::BypassNeeded);
        }
        let repository = self.repository.clone();
        let mut facts = voided(rows, &repository, &target, "its retention was shortened");
        let fact = RetentionShortened {
            repository,
            target,
            until: after.until.unwrap_or(self.until),
            previous: retention.retained.until,
            reason: self.reason.clone(),
        };
        facts.push(fact.into());
        Ok(Decision { facts, contents: Vec::new() })
    }
}
