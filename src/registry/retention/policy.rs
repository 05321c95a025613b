//! The policy that was set becomes the newest one of the log.

use crate::db::Db;
use crate::events::{Actor, Command, Decision, Fact, Log, PolicyChanged, Read, Refusal, Rows};
use crate::hash;
use crate::oci::Algorithm;
use crate::registry::Error;
use crate::retention::Policy;
use crate::views::policies;

/// Versions that are read together.
const PAGE: i64 = 100;

/// The newest policy of the log.
pub(in crate::registry) async fn in_force(db: &Db) -> Result<Policy, Error> {
    Ok(policies::newest(db).await?.map_or_else(Policy::default, |newest| newest.parsed()))
}

/// The policy with its version: that of the log if it says the same, or a new one, which is recorded.
pub(in crate::registry) async fn adopt(db: &Db, log: &Log, policy: Policy) -> Result<Policy, Error> {
    let text = policy.to_json();
    let (newest, known) = policies::newest(db).await?.map_or_else(
        || (policy.classes().version(), Policy::default().to_json()),
        |newest| (newest.version, newest.policy),
    );
    if known == text {
        return Ok(policy.with_version(newest));
    }
    let version = record(db, log, newest, text).await?;
    Ok(policy.with_version(version))
}

/// Records a policy as the one after the newest, unless that says the same; its version. `known` is the newest that was
/// seen, and another replica may have recorded others since.
async fn record(db: &Db, log: &Log, known: u64, text: String) -> Result<u64, Error> {
    let command = ChangePolicy { known, policy: text.clone() };
    let committed = match log.submit(Actor::system(), command).await {
        Ok(committed) => committed,
        Err(Refusal::Rejected(error)) => return Err(error),
        Err(Refusal::Failed(error)) => return Err(Error::Log(error)),
    };
    for event in &committed.events {
        if let Fact::PolicyChanged(fact) = &event.fact {
            return Ok(fact.version);
        }
    }
    // Somebody recorded the same between the look and the decision; the newest that says so was the newest of all.
    let (mut last, mut same) = (known, None);
    loop {
        let page = policies::page(db, last, PAGE).await?;
        let Some(newest) = page.last() else { break };
        last = newest.version;
        same = page.iter().rfind(|it| it.policy == text).map(|it| it.version).or(same);
    }
    Ok(same.expect("the decision saw a version with this text, and none goes away"))
}

/// Another policy is in force.
#[derive(Debug)]
struct ChangePolicy {
    /// The newest version that was seen, which says something else.
    known: u64,
    policy: String,
}

impl Command for ChangePolicy {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![policies::read(self.known + 1)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let mut newest = None;
        let mut version = self.known + 1;
        // There are as many more as replicas with other policies began in this moment.
        while let Some(found) = policies::get(rows, version) {
            (newest, version) = (Some(found.policy), version + 1);
        }
        if newest.is_some_and(|newest| newest == self.policy) {
            return Ok(Decision::default());
        }
        let fact = PolicyChanged {
            version,
            policy: self.policy.clone(),
            digest: hash::digest(Algorithm::Blake3, self.policy.as_bytes()),
        };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::db::Access;
    use crate::db::testing::{On, Place, on_both};
    use crate::registry::cache::Cache;
    use crate::retention::Bounds;
    use crate::views;

    on_both![a_replica_that_lost_a_race_took_the_version_of_another_policy];

    fn policy(pattern: usize) -> Policy {
        let bounds = Bounds { pattern: format!("team/{pattern}"), ..Bounds::default() };
        Policy::new(Policy::default().classes().clone(), vec![bounds]).unwrap()
    }

    async fn a_replica_that_lost_a_race_took_the_version_of_another_policy(on: On) {
        let place = Place::new(on).await;
        let db = place.open(Access::Create).await;
        let clock = ManualClock::at(0).clock();
        let observer = Arc::new(Cache::new(1 << 20));
        let log = Log::open(db.clone(), views::projections(), clock, observer).await.unwrap();
        for number in 0..20 {
            let adopted = adopt(&db, &log, policy(number)).await.unwrap();
            assert_eq!(adopted.classes().version(), number as u64 + 2);
        }
        // All of them were faster than this one, which saw none of them.
        let said =
            async |number: usize, known| record(&db, &log, known, policy(number).to_json()).await.unwrap();
        assert_eq!(said(20, 1).await, 22);
        assert_eq!(policies::newest(&db).await.unwrap().unwrap().policy, policy(20).to_json());
        assert_eq!(said(20, 1).await, 22, "the newest says the same");
        assert_eq!(said(3, 1).await, 23, "an older one that said so is over");
        assert_eq!(said(3, 1).await, 23);
    }
}
