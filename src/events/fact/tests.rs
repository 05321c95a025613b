//! Facts come back as they were written.

use serde::Serialize;

use super::*;
use crate::hash;
use crate::oci::{Algorithm, Digest, Tag};
use crate::package::{
    ContentManifest, Description, File, Object, PackageId, PackagePath, Record, RetentionSummary,
    StorageReceipt,
};

/// One fact of every type, with everything optional set.
pub(crate) fn examples(repository: &str, tag: &str) -> Vec<Fact> {
    let repository: RepositoryName = repository.parse().unwrap();
    let tag: Tag = tag.parse().unwrap();
    let content = hash::digest(Algorithm::Blake3, b"content");
    let digest = hash::digest(Algorithm::Sha512, b"content");
    let digests = vec![content.clone(), digest.clone()];
    let reference = |role| Reference { role, target: content.clone() };
    let subject = Subject {
        digest: digest.clone(),
        artifact_type: Some("application/vnd.example+json".to_owned()),
        annotations: vec![(String::new(), "ä\"\n".to_owned()), ("key".to_owned(), String::new())],
    };
    vec![
        BlobStored {
            content: content.clone(),
            digests: digests.clone(),
            size: (1 << 53) - 1,
            backend: "local".to_owned(),
            key: "blake3/ab/cd/ab.01".to_owned(),
            version: Some("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY".to_owned()),
        }
        .into(),
        BlobRepaired {
            content: content.clone(),
            size: 7,
            backend: "local".to_owned(),
            key: "blake3/new".to_owned(),
            lost: "blake3/old".to_owned(),
            version: Some("null".to_owned()),
        }
        .into(),
        BlobLinked {
            repository: repository.clone(),
            content: content.clone(),
            digest: digest.clone(),
            mounted_from: Some(repository.clone()),
        }
        .into(),
        BlobUnlinked { repository: repository.clone(), content: content.clone() }.into(),
        ContentDigested { content: content.clone(), digest: digest.clone() }.into(),
        ManifestPushed {
            repository: repository.clone(),
            content: content.clone(),
            digests,
            digest: digest.clone(),
            media_type: crate::oci::media::OCI_IMAGE_INDEX.to_owned(),
            size: 0,
            references: [Role::Config, Role::Layer, Role::Child].map(reference).into(),
            subject: Some(subject),
        }
        .into(),
        ManifestDeleted {
            repository: repository.clone(),
            content: content.clone(),
            digest: digest.clone(),
            tags: vec![tag.clone()],
        }
        .into(),
        TagMoved {
            repository: repository.clone(),
            tag: tag.clone(),
            digest: digest.clone(),
            content: content.clone(),
            previous: Some(content),
        }
        .into(),
        TagDeleted { repository: repository.clone(), tag, digest }.into(),
    ]
    .into_iter()
    .chain(package_examples(&repository))
    .chain(super::retaining::tests::examples(&repository))
    .chain(super::collecting::tests::examples(&repository))
    .chain(super::snapshots::tests::examples())
    .chain(super::webhooks::tests::examples())
    .collect()
}

fn package_examples(repository: &RepositoryName) -> Vec<Fact> {
    let content = hash::digest(Algorithm::Blake3, b"content");
    let sha256 = hash::digest(Algorithm::Sha256, b"content");
    let package: PackageId = "pkg_01arz3ndektsv4rrffq69g5fav".parse().unwrap();
    let path: PackagePath = "logs/ä b.txt".parse().unwrap();
    let object = Object::from_json(br#"{"run":{"id":"r-1"},"n":[1,null]}"#).unwrap();
    let description = Description {
        kind: Some("test-run".to_owned()),
        retention_class: Some("raw-evidence".to_owned()),
        schema: Some("run".to_owned()),
        metadata: object.clone(),
    };
    let file = File {
        path: path.clone(),
        media_type: "text/plain".to_owned(),
        size: 7,
        content_address: content.clone(),
        sha256: sha256.clone(),
        role: Some("log".to_owned()),
    };
    let record = Record {
        id: package.clone(),
        repository: repository.clone(),
        kind: description.kind.clone(),
        retention_class: description.retention_class.clone(),
        schema: description.schema.clone(),
        metadata: object.clone(),
        created_at: 1,
        finalized_at: 2,
        content_manifest: content.clone(),
        reference: sha256.clone(),
    };
    let receipt =
        StorageReceipt { content_address: content.clone(), backend_id: "local".to_owned(), size: 7 };
    let retention =
        RetentionSummary { class: "raw-evidence".to_owned(), policy_version: 1, expires_at: Some(3) };
    let whole = ContentManifest::new(description.clone(), vec![file.clone()], object.clone()).unwrap();
    vec![
        PackageCreated {
            repository: repository.clone(),
            package: package.clone(),
            description,
            provenance: object,
            expires_at: Some(3),
        }
        .into(),
        PackageFileIngested { repository: repository.clone(), package: package.clone(), file: file.clone() }
            .into(),
        PackageFileReplaced {
            repository: repository.clone(),
            package: package.clone(),
            file,
            previous: content.clone(),
        }
        .into(),
        PackageFileDropped {
            repository: repository.clone(),
            package: package.clone(),
            path: path.clone(),
            content: content.clone(),
        }
        .into(),
        PackageFinalized::new(whole, record, vec![receipt], retention).into(),
        PackageFailed { repository: repository.clone(), package, reason: PackageFailure::Expired }.into(),
        SchemaRegistered {
            name: "run".to_owned(),
            schema: r#"{"type":"object"}"#.to_owned(),
            digest: content.clone(),
        }
        .into(),
        ObjectStored {
            repository: repository.clone(),
            key: path.clone(),
            content: content.clone(),
            sha256,
            size: 7,
            media_type: "text/plain".to_owned(),
            previous: Some(content.clone()),
        }
        .into(),
        ObjectDeleted { repository: repository.clone(), key: path, content }.into(),
    ]
}

/// Payloads of every older type.
pub(in crate::events) fn older() -> Vec<(&'static str, Vec<u8>)> {
    super::older::tests::examples()
}

/// The examples with everything optional left out.
pub(in crate::events) fn bare() -> Vec<Fact> {
    let mut facts = examples("r", "t");
    for fact in &mut facts {
        match fact {
            Fact::BlobStored(fact) => fact.version = None,
            Fact::BlobRepaired(fact) => fact.version = None,
            Fact::BlobLinked(fact) => fact.mounted_from = None,
            Fact::TagMoved(fact) => fact.previous = None,
            Fact::ManifestPushed(fact) => fact.subject = None,
            Fact::PackageCreated(fact) => {
                fact.description = Description::default();
                fact.expires_at = None;
            }
            Fact::PackageFileIngested(fact) => fact.file.role = None,
            Fact::PackageFinalized(fact) => {
                fact.package.kind = None;
                fact.package.retention_class = None;
                fact.package.schema = None;
                fact.retention_summary.expires_at = None;
            }
            Fact::ObjectStored(fact) => fact.previous = None,
            Fact::RetentionResolved(fact) => {
                fact.rule.period = None;
                fact.rule.auto_dispose_after = None;
                (fact.from, fact.until) = (None, None);
            }
            Fact::RetentionExtended(fact) => {
                fact.rule = None;
                (fact.from, fact.until, fact.previous) = (None, None, None);
            }
            Fact::RetentionStarted(fact) => fact.until = None,
            Fact::RetentionShortened(fact) => fact.previous = None,
            Fact::HoldPlaced(fact) => fact.target = None,
            Fact::GcCompleted(fact) => fact.failure = None,
            Fact::BlobsKept(fact) => fact.run = None,
            Fact::SnapshotCreated(fact) => (fact.object.version, fact.retires) = (None, None),
            _ => {}
        }
    }
    facts
}

#[test]
fn every_type_is_read_back_as_it_was_written() {
    for fact in examples("a/b", "v1").into_iter().chain(bare()) {
        let payload = fact.encode().unwrap();
        assert_eq!(Fact::decode(fact.type_name(), &payload).unwrap(), fact);
    }
}

#[test]
fn a_blob_without_a_version_is_written_as_before_there_were_versions() {
    #[derive(Serialize)]
    struct Before {
        content: Digest,
        digests: Vec<Digest>,
        size: u64,
        backend: &'static str,
        key: &'static str,
    }
    let content = hash::digest(Algorithm::Blake3, b"");
    let (digests, size, backend, key) = (vec![content.clone()], 0, "local", "blake3/x");
    let fact = BlobStored {
        content: content.clone(),
        digests: digests.clone(),
        size,
        backend: backend.to_owned(),
        key: key.to_owned(),
        version: None,
    };
    let before = cbor::to_vec(&Before { content, digests, size, backend, key }).unwrap();
    assert_eq!(Fact::from(fact.clone()).encode().unwrap(), before);
    assert_eq!(Fact::decode("v1.blob.stored", &before).unwrap(), fact.into());
}

#[test]
fn there_is_an_example_of_every_type_and_no_name_twice() {
    let names: Vec<_> = examples("r", "t").iter().map(Fact::type_name).collect();
    assert_eq!(names, Fact::TYPES);
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}

#[test]
fn there_is_a_payload_of_every_older_type_and_it_is_still_read() {
    for (name, now) in Fact::OLDER {
        let payloads: Vec<_> = older().into_iter().filter(|(older, _)| older == name).collect();
        assert!(!payloads.is_empty(), "{name}");
        for (_, payload) in payloads {
            assert_eq!(Fact::decode(name, &payload).unwrap().type_name(), *now);
        }
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let payload = examples("r", "t")[0].encode().unwrap();
    assert!(matches!(Fact::decode("v2.blob.stored", &payload), Err(FactError::UnknownType(_))));
    assert!(matches!(Fact::decode("v1.tag.moved", &payload), Err(FactError::Payload(_))));
    assert!(matches!(Fact::decode("v1.blob.stored", &payload[1..]), Err(FactError::Payload(_))));
}

#[test]
fn a_payload_with_an_unknown_field_is_refused() {
    #[derive(Serialize)]
    struct Extended {
        repository: &'static str,
        content: Digest,
        extra: u8,
    }
    let content = hash::digest(Algorithm::Blake3, b"");
    let payload = cbor::to_vec(&Extended { repository: "r", content, extra: 1 }).unwrap();
    assert!(matches!(Fact::decode("v1.blob.unlinked", &payload), Err(FactError::Payload(_))));
}
