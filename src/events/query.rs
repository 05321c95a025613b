//! Reading events back.

use super::event::EVENTS;
use super::tail::read;
use super::{Error, Event, Sequence};
use crate::db::{Db, PAGE_BYTES};
use crate::package::PackageId;

/// The range of subjects is what the index is made for.
const OF_PACKAGE: &str = "WITH sized AS (SELECT sequence, OCTET_LENGTH(payload) AS size FROM events \
    WHERE subject = $1 AND subject >= 'pkg_' AND subject < 'pkg`' AND sequence > $2 \
    ORDER BY sequence LIMIT $3), \
    totals AS (SELECT size, SUM(size) OVER (ORDER BY sequence) AS total FROM sized) \
    SELECT sequence, type, recorded_at, actor, repository, subject, command_id, header, payload, salt, leaf_hash \
    FROM events WHERE subject = $1 AND subject >= 'pkg_' AND subject < 'pkg`' AND sequence > $2 \
    ORDER BY sequence LIMIT (SELECT COUNT(*) FROM totals WHERE total <= CAST($4 AS BIGINT) OR total = size)";

/// The list of types is that of the index, to the letter.
const OF_RUN: &str = "WITH sized AS (SELECT sequence, OCTET_LENGTH(payload) AS size FROM events \
    WHERE subject = $1 AND type IN ('v1.blob.released', 'v2.blob.kept', 'v1.blob.condemned', \
    'v1.blob.delete_intended', 'v1.blob.purged', 'v1.orphan.removed') AND sequence > $2 ORDER BY sequence LIMIT $3), \
    totals AS (SELECT size, SUM(size) OVER (ORDER BY sequence) AS total FROM sized) \
    SELECT sequence, type, recorded_at, actor, repository, subject, command_id, header, payload, salt, leaf_hash \
    FROM events WHERE subject = $1 AND type IN ('v1.blob.released', 'v2.blob.kept', 'v1.blob.condemned', \
    'v1.blob.delete_intended', 'v1.blob.purged', 'v1.orphan.removed') AND sequence > $2 \
    ORDER BY sequence LIMIT (SELECT COUNT(*) FROM totals WHERE total <= CAST($4 AS BIGINT) OR total = size)";

/// The number and the payloads of such a page.
const SIZE_OF_PACKAGE: &str = "WITH sized AS (SELECT sequence, OCTET_LENGTH(payload) AS size FROM events \
    WHERE subject = $1 AND subject >= 'pkg_' AND subject < 'pkg`' AND sequence > $2 \
    ORDER BY sequence LIMIT $3), \
    totals AS (SELECT size, SUM(size) OVER (ORDER BY sequence) AS total FROM sized) \
    SELECT CAST(COALESCE(MAX(total), 0) AS BIGINT), COUNT(*) FROM totals WHERE total <= CAST($4 AS BIGINT) OR total = size";

const SIZE_OF_RUN: &str = "WITH sized AS (SELECT sequence, OCTET_LENGTH(payload) AS size FROM events \
    WHERE subject = $1 AND type IN ('v1.blob.released', 'v2.blob.kept', 'v1.blob.condemned', \
    'v1.blob.delete_intended', 'v1.blob.purged', 'v1.orphan.removed') AND sequence > $2 ORDER BY sequence LIMIT $3), \
    totals AS (SELECT size, SUM(size) OVER (ORDER BY sequence) AS total FROM sized) \
    SELECT CAST(COALESCE(MAX(total), 0) AS BIGINT), COUNT(*) FROM totals WHERE total <= CAST($4 AS BIGINT) OR total = size";

/// Every named statement of this module.
pub(super) static STATEMENTS: &[&str] = &[OF_PACKAGE, OF_RUN, SIZE_OF_PACKAGE, SIZE_OF_RUN];

/// Up to `limit` events in order, after the one given: fewer at the end, and where their payloads are large. Only an
/// empty page says that there are no more.
pub(super) async fn after(db: &Db, log_id: &str, after: Sequence, limit: i64) -> Result<Vec<Event>, Error> {
    read(&db.snapshot().await?.page(&EVENTS, Some(&vec![after.into()]), limit).await?, log_id)
}

/// How many events a page of one package has, and how many bytes of payload.
pub(super) async fn size_of_package(
    db: &Db,
    package: &PackageId,
    after: Sequence,
    limit: i64,
) -> Result<(i64, i64), Error> {
    let args = vec![package.as_str().into(), after.into(), limit.into(), PAGE_BYTES.into()];
    Ok(db.query(SIZE_OF_PACKAGE, args).await?.first().map_or((0, 0), |row| (row.integer(1), row.integer(0))))
}

/// The same of one collection.
pub(super) async fn size_of_run(
    db: &Db,
    run: &str,
    after: Sequence,
    limit: i64,
) -> Result<(i64, i64), Error> {
    let args = vec![run.into(), after.into(), limit.into(), PAGE_BYTES.into()];
    Ok(db.query(SIZE_OF_RUN, args).await?.first().map_or((0, 0), |row| (row.integer(1), row.integer(0))))
}

/// The events of such a page of one package.
pub(super) async fn of_package(
    db: &Db,
    log_id: &str,
    package: &PackageId,
    after: Sequence,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let args = vec![package.as_str().into(), after.into(), limit.into(), PAGE_BYTES.into()];
    read(&db.query(OF_PACKAGE, args).await?, log_id)
}

/// The same of one collection: what it did to which objects.
pub(super) async fn of_run(
    db: &Db,
    log_id: &str,
    run: &str,
    after: Sequence,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let args = vec![run.into(), after.into(), limit.into(), PAGE_BYTES.into()];
    read(&db.query(OF_RUN, args).await?, log_id)
}
