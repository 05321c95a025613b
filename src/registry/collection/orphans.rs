//! Objects that no row names: of pushes that ended between the storage and the log, and of copies that were replaced
//! or whose deletion was not confirmed.
//!
//! Absence proves little. So an object must be old by its own name, have no row, and be seen so twice with time in
//! between: what is being published at this moment is named by the second time. A page of the listing is compared
//! with the rows and forgotten; what was seen once is in a table, and as much of it as one run can look at again.

use std::collections::HashSet;

use super::Options;
use super::run::Run;
use crate::clock::{Micros, SECOND};
use crate::dataplane::{DataPlane, Location};
use crate::db::{Db, Operational};
use crate::events::{Orphan, OrphansRemoved};
use crate::registry::commands::Record;
use crate::registry::{Actor, Error, micros};
use crate::storage::{Key, Metadata};
use crate::views::{blobs, damages, snapshots};

/// Objects of one page.
const PAGE: usize = 500;

/// Objects one run looks at, at most; the next one goes on there.
const LOOKS: usize = 100_000;

/// Objects remembered as seen once, at most.
const SEEN: i64 = 10_000;

/// Between the two times an object is seen without a row, at least.
const AGAIN: Micros = 60 * 60 * SECOND;

/// How much longer it is remembered that an object was seen.
const REMEMBERED: Micros = 30 * 24 * 60 * 60 * SECOND;

const FIND: &str = "SELECT found_at FROM orphans WHERE storage_key = $1";

const NOTE: &str = "INSERT INTO orphans (storage_key, size, found_at) VALUES ($1, $2, $3) \
    ON CONFLICT (storage_key) DO NOTHING";

const FORGET: &str = "DELETE FROM orphans WHERE storage_key = $1";

const FORGET_OLD: &str = "DELETE FROM orphans WHERE found_at < $1";

const COUNT: &str = "SELECT COUNT(*) FROM orphans";

/// Every named statement of this table, for the test that prepares each.
#[cfg(test)]
pub(in crate::registry) static STATEMENTS: &[&str] = &[FIND, NOTE, FORGET, FORGET_OLD, COUNT];

/// What was seen once.
#[derive(Debug)]
pub(super) struct Seen(Operational);

impl Seen {
    pub(super) fn new(db: &Db) -> Self {
        Self(db.operational())
    }

    /// When an object was first seen without a row.
    pub(super) async fn first(&self, key: &Key) -> Result<Option<Micros>, Error> {
        let rows = self.0.query(FIND, vec![key.as_str().into()]).await?;
        Ok(rows.first().map(|row| row.integer(0)))
    }

    async fn note(&self, object: &Metadata, now: Micros) -> Result<(), Error> {
        let args = vec![object.key.as_str().into(), object.size.cast_signed().into(), now.into()];
        self.0.execute(NOTE, args).await?;
        Ok(())
    }

    async fn forget(&self, key: &Key) -> Result<(), Error> {
        self.0.execute(FORGET, vec![key.as_str().into()]).await?;
        Ok(())
    }

    async fn forget_old(&self, before: Micros) -> Result<(), Error> {
        self.0.execute(FORGET_OLD, vec![before.into()]).await?;
        Ok(())
    }

    async fn count(&self) -> Result<i64, Error> {
        Ok(self.0.query(COUNT, Vec::new()).await?.first().map_or(0, |row| row.integer(0)))
    }
}

/// How long an object must have been without a row since it was seen first. As long as it must be old: over a log that
/// was restored from an old backup nothing is an orphan at once, and there is time to find the newer one.
pub(super) fn again(options: &Options) -> Micros {
    micros(options.orphan_grace).max(AGAIN)
}

/// One page of the storage: the objects that no row names and that are older than the grace, and where it goes on.
pub(super) async fn unnamed(
    db: &Db,
    data: &DataPlane,
    after: Option<&Key>,
    before: Micros,
) -> Result<(Vec<Metadata>, Option<Key>), Error> {
    let page = data.list(after, PAGE).await?;
    let is_old = |object: &Metadata| made_at(&object.key).is_some_and(|at| at < before);
    let mut old: Vec<Metadata> = page.objects.into_iter().filter(is_old).collect();
    let keys: Vec<&str> = old.iter().map(|object| object.key.as_str()).collect();
    let named = named(db, &keys).await?;
    old.retain(|object| !named.contains(object.key.as_str()));
    Ok((old, page.next))
}

/// Which of these keys are those of a blob, of a damaged copy that is kept aside, or of a snapshot that is kept.
async fn named(db: &Db, keys: &[&str]) -> Result<HashSet<String>, Error> {
    let mut named = blobs::named_keys(db, keys).await?;
    named.extend(damages::kept(db, keys).await?);
    let kept = snapshots::kept(db).await?.into_iter().map(|snapshot| snapshot.object.key);
    named.extend(kept.filter(|key| keys.contains(&key.as_str())));
    Ok(named)
}

/// When a key was made: every copy has the time in the last part of its name. `None` for what we did not name.
fn made_at(key: &Key) -> Option<Micros> {
    let (_, incarnation) = key.as_str().rsplit_once('.')?;
    let ulid = ulid::Ulid::from_string(&incarnation.to_uppercase()).ok()?;
    i64::try_from(ulid.timestamp_ms()).ok()?.checked_mul(1000)
}

impl Run<'_> {
    /// Removes objects that were seen without a row before, and notes those that are for the first time.
    pub(super) async fn remove_orphans(&mut self) -> Result<(), Error> {
        let options = &self.registry.inner.options.gc;
        let (now, again) = (self.registry.inner.clock.now(), again(options));
        let before = now.saturating_sub(micros(options.orphan_grace));
        let (db, data) = (&self.registry.inner.db, &self.registry.inner.data);
        let seen = Seen::new(db);
        let mut room = SEEN - seen.count().await?;
        let mut after: Option<Key> = self.lease.position.as_deref().and_then(|key| key.parse().ok());
        let mut looked = 0;
        loop {
            self.renew().await?;
            let (objects, next) = unnamed(db, data, after.as_ref(), before).await?;
            let mut due = Vec::new();
            for object in objects {
                match seen.first(&object.key).await? {
                    Some(at) if at.saturating_add(again) <= now => due.push(object),
                    None if room > 0 => {
                        seen.note(&object, now).await?;
                        room -= 1;
                    }
                    Some(_) | None => {}
                }
            }
            self.remove(&seen, due).await?;
            after = next;
            looked += PAGE;
            if after.is_none() || looked >= LOOKS {
                break;
            }
        }
        if after.is_none() {
            seen.forget_old(now.saturating_sub(again).saturating_sub(REMEMBERED)).await?;
        }
        self.lease.note(after.map(|key| key.to_string())).await
    }

    /// Removes the objects of a page that still no row names. First it is recorded which: afterwards nothing tells.
    /// Between the record and the last of them the clock may freeze, and a row may come to name one: it stays then.
    async fn remove(&mut self, seen: &Seen, due: Vec<Metadata>) -> Result<(), Error> {
        let (db, data) = (&self.registry.inner.db, &self.registry.inner.data);
        let keys: Vec<&str> = due.iter().map(|object| object.key.as_str()).collect();
        let named = named(db, &keys).await?;
        let (named, orphans): (Vec<_>, Vec<_>) =
            due.iter().partition(|object| named.contains(object.key.as_str()));
        for object in named {
            seen.forget(&object.key).await?;
        }
        if orphans.is_empty() {
            return Ok(());
        }
        self.registry.note_freeze().await?;
        self.registry.refuse_while_frozen()?;
        let orphan = |object: &&Metadata| Orphan { key: object.key.to_string(), size: object.size };
        let objects = orphans.iter().map(orphan).collect();
        let (run, backend) = (self.done.run.clone(), data.id().to_owned());
        self.registry
            .submit(Actor::system(), Record(OrphansRemoved { run, backend, objects }.into()))
            .await?;
        for object in orphans {
            self.remove_orphan(seen, object).await?;
        }
        Ok(())
    }

    async fn remove_orphan(&mut self, seen: &Seen, object: &Metadata) -> Result<(), Error> {
        let (db, data) = (&self.registry.inner.db, &self.registry.inner.data);
        self.pace.wait(1).await;
        self.renew().await?;
        self.registry.refuse_while_frozen()?;
        if !named(db, &[object.key.as_str()]).await?.is_empty() {
            return seen.forget(&object.key).await;
        }
        let (backend, key) = (data.id().to_owned(), object.key.to_string());
        let location = Location { backend, key, size: object.size, version: None };
        match data.delete(&location).await {
            Ok(_) => {
                tracing::info!(
                    key = location.key,
                    size = object.size,
                    "Removed an object that no event names"
                );
                self.done.orphans += 1;
                seen.forget(&object.key).await
            }
            Err(error) => self.failed_to_delete(&location.key, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_of_ours_tells_its_time() {
        let at = |key: &str| made_at(&key.parse().unwrap());
        assert_eq!(at("blake3/ab/cd/abcd.01arz3ndektsv4rrffq69g5fav"), Some(1_469_922_850_259_000));
        assert_eq!(at("multipart/6162.01arz3ndektsv4rrffq69g5fav"), Some(1_469_922_850_259_000));
        for other in ["notes.txt", "backup/2026", "blake3/ab/cd/abcd", "a.01arz3ndektsv4rrffq69g5fa"] {
            assert_eq!(at(other), None, "{other}");
        }
    }
}
