//! `artifactstore retention …`, `hold …` and `explain`: over HTTP with any artifactstore registry.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{self, say};
use super::package::{Remote, connect};
use super::{Failure, Outcome};
use crate::client::{Client, shown};
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::retention::HoldId;

pub(super) const ITEM_HELP: &str =
    "What: [host[:port]/]repository:tag, repository@digest, or the id of a package";

/// What can be done with retentions.
#[derive(Debug, Subcommand)]
pub(super) enum Retention {
    /// Show under which class something is kept, until when, and whether it may leave.
    Show(Show),
    /// Keep something longer, or under a stronger class; never shorter.
    Extend(Extend),
    /// End a retention in governance mode earlier. Leaves a trace; impossible in compliance mode.
    Shorten(Shorten),
    /// List the retention classes in force.
    Classes(Classes),
}

/// What can be done with holds.
#[derive(Debug, Subcommand)]
pub(super) enum Hold {
    /// Hold something: nothing of it leaves, whatever its retention says, until the hold is released.
    Place(Place),
    /// Release a hold.
    Release(Release),
    /// List the holds of a repository.
    List(List),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[arg(help = ITEM_HELP)]
    item: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Extend {
    #[arg(help = ITEM_HELP)]
    item: String,
    /// Until this moment, as 2030-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", required_unless_present_any = ["forever", "class"])]
    until: Option<String>,
    /// For ever.
    #[arg(long, conflicts_with_all = ["until", "class"])]
    forever: bool,
    /// Under this class, which demands no less.
    #[arg(long, value_name = "CLASS", conflicts_with = "until")]
    class: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Shorten {
    #[arg(help = ITEM_HELP)]
    item: String,
    /// Until this moment, as 2030-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Use the right to bypass governance.
    #[arg(long)]
    bypass_governance_retention: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Classes {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Place {
    /// What: as below, or [host[:port]/]repository alone for all that is in it and will be
    item: String,
    /// legal, or event: the release of the last one starts a retention that waited for it.
    #[arg(long, value_name = "KIND", value_parser = ["legal", "event"], default_value = "legal")]
    kind: String,
    /// The matter it belongs to.
    #[arg(long, value_name = "TEXT")]
    matter: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Release {
    /// The repository: [host[:port]/]repository
    repository: String,
    /// The hold.
    id: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// The repository: [host[:port]/]repository
    repository: String,
    /// Also those that were released.
    #[arg(long)]
    released: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Show why something stays: what names it, what holds it, under which classes and until when.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// What: [host[:port]/]repository[:tag|@digest], or the id of a package
    item: String,
    #[command(flatten)]
    remote: Remote,
}

impl Retention {
    pub(super) async fn run(self) -> Outcome {
        match self {
            Self::Show(show) => {
                let item = Item::find(&show.item, &show.remote).await?;
                let reference = item.needed()?;
                print(&item.client.retention(&item.repository, Some(reference)).await?, show.remote.json)?;
            }
            Self::Extend(extend) => {
                let item = Item::find(&extend.item, &extend.remote).await?;
                let mut asked = json!({ "reference": item.needed()?, "reason": extend.reason });
                let until = if extend.forever { Some("forever".to_owned()) } else { extend.until };
                asked["until"] = until.into();
                asked["class"] = extend.class.into();
                print(&item.client.extend_retention(&item.repository, &asked).await?, extend.remote.json)?;
            }
            Self::Shorten(shorten) => {
                let item = Item::find(&shorten.item, &shorten.remote).await?;
                let reference = item.needed()?;
                let asked =
                    json!({ "reference": reference, "until": shorten.until, "reason": shorten.reason });
                let bypass = shorten.bypass_governance_retention;
                let shortened = item.client.shorten_retention(&item.repository, &asked, bypass).await?;
                print(&shortened, shorten.remote.json)?;
            }
            Self::Classes(classes) => {
                let found = classes.remote.client()?.retention_policy().await?;
                if classes.remote.json {
                    output::answer(true, &found, "")?;
                    return Ok(true);
                }
                for class in found["classes"].as_array().into_iter().flatten() {
                    let text = |field: &str| said(&class[field], "for ever");
                    let schedule = said(&class["auto_dispose_after"], "never");
                    let start = text("start");
                    let rest = ["approvals", "cooling_off"].map(|field| format!("{field} {}", class[field]));
                    let (first, rest) = (["name", "mode", "period"].map(text).join("  "), rest.join("  "));
                    say(&format!("{first}  start {start}  {rest}  auto_dispose_after {schedule}"))?;
                }
            }
        }
        Ok(true)
    }
}

impl Hold {
    pub(super) async fn run(self) -> Outcome {
        match self {
            Self::Place(place) => {
                let item = Item::find(&place.item, &place.remote).await?;
                let mut asked = json!({ "kind": place.kind, "matter": place.matter, "reason": place.reason });
                if let Some(reference) = &item.reference {
                    asked["reference"] = reference.as_str().into();
                }
                let hold = item.client.place_hold(&item.repository, &asked).await?;
                output::answer(place.remote.json, &hold, &said(&hold["id"], "-"))?;
            }
            Self::Release(release) => {
                let place = release.remote.place(&release.repository)?;
                let id: HoldId = release.id.parse()?;
                let hold = connect(&place)?.release_hold(&place.repository, &id, &release.reason).await?;
                output::answer(release.remote.json, &hold, &format!("{id} was released"))?;
            }
            Self::List(list) => {
                let place = list.remote.place(&list.repository)?;
                let holds = connect(&place)?.holds(&place.repository, list.released).await?;
                if list.remote.json {
                    output::answer(true, &json!({ "holds": holds }), "")?;
                    return Ok(true);
                }
                for hold in &holds {
                    let text = |field: &str| said(&hold[field], "in force");
                    let target = said(&hold["scope"]["target"], "the whole repository");
                    let fields = ["id", "kind", "matter", "placed_at", "released_at"].map(text);
                    say(&format!("{}  {target}", fields.join("  ")))?;
                }
            }
        }
        Ok(true)
    }
}

impl Explain {
    pub(super) async fn run(self) -> Outcome {
        let item = Item::find(&self.item, &self.remote).await?;
        print(&item.client.explain(&item.repository, item.reference.as_deref()).await?, self.remote.json)
    }
}

/// Something in a repository, or all of it.
pub(super) struct Item {
    pub(super) client: Client,
    pub(super) repository: RepositoryName,
    pub(super) reference: Option<String>,
}

impl Item {
    pub(super) async fn find(text: &str, remote: &Remote) -> Result<Self, Failure> {
        if let Ok(id) = text.parse::<PackageId>() {
            let client = remote.client()?;
            let repository = client.repository_of(&id).await?;
            return Ok(Self { client, repository, reference: Some(id.to_string()) });
        }
        let place = remote.place(text)?;
        let (client, reference) = (connect(&place)?, place.reference.map(|it| it.to_string()));
        Ok(Self { client, repository: place.repository, reference })
    }

    /// What is not the whole repository.
    fn needed(&self) -> Result<&str, Failure> {
        self.reference.as_deref().ok_or_else(|| {
            let repository = &self.repository;
            Failure(format!("name something in {repository}: {repository}:tag, {repository}@digest or an id"))
        })
    }
}

fn said(value: &Value, otherwise: &str) -> String {
    shown(value.as_str().unwrap_or(otherwise)).to_string()
}

/// All of an answer as JSON, or line by line for people.
fn print(answer: &Value, json: bool) -> Outcome {
    output::answer(json, answer, &lines(answer))?;
    Ok(true)
}

/// What an answer says, a line for each field that says something.
pub(super) fn lines(answer: &Value) -> String {
    let mut lines = Vec::new();
    for (field, value) in answer.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::Array(entries) if entries.is_empty() => {}
            Value::Array(entries) => {
                lines.push(format!("{field}:"));
                lines.extend(entries.iter().map(|entry| format!("  {}", line(entry))));
            }
            other => lines.push(format!("{field}: {}", line(other))),
        }
    }
    lines.join("\n")
}

/// A value in one line; an object by its fields.
fn line(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text).to_string(),
        Value::Object(fields) => {
            let given = fields.iter().filter(|(_, value)| !value.is_null());
            given.map(|(field, value)| format!("{field} {}", line(value))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
