//! Where the registry of a disposition is: behind a server, or in a data directory of this machine.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::super::package::{Remote, connect};
use super::super::retention::Item;
use super::super::{Failure, open, start, user};
use crate::client::{Client, Place};
use crate::config::Flags;
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::registry::{self, Actor, DispositionStatus, Registry};
use crate::retention::DispositionId;
use crate::server::disposition_shape as shape;

/// Any server: on a data directory only the name behind it counts.
const NO_SERVER: &str = "http://127.0.0.1";

/// Which registry, and how to answer.
#[derive(Debug, Args)]
pub(super) struct Where {
    /// Work on the registry in this data directory, as the user of this machine; with SQLite the server must be stopped
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<String>,
    /// The same with the registry of this configuration file
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

/// A step of a disposition.
pub(super) enum Verb {
    Approve(Option<i64>),
    Reject(String),
    Execute(Option<i64>),
}

/// Where the registry is.
pub(super) enum Site {
    Server(Client),
    Here(Box<Here>),
}

/// A registry of this machine, opened.
pub(super) struct Here {
    registry: Registry,
    parts: open::Parts,
    actor: Actor,
}

impl Where {
    /// The registry, and the repository a text names.
    pub(super) async fn open(self, text: &str) -> Result<(Site, RepositoryName), Failure> {
        let Some(place) = self.place_here(text)? else {
            let place = self.remote.place(text)?;
            return Ok((Site::Server(connect(&place)?), place.repository));
        };
        Ok((self.here().await?, place.repository))
    }

    /// The registry, and what in which repository a text names.
    pub(super) async fn find(self, text: &str) -> Result<(Site, RepositoryName, String), Failure> {
        if self.data.is_none() && self.config.is_none() {
            let Item { client, repository, reference } = Item::find(text, &self.remote).await?;
            let reference = reference.ok_or_else(|| nothing(&repository))?;
            return Ok((Site::Server(client), repository, reference));
        }
        if let Ok(id) = text.parse::<PackageId>() {
            let site = self.here().await?;
            let Site::Here(here) = &site else { return Err(Failure("no registry was opened".to_owned())) };
            let found = here.registry.package(&id).await;
            return match found {
                Ok(package) => Ok((site, package.repository, id.to_string())),
                Err(error) => site.close(Err(error.into())).await,
            };
        }
        let place = Place::parse(text, Some(NO_SERVER), None)?;
        let reference = place.reference.ok_or_else(|| nothing(&place.repository))?.to_string();
        Ok((self.here().await?, place.repository, reference))
    }

    fn place_here(&self, text: &str) -> Result<Option<Place>, Failure> {
        if self.data.is_none() && self.config.is_none() {
            return Ok(None);
        }
        let wrong = match Place::parse(text, Some(NO_SERVER), None) {
            Ok(place) => return Ok(Some(place)),
            Err(wrong) => wrong,
        };
        let rest = Place::parse(text, None, None).ok().and(text.split_once('/'));
        Err(match rest {
            Some((_, rest)) => {
                Failure(format!("with --data or --config there is no server to name: write {rest}"))
            }
            None => wrong.into(),
        })
    }

    async fn here(self) -> Result<Site, Failure> {
        let values = self.data.map(|directory| ("data", directory)).into_iter().collect();
        let mut settings = start(Flags { file: self.config, values })?;
        // A look is no change, and neither is a step: what is set here may not be what the server has.
        settings.registry.keeps_policy = true;
        let parts = open::write(&settings).await?;
        let registry = parts.registry(&settings).await?;
        let actor = Actor::user(&user::name());
        Ok(Site::Here(Box::new(Here { registry, parts, actor })))
    }
}

fn nothing(repository: &RepositoryName) -> Failure {
    Failure(format!("name something in {repository}: {repository}:tag, {repository}@digest or an id"))
}

impl Site {
    /// What came of it, when everything is written.
    pub(super) async fn close<T>(&self, done: Result<T, Failure>) -> Result<T, Failure> {
        if let Self::Here(here) = self {
            here.registry.record_denials(true).await;
            here.parts.close().await;
        }
        done
    }

    pub(super) async fn propose(
        &self,
        repository: &RepositoryName,
        reference: &str,
        reason: &str,
    ) -> Result<Value, Failure> {
        match self {
            Self::Server(client) => {
                let asked = json!({ "reference": reference, "reason": reason });
                Ok(client.propose_disposition(repository, &asked).await?)
            }
            Self::Here(here) => {
                let (item, actor): (registry::Item, _) = (reference.parse()?, here.actor.clone());
                let proposed = here.registry.propose_disposition(repository, actor, &item, reason).await?;
                Ok(shape(&proposed, None))
            }
        }
    }

    pub(super) async fn step(
        &self,
        repository: &RepositoryName,
        id: &DispositionId,
        verb: Verb,
    ) -> Result<Value, Failure> {
        match self {
            Self::Server(client) => {
                let (step, asked) = match verb {
                    Verb::Approve(revision) => ("approve", json!({ "revision": revision })),
                    Verb::Reject(reason) => ("reject", json!({ "reason": reason })),
                    Verb::Execute(revision) => ("execute", json!({ "revision": revision })),
                };
                Ok(client.step_disposition(repository, id, step, &asked).await?)
            }
            Self::Here(here) => {
                let (registry, actor) = (&here.registry, here.actor.clone());
                match verb {
                    Verb::Approve(revision) => {
                        registry.approve_disposition(repository, actor, id, revision).await?
                    }
                    Verb::Reject(reason) => {
                        registry.reject_disposition(repository, actor, id, &reason).await?
                    }
                    Verb::Execute(revision) => {
                        registry.execute_disposition(repository, actor, id, revision).await?
                    }
                };
                self.show(repository, id).await
            }
        }
    }

    pub(super) async fn show(
        &self,
        repository: &RepositoryName,
        id: &DispositionId,
    ) -> Result<Value, Failure> {
        match self {
            Self::Server(client) => Ok(client.disposition(repository, id).await?),
            Self::Here(here) => {
                let (found, approvals) = here.registry.find_disposition(repository, id).await?;
                Ok(shape(&found, Some(&approvals)))
            }
        }
    }

    pub(super) async fn list(
        &self,
        repository: &RepositoryName,
        status: Option<&str>,
    ) -> Result<Vec<Value>, Failure> {
        match self {
            Self::Server(client) => Ok(client.dispositions(repository, status).await?),
            Self::Here(here) => {
                let status = status.and_then(DispositionStatus::parse);
                let (mut all, mut after) = (Vec::new(), String::new());
                loop {
                    let page = here.registry.dispositions(repository, status, &after, 1000).await;
                    let page = match page {
                        Err(registry::Error::RepositoryUnknown(_)) if !all.is_empty() => Vec::new(),
                        page => page?,
                    };
                    let Some(last) = page.last() else { return Ok(all) };
                    last.id.as_str().clone_into(&mut after);
                    all.extend(page.iter().map(|found| shape(found, None)));
                }
            }
        }
    }

    pub(super) async fn certificate(
        &self,
        repository: &RepositoryName,
        id: &DispositionId,
    ) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Server(client) => Ok(client.certificate(repository, id).await?.to_vec()),
            Self::Here(here) => Ok(here.registry.certificate(repository, id).await?.document.into_bytes()),
        }
    }
}
