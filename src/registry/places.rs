//! Which storage belongs to which log.
//!
//! A log names its objects and not where they are: the settings say that. So the database remembers the place that
//! its objects were first stored in, and the marker in the storage says which place that is and whose. Settings that
//! lead anywhere else are refused, before anything is served or written.

use super::blobs::location;
use super::copy::Side;
use super::{Error, Registry};
use crate::dataplane::{self, DataPlane};
use crate::db::Db;
use crate::events::places::{self, KnownPlace};
use crate::storage::{self, Owner, PlaceId};
use crate::views::blobs;

/// Objects looked for in a storage that a release without places has left.
const SAMPLE: i64 = 16;

/// The storage that the settings lead to is not where the objects of the log are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the objects of this registry are in {expected}, and the storage that is set is {found}; check storage.backend, \
     storage.local.root, storage.s3.endpoint, storage.s3.bucket and storage.s3.prefix, or bring the objects back with \
     their marker .registry"
)]
pub struct WrongPlace {
    expected: String,
    found: String,
}

impl WrongPlace {
    fn of(known: Option<&KnownPlace>, data: &DataPlane, owner: Option<&Owner>) -> Self {
        let place = |backend: &str, id: &str| format!("place {id} of storage {backend:?}");
        let expected = known.map(|known| place(&known.backend, &known.place));
        let found = match owner.map(|owner| owner.place.as_ref()) {
            Some(Some(id)) => place(data.id(), id.as_str()),
            Some(None) => "one whose marker names no place".to_owned(),
            None => "a new one or was emptied: it has no marker".to_owned(),
        };
        Self { expected: expected.unwrap_or_else(|| "another storage".to_owned()), found }
    }
}

impl Registry {
    /// Binds the storage to the log, durably, or makes sure that it is the one that was. A registry without objects
    /// takes a new storage; any other takes only the one that has them, or [`Error::WrongPlace`]. To be called before
    /// anything is stored or served.
    pub async fn bind(&self) -> Result<(), Error> {
        let (db, data, log_id) = (&self.inner.db, &self.inner.data, self.log_id());
        let known = places::known(db).await?;
        let owner = data.owner().await?;
        // Another registry's is refused by the claim, in its own words.
        if owner.as_ref().is_none_or(|owner| owner.log_id == log_id) {
            let is_right = match (&known, &owner) {
                (Some(known), owner) => is_at(known, data, owner.as_ref()),
                (None, None) => blobs::page(db, None, 1).await?.is_empty(),
                (None, Some(_)) => holds_some(db, data).await?,
            };
            if !is_right {
                return Err(Error::WrongPlace(WrongPlace::of(known.as_ref(), data, owner.as_ref())));
            }
        }
        let place = data.claim(&log_id).await?;
        remember(db, data, place, &log_id).await
    }
}

/// Claims the storage of a copy, and says which place it is. Only the storage is written to: what is wrong with the
/// copy's side is found before its database says anything of the log.
pub(super) async fn claim_copy(
    from: Side<'_>,
    to: Side<'_>,
    log_id: &str,
    is_whole: bool,
) -> Result<PlaceId, Error> {
    refuse_same_place(from.data, place_of(to.data).await?).await?;
    let known = places::known(to.db).await?;
    let owner = to.data.owner().await?;
    if owner.as_ref().is_none_or(|owner| owner.log_id == log_id) {
        let is_right = match (&known, &owner) {
            (Some(known), owner) => is_at(known, to.data, owner.as_ref()),
            // A copy that is whole has its objects somewhere.
            (None, owner) => owner.is_some() || !is_whole,
        };
        if !is_right {
            return Err(Error::WrongPlace(WrongPlace::of(known.as_ref(), to.data, owner.as_ref())));
        }
    }
    let place = to.data.claim(log_id).await?;
    // Again: where the marker named no place, and both sides are one, the original's names that of the copy now.
    refuse_same_place(from.data, place_of(to.data).await?).await?;
    Ok(place)
}

/// [`Error::SamePlace`] when the original stores in the place of the copy, however their settings spell it. Changes
/// nothing; a place that was not claimed since there are ids of places is taken for a different one.
pub async fn refuse_same_place(original: &DataPlane, copy: Option<PlaceId>) -> Result<(), Error> {
    match copy {
        Some(place) if place_of(original).await?.as_ref() == Some(&place) => Err(Error::SamePlace(place)),
        _ => Ok(()),
    }
}

async fn place_of(data: &DataPlane) -> Result<Option<PlaceId>, Error> {
    match data.owner().await {
        Ok(owner) => Ok(owner.and_then(|owner| owner.place)),
        // It has no marker.
        Err(dataplane::Error::Storage(storage::Error::Foreign(_))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Remembers a claimed place in the database of its log, unless that knows another one by now.
pub(super) async fn remember(db: &Db, data: &DataPlane, place: PlaceId, log_id: &str) -> Result<(), Error> {
    let claimed = KnownPlace { backend: data.id().to_owned(), place: place.to_string() };
    let known = places::remember(db, claimed.clone()).await?;
    if known == claimed {
        return Ok(());
    }
    let owner = Owner { log_id: log_id.to_owned(), place: Some(place) };
    Err(Error::WrongPlace(WrongPlace::of(Some(&known), data, Some(&owner))))
}

/// Whether the storage is still the one that the database knows: in any other everything would seem to be missing.
pub(super) async fn check_place(db: &Db, data: &DataPlane) -> Result<(), Error> {
    let Some(known) = places::known(db).await? else { return Ok(()) };
    let owner = data.owner().await?;
    if is_at(&known, data, owner.as_ref()) {
        Ok(())
    } else {
        Err(Error::WrongPlace(WrongPlace::of(Some(&known), data, owner.as_ref())))
    }
}

fn is_at(known: &KnownPlace, data: &DataPlane, owner: Option<&Owner>) -> bool {
    let place = owner.and_then(|owner| owner.place.as_ref());
    known.backend == data.id() && place.is_some_and(|place| place.as_str() == known.place)
}

/// Whether any of the first objects the log names is there, or it names none. A place that a mistyped setting made in
/// the time before places were remembered has the right log in its marker and holds nothing.
async fn holds_some(db: &Db, data: &DataPlane) -> Result<bool, Error> {
    let sample = blobs::page(db, None, SAMPLE).await?;
    let names_none = sample.is_empty();
    for blob in sample {
        match data.is_there(&location(blob)).await {
            Ok(true) => return Ok(true),
            Ok(false) | Err(dataplane::Error::UnknownBackend(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(names_none)
}
