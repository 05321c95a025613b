//! `artifactstore webhooks …`: a client of an artifactstore registry.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{answer, say};
use super::package::Remote;
use super::retention::lines;
use super::{Failure, Outcome};
use crate::client::shown;

const FORMATS: [&str; 3] = ["json", "cloudevents", "distribution"];

/// The most that is read of a file that has a secret.
const SECRET: u64 = 4096;

/// What can be done with webhooks.
#[derive(Debug, Subcommand)]
pub(super) enum Webhooks {
    /// Have events sent to a receiver as they are recorded; prints the id, and the secret, which is told only now.
    Create(Create),
    /// List the webhooks.
    List(List),
    /// Show a webhook: how far it is, and what went wrong.
    Show(One),
    /// Change a webhook; what is not named stays. With --rotate-secret prints the new secret.
    Change(Change),
    /// Remove a webhook.
    Delete(One),
    /// Have the next attempt made now.
    Retry(One),
    /// Send nothing until it is resumed; it keeps its place.
    Suspend(One),
    /// Send again.
    Resume(Resume),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Where to, `https://host/path`
    url: String,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Change {
    /// The webhook.
    id: String,
    /// Where to from now on.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Every event, whatever was left out so far; with --types, --repository or --package those that they leave.
    #[arg(long)]
    everything: bool,
    /// Make a new secret; the one before signs too for 24 hours.
    #[arg(long, conflicts_with = "secret_file")]
    rotate_secret: bool,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    remote: Remote,
}

/// What is sent, and how.
#[derive(Debug, Args)]
struct What {
    /// How events are rendered; json when nobody says
    #[arg(long, value_name = "FORMAT", value_parser = FORMATS)]
    format: Option<String>,
    /// Only events of these types: package, tag.moved, v1.tag.moved, with commas
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// Only events about this repository
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Only events about this package
    #[arg(long, value_name = "ID")]
    package: Option<String>,
    /// A file with the secret to sign with, whsec_…; - for the input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Send the events after this one; 0 for all there are [default: what is recorded from now on]
    #[arg(long, value_name = "N|now", value_parser = since)]
    since: Option<Value>,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// The webhook.
    id: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The webhook.
    id: String,
    /// Go on after this event, and not where it is
    #[arg(long, value_name = "N|now", value_parser = since)]
    since: Option<Value>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    remote: Remote,
}

impl Webhooks {
    pub(super) async fn run(self) -> Outcome {
        match self {
            Self::Create(Create { url, what, remote }) => {
                let mut asked = what.asked()?;
                asked["url"] = url.into();
                let made = remote.client()?.create_webhook(&asked).await?;
                let text = |field: &str| shown(made[field].as_str().unwrap_or("-")).to_string();
                answer(remote.json, &made, &format!("{}\n{}", text("id"), text("secret")))?;
            }
            Self::List(List { remote }) => {
                let found = remote.client()?.webhooks().await?;
                if remote.json {
                    answer(true, &json!({ "webhooks": found }), "")?;
                    return Ok(true);
                }
                for webhook in &found {
                    let text = |field: &str| shown(webhook[field].as_str().unwrap_or("-")).to_string();
                    let behind = webhook["head"].as_i64().zip(webhook["cursor"].as_i64());
                    let behind = behind.map_or(0, |(head, cursor)| head - cursor);
                    say(&format!(
                        "{}  behind {behind}",
                        ["id", "state", "format", "url"].map(text).join("  ")
                    ))?;
                }
            }
            Self::Show(One { id, remote }) => {
                tell(&remote, &remote.client()?.webhook(&id.parse()?).await?)?;
            }
            Self::Change(Change { id, url, everything, rotate_secret, what, remote }) => {
                let mut asked = what.asked()?;
                if everything {
                    let named = asked["filter"].take();
                    let mut filter = json!({ "types": null, "repository": null, "package": null });
                    for (field, value) in named.as_object().into_iter().flatten() {
                        filter[field] = value.clone();
                    }
                    asked["filter"] = filter;
                }
                asked["url"] = url.into();
                asked["rotate_secret"] = rotate_secret.into();
                tell(&remote, &remote.client()?.change_webhook(&id.parse()?, &asked).await?)?;
            }
            Self::Delete(One { id, remote }) => {
                remote.client()?.delete_webhook(&id.parse()?).await?;
                answer(remote.json, &json!({ "deleted": id }), &format!("{id} is gone"))?;
            }
            Self::Retry(One { id, remote }) => step(&id, "retry", &json!({}), &remote).await?,
            Self::Suspend(One { id, remote }) => step(&id, "suspend", &json!({}), &remote).await?,
            Self::Resume(Resume { id, since, remote }) => {
                step(&id, "resume", &json!({ "since": since }), &remote).await?;
            }
        }
        Ok(true)
    }
}

impl What {
    /// The body of a request, with what was said and nothing else: what is null in a filter is no longer asked for.
    fn asked(self) -> Result<Value, Failure> {
        let secret = self.secret_file.map(|file| read(&file)).transpose()?;
        let mut asked = json!({ "format": self.format, "secret": secret, "since": self.since });
        let types = Some(self.types).filter(|types| !types.is_empty()).map(Value::from);
        let (repository, package) = (self.repository.map(Value::from), self.package.map(Value::from));
        for (field, said) in [("types", types), ("repository", repository), ("package", package)] {
            if let Some(said) = said {
                asked["filter"][field] = said;
            }
        }
        Ok(asked)
    }
}

async fn step(id: &str, step: &str, asked: &Value, remote: &Remote) -> Result<(), Failure> {
    let after = remote.client()?.step_webhook(&id.parse()?, step, asked).await?;
    let text = format!("{id} is {}", shown(after["state"].as_str().unwrap_or("?")));
    answer(remote.json, &after, &text)
}

fn tell(remote: &Remote, webhook: &Value) -> Result<(), Failure> {
    answer(remote.json, webhook, &lines(webhook))
}

/// The number of an event, or `now`.
fn since(text: &str) -> Result<Value, String> {
    if text == "now" {
        return Ok(text.into());
    }
    text.parse::<u64>().map(Value::from).map_err(|_| "give the number of an event, or now".to_owned())
}

/// A secret is in a file and in no argument: those can be seen by everybody on the machine.
fn read(file: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let failed = |error| Failure(format!("{} cannot be read: {error}", file.display()));
    let mut text = String::new();
    let source: Box<dyn std::io::Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(failed)?)
    };
    source.take(SECRET).read_to_string(&mut text).map_err(failed)?;
    Ok(text.trim().to_owned())
}
