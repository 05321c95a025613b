//! The keys that sign URLs: an operational table, the same for every replica.
//!
//! The newest key that is not retired signs. A retired one still verifies until the last URL it can have signed has
//! ended, and is then removed. Nothing is remembered between requests: a rotation holds everywhere at once.
//!
//! Every statement comes to the same when it is repeated.

use std::time::Duration;

use super::{Hex, Signature, SigningKey};
use crate::clock::{Clock, Micros, SECOND};
use crate::db::{Db, Operational, Row};
use crate::registry::Error;
use crate::secret::Secret;

/// The longest a URL works.
pub const LONGEST: Duration = Duration::from_hours(7 * 24);

/// How long a retired key verifies: as long as a URL works, and the clocks of replicas may differ.
const KEPT: Micros = (LONGEST.as_secs() + 60 * 60).cast_signed() * SECOND;

const NEWEST: &str = "SELECT id, secret FROM signing_keys WHERE retired_at IS NULL \
    ORDER BY created_at DESC, id DESC LIMIT 1";

const FIND: &str = "SELECT id, secret FROM signing_keys \
    WHERE id = $1 AND (retired_at IS NULL OR retired_at >= $2)";

const ADD: &str = "INSERT INTO signing_keys (id, secret, created_at, retired_at) VALUES ($1, $2, $3, NULL) \
    ON CONFLICT (id) DO NOTHING";

const RETIRE_OTHERS: &str = "UPDATE signing_keys SET retired_at = $1 WHERE retired_at IS NULL AND id <> $2";

const REMOVE: &str = "DELETE FROM signing_keys WHERE retired_at < $1";

/// Every named statement of this table, for the test that prepares each.
#[cfg(test)]
pub(in crate::registry) static STATEMENTS: &[&str] = &[NEWEST, FIND, ADD, RETIRE_OTHERS, REMOVE];

/// The table.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Keys(Operational);

impl Keys {
    pub(in crate::registry) fn new(db: &Db) -> Self {
        Self(db.operational())
    }

    /// The key that signs; made when there is none. Two replicas that make one at once both made a good one.
    pub(in crate::registry) async fn signing(&self, now: Micros) -> Result<SigningKey, Error> {
        if let Some(row) = self.0.query(NEWEST, Vec::new()).await?.first() {
            return Ok(key(row));
        }
        self.add(now).await
    }

    /// The key a signature names, if it may still verify.
    pub(in crate::registry) async fn of(
        &self,
        signature: &Signature,
        now: Micros,
    ) -> Result<Option<SigningKey>, Error> {
        let id = &signature.key_id;
        // None of ours is anything else, and a database may refuse it.
        if id.len() > 26 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let args = vec![id.as_str().into(), now.saturating_sub(KEPT).into()];
        Ok(self.0.query(FIND, args).await?.first().map(key))
    }

    async fn add(&self, now: Micros) -> Result<SigningKey, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        let key = SigningKey {
            id: ulid::Ulid::generate().to_string().to_lowercase(),
            secret: Secret::from(Hex(&bytes).to_string()),
        };
        self.0.execute(ADD, vec![key.id.as_str().into(), key.secret.expose().into(), now.into()]).await?;
        Ok(key)
    }

    /// Adds a key that signs from now on, retires the others, and returns its id.
    async fn rotate(&self, now: Micros) -> Result<String, Error> {
        // First the new one: at no time is there none.
        let key = self.add(now).await?;
        self.0.execute(RETIRE_OTHERS, vec![now.into(), key.id.as_str().into()]).await?;
        Ok(key.id)
    }

    /// Removes keys whose last URL has ended.
    pub(in crate::registry) async fn sweep(&self, now: Micros) -> Result<(), Error> {
        self.0.execute(REMOVE, vec![now.saturating_sub(KEPT).into()]).await?;
        Ok(())
    }
}

/// Exchanges the key that signs URLs and returns the id of the new one. URLs that were given out work until they end,
/// all of them at most seven days longer. With a shared database it works beside running servers.
pub async fn rotate_signing_key(db: &Db, clock: &Clock) -> Result<String, Error> {
    let (keys, now) = (Keys::new(db), clock.now());
    keys.sweep(now).await?;
    keys.rotate(now).await
}

fn key(row: &Row) -> SigningKey {
    SigningKey { id: row.text(0).to_owned(), secret: row.text(1).into() }
}
