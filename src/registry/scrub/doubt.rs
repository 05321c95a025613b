//! A copy that somebody met damaged before the scrub did: a reader, or a push of the same content.

use super::commands::{RecordFinding, Shown};
use super::pass::shown;
use crate::dataplane::Location;
use crate::events::{Damage, Fact};
use crate::oci::Digest;
use crate::registry::{Actor, Error, Registry, places};
use crate::views::blobs;
use crate::views::damages::NO_RUN;

/// Copies that are read again at once. A damaged one may have many readers.
pub(in crate::registry) const LOOKS: usize = 2;

impl Registry {
    /// Reads a copy again that seemed damaged, and records what that shows, as the scrub does. What is on record
    /// already is not read again.
    pub(in crate::registry) async fn look_again(
        &self,
        content: &Digest,
        location: &Location,
    ) -> Result<(), Error> {
        let _turn = self.inner.looks.acquire().await.map_err(|_| Error::Stopping)?;
        let now = blobs::of_any_state(&self.inner.db, content).await?;
        let is_news =
            |blob: blobs::Blob| blob.state.is_kept() && blob.key == location.key && blob.damage.is_none();
        if !now.is_some_and(is_news) {
            return Ok(());
        }
        let shown = match shown(self.inner.data.verify(location, content).await?) {
            Shown::Whole => {
                Shown::Unreadable("it was read twice, and only the second time rightly".to_owned())
            }
            shown => shown,
        };
        if matches!(shown, Shown::Damaged(Damage::Missing, _)) {
            // Where nothing of ours is, nothing is missing.
            places::check_place(&self.inner.db, &self.inner.data).await?;
        }
        let (backend, key) = (location.backend.clone(), location.key.clone());
        let finding = RecordFinding { run: NO_RUN.to_owned(), content: content.clone(), backend, key, shown };
        self.record_finding(finding).await.map(drop)
    }

    /// Records what was found out about a copy. Whether it was news.
    pub(super) async fn record_finding(&self, finding: RecordFinding) -> Result<bool, Error> {
        let (key, content, shown) = (finding.key.clone(), finding.content.clone(), finding.shown.clone());
        let committed = self.submit(Actor::system(), finding).await?;
        let is_news = committed.events.iter().any(|event| {
            matches!(event.fact, Fact::BlobCorrupted(_) | Fact::BlobUnreadable(_) | Fact::BlobRecovered(_))
        });
        // Not before it is decided: a copy that a collection deletes at this moment is missing, and no damage.
        if let Shown::Damaged(_, reason) | Shown::Unreadable(reason) = shown
            && is_news
        {
            tracing::error!(key, "Stored bytes of {content}: {reason}");
        }
        Ok(is_news)
    }
}
