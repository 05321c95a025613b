//! The names other programs use for choosing storage (KEY-4). They count only where nobody used ours.
//!
//! Storing in a bucket is always somebody's word (CAS-10): these variables stand in many environments for other
//! reasons, so choosing S3 by one of them needs a second one that allows it, and those that say which bucket
//! have no effect unless S3 was chosen.

use super::sources::{Source, Sources};
use super::{Error, variable};
use crate::setting::Setting;
use crate::storage::{self, s3};

const BACKEND: &str = "ARTIFACT_STORAGE_BACKEND";
const ALLOW: &str = "ALLOW_CLOUD_DEFAULT";

/// Variables that say where the bucket is, and what they stand for.
const BUCKET: [(&str, &Setting); 3] =
    [("AWS_S3_BUCKET", &s3::BUCKET), ("AWS_S3_ENDPOINT_URL", &s3::ENDPOINT), ("AWS_REGION", &s3::REGION)];

/// Fills in what the aliases say, and refuses what leaves open whether a bucket was meant.
pub(super) fn apply(sources: &mut Sources, variables: &[(String, String)]) -> Result<(), Error> {
    let alias = |name: &str| {
        let found = variables.iter().find(|(variable, value)| variable == name && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let key = storage::BACKEND.key;
    if let Some(backend) = alias(BACKEND) {
        if sources.given(key).is_some() {
            sources.ignore(key, Source::Variable(BACKEND.to_owned()));
        } else if backend == "s3" && alias(ALLOW).as_deref() != Some("true") {
            return Err(Error::Undecided(format!(
                "{BACKEND} is \"s3\" and {ALLOW} is not \"true\": set that too to store in a bucket, or choose with {}",
                variable(key)
            )));
        } else {
            sources.give(&storage::BACKEND, backend, Source::Variable(BACKEND.to_owned()))?;
        }
    }
    match sources.given(key) {
        None => match sources.given_below("storage.s3") {
            None => Ok(()),
            Some((set, source)) => Err(Error::Undecided(format!(
                "{} is set and {key} is not: say {key} = \"s3\" ({}=s3) to store in a bucket, or \"local\" to \
                 store in a folder all the same",
                source.name_of(set),
                variable(key)
            ))),
        },
        Some(("s3", _)) => {
            for (name, setting) in BUCKET {
                let source = Source::Variable(name.to_owned());
                match alias(name) {
                    None => {}
                    Some(_) if sources.given(setting.key).is_some() => sources.ignore(setting.key, source),
                    Some(value) => sources.give(setting, value, source)?,
                }
            }
            Ok(())
        }
        Some(_) => Ok(()),
    }
}
