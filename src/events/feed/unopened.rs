//! Pages of a log that is not open in this process: beside a running server, or where there is none.

use super::{Filter, Page, horizon, scan};
use crate::db::Db;
use crate::events::{Error, Head, Sequence};

/// What a filter matches of the events after the one given, as [`Log::feed`](crate::events::Log::feed) has it, and where
/// the log ended then. Beyond the end the page is empty, and its place the one that was asked for.
///
/// [`Error::Unfinished`] while the log is copied into the database, [`Error::Expired`] where the next event is not in it
/// any more.
pub async fn read(db: &Db, after: Sequence, filter: &Filter, limit: usize) -> Result<(Head, Page), Error> {
    let head = Head::newest(db).await?;
    if !head.is_whole() {
        return Err(Error::Unfinished);
    }
    if after >= head.last() {
        let page = Page { records: Vec::new(), scanned_to: after, head: head.last() };
        return Ok((head, page));
    }
    let horizon = horizon(db).await?;
    if after < horizon {
        return Err(Error::Expired { horizon });
    }
    let page = scan(db, &head, after, filter, limit.into()).await?;
    Ok((head, page))
}
