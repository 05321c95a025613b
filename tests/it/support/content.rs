//! Content to push.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use super::{Client, Request, Response};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The two bytes most artifacts have for a config.
const EMPTY: &[u8] = b"{}";

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

pub(crate) fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex(&Sha512::digest(bytes)))
}

pub(crate) fn blake3(bytes: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes without a pattern, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..len.div_ceil(8)).flat_map(|_| next()).take(len).collect()
}

pub(crate) fn descriptor(media_type: &str, digest: &str, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": digest, "size": size })
}

pub(crate) fn empty_config() -> Value {
    descriptor("application/vnd.oci.empty.v1+json", &sha256(EMPTY), EMPTY.len())
}

/// An image manifest with an empty config, these layers and these further fields.
pub(crate) fn image(layers: &[Value], more: Value) -> Vec<u8> {
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": empty_config(), "layers": layers,
    });
    merge(&mut manifest, more);
    manifest.to_string().into_bytes()
}

/// An index of these manifests with these further fields.
pub(crate) fn index(manifests: &[Value], more: Value) -> Vec<u8> {
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    merge(&mut manifest, more);
    manifest.to_string().into_bytes()
}

fn merge(into: &mut Value, more: Value) {
    if let Value::Object(more) = more {
        into.as_object_mut().expect("a manifest is an object").extend(more);
    }
}

/// A repository seen by one client.
#[derive(Clone, Debug)]
pub(crate) struct Repo {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Repo {
    pub(crate) fn new(client: &Client, name: impl Into<String>) -> Self {
        Self { client: client.clone(), name: name.into() }
    }

    /// `/v2/<name>/<rest>`
    pub(crate) fn path(&self, rest: impl AsRef<str>) -> String {
        format!("/v2/{}/{}", self.name, rest.as_ref())
    }

    pub(crate) fn blob(&self, digest: &str) -> String {
        self.path(format!("blobs/{digest}"))
    }

    pub(crate) fn manifest(&self, reference: &str) -> String {
        self.path(format!("manifests/{reference}"))
    }

    /// Begins an upload and returns its location.
    #[track_caller]
    pub(crate) fn begin(&self) -> String {
        self.client.post(self.path("blobs/uploads/")).expect(202).location()
    }

    /// Closes an upload.
    #[track_caller]
    pub(crate) fn close(&self, location: &str, digest: &str) -> Response {
        self.client.send(&Request::put(format!("{location}?digest={digest}")))
    }

    /// Pushes a blob in one piece and returns its SHA-256 digest.
    #[track_caller]
    pub(crate) fn push_blob(&self, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let target = self.path(format!("blobs/uploads/?digest={digest}"));
        self.client.send(&Request::post(target).body(bytes)).expect(201);
        digest
    }

    /// Pushes a blob and returns a layer descriptor for it.
    #[track_caller]
    pub(crate) fn push_layer(&self, bytes: &[u8]) -> Value {
        let digest = self.push_blob(bytes);
        descriptor("application/vnd.oci.image.layer.v1.tar", &digest, bytes.len())
    }

    #[track_caller]
    pub(crate) fn push_empty_config(&self) {
        self.push_blob(EMPTY);
    }

    #[track_caller]
    pub(crate) fn put_manifest(&self, reference: &str, media_type: &str, bytes: &[u8]) -> Response {
        let request = Request::put(self.manifest(reference)).header("Content-Type", media_type).body(bytes);
        self.client.send(&request)
    }

    /// Pushes a small artifact under a tag: its digest and its bytes.
    #[track_caller]
    pub(crate) fn push_artifact(&self, tag: &str) -> (String, Vec<u8>) {
        self.push_empty_config();
        let layer = self.push_layer(format!("content of {tag}").as_bytes());
        let bytes = image(&[layer], json!({ "artifactType": "application/vnd.test" }));
        self.put_manifest(tag, MANIFEST, &bytes).expect(201);
        (sha256(&bytes), bytes)
    }

    /// Pushes a manifest about `subject` by digest: its digest.
    #[track_caller]
    pub(crate) fn push_referrer(&self, subject: &Value, artifact_type: &str, note: &str) -> String {
        self.push_empty_config();
        let more =
            json!({ "artifactType": artifact_type, "subject": subject, "annotations": { "note": note } });
        let bytes = image(&[empty_config()], more);
        let digest = sha256(&bytes);
        self.put_manifest(&digest, MANIFEST, &bytes).expect(201);
        digest
    }

    /// The digests a referrers answer lists.
    #[track_caller]
    pub(crate) fn referrers(&self, subject: &str) -> Vec<String> {
        let answer = self.client.get(self.path(format!("referrers/{subject}"))).expect(200).json();
        digests(&answer)
    }

    #[track_caller]
    pub(crate) fn tags(&self) -> Vec<String> {
        let answer = self.client.get(self.path("tags/list")).expect(200).json();
        let tags = answer["tags"].as_array().unwrap_or_else(|| panic!("no tags in {answer}"));
        tags.iter().map(|tag| tag.as_str().expect("a tag is text").to_owned()).collect()
    }
}

/// The digests an index lists.
pub(crate) fn digests(index: &Value) -> Vec<String> {
    let manifests = index["manifests"].as_array().unwrap_or_else(|| panic!("no manifests in {index}"));
    manifests.iter().map(|entry| entry["digest"].as_str().expect("a digest is text").to_owned()).collect()
}
