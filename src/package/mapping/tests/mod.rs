//! The mapping holds in both directions, and nothing else passes for it.

mod agreeing;
mod composing;
mod implicit;
mod properties;
mod recognising;

use serde_json::{Value, json};

use super::names::{
    CASE, CBOR_TITLE, EMPTY_CONFIG, FILE_ROLE, KIND, MANIFEST_CBOR, PACKAGE, PART, RETENTION_CLASS, TITLE,
    UNPACK,
};
use super::*;
use crate::hash;
use crate::oci::{Algorithm, Manifest, media};
use crate::package::{ContentManifest, Description, File, MAX_FILES, Object};

/// The most a client reads of a manifest.
const CLIENT_LIMIT: usize = 4 << 20;

fn file(path: &str, bytes: &[u8]) -> File {
    File {
        path: path.parse().unwrap(),
        media_type: "text/plain".to_owned(),
        size: bytes.len() as u64,
        content_address: hash::digest(Algorithm::Blake3, bytes),
        sha256: hash::digest(Algorithm::Sha256, bytes),
        role: None,
    }
}

fn content(files: Vec<File>) -> ContentManifest {
    ContentManifest::new(Description::default(), files, Object::default()).unwrap()
}

fn composed(content: &ContentManifest) -> Composed {
    compose(content, &BlobRef::of(&content.encode().unwrap()))
}

fn parse(bytes: &[u8]) -> Manifest {
    Manifest::parse(bytes, None).unwrap()
}

fn declared(manifest: &Manifest) -> Declared<'_> {
    match recognise(manifest).unwrap() {
        Recognised::Declared(declared) => declared,
        other => panic!("{other:?}"),
    }
}

/// Checks what was composed as a registry does, and says how many parts it has.
fn check(content: &ContentManifest, composed: &Composed) -> Result<usize, Mismatch> {
    let manifest = parse(&composed.manifest);
    assert_eq!(manifest.media_type, composed.media_type);
    let parts: Vec<Manifest> = composed.parts.iter().map(|part| parse(part)).collect();
    for bytes in composed.parts.iter().chain([&composed.manifest]) {
        assert!(bytes.len() <= CLIENT_LIMIT - (64 << 10), "{} bytes", bytes.len());
    }
    let declared = match recognise(&manifest)? {
        Recognised::Declared(declared) => declared,
        Recognised::DeclaredIndex { parts: children } => {
            for (child, part) in children.iter().zip(&composed.parts) {
                assert_eq!(BlobRef::of(part), BlobRef { digest: child.digest.clone(), size: child.size });
            }
            join(&manifest, &parts)?
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(declared.config.digest, BlobRef::of(&content.encode().unwrap()).digest);
    check_layers(content, &declared)?;
    Ok(parts.len())
}

/// An image manifest of our type as `oras push` writes it.
fn pushed(config: &str, layers: &[Value]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": media::OCI_IMAGE_MANIFEST,
        "artifactType": PACKAGE,
        "config": {"mediaType": config, "digest": BlobRef::of(EMPTY_CONFIG).digest, "size": 2, "data": "e30="},
        "layers": layers,
        "annotations": {"org.opencontainers.image.created": "2026-11-21T12:00:00Z"},
    })
}

fn layer(title: &str) -> Value {
    let digest = hash::digest(Algorithm::Sha256, title.as_bytes());
    json!({"mediaType": "text/plain", "digest": digest, "size": title.len(), "annotations": {TITLE: title}})
}

fn archive(title: &str) -> Value {
    let mut layer = layer(title);
    layer["mediaType"] = json!(media::OCI_LAYER_TAR_GZIP);
    layer["annotations"][UNPACK] = json!("true");
    layer
}

fn parse_json(document: &Value) -> Manifest {
    parse(document.to_string().as_bytes())
}
