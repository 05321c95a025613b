//! Reading a snapshot back into empty views.

use std::io::Write as _;

use flate2::write::GzDecoder;
use futures_util::StreamExt as _;

use super::super::{Error, Head, Projections, Sequence, state};
use super::frames::{Frames, Header, row};
use super::{Unusable, Usable};
use crate::db::{Row, Table, Tx};

/// Rows written at a time, and bytes of their frames: bounds memory.
const PAGE: usize = 1024;
const PAGE_BYTES: usize = 4 << 20;

/// Compressed bytes taken apart at a time: they may be a thousand times as many.
const PIECE: usize = 8 * 1024;

/// Why it ended: the snapshot, or something that has nothing to do with it.
enum Ended {
    Unusable(Unusable),
    Failed(Error),
}

impl From<Unusable> for Ended {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// See [`Usable::load`].
pub(super) async fn load(
    snapshot: &Usable<'_>,
    tx: &mut Tx,
    head: &Head,
    projections: &Projections,
) -> Result<Result<(), Unusable>, Error> {
    match fill(snapshot, tx, head, projections).await {
        Ok(()) => Ok(Ok(())),
        Err(Ended::Unusable(unusable)) => Ok(Err(unusable)),
        Err(Ended::Failed(error)) => Err(error),
    }
}

async fn fill(
    snapshot: &Usable<'_>,
    tx: &mut Tx,
    head: &Head,
    projections: &Projections,
) -> Result<(), Ended> {
    let fact = &snapshot.fact;
    let mut body = snapshot.shelf.open(&fact.object).await.map_err(Unusable::Unopened)?;
    let expected = Header::new(&head.log_id, fact.sequence, projections);
    let mut filling = Filling::new(expected, projections.tables());
    let mut decoder = GzDecoder::new(Vec::new());
    let broken = |_| Unusable::Malformed("it cannot be decompressed");
    while let Some(bytes) = body.next().await {
        for piece in bytes.map_err(Unusable::Unread)?.chunks(PIECE) {
            decoder.write_all(piece).map_err(broken)?;
            filling.take(std::mem::take(decoder.get_mut()), tx).await?;
        }
    }
    decoder.try_finish().map_err(broken)?;
    filling.take(std::mem::take(decoder.get_mut()), tx).await?;
    filling.finish()?;
    is_as_recorded(tx, head, fact.sequence, projections, &fact.state).await
}

/// The views were read back from the tables: what the database made of the rows counts.
async fn is_as_recorded(
    tx: &mut Tx,
    head: &Head,
    sequence: Sequence,
    projections: &Projections,
    expected: &crate::oci::Digest,
) -> Result<(), Ended> {
    let found = state::digest_at(tx, &head.log_id, sequence, projections).await?;
    if found.digest == *expected { Ok(()) } else { Err(Unusable::State(found.digest).into()) }
}

/// Where in the dump it is.
struct Filling {
    frames: Frames,
    /// Until it was seen.
    header: Option<Header>,
    tables: std::vec::IntoIter<&'static Table>,
    /// The table the next row is of.
    table: Option<&'static Table>,
    rows: Vec<Row>,
    bytes: usize,
}

impl Filling {
    fn new(header: Header, tables: Vec<&'static Table>) -> Self {
        let mut tables = tables.into_iter();
        let table = tables.next();
        Self { frames: Frames::default(), header: Some(header), tables, table, rows: Vec::new(), bytes: 0 }
    }

    async fn take(&mut self, bytes: Vec<u8>, tx: &mut Tx) -> Result<(), Ended> {
        self.frames.push(&bytes);
        while let Some(frame) = self.frames.next()? {
            if let Some(expected) = self.header.take() {
                if Header::parse(frame)? != expected {
                    return Err(Unusable::Malformed("its header is not that of the event").into());
                }
                continue;
            }
            let table = self.table.ok_or(Unusable::Malformed("something follows the last table"))?;
            let is_end = frame.is_empty();
            if !is_end {
                self.rows.push(row(table, frame)?);
                self.bytes += frame.len();
            }
            if is_end || self.rows.len() >= PAGE || self.bytes >= PAGE_BYTES {
                tx.insert(table, &std::mem::take(&mut self.rows)).await.map_err(Error::Db)?;
                self.bytes = 0;
            }
            if is_end {
                self.table = self.tables.next();
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Unusable> {
        let is_whole = self.header.is_none() && self.table.is_none() && self.frames.is_empty();
        if is_whole { Ok(()) } else { Err(Unusable::Malformed("it ends in the middle")) }
    }
}
