//! One package written down byte by byte: the format cannot change unnoticed.
//!
//! The files of this folder are never written by a test. A test here that fails because of them has found a change
//! of the format, and packages that exist would no longer be read, or be packed to another digest.

mod spellings;

use serde_json::{Value, json};

use super::mapping::{
    BlobRef, Declared, MAX_PART_FILES, Recognised, check_layers, compose, implicit_description,
    implicit_files, names, recognise,
};
use super::*;
use crate::codec::jcs;
use crate::hash;
use crate::oci::{Algorithm, Digest};

const CONTENT_CBOR: &[u8] = include_bytes!("content.cbor");
const CONTENT_JSON: &[u8] = include_bytes!("content.json");
const REGISTRY_CBOR: &[u8] = include_bytes!("registry.cbor");
const REGISTRY_JSON: &[u8] = include_bytes!("registry.json");
const OCI_MANIFEST: &[u8] = include_bytes!("oci-manifest.json");
/// Of the same files as `oras` 1.3.3 pushed them.
const ORAS_DECLARED: &[u8] = include_bytes!("oras-declared.json");
const ORAS_IMPLICIT: &[u8] = include_bytes!("oras-implicit.json");
const ORAS_ARCHIVE: &[u8] = include_bytes!("oras-archive.json");
const DOCS: &str = include_str!("../../../docs/packages.md");
const SCHEMA: &[u8] = include_bytes!("../../../docs/schemas/package-manifest.v1.schema.json");

const CONTENT_BLAKE3: &str = "blake3:758b26135edb842ca0345fb0e08df7bb98cba011ad817097c31151ec516ca3a7";
const CONTENT_SHA256: &str = "sha256:2b1b588aeb31459edfd2c9c75d6d089bb2001e86b44a0aaf00e2db3fa1c55031";
const REGISTRY_BLAKE3: &str = "blake3:6b60ff08af938c3f4029d3020faba23cd3bb7ecbfb6a0497fdb2b76763535d1a";
const OCI_SHA256: &str = "sha256:6775738088874a7bcccd9dde52019eb62807abea99fb623d499ffcec0bc6cd31";
const INDEX_SHA256: &str = "sha256:02bca73b18f9441b39c4dd18e1f90d25efe125dd0a87121538904bfcdf6b8500";
const FIRST_PART_SHA256: &str = "sha256:79f3000e48ff339a0a38af12878f39418969605362331ff6ecbe081bd857ccfc";

fn blake3(bytes: &[u8]) -> String {
    hash::digest(Algorithm::Blake3, bytes).to_string()
}

fn sha256(bytes: &[u8]) -> Digest {
    hash::digest(Algorithm::Sha256, bytes)
}

fn file(path: &str, media_type: &str, role: Option<&str>, bytes: &[u8]) -> File {
    File {
        path: path.parse().unwrap(),
        media_type: media_type.to_owned(),
        size: bytes.len() as u64,
        content_address: hash::digest(Algorithm::Blake3, bytes),
        sha256: sha256(bytes),
        role: role.map(str::to_owned),
    }
}

fn object(value: &Value) -> Object {
    Object::from_json(value.to_string().as_bytes()).unwrap()
}

fn content() -> ContentManifest {
    let files = vec![
        file("scorecard.json", "application/json", Some("scorecard"), b"{\"failed\":0,\"passed\":2}\n"),
        file("logs/prüfung.log", "text/plain", Some("log"), b"ok\n"),
        file("logs/copy.log", "text/plain", None, b"ok\n"),
        file("logs-empty", "application/octet-stream", None, b""),
    ];
    let package = Description {
        kind: Some("conformance-run".to_owned()),
        retention_class: Some("release-evidence".to_owned()),
        schema: Some("run.v1".to_owned()),
        metadata: object(&json!({
            "case": "A-17", "counts": {"failed": 0, "passed": 2}, "labels": ["cmis", "größe"], "final": true, "parent": null,
            "offset": -9_007_199_254_740_991_i64,
        })),
    };
    let provenance =
        object(&json!({"source": {"commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}, "tool": "tck 1.1"}));
    ContentManifest::new(package, files, provenance).unwrap()
}

fn registry() -> Manifest {
    let content = content();
    let receipts = content.files.iter().map(|file| StorageReceipt {
        content_address: file.content_address.clone(),
        backend_id: "local-1".to_owned(),
        size: file.size,
    });
    let receipts = receipts.collect();
    let package = content.package.clone();
    let record = Record {
        id: "pkg_01kaj3y3v5e8x7q2m4z9w0t6rb".parse().unwrap(),
        repository: "evidence/conformance".parse().unwrap(),
        kind: package.kind,
        retention_class: package.retention_class,
        schema: package.schema,
        metadata: package.metadata,
        created_at: 1_763_726_400_000_000,
        finalized_at: 1_763_726_401_250_000,
        content_manifest: CONTENT_BLAKE3.parse().unwrap(),
        reference: OCI_SHA256.parse().unwrap(),
    };
    let retention = RetentionSummary {
        class: "release-evidence".to_owned(),
        policy_version: 1,
        expires_at: Some(2_079_259_201_250_000),
    };
    Manifest::new(content, record, receipts, retention)
}

#[test]
fn the_content_manifest_is_what_it_was() {
    let bytes = content().encode().unwrap();
    assert_eq!(bytes, CONTENT_CBOR);
    assert_eq!(
        String::from_utf8(jcs::from_cbor(&bytes).unwrap()).unwrap(),
        String::from_utf8_lossy(CONTENT_JSON)
    );
    assert_eq!((blake3(&bytes).as_str(), sha256(&bytes).as_str()), (CONTENT_BLAKE3, CONTENT_SHA256));
    assert_eq!(ContentManifest::decode(CONTENT_CBOR).unwrap(), content());
    assert_eq!(jcs::to_cbor(CONTENT_JSON).unwrap(), CONTENT_CBOR);
}

#[test]
fn the_registry_manifest_is_what_it_was() {
    let bytes = registry().encode().unwrap();
    assert_eq!(bytes, REGISTRY_CBOR);
    assert_eq!(
        String::from_utf8(jcs::from_cbor(&bytes).unwrap()).unwrap(),
        String::from_utf8_lossy(REGISTRY_JSON)
    );
    assert_eq!(Manifest::digest(&bytes).as_str(), REGISTRY_BLAKE3);
    assert_eq!(Manifest::decode(REGISTRY_CBOR).unwrap(), registry());
    assert_eq!(jcs::to_cbor(REGISTRY_JSON).unwrap(), REGISTRY_CBOR);
}

#[test]
fn the_oci_manifest_is_what_it_was() {
    let composed = compose(&content(), &BlobRef::of(CONTENT_CBOR));
    assert_eq!(String::from_utf8_lossy(&composed.manifest), String::from_utf8_lossy(OCI_MANIFEST));
    assert_eq!((composed.reference().as_str(), composed.parts.len()), (OCI_SHA256, 0));
    let manifest = crate::oci::Manifest::parse(OCI_MANIFEST, None).unwrap();
    let Ok(Recognised::Declared(declared)) = recognise(&manifest) else { panic!("{manifest:?}") };
    let Declared { config, .. } = &declared;
    assert_eq!(config.digest.as_str(), CONTENT_SHA256);
    check_layers(&ContentManifest::decode(CONTENT_CBOR).unwrap(), &declared).unwrap();
}

#[test]
fn the_same_files_pushed_with_oras_are_the_same_package() {
    let content = content();
    let manifest = crate::oci::Manifest::parse(ORAS_DECLARED, None).unwrap();
    let Ok(Recognised::Declared(declared)) = recognise(&manifest) else { panic!("{manifest:?}") };
    assert_eq!(declared.config.digest.as_str(), CONTENT_SHA256);
    check_layers(&content, &declared).unwrap();

    let manifest = crate::oci::Manifest::parse(ORAS_IMPLICIT, None).unwrap();
    assert_eq!(recognise(&manifest), Ok(Recognised::Implicit));
    let titled = implicit_files(&manifest).unwrap();
    let titled: Vec<_> = titled.iter().map(|file| (&file.path, &file.digest, file.size)).collect();
    let listed: Vec<_> = content.files.iter().map(|file| (&file.path, &file.sha256, file.size)).collect();
    assert_eq!(titled, listed);
    assert_eq!(implicit_description(&manifest).unwrap().kind.as_deref(), Some("run"));

    let manifest = crate::oci::Manifest::parse(ORAS_ARCHIVE, None).unwrap();
    let Ok(Recognised::Archive { layers }) = recognise(&manifest) else { panic!("{manifest:?}") };
    assert_eq!(layers.len(), 1);
}

#[test]
fn the_index_of_a_large_package_is_what_it_was() {
    let row =
        |n: usize| file(&format!("{:02}/{n:05}.txt", n % 100), "text/plain", None, n.to_string().as_bytes());
    let files = (0..=2 * MAX_PART_FILES).map(row).collect();
    let content = ContentManifest::new(content().package, files, Object::default()).unwrap();
    let composed = compose(&content, &BlobRef::of(&content.encode().unwrap()));
    assert_eq!(composed.parts.len(), 3);
    assert_eq!(sha256(&composed.parts[0]).as_str(), FIRST_PART_SHA256);
    assert_eq!(composed.reference().as_str(), INDEX_SHA256);
}

#[test]
fn another_decoder_reads_the_same_values() {
    for (cbor, json) in [(CONTENT_CBOR, CONTENT_JSON), (REGISTRY_CBOR, REGISTRY_JSON)] {
        let theirs: Value = serde_ipld_dagcbor::from_slice(cbor).unwrap();
        assert_eq!(theirs, serde_json::from_slice::<Value>(json).unwrap());
        assert_eq!(serde_ipld_dagcbor::to_vec(&theirs).unwrap(), cbor);
    }
}

#[test]
fn the_documentation_shows_these_files() {
    let shown: Vec<Value> = DOCS
        .split("```json\n")
        .skip(1)
        .map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap())
        .collect();
    let kept: [Value; 3] =
        [CONTENT_JSON, REGISTRY_JSON, OCI_MANIFEST].map(|bytes| serde_json::from_slice(bytes).unwrap());
    assert_eq!(shown, kept);
    for digest in [CONTENT_BLAKE3, REGISTRY_BLAKE3, OCI_SHA256] {
        assert!(DOCS.contains(digest), "{digest}");
    }
    let types = [names::PACKAGE, names::PART, names::MANIFEST_CBOR, names::MANIFEST_JSON];
    let notes = [names::KIND, names::RETENTION_CLASS, names::CASE, names::COLLECTED_AT, names::FILE_ROLE];
    let others = [names::GENERATED, names::TITLE, names::UNPACK, names::CBOR_TITLE];
    for name in types.into_iter().chain(notes).chain(others) {
        assert!(DOCS.contains(&format!("`{name}")), "{name}");
    }
}

/// What the schema thinks of a document.
fn is_valid(document: &Value) -> bool {
    let schema: Value = serde_json::from_slice(SCHEMA).unwrap();
    jsonschema::draft202012::new(&schema).unwrap().is_valid(document)
}

#[test]
fn the_schema_takes_both_documents() {
    for json in [CONTENT_JSON, REGISTRY_JSON] {
        assert!(is_valid(&serde_json::from_slice(json).unwrap()), "{}", String::from_utf8_lossy(json));
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let faults: [(&str, Value); 14] = [
        ("/manifest_version", json!(2)),
        ("/files", json!([])),
        ("/files/0/path", json!("/absolute")),
        ("/files/0/path", json!("a/../b")),
        ("/files/0/path", json!("a\\b")),
        ("/files/0/path", json!(".artifactstore/x")),
        ("/files/0/path", json!("a//b")),
        ("/files/0/media_type", json!("text")),
        ("/files/0/size", json!(-1)),
        ("/files/0/content_address", json!(CONTENT_SHA256)),
        ("/files/0/sha256", json!("sha256:00")),
        ("/package/kind", json!("Big Run")),
        ("/package/metadata", json!([])),
        ("/provenance", json!(null)),
    ];
    for json in [CONTENT_JSON, REGISTRY_JSON] {
        let document: Value = serde_json::from_slice(json).unwrap();
        for (place, value) in &faults {
            let mut changed = document.clone();
            *changed.pointer_mut(place).unwrap() = value.clone();
            assert!(!is_valid(&changed), "{place} = {value}");
            assert!(is_unreadable(&changed), "{place} = {value}");
        }
        for name in document.as_object().unwrap().keys() {
            let mut less = document.clone();
            less.as_object_mut().unwrap().remove(name);
            assert!(!is_valid(&less) && is_unreadable(&less), "without {name}");
        }
        let mut more = document.clone();
        more["files"][0]["mode"] = json!(420);
        assert!(!is_valid(&more) && is_unreadable(&more));
        for (object, field) in [
            ("/package", "kind"),
            ("/package", "retention_class"),
            ("/package", "schema"),
            ("/files/0", "role"),
        ] {
            let mut null = document.clone();
            null.pointer_mut(object).unwrap()[field] = Value::Null;
            assert!(!is_valid(&null) && is_unreadable(&null), "{object}/{field} is null");
        }
    }
    let mut open: Value = serde_json::from_slice(REGISTRY_JSON).unwrap();
    open["retention_summary"]["expires_at"] = Value::Null;
    assert!(is_valid(&open) && !is_unreadable(&open));
    open["retention_summary"].as_object_mut().unwrap().remove("expires_at");
    assert!(!is_valid(&open) && is_unreadable(&open));
}

fn is_unreadable(document: &Value) -> bool {
    jcs::to_cbor(document.to_string().as_bytes())
        .is_ok_and(|cbor| ContentManifest::decode(&cbor).is_err() && Manifest::decode(&cbor).is_err())
}
