//! The log of a registry on this machine, read from its database.

use std::time::Duration;

use super::super::{Failure, open, start};
use super::Format;
use crate::client::tail::{Batch, Error, Event, Fault, Filter, Frame, Identity, Reader, Seen};
use crate::config::Flags;
use crate::oci::RepositoryName;
use crate::registry::{
    self, EventFilter, Head, Record, cloud_event, event_json, has_repository, read_events,
};

/// Events read at once.
const PAGE: usize = 1000;

/// How often it is looked whether the log went on: there may be nobody who could say so.
const POLL: Duration = Duration::from_secs(1);

/// A log in a database.
pub(super) struct Here {
    parts: open::Parts,
    filter: EventFilter,
    format: Format,
    is_followed: bool,
}

impl Here {
    /// Opens the database for reading, beside a running server or without one.
    pub(super) async fn open(
        flags: Flags,
        filter: &Filter,
        format: Format,
        is_followed: bool,
    ) -> Result<Self, Failure> {
        let types = match &filter.types[..] {
            [] => Vec::new(),
            types => EventFilter::parse_types(&types.join(","))?,
        };
        let filter =
            EventFilter { types, repository: filter.repository.clone(), package: filter.package.clone() };
        let parts = open::read(&start(flags)?).await?;
        if let Some(name) = &filter.repository
            && !has_repository(&parts.db, name).await?
        {
            return Err(Failure(format!("nothing was ever pushed to a repository {name}")));
        }
        Ok(Self { parts, filter, format, is_followed })
    }

    async fn page(&self, after: i64, limit: usize) -> Result<(Head, registry::EventPage), Error> {
        read_events(&self.parts.db, after, &self.filter, limit).await.map_err(|error| match error {
            registry::Error::CursorExpired { since, horizon } => {
                Fault::Expired { since, said: format!("it goes on behind event {horizon}") }.into()
            }
            error if error.is_temporary() => Error::Passing { source: Box::new(error), after: None },
            error => Error::Failed(Box::new(error)),
        })
    }

    /// An event as a server would send it.
    fn show(&self, record: &Record, log_id: &str) -> Result<Event, Error> {
        let shown = record.shown(event_json).map_err(|error| Error::Failed(Box::new(error)))?;
        let json = match self.format {
            Format::Cloudevents => cloud_event(record, &shown, log_id).into(),
            Format::Text | Format::Json => shown,
        };
        Event::read(json).map_err(|reason| Error::Failed(reason.into()))
    }
}

impl Reader for Here {
    async fn identify(&mut self, since: Option<i64>) -> Result<Identity, Error> {
        let (head, page) = self.page(since.unwrap_or(i64::MAX), 1).await?;
        let seen = |record: &Record| {
            let event = self.show(record, &head.log_id)?;
            let leaf_hash = event.leaf_hash.unwrap_or_default();
            Ok::<_, Error>(Seen { sequence: event.sequence, leaf_hash })
        };
        let next = page.records.first().map(|record| seen(record)).transpose()?;
        Ok(Identity { epoch: head.epoch, head: head.last(), next, log_id: head.log_id })
    }

    async fn read(&mut self, since: i64, _: &Identity) -> Result<Batch, Error> {
        loop {
            let (head, page) = self.page(since, PAGE).await?;
            if page.scanned_to <= since && page.head == since && self.is_followed {
                tokio::time::sleep(POLL).await;
                continue;
            }
            let events = page.records.iter().map(|record| self.show(record, &head.log_id));
            let mut frames = events.map(|event| event.map(Frame::Event)).collect::<Result<Vec<_>, _>>()?;
            frames.push(Frame::Bookmark { scanned_to: page.scanned_to, head: Some(page.head) });
            return Ok(Batch { log: Some((head.log_id, head.epoch)), frames, is_over: false });
        }
    }
}

/// The repository that is named where there is no server to name.
pub(super) fn repository(text: &str) -> Result<Option<RepositoryName>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| {
        Failure(format!(
            "{text:?} is no repository: {error}; with --data or --config there is no server to name"
        ))
    })
}
