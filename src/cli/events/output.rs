//! Events on the output, a line each.

use std::io::{self, ErrorKind, Write as _};

use super::super::Failure;
use super::Format;
use crate::client::shown;
use crate::client::tail::Event;

/// Where events go.
pub(super) struct Output {
    format: Format,
}

/// Whether somebody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// They are written.
    All,
    /// Whoever read along has had enough.
    Unread,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Writes events and flushes them. On a thread: whoever reads may take their time, and a signal must not wait for
    /// that.
    pub(super) async fn write(&self, events: Vec<Event>) -> Result<Written, Failure> {
        if events.is_empty() {
            return Ok(Written::All);
        }
        let format = self.format;
        let written = tokio::task::spawn_blocking(move || write(format, &events)).await;
        match written? {
            Ok(()) => Ok(Written::All),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Written::Unread),
            Err(error) => Err(Failure(format!("cannot write the events: {error}"))),
        }
    }
}

fn write(format: Format, events: &[Event]) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(64 << 10, io::stdout().lock());
    for event in events {
        match format {
            Format::Json | Format::Cloudevents => out.write_all(&event.json)?,
            Format::Text => out.write_all(line(event).as_bytes())?,
        }
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// An event for people. Nothing in it does anything to a terminal.
fn line(event: &Event) -> String {
    let Event { sequence, recorded_at, type_name, .. } = event;
    let text = |field: &Option<String>| shown(field.as_deref().unwrap_or("-")).to_string();
    let (repository, subject, actor) = (text(&event.repository), text(&event.subject), text(&event.actor));
    format!("{sequence}  {}  {}  {repository}  {subject}  {actor}", shown(recorded_at), shown(type_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_others_is_one_line_that_stays_where_it_is() {
        let json = br#"{"sequence":7,"type":"v1.x.y","recorded_at":"2026-01-01T00:00:00Z","actor":"a\nb","subject":"\u001b[2J\u202e","repository":null,"payload":{}}"#;
        let event = Event::read(bytes::Bytes::from_static(json)).unwrap();
        assert_eq!(line(&event), "7  2026-01-01T00:00:00Z  v1.x.y  -  \\u{1b}[2J\\u{202e}  a\\nb");
    }
}
