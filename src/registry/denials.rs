//! The audit of refusals: who tried to take away what is protected (R8).
//!
//! The first attempt is an event at once. The same again from the same address within a minute is counted, and told with
//! the next one or soon after, so that whoever tries in a loop does not fill the log. A crash loses that count, and
//! nothing else: who else tried, and from where else, is on record.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::commands::Record;
use super::protection::{self, Action};
use super::retention::{Item, find};
use super::{Error, Origin, Registry};
use crate::clock::{Micros, SECOND};
use crate::events::{Actor, Command, Committed, RetentionDenied, Target, look};
use crate::oci::{Digest, RepositoryName};

/// How long the same attempt is counted and not told.
const WINDOW: Micros = 60 * SECOND;

/// Attempts that are remembered; beyond, each is an event of its own.
const MOST: usize = 10_000;

/// Who tried what on what, and from where: many may be the same anonymous actor.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Attempt {
    actor: String,
    address: Option<IpAddr>,
    repository: String,
    action: String,
    subject: String,
}

struct Recent {
    actor: Actor,
    /// When it was told last.
    since: Micros,
    /// How often it happened since then.
    again: u64,
    /// The newest attempt, and where it came from.
    fact: RetentionDenied,
    origin: Option<Arc<Origin>>,
}

/// Attempts of an actor that were only counted so far, and where the newest of them came from.
type Due = (Actor, RetentionDenied, Option<Arc<Origin>>);

/// The refusals of the last minute.
#[derive(Default)]
pub(super) struct Denials(Mutex<HashMap<Attempt, Recent>>);

impl std::fmt::Debug for Denials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Denials")
    }
}

impl Denials {
    /// What is to be recorded now for an attempt; `None` when it was only counted.
    fn note(&self, actor: &Actor, mut fact: RetentionDenied, now: Micros) -> Option<RetentionDenied> {
        let attempt = Attempt {
            actor: actor.as_str().to_owned(),
            address: Origin::here().and_then(|here| here.address),
            repository: fact.repository.to_string(),
            action: fact.action.clone(),
            subject: fact.subject.clone(),
        };
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match recent.get_mut(&attempt) {
            Some(known) if is_within(known.since, now) => {
                known.again += 1;
                known.fact = fact;
                known.origin = Origin::here();
                None
            }
            Some(known) => {
                fact.count += known.again;
                (known.since, known.again, known.fact) =
                    (now, 0, RetentionDenied { count: 1, ..fact.clone() });
                Some(fact)
            }
            None => {
                if recent.len() < MOST {
                    let (actor, fact, origin) = (actor.clone(), fact.clone(), None);
                    recent.insert(attempt, Recent { actor, since: now, again: 0, fact, origin });
                }
                Some(fact)
            }
        }
    }

    /// What was counted and is to be told, because its minute is over or `all` of it; it is forgotten here.
    fn due(&self, now: Micros, all: bool) -> Vec<Due> {
        let mut due = Vec::new();
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|_, known| {
            let stays = !all && is_within(known.since, now);
            if !stays && known.again > 0 {
                let fact = RetentionDenied { count: known.again, ..known.fact.clone() };
                due.push((known.actor.clone(), fact, known.origin.take()));
            }
            stays
        });
        due
    }
}

/// Whether a moment is in the minute after another; after a clock was set back nothing is.
fn is_within(since: Micros, now: Micros) -> bool {
    (since..since.saturating_add(WINDOW)).contains(&now)
}

impl Registry {
    /// Submits what would make a protection weaker, or use that it is over; if it is refused that is put on record.
    pub(super) async fn submit_weakening<C>(
        &self,
        actor: Actor,
        action: &'static str,
        (repository, subject): (&RepositoryName, String),
        command: C,
    ) -> Result<Committed, Error>
    where
        C: Command<Rejection = Error>,
    {
        let submitted = self.submit(actor.clone(), command).await;
        if let Err(error) = &submitted
            && error.is_weakening()
        {
            let target = self.meant(repository, &subject).await;
            let (repository, action) = (repository.clone(), action.to_owned());
            let reasons = vec![error.to_string()];
            let fact = RetentionDenied { repository, action, target, subject, reasons, count: 1 };
            self.note(&actor, fact).await;
        }
        submitted
    }

    /// Puts a refusal on record, if that is what an error is. The refusal stands whether or not that succeeds.
    pub(super) async fn note_refusal(&self, actor: &Actor, error: &Error) {
        let fact = match error {
            Error::Protected(protected) => protected.denied(),
            Error::TagRetired { repository, tag, target, disposition } => {
                protection::retired(repository, tag, target, disposition)
            }
            _ => return,
        };
        self.note(actor, fact).await;
    }

    /// Puts on record that a blob stays which so much names that not all of it was asked whether it is protected.
    pub(super) async fn note_kept(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        digest: &Digest,
        refusal: &Error,
    ) {
        let fact = RetentionDenied {
            repository: repository.clone(),
            action: Action::DeleteBlob.as_str().to_owned(),
            target: None,
            subject: digest.to_string(),
            reasons: vec![format!("{refusal}; more name it than were asked whether they are protected")],
            count: 1,
        };
        self.note(actor, fact).await;
    }

    /// What a tag, a digest or an id stands for now, if it can be found out.
    async fn meant(&self, repository: &RepositoryName, subject: &str) -> Option<Target> {
        let item: Item = subject.parse().ok()?;
        let found = look(&self.inner.db, |rows| find(rows, repository, &item)).await.ok()?;
        Some(found.ok()?.target())
    }

    async fn note(&self, actor: &Actor, fact: RetentionDenied) {
        if let Some(fact) = self.inner.denials.note(actor, fact, self.inner.clock.now()) {
            self.record_denial(actor.clone(), fact, Origin::here()).await;
        }
    }

    /// Records the refusals that were only counted so far: those whose minute is over, or all of them before the
    /// process ends. Returns how many events that were.
    pub async fn record_denials(&self, all: bool) -> usize {
        let due = self.inner.denials.due(self.inner.clock.now(), all);
        let count = due.len();
        for (actor, fact, origin) in due {
            self.record_denial(actor, fact, origin).await;
        }
        count
    }

    async fn record_denial(&self, actor: Actor, fact: RetentionDenied, origin: Option<Arc<Origin>>) {
        let (action, subject) = (fact.action.clone(), fact.subject.clone());
        // Not by `submit`, which comes by here.
        if let Ok(committed) = self.inner.log.submit(actor, Record(fact.into())).await {
            self.inner.origins.note(origin.as_deref(), &committed).await;
        } else {
            tracing::error!(action, subject, "A refused attempt could not be recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(subject: &str) -> RetentionDenied {
        RetentionDenied {
            repository: "a".parse().unwrap(),
            action: "tag.move".to_owned(),
            target: None,
            subject: subject.to_owned(),
            reasons: vec!["held".to_owned()],
            count: 1,
        }
    }

    #[test]
    fn the_first_attempt_is_told_at_once_and_the_others_together() {
        let (denials, actor) = (Denials::default(), Actor::anonymous());
        assert_eq!(denials.note(&actor, fact("v1"), 0).unwrap().count, 1);
        for second in 1..=5 {
            assert_eq!(denials.note(&actor, fact("v1"), second * SECOND), None);
        }
        assert_eq!(denials.note(&actor, fact("v2"), SECOND).unwrap().count, 1);
        assert_eq!(denials.note(&Actor::system(), fact("v1"), SECOND).unwrap().count, 1);
        assert_eq!(denials.note(&actor, fact("v1"), WINDOW).unwrap().count, 6);
        assert_eq!(denials.note(&actor, fact("v1"), WINDOW + SECOND), None);
        assert!(denials.due(WINDOW + 2 * SECOND, false).is_empty());
        let due = denials.due(2 * WINDOW, false);
        assert_eq!(due.iter().map(|(_, fact, _)| fact.count).collect::<Vec<_>>(), [1]);
        assert!(denials.due(9 * WINDOW, true).is_empty(), "it is told once");
    }

    #[tokio::test]
    async fn the_same_from_another_address_is_another_attempt() {
        let (denials, actor) = (Denials::default(), Actor::anonymous());
        let note = async |address: &str, at| {
            let here = Origin::request(address.parse().unwrap(), None, None);
            here.scope(async { denials.note(&actor, fact("v1"), at).map(|fact| fact.count) }).await
        };
        assert_eq!(note("192.0.2.1", 0).await, Some(1));
        assert_eq!(note("192.0.2.2", SECOND).await, Some(1));
        assert_eq!(note("192.0.2.1", 2 * SECOND).await, None);
        let due = denials.due(2 * WINDOW, false);
        let told: Vec<_> =
            due.iter().map(|(_, fact, from)| (fact.count, from.as_ref().unwrap().address)).collect();
        assert_eq!(told, [(1, Some("192.0.2.1".parse().unwrap()))]);
    }

    #[test]
    fn what_was_counted_is_told_when_the_process_ends() {
        let (denials, actor) = (Denials::default(), Actor::anonymous());
        denials.note(&actor, fact("v1"), 0);
        denials.note(&actor, fact("v1"), 1);
        assert_eq!(denials.due(2, true).len(), 1);
    }

    #[test]
    fn a_clock_that_goes_back_hides_nothing() {
        let (denials, actor) = (Denials::default(), Actor::anonymous());
        denials.note(&actor, fact("v1"), 100 * SECOND);
        assert_eq!(denials.note(&actor, fact("v1"), 0).unwrap().count, 1);
    }
}
