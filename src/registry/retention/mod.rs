//! Retention and holds: what is asked of them and how they are changed.
//!
//! What protects is looked at where something would be lost, in [`protection`](super::protection). Here protection is
//! put on, made longer and, where that is allowed, taken off; each is one command, decided on what holds then. What is
//! over leaves by a [disposition].

mod absent;
mod certificate;
mod change;
mod disposition;
mod eligible;
mod explain;
mod hold;
mod item;
mod leaving;
mod policy;
mod schedule;
mod stored;

pub use crate::views::dispositions::{Approval, Disposition, Status as DispositionStatus};
pub use crate::views::holds::{Hold, Release};
pub use crate::views::retentions::Retention;
pub use crate::views::tombstones::Tombstone;
pub use certificate::Certificate;
pub use change::Extension;
pub use eligible::Eligible;
pub use explain::Explanation;
pub use hold::NewHold;
pub(super) use item::find;
pub use item::{Item, ItemError};
pub(super) use policy::{adopt, in_force};
pub use schedule::{DisposalOptions, DisposalRun, Scheduled, ScheduledStep, plan_disposal};
pub use stored::StoredBlob;

use super::Error;
use crate::codec::unseen::is_unseen;
use crate::events::{DispositionVoided, Fact, Rows, Target};
use crate::oci::RepositoryName;
use crate::views::dispositions;

/// The longest name of a matter, in bytes.
const MATTER: usize = 128;

/// The longest reason, in bytes.
pub(super) const REASON: usize = 1024;

/// A text that somebody has to give, without the space around it. It stands in one line as it was written: nothing in it
/// ends that or turns the order of what is read.
pub(super) fn given(field: &'static str, text: &str, most: usize) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() || text.len() > most || text.chars().any(is_unseen) {
        return Err(Error::TextInvalid { field, most });
    }
    Ok(text.to_owned())
}

/// The end of every open disposition of something whose protection grows.
fn voided(rows: &Rows, repository: &RepositoryName, target: &Target, reason: &str) -> Vec<Fact> {
    let open = dispositions::open_about(rows, repository, target).into_iter();
    let void = |disposition: dispositions::Disposition| DispositionVoided {
        repository: repository.clone(),
        disposition: disposition.id,
        reason: reason.to_owned(),
    };
    open.map(|disposition| void(disposition).into()).collect()
}
