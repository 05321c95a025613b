//! JSON bodies of requests: bounded, and read to the letter.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::body::{Collected, collect};
use super::super::error::Error;
use super::super::service::Call;
use crate::codec::{cbor, jcs};
use crate::oci::Tag;
use crate::package::{Description, Object, ObjectError};
use crate::registry::{Finalize, NewPackage};

/// The largest body.
const MAX_BODY: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    kind: Option<String>,
    retention_class: Option<String>,
    schema: Option<String>,
    metadata: Option<Map<String, Value>>,
    provenance: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settle {
    tag: Option<String>,
    retention_class: Option<String>,
    metadata: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Collect {
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A body that has nothing to say.
pub(super) async fn nothing(call: &mut Call<'_>) -> Result<(), Error> {
    let Nothing {} = read(call).await?;
    Ok(())
}

/// Whether a collection is only to be foretold.
pub(super) async fn is_dry_run(call: &mut Call<'_>) -> Result<bool, Error> {
    let collect: Collect = read(call).await?;
    Ok(collect.dry_run)
}

/// What a package is to be created with.
pub(super) async fn new_package(call: &mut Call<'_>) -> Result<NewPackage, Error> {
    let create: Create = read(call).await?;
    let description = Description {
        kind: create.kind,
        retention_class: create.retention_class,
        schema: create.schema,
        metadata: object("metadata", create.metadata)?.unwrap_or_default(),
    };
    Ok(NewPackage { description, provenance: object("provenance", create.provenance)?.unwrap_or_default() })
}

/// What a package is to be finalized with.
pub(super) async fn finalize(call: &mut Call<'_>) -> Result<Finalize, Error> {
    let settle: Settle = read(call).await?;
    let tag = settle.tag.map(|tag| tag.parse::<Tag>()).transpose();
    let tag = tag.map_err(|error| refused(&format!("tag: {error}")))?;
    let metadata = object("metadata", settle.metadata)?;
    Ok(Finalize { tag, retention_class: settle.retention_class, metadata })
}

/// A whole body of at most `limit` bytes.
pub(super) async fn collected(call: &mut Call<'_>, limit: usize) -> Result<Bytes, Error> {
    match collect(call.body(), call.content_length(), limit, &call.state.budget).await {
        Collected::Whole(bytes, _) => Ok(bytes),
        Collected::TooLarge => Err(Error::BodyTooLarge { limit }),
        Collected::Crowded => Err(Error::Crowded),
        Collected::Broken(error) => Err(Error::Broken(error.to_string())),
    }
}

/// An object with the fields of `T` and no others. No body counts as no fields.
pub(super) async fn read<T: DeserializeOwned>(call: &mut Call<'_>) -> Result<T, Error> {
    let bytes = collected(call, MAX_BODY).await?;
    parse(&bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // serde would take an array as the fields in order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(refused("it is not a JSON object"));
    }
    // Refuses what serde_json would merge or round, at any depth.
    jcs::to_cbor(bytes).map_err(|error| refused(&reason(&error)))?;
    serde_json::from_slice(bytes).map_err(|error| refused(&error.to_string()))
}

fn object(field: &str, map: Option<Map<String, Value>>) -> Result<Option<Object>, Error> {
    let object = map.map(Object::new).transpose();
    object.map_err(|ObjectError(error)| refused(&format!("{field}: {}", reason(&error))))
}

/// What is wrong, in terms of JSON.
fn reason(error: &jcs::Error) -> String {
    match error {
        jcs::Error::Json(error) => error.to_string(),
        jcs::Error::Cbor(cbor::Error::Value { at, reason }) if at.is_empty() => reason.to_string(),
        jcs::Error::Cbor(cbor::Error::Value { at, reason }) => format!("{at}: {reason}"),
        other => other.to_string(),
    }
}

/// A body that is not what it should be.
pub(super) fn refused(reason: &str) -> Error {
    Error::Body(format!("the body of the request is not what it should be: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        match parse::<Create>(body.as_bytes()) {
            Ok(_) => panic!("{body} was accepted"),
            Err(Error::Body(reason)) => reason,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_says_only_what_is_asked_for_and_each_once() {
        for (body, word) in [
            ("[]", "object"),
            ("null", "object"),
            ("{", "EOF"),
            ("{} {}", "trailing"),
            (r#"{"kind":1}"#, "string"),
            (r#"{"knid":"x"}"#, "`knid`"),
            (r#"{"kind":"a","kind":"b"}"#, "/kind: duplicate"),
            (r#"{"metadata":[]}"#, "map"),
            (r#"{"metadata":{"a":{"b":1,"b":2}}}"#, "/metadata/a/b: duplicate"),
            (r#"{"metadata":{"a":[0.5]}}"#, "/metadata/a/0: floating-point"),
            (r#"{"metadata":{"a":9007199254740992}}"#, "/metadata/a: integer beyond"),
            (r#"{"metadata":{"ä":1}}"#, "not printable ASCII"),
        ] {
            let refusal = refusal(body);
            assert!(refusal.contains(word), "{body}: {refusal}");
        }
        let nulls = r#"{"kind":null,"retention_class":null,"schema":null,"metadata":null,"provenance":null}"#;
        for body in [nulls, "", "{}", r#" {"kind":null,"metadata":{"a":[1,null,true,"ä"]}}"#] {
            assert!(parse::<Create>(body.as_bytes()).is_ok(), "{body}");
        }
    }

    #[test]
    fn metadata_has_a_limit_that_names_the_field() {
        let map = Map::from_iter([("a".to_owned(), Value::from(vec!["x".repeat(60_000); 5]))]);
        let Err(Error::Body(reason)) = object("metadata", Some(map)) else { panic!("accepted") };
        assert!(reason.contains("metadata: more than 262144 bytes"), "{reason}");
    }
}
