//! The log: `GET G/events` and `GET R/events`.

use super::extension::MAX_SEQUENCE;
use super::parameters::{Parameters, refused};
use super::{EXTENSION, Permission, RouteError};
use crate::oci::RepositoryName;
use crate::registry::{Begin, EventFilter, ExpectedLog};

/// The longest that an answer is waited for, in seconds.
const MAX_WAIT: u64 = 60;

/// What of the log is asked for. In which framing, the headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// The repository in the path. Its name is in the filter as well.
    pub of: Option<RepositoryName>,
    /// Where to begin; each framing has a place of its own.
    pub since: Option<Begin>,
    /// How many events, at most.
    pub limit: Option<usize>,
    /// How long to wait for more at the end of the log, in seconds.
    pub wait: Option<u64>,
    /// Which events.
    pub filter: EventFilter,
    /// The log the client believes to read.
    pub expected: ExpectedLog,
    /// How an event looks.
    pub format: Option<Format>,
}

/// How an event looks as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As everywhere here.
    Json,
    /// A `CloudEvent` in structured mode.
    CloudEvents,
}

impl Events {
    /// What the caller must be allowed to do. Which events it then sees is decided for each of them.
    pub(super) fn permission(&self) -> Permission<'_> {
        self.of.as_ref().map_or(Permission::Sight, Permission::pull)
    }
}

impl Parameters {
    pub(super) fn events(&self, of: Option<RepositoryName>) -> Result<Events, RouteError> {
        let known = ["since", "limit", "wait", "types", "package", "log_id", "epoch", "format", "repository"];
        // The one in the path cannot be another one.
        self.only(if of.is_some() { &known[..known.len() - 1] } else { &known })?;
        let refusal = |name: &'static str, reason: &dyn std::fmt::Display| refused(name, &reason.to_string());
        let types = self.text("types")?.map(EventFilter::parse_types).transpose();
        let package = self.text("package")?.map(str::parse).transpose();
        let repository = self.text("repository")?.map(str::parse).transpose();
        let epoch = self.number("epoch", 0, Some(MAX_SEQUENCE))?;
        Ok(Events {
            since: self.place()?,
            limit: self.number("limit", 1, None)?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            wait: self.number("wait", 0, Some(MAX_WAIT))?,
            filter: EventFilter {
                types: types.map_err(|error| refusal("types", &error))?.unwrap_or_default(),
                repository: match &of {
                    Some(name) => Some(name.clone()),
                    None => repository.map_err(|error| refusal("repository", &error))?,
                },
                package: package.map_err(|error| refusal("package", &error))?,
            },
            expected: ExpectedLog { log_id: self.word_of_log("log_id")?, epoch: epoch.map(u64::cast_signed) },
            format: self.read("format", "json or cloudevents", |text| match text {
                "json" => Some(Format::Json),
                "cloudevents" => Some(Format::CloudEvents),
                _ => None,
            })?,
            of,
        })
    }

    fn place(&self) -> Result<Option<Begin>, RouteError> {
        if self.text("since")? == Some("now") {
            return Ok(Some(Begin::Now));
        }
        let what = format!("now, or a whole number of 0 to {MAX_SEQUENCE}");
        self.read("since", &what, |text| sequence(text).map(Begin::After))
    }

    /// The id of a log. One that cannot be one is of another log for sure, but more likely a mistake.
    fn word_of_log(&self, name: &'static str) -> Result<Option<String>, RouteError> {
        self.read(name, "1 to 64 printable characters", |text| {
            let is_word = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
            is_word.then(|| text.to_owned())
        })
    }
}

/// The number of an event, or 0.
pub fn sequence(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = is_number.then(|| text.parse().ok())??;
    (number <= MAX_SEQUENCE).then_some(number.cast_signed())
}

/// `G/events` or `R/events`
pub fn events_path(of: Option<&RepositoryName>) -> String {
    match of {
        Some(name) => format!("/v2/{name}/{EXTENSION}/events"),
        None => format!("/v2/{EXTENSION}/events"),
    }
}
