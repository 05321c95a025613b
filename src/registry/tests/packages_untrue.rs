//! Packages whose manifests, or whose registry, said something that was not so. On both engines.

use serde_json::{Value, json};

use super::packages::{Bench, is_kept_by};
use super::packages_pushed::{archive, artifact, content, descriptor_of, edited, folder, packed, titled};
use super::*;
use crate::db::testing::{On, on_both};
use crate::events::{BlobUnlinked, ManifestDeleted};
use crate::package::ContentManifest;
use crate::package::mapping::names;

on_both![
    the_table_of_a_package_was_deleted_for_good,
    a_config_of_other_bytes_passed_for_the_empty_one,
    an_index_said_false_sizes_and_types_of_its_parts,
    a_twin_of_another_type_was_recorded_as_a_package,
    what_only_another_repository_holds_was_told_by_refusals,
    what_only_another_repository_holds_was_told_by_a_warning,
    what_only_another_repository_holds_was_told_by_referrers,
    a_folder_of_an_archive_was_a_file_beside_it,
];

/// The referrer that publishes the table of an implicit package, and the blob of the table.
async fn published(bench: &Bench, subject: &Digest) -> Option<(Digest, Digest)> {
    let referrers = bench.registry.referrers(&name("a"), subject, &[], None).await.unwrap();
    let referrers: Value = serde_json::from_slice(&referrers.index).unwrap();
    let referrer: Digest = referrers["manifests"].get(0)?["digest"].as_str().unwrap().parse().unwrap();
    let manifest = bench.registry.manifest(&name("a"), &Reference::Digest(referrer.clone())).await.unwrap();
    let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
    Some((referrer, manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap()))
}

async fn the_table_of_a_package_was_deleted_for_good(on: On) {
    let bench = Bench::new(on).await;
    bench.blob("a", names::EMPTY_CONFIG).await;
    bench.blob("a", b"one").await;
    let bytes = artifact(&[titled("x", b"one", "text/plain")]);
    let pushed = bench.push("a", "v1", &bytes).await.unwrap();
    let package = bench.registry.package(pushed.package.as_ref().unwrap()).await.unwrap();
    let (referrer, table) = published(&bench, &pushed.digest).await.unwrap();
    let before = bench.registry.last_sequence();
    let table_kept = bench.delete_blob("a", &table).await;
    let by_content = bench.delete_blob("a", package.content_manifest.as_ref().unwrap()).await;
    for kept in [bench.delete_manifest("a", referrer.as_str()).await, table_kept, by_content] {
        assert!(is_kept_by(&kept, &package.id), "{kept:?}");
    }
    let declared = bench.stage("a", &content()).await;
    let declared_as = bench.push("a", "v2", &declared.manifest).await.unwrap();
    let kept = bench.delete_blob("a", &sha256(&content().encode().unwrap())).await;
    assert!(is_kept_by(&kept, declared_as.package.as_ref().unwrap()), "{kept:?}");

    // As a release before did, which let both go.
    let content = |digest: &Digest| {
        let (bench, digest) = (&bench, digest.clone());
        async move { crate::views::contents::find(&bench.db, &digest).await.unwrap().unwrap() }
    };
    let gone = ManifestDeleted {
        repository: name("a"),
        content: content(&referrer).await,
        digest: referrer.clone(),
        tags: Vec::new(),
    };
    bench.registry.submit(Actor::anonymous(), Record(gone.into())).await.unwrap();
    let unlinked = BlobUnlinked { repository: name("a"), content: content(&table).await };
    let unlink = async || {
        let fact = unlinked.clone().into();
        bench.registry.submit(Actor::anonymous(), Record(fact)).await.unwrap();
    };
    unlink().await;
    assert_eq!(published(&bench, &pushed.digest).await, None);
    assert_eq!(bench.push("a", "v1", &bytes).await.unwrap().package, pushed.package);
    assert_eq!(published(&bench, &pushed.digest).await, Some((referrer, table.clone())));
    unlink().await;
    bench.push("a", "v1", &bytes).await.unwrap();
    bench.registry.blob(&name("a"), &table).await.unwrap();
    let after = bench.registry.last_sequence();
    bench.push("a", "v1", &bytes).await.unwrap();
    assert!(
        before < after && bench.registry.last_sequence() == after,
        "what is there is not published again"
    );
    bench.check().await;
}

async fn a_config_of_other_bytes_passed_for_the_empty_one(on: On) {
    let bench = Bench::new(on).await;
    bench.blob("a", names::EMPTY_CONFIG).await;
    bench.blob("a", b"one").await;
    let bytes = artifact(&[titled("x", b"one", "text/plain")]);
    let before = bench.registry.last_sequence();
    for (field, value) in [("digest", json!(sha256(b"one"))), ("size", json!(5)), ("data", json!("W10="))] {
        let lie = edited(&bytes, |manifest| manifest["config"][field] = value);
        let refused = bench.push("a", "v1", &lie).await.unwrap_err();
        assert!(matches!(refused, Error::PackageInvalid(_)), "{field}: {refused:?}");
        assert!(refused.to_string().starts_with("config"), "{field}: {refused}");
    }
    let lie = edited(&bytes, |manifest| manifest["layers"][0]["data"] = json!("dHdv"));
    let refused = bench.push("a", "v1", &lie).await.unwrap_err().to_string();
    assert!(refused.starts_with("layers[0].data: it hashes to"), "{refused}");
    assert_eq!(bench.registry.last_sequence(), before);
    assert!(bench.push("a", "v1", &bytes).await.unwrap().package.is_some());
}

/// An index of one part and the part, which is pushed.
async fn in_parts(bench: &Bench, repository: &str, content: &ContentManifest) -> (Vec<u8>, Vec<u8>) {
    let composed = bench.stage(repository, content).await;
    let part = edited(&composed.manifest, |part| {
        part["artifactType"] = json!(names::PART);
        part.as_object_mut().unwrap().remove("annotations");
    });
    bench.push(repository, sha256(&part).as_str(), &part).await.unwrap();
    let index = json!({
        "schemaVersion": 2, "mediaType": media::OCI_IMAGE_INDEX, "artifactType": names::PACKAGE,
        "manifests": [descriptor_of(&part, media::OCI_IMAGE_MANIFEST)],
    });
    (serde_json::to_vec(&index).unwrap(), part)
}

async fn an_index_said_false_sizes_and_types_of_its_parts(on: On) {
    let bench = Bench::new(on).await;
    let (index, _) = in_parts(&bench, "a", &content()).await;
    let before = bench.registry.last_sequence();
    for (field, value, words) in [
        ("size", json!(1), "manifests[0]: size is 1, the manifest has"),
        ("mediaType", json!(media::OCI_IMAGE_INDEX), "manifests[0]: mediaType is"),
        ("mediaType", json!(media::DOCKER_MANIFEST), "manifests[0]: mediaType is"),
        ("data", json!("e30="), "manifests[0].data: it has 2 bytes"),
    ] {
        let lie = edited(&index, |index| index["manifests"][0][field] = value);
        let refused = bench.push("a", "v1", &lie).await.unwrap_err();
        assert!(matches!(refused, Error::PackageInvalid(_)), "{refused:?}");
        assert!(refused.to_string().starts_with(words), "{refused}");
    }
    assert_eq!(bench.registry.last_sequence(), before);
    assert!(bench.push("a", "v1", &index).await.unwrap().package.is_some());
}

async fn a_twin_of_another_type_was_recorded_as_a_package(on: On) {
    let bench = Bench::new(on).await;
    bench.blob("a", names::EMPTY_CONFIG).await;
    bench.blob("a", b"one").await;
    let bytes = edited(&artifact(&[titled("x", b"one", "text/plain")]), |manifest| {
        manifest.as_object_mut().unwrap().remove("mediaType");
        // Whatever asks for a class is retained, also what is no package.
        manifest["annotations"].as_object_mut().unwrap().remove(names::RETENTION_CLASS);
    });
    let push = async |media_type: &str| {
        let (reference, bytes) = ("v1".parse().unwrap(), Bytes::from(bytes.clone()));
        let (repository, actor) = (name("a"), Actor::anonymous());
        bench.registry.push_manifest(&repository, actor, &reference, vec![], Some(media_type), bytes).await
    };
    let docker = push(media::DOCKER_MANIFEST).await.unwrap();
    assert_eq!(docker.package, None);
    let refused = push(media::OCI_IMAGE_MANIFEST).await.unwrap_err();
    assert!(matches!(refused, Error::PackageInvalid(_)), "{refused:?}");
    let reason = format!("mediaType: these bytes are stored as {}", media::DOCKER_MANIFEST);
    assert!(refused.to_string().starts_with(&reason), "{refused}");
    assert_eq!(bench.registry.packages(&name("a"), &Filter::default(), "", 10).await.unwrap(), []);
    bench.delete_manifest("a", docker.digest.as_str()).await.unwrap();
    let package = push(media::OCI_IMAGE_MANIFEST).await.unwrap().package;
    assert!(package.is_some());
    // The other way round the package was first, and stays what it is.
    assert_eq!(push(media::DOCKER_MANIFEST).await.unwrap().package, None);
    let served = bench.registry.manifest(&name("a"), &"v1".parse().unwrap()).await.unwrap();
    assert_eq!(served.media_type, media::OCI_IMAGE_MANIFEST);
    bench.check().await;
}

async fn what_only_another_repository_holds_was_told_by_refusals(on: On) {
    let bench = Bench::new(on).await;
    bench.blob("a", names::EMPTY_CONFIG).await;
    bench.blob("b", b"secret").await;
    // Wrong in whatever could be compared, of a blob that exists and of one that does not.
    let declared = async |bytes: &[u8]| {
        let mut content = content();
        let file = &mut content.files[1];
        (file.sha256, file.size) = (sha256(bytes), 99);
        file.content_address = hash::digest(Algorithm::Blake3, b"made up");
        let composed = bench.stage("a", &content).await;
        bench.push("a", "v1", &composed.manifest).await.unwrap_err()
    };
    let implicit = async |bytes: &[u8]| {
        let manifest = edited(&artifact(&[titled("x", bytes, "text/plain")]), |manifest| {
            manifest["layers"][0]["size"] = json!(99);
        });
        bench.push("a", "v1", &manifest).await.unwrap_err()
    };
    for bytes in [&b"secret"[..], b"unheard of"] {
        for refused in [declared(bytes).await, implicit(bytes).await] {
            match refused {
                Error::ReferencesUnknown(missing) => assert_eq!(missing, [sha256(bytes)]),
                other => panic!("{other:?}"),
            }
        }
        let unknown = bench.delete_blob("a", &sha256(bytes)).await;
        assert!(matches!(unknown, Err(Error::BlobUnknown(_))), "{unknown:?}");
    }
}

async fn what_only_another_repository_holds_was_told_by_a_warning(on: On) {
    let bench = Bench::new(on).await;
    let (_, part) = in_parts(&bench, "b", &content()).await;
    let absent = edited(&part, |part| part["artifactType"] = json!("application/vnd.example"));
    let of = |manifests: &[&[u8]]| {
        let manifests = manifests.iter().map(|bytes| descriptor_of(bytes, media::OCI_IMAGE_MANIFEST));
        let manifests: Vec<Value> = manifests.collect();
        let index = json!({
            "schemaVersion": 2, "mediaType": media::OCI_IMAGE_INDEX, "manifests": manifests,
        });
        serde_json::to_vec(&index).unwrap()
    };
    let warnings = bench.push("a", "v1", &of(&[&part, &absent])).await.unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, bytes) in warnings.iter().zip([&part, &absent]) {
        assert!(warning.contains(sha256(bytes).as_str()), "{warning}");
    }
    let warnings = bench.push("b", "v1", &of(&[&part, &absent])).await.unwrap().warnings;
    assert!(matches!(&warnings[..], [one] if one.contains(sha256(&absent).as_str())), "{warnings:?}");
}

async fn what_only_another_repository_holds_was_told_by_referrers(on: On) {
    let bench = Bench::new(on).await;
    let (_, part) = in_parts(&bench, "b", &content()).await;
    bench.blob("a", names::EMPTY_CONFIG).await;
    let referrer = edited(&artifact(&[]), |manifest| {
        manifest["artifactType"] = json!("application/vnd.example");
        manifest["subject"] = descriptor_of(&part, media::OCI_IMAGE_MANIFEST);
    });
    bench.push("a", sha256(&referrer).as_str(), &referrer).await.unwrap();
    let blake3 = hash::digest(Algorithm::Blake3, &part);
    let listed = async |subject: &Digest| {
        let page = bench.registry.referrers(&name("a"), subject, &[], None).await.unwrap();
        let index: Value = serde_json::from_slice(&page.index).unwrap();
        index["manifests"].as_array().unwrap().len()
    };
    assert_eq!(listed(&sha256(&part)).await, 1, "as it was written");
    assert_eq!(listed(&blake3).await, 0, "that both digests are of one content is known only elsewhere");
    bench.stage("a", &content()).await;
    bench.push("a", sha256(&part).as_str(), &part).await.unwrap();
    assert_eq!(listed(&blake3).await, 1);
}

async fn a_folder_of_an_archive_was_a_file_beside_it(on: On) {
    let bench = Bench::new(on).await;
    bench.blob("a", names::EMPTY_CONFIG).await;
    bench.blob("a", b"one").await;
    let layer = [folder("run/empty"), packed("run/report.json", b"two")].concat();
    bench.blob("a", &layer).await;
    for (path, words) in [
        ("run/empty", "file run/empty: an archive of the package has a folder run/empty"),
        ("run", "file run: an archive of the package has a folder run/empty"),
        ("run/latest", "file run/latest: run/latest is a link"),
    ] {
        let beside = artifact(&[archive(&layer), titled(path, b"one", "text/plain")]);
        let refused = bench.push("a", "v1", &beside).await.unwrap_err();
        assert!(matches!(refused, Error::PackageInvalid(_)), "{refused:?}");
        assert!(refused.to_string().starts_with(words), "{refused}");
    }
    let beside = artifact(&[archive(&layer), titled("run/empty/x", b"one", "text/plain")]);
    assert!(bench.push("a", "v1", &beside).await.unwrap().package.is_some());
}
