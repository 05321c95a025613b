//! `artifactstore stat`

use serde_json::{Value, json};

use super::output::{complain, print};
use super::{Failure, Outcome, open};
use crate::config::Settings;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{self, Stat};

pub(super) async fn stat(
    settings: &Settings,
    digest: &Digest,
    repository: &RepositoryName,
    as_json: bool,
) -> Outcome {
    let parts = open::read(settings).await?;
    let found = find(&parts, repository, digest, as_json).await?;
    parts.close().await;
    let Some(stat) = found else { return Ok(false) };
    let text = format!("{}\n{}\n{} bytes", stat.content_address, stat.sha256, stat.size);
    print(as_json, &describe(&stat, repository), &text)?;
    Ok(true)
}

/// The content a repository holds under a digest; says so when there is none.
pub(super) async fn find(
    parts: &open::Parts,
    repository: &RepositoryName,
    digest: &Digest,
    as_json: bool,
) -> Result<Option<Stat>, Failure> {
    match Stat::find(&parts.db, repository, digest).await {
        Ok(stat) => Ok(Some(stat)),
        Err(registry::Error::BlobUnknown(_)) => {
            let problem = format!("repository {repository} does not hold {digest}");
            if as_json {
                print(true, &json!({ "digest": digest, "problem": problem }), "")?;
            }
            complain(&problem);
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn describe(stat: &Stat, repository: &RepositoryName) -> Value {
    json!({
        "digest": stat.digest,
        "content_address": stat.content_address,
        "sha256": stat.sha256,
        "size": stat.size,
        "repository": repository,
    })
}
