//! What the audit and the history of tags are, said in another way: the whole log, looked at event by event.

use std::collections::{BTreeMap, BTreeSet};

use crate::events::{Event, Fact, Target};
use crate::oci::{Digest, Reference, RepositoryName, Tag};
use crate::package::PackageId;
use crate::registry::{AuditEntry, AuditFilter, Decision, Item, TagTurn, Turn};

/// The entries a filter lets through, but for where they came from.
pub(in crate::registry::tests) fn audit(events: &[Event], filter: &AuditFilter) -> Vec<AuditEntry> {
    let item = filter.package.clone().map(Item::Package).or_else(|| filter.reference.clone());
    let about = item.map(|item| about(events, &item, filter.repository.as_ref()));
    let is_wanted = |event: &&Event| {
        let repository = event.fact.repository();
        filter.repository.is_none() || filter.repository.as_ref() == repository
    };
    let events = events.iter().filter(is_wanted).filter(|event| {
        filter.from.is_none_or(|from| event.recorded_at >= from)
            && filter.until.is_none_or(|until| event.recorded_at < until)
            && filter.actor.as_ref().is_none_or(|actor| event.actor.as_str() == actor)
            && about.as_ref().is_none_or(|about| about.contains(&event.sequence))
    });
    let entries = events.filter_map(AuditEntry::of).filter(|entry| {
        filter.action.as_ref().is_none_or(|action| entry.action == *action)
            && filter.decision.is_none_or(|decision| entry.decision == decision)
            && (entry.decision == Decision::Refused) == entry.attempts.is_some()
    });
    entries.collect()
}

/// The events about something.
fn about(events: &[Event], item: &Item, repository: Option<&RepositoryName>) -> BTreeSet<i64> {
    let (mut subjects, mut targets) = (BTreeSet::new(), BTreeSet::new());
    match item {
        Item::Package(id) => {
            subjects.insert(id.to_string());
            targets.insert(id.to_string());
        }
        Item::Manifest(Reference::Tag(tag)) => return of_tag(events, tag),
        Item::Manifest(Reference::Digest(digest)) => {
            let digests = digests(events, digest);
            for event in events {
                let Fact::PackageFinalized(fact) = &event.fact else { continue };
                let is_here = repository.is_none_or(|name| *name == fact.package.repository);
                if is_here && digests.contains(fact.package.reference.as_str()) {
                    subjects.insert(fact.package.id.to_string());
                    targets.insert(fact.package.id.to_string());
                }
            }
            targets.extend(digests.iter().cloned());
            subjects.extend(digests);
        }
    }
    for event in events {
        let is_of = |target: &Target| targets.contains(target.as_str());
        let is_here = repository.is_none() || repository == event.fact.repository();
        match &event.fact {
            Fact::HoldPlaced(fact) if is_here && fact.target.as_ref().is_some_and(is_of) => {
                subjects.insert(fact.hold.to_string());
            }
            Fact::DispositionProposed(fact) if is_here && is_of(&fact.target) => {
                subjects.insert(fact.disposition.to_string());
            }
            _ => {}
        }
    }
    let found = events.iter().filter(|event| subjects.contains(event.fact.subject()));
    found.map(|event| event.sequence).collect()
}

/// Every digest of what has this one.
fn digests(events: &[Event], digest: &Digest) -> BTreeSet<String> {
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for event in events {
        let (content, digests): (_, Vec<&Digest>) = match &event.fact {
            Fact::BlobStored(fact) => (&fact.content, fact.digests.iter().collect()),
            Fact::ManifestPushed(fact) => (&fact.content, fact.digests.iter().collect()),
            Fact::ContentDigested(fact) => (&fact.content, vec![&fact.digest]),
            _ => continue,
        };
        known.entry(content.as_str()).or_default().extend(digests.into_iter().map(Digest::as_str));
    }
    let found = known.into_values().find(|digests| digests.contains(digest.as_str()));
    let found = found.unwrap_or_else(|| BTreeSet::from([digest.as_str()]));
    found.into_iter().map(str::to_owned).collect()
}

fn of_tag(events: &[Event], tag: &Tag) -> BTreeSet<i64> {
    let is_of = |event: &&Event| match &event.fact {
        Fact::TagMoved(fact) => fact.tag == *tag,
        Fact::TagDeleted(fact) => fact.tag == *tag,
        Fact::ManifestDeleted(fact) => fact.tags.contains(tag),
        Fact::DispositionExecuted(fact) => fact.tags.contains(tag),
        Fact::RetentionDenied(fact) => fact.subject == tag.as_str(),
        _ => false,
    };
    events.iter().filter(is_of).map(|event| event.sequence).collect()
}

/// The packages there ever were, finalized or not.
pub(in crate::registry::tests) fn packages(events: &[Event]) -> BTreeSet<PackageId> {
    let id = |event: &Event| match &event.fact {
        Fact::PackageCreated(fact) => Some(fact.package.clone()),
        Fact::PackageFinalized(fact) => Some(fact.package.id.clone()),
        _ => None,
    };
    events.iter().filter_map(id).collect()
}

/// The history of every tag, the newest first.
pub(in crate::registry::tests) fn history(events: &[Event]) -> BTreeMap<(RepositoryName, Tag), Vec<TagTurn>> {
    let mut manifests: BTreeMap<(&RepositoryName, &Digest), (&str, u64)> = BTreeMap::new();
    let mut history: BTreeMap<(RepositoryName, Tag), Vec<TagTurn>> = BTreeMap::new();
    for event in events {
        let mut add = |name: &RepositoryName, tag: &Tag, turn: Option<TagTurn>| {
            let lines = history.entry((name.clone(), tag.clone())).or_default();
            let ended = lines.first().filter(|last| last.turn == Turn::Moved).map(|last| TagTurn {
                turn: Turn::Deleted,
                previous: None,
                sequence: event.sequence,
                actor: event.actor.as_str().to_owned(),
                at: event.recorded_at,
                ..last.clone()
            });
            lines.insert(0, turn.or(ended).expect("what ends was there"));
        };
        match &event.fact {
            Fact::ManifestPushed(fact) => {
                manifests.insert((&fact.repository, &fact.content), (&fact.media_type, fact.size));
            }
            Fact::TagMoved(fact) => {
                let (media_type, size) = manifests[&(&fact.repository, &fact.content)];
                let turn = TagTurn {
                    sequence: event.sequence,
                    turn: Turn::Moved,
                    digest: fact.digest.clone(),
                    content: fact.content.clone(),
                    previous: fact.previous.clone(),
                    media_type: media_type.to_owned(),
                    size,
                    actor: event.actor.as_str().to_owned(),
                    at: event.recorded_at,
                };
                add(&fact.repository, &fact.tag, Some(turn));
            }
            Fact::TagDeleted(fact) => add(&fact.repository, &fact.tag, None),
            Fact::ManifestDeleted(fact) => {
                fact.tags.iter().for_each(|tag| add(&fact.repository, tag, None));
            }
            _ => {}
        }
    }
    history
}
