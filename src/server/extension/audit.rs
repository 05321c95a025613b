//! The audit: a page as JSON, or all of it as lines.

use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use serde_json::{Value, json};

use super::super::body::{OutStream, StreamError};
use super::super::download::CHANGING;
use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, held, open};
use super::super::route::Audit;
use super::super::service::Call;
use super::accept::preferred;
use super::sheet;
use crate::registry::{AuditEntry, AuditFilter, AuditSpan, MAX_AUDIT_BYTES, MAX_AUDITED, Origin, Registry};
use crate::retention::rfc3339;

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const SHEET: &str = "text/csv";

/// What is in memory of an export at a time: entries, and bytes of them.
const PIECE: usize = 200;
const PIECE_BYTES: usize = 128 * 1024;

pub(super) async fn get(call: &mut Call<'_>, asked: Audit) -> Result<Answer, Error> {
    const NAMES: &[&str] = &[JSON, LINES, SHEET];
    match preferred(&call.headers, &[&[JSON], &[LINES], &[SHEET]]) {
        Some(0) => page(call, asked).await,
        Some(1) => export(call, asked, Form::Lines).await,
        Some(_) => export(call, asked, Form::Sheet).await,
        None => Err(Error::NotAcceptable(NAMES)),
    }
}

async fn page(call: &mut Call<'_>, asked: Audit) -> Result<Answer, Error> {
    // One entry may be beyond the bytes of a page.
    let room = call.state.room.take(0, 2 * MAX_AUDIT_BYTES).await?;
    let limit = asked.limit.unwrap_or(MAX_AUDITED);
    let span = AuditSpan { since: asked.since, limit, ..AuditSpan::default() };
    let page = call.state.registry.audit(&asked.filter, span).await?;
    let entries: Vec<Value> = page.entries.iter().map(shape).collect();
    let body = json!({
        "entries": entries, "next_since": page.scanned_to, "scanned_to": page.scanned_to, "head": page.head,
    });
    Ok(held(JSON, room.hold(body.to_string().into_bytes())).with(CACHE_CONTROL, CHANGING))
}

/// How an export is written.
#[derive(Clone, Copy)]
enum Form {
    Lines,
    Sheet,
}

impl Form {
    fn media_type(self) -> &'static str {
        match self {
            Self::Lines => LINES,
            Self::Sheet => "text/csv; charset=utf-8; header=present",
        }
    }

    fn write(self, text: &mut String, entry: &AuditEntry) {
        let shape = shape(entry);
        match self {
            Self::Lines => {
                text.push_str(&shape.to_string());
                text.push('\n');
            }
            Self::Sheet => sheet::write(text, &shape),
        }
    }
}

/// What is left of an export.
struct Export {
    registry: Registry,
    filter: AuditFilter,
    form: Form,
    since: i64,
    /// The newest event when it began; with its answer to the first question.
    end: Option<i64>,
    /// Entries that may still come.
    left: usize,
    is_begun: bool,
}

/// Everything up to the head of now, piece by piece: as fast as it is read, and no more of it in memory than one piece. One
/// that breaks off has no proper end, which a client notices.
async fn export(call: &mut Call<'_>, asked: Audit, form: Form) -> Result<Answer, Error> {
    let registry = call.state.registry.clone();
    let left = asked.limit.unwrap_or(usize::MAX);
    let mut export =
        Export { registry, filter: asked.filter, form, since: asked.since, end: None, left, is_begun: false };
    // What is wrong with the question is said with a status.
    let first = export.next().await?;
    let rest = stream::unfold(Some(export), async |export| {
        let mut export = export?;
        match export.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(export))),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "An export of the audit broke off");
                Some((Err(StreamError::from(error)), None))
            }
        }
    });
    let first = stream::iter(first.map(Ok::<_, StreamError>));
    let frames: OutStream = Box::pin(futures_util::StreamExt::chain(first, rest));
    let name = match form {
        Form::Lines => "attachment; filename=\"audit.ndjson\"",
        Form::Sheet => "attachment; filename=\"audit.csv\"",
    };
    let answer = open(form.media_type(), frames);
    Ok(answer.with(CONTENT_DISPOSITION, name).with(CACHE_CONTROL, CHANGING))
}

impl Export {
    /// The next piece that is not empty; `None` after the last one.
    async fn next(&mut self) -> Result<Option<bytes::Bytes>, crate::registry::Error> {
        let mut text = String::new();
        if !std::mem::replace(&mut self.is_begun, true)
            && let Form::Sheet = self.form
        {
            sheet::header(&mut text);
        }
        while self.left > 0 && self.end.is_none_or(|end| self.since < end) {
            let limit = PIECE.min(self.left);
            let span = AuditSpan { since: self.since, to: self.end, limit, bytes: PIECE_BYTES };
            let page = self.registry.audit(&self.filter, span).await?;
            self.end.get_or_insert(page.head);
            self.since = page.scanned_to;
            self.left -= page.entries.len();
            page.entries.iter().for_each(|entry| self.form.write(&mut text, entry));
            if !text.is_empty() {
                break;
            }
        }
        Ok((!text.is_empty()).then(|| text.into()))
    }
}

/// An entry as JSON. Fields may be added, and never renamed.
pub(crate) fn shape(entry: &AuditEntry) -> Value {
    let mut shape = json!({
        "sequence": entry.sequence,
        "at": rfc3339(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "decision": entry.decision.as_str(),
        "subject": entry.subject,
        "event": entry.event,
    });
    let optional = [
        ("repository", entry.repository.as_ref().map(|name| Value::from(name.as_str()))),
        ("reference", entry.reference.as_deref().map(Value::from)),
        ("package", entry.package.as_ref().map(|id| Value::from(id.as_str()))),
        ("reason", entry.reason.as_deref().map(Value::from)),
        ("attempts", entry.attempts.map(Value::from)),
        ("from", entry.from.as_ref().map(origin)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            shape[name] = value;
        }
    }
    shape
}

fn origin(origin: &Origin) -> Value {
    let mut shape = json!({ "via": origin.via.as_str() });
    let optional = [
        ("address", origin.address.map(|address| address.to_string())),
        ("client", origin.client.clone()),
        ("request_id", origin.request_id.clone()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            shape[name] = value.into();
        }
    }
    shape
}
