//! Writing a snapshot.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::mpsc;

use super::super::state::{StateDigest, Summed, TableSum, frame};
use super::super::{Error, Head, Projections};
use super::frames::{END, Header};
use crate::db::{Db, Row};

/// Rows read at a time; bounds memory.
const PAGE: i64 = 1000;

/// Bytes that are sent on together, about.
const PIECE: usize = 256 * 1024;

/// What was written.
#[derive(Clone, Debug)]
pub struct Dumped {
    /// The state of the views that were.
    pub state: StateDigest,
    /// The version of the projections.
    pub views_version: i64,
    /// The rows of all tables.
    pub rows: u64,
}

/// Writes the views as they are at one moment, compressed, piece by piece. Takes no more memory than a page of rows,
/// and keeps nobody from writing. Ends early, without an error, when nobody takes the pieces any more.
///
/// [`Error::Superseded`] when the views are of another version than the projections.
pub async fn dump(
    db: &Db,
    projections: &Projections,
    pieces: mpsc::Sender<Bytes>,
) -> Result<Option<Dumped>, Error> {
    let mut tx = db.snapshot().await?;
    let head = Head::load(&mut tx).await?;
    let version = projections.version();
    if head.views_version != version {
        return Err(Error::Superseded { known: version, found: head.views_version });
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let header = Header::new(&head.log_id, head.last(), projections).frame().map_err(Error::Encode)?;
    write(&mut encoder, &header);
    let mut tables = Vec::new();
    for table in projections.tables() {
        let (mut sum, mut after) = (TableSum::new(table), None);
        loop {
            let page = tx.page(table, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(table.key_of(last));
            (encoder, sum) = compressed(encoder, sum, page).await?;
            if encoder.get_ref().len() >= PIECE && !send(&mut encoder, &pieces).await {
                return Ok(None);
            }
        }
        write(&mut encoder, &END);
        tables.push(sum.finish());
    }
    drop(tx);
    encoder.try_finish().expect("a Vec takes every byte");
    if !send(&mut encoder, &pieces).await {
        return Ok(None);
    }
    let rows = tables.iter().map(|table| table.rows).sum();
    let state = Summed { log_id: &head.log_id, sequence: head.last(), version, tables }.digest()?;
    Ok(Some(Dumped { state, views_version: version, rows }))
}

/// Encodes and compresses a page beside whatever else this process does.
async fn compressed(
    mut encoder: GzEncoder<Vec<u8>>,
    mut sum: TableSum,
    page: Vec<Row>,
) -> Result<(GzEncoder<Vec<u8>>, TableSum), Error> {
    let task = tokio::task::spawn_blocking(move || {
        for row in &page {
            let frame = frame(row)?;
            sum.add(&frame);
            write(&mut encoder, &frame);
        }
        Ok((encoder, sum))
    });
    task.await.expect("encoding does not panic")
}

fn write(encoder: &mut GzEncoder<Vec<u8>>, bytes: &[u8]) {
    encoder.write_all(bytes).expect("a Vec takes every byte");
}

/// Sends on what is compressed so far; `false` when nobody takes it.
async fn send(encoder: &mut GzEncoder<Vec<u8>>, pieces: &mpsc::Sender<Bytes>) -> bool {
    let piece = std::mem::take(encoder.get_mut());
    piece.is_empty() || pieces.send(piece.into()).await.is_ok()
}
