//! Reading events back.

use super::tail::read;
use super::{Error, Event, Sequence};
use crate::db::Db;
use crate::package::PackageId;

/// The range of types is what the index is made for.
const OF_PACKAGE: &str = "SELECT sequence, type, recorded_at, actor, repository, subject, command_id, header, \
    payload, salt, leaf_hash FROM events WHERE subject = $1 AND type >= 'v1.package.' AND type < 'v1.package/' \
    AND sequence > $2 ORDER BY sequence LIMIT $3";

const AFTER: &str = "SELECT sequence, type, recorded_at, actor, repository, subject, command_id, header, \
    payload, salt, leaf_hash FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2";

/// Every named statement of this module.
pub(super) static STATEMENTS: &[&str] = &[OF_PACKAGE, AFTER];

/// Up to `limit` events in order, after the one given.
pub(super) async fn after(db: &Db, log_id: &str, after: Sequence, limit: i64) -> Result<Vec<Event>, Error> {
    read(&db.query(AFTER, vec![after.into(), limit.into()]).await?, log_id)
}

/// Up to `limit` events of one package in order, after the one given.
pub(super) async fn of_package(
    db: &Db,
    log_id: &str,
    package: &PackageId,
    after: Sequence,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    read(&db.query(OF_PACKAGE, vec![package.as_str().into(), after.into(), limit.into()]).await?, log_id)
}
