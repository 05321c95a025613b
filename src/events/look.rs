//! Looking at the views the way a decision does, without deciding anything.

use super::{Error, Rows};
use crate::db::Db;

/// What a pure function over the rows comes to on the views as they are at one moment.
pub async fn look<T>(db: &Db, mut see: impl FnMut(&Rows) -> T) -> Result<T, Error> {
    let mut rows = Rows::default();
    let mut tx = db.snapshot().await?;
    loop {
        let seen = see(&rows);
        let missed = rows.take_missed();
        if missed.is_empty() {
            return Ok(seen);
        }
        rows.load(&mut tx, missed).await?;
    }
}
