//! The policy that was set becomes the newest one of the log.

use crate::db::Db;
use crate::events::{Actor, Command, Decision, Log, PolicyChanged, Read, Refusal, Rows};
use crate::hash;
use crate::oci::Algorithm;
use crate::registry::Error;
use crate::retention::Policy;
use crate::views::policies;

/// How often another replica with another policy may be faster.
const ATTEMPTS: usize = 10;

/// The policy with its version: that of the log if it says the same, or a new one, which is recorded.
pub(in crate::registry) async fn adopt(db: &Db, log: &Log, policy: Policy) -> Result<Policy, Error> {
    let text = policy.to_json();
    let mut version = 1;
    for _ in 0..ATTEMPTS {
        let newest = policies::newest(db).await?;
        let (newest, known) = newest.map_or_else(
            || (policy.classes().version(), Policy::default().to_json()),
            |newest| (newest.version, newest.policy),
        );
        if known == text {
            return Ok(policy.with_version(newest));
        }
        version = newest + 1;
        let command = ChangePolicy { version, policy: text.clone() };
        match log.submit(Actor::system(), command).await {
            Ok(committed) if committed.events.is_empty() => {}
            Ok(_) => break,
            Err(Refusal::Rejected(error)) => return Err(error),
            Err(Refusal::Failed(error)) => return Err(Error::Log(error)),
        }
    }
    Ok(policy.with_version(version))
}

/// Another policy is in force.
#[derive(Debug)]
struct ChangePolicy {
    version: u64,
    policy: String,
}

impl Command for ChangePolicy {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![policies::read(self.version)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        if policies::get(rows, self.version).is_some() {
            return Ok(Decision::default());
        }
        let fact = PolicyChanged {
            version: self.version,
            policy: self.policy.clone(),
            digest: hash::digest(Algorithm::Blake3, self.policy.as_bytes()),
        };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}
