//! The referrers of a manifest (distribution-spec, "Listing Referrers", "Unavailable Referrers API").

use std::collections::BTreeMap;

use serde::Serialize;

use super::digest::Digest;
use super::manifest::Manifest;
use super::media;
use super::name::Tag;

/// One entry of a referrers answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerDescriptor {
    /// The referrer's own media type.
    pub media_type: String,
    /// The referrer's digest.
    pub digest: Digest,
    /// How many bytes the referrer's manifest has.
    pub size: u64,
    /// Its artifact type; left out when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its annotations, all of them; left out when there are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ReferrerDescriptor {
    /// The entry for a manifest that is stored under `digest` and has `size` bytes.
    pub fn of(manifest: &Manifest, digest: Digest, size: u64) -> Self {
        Self {
            media_type: manifest.media_type.clone(),
            digest,
            size,
            artifact_type: manifest.artifact_type.clone(),
            annotations: manifest.annotations.clone(),
        }
    }
}

/// The body of a referrers answer: an image index of the entries in the order given.
///
/// The same entries give the same bytes.
pub fn index(entries: impl Iterator<Item = ReferrerDescriptor>) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index {
        schema_version: u8,
        media_type: &'static str,
        manifests: Vec<ReferrerDescriptor>,
    }

    let index = Index { schema_version: 2, media_type: media::OCI_IMAGE_INDEX, manifests: entries.collect() };
    serde_json::to_vec(&index).expect("text and numbers always serialise")
}

/// The tag under which clients keep the referrers of `subject` at a registry without this API:
/// `algorithm-encoded`, the parts cut to 32 and 64 characters, what a tag cannot hold replaced by `-`.
///
/// `None` if that is no tag, which no supported algorithm brings about.
pub fn fallback_tag(subject: &Digest) -> Option<Tag> {
    let fit = |text: &str, max: usize| -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        text.chars().take(max).map(|c| if allowed(c) { c } else { '-' }).collect()
    };
    format!("{}-{}", fit(subject.algorithm().as_str(), 32), fit(subject.hex(), 64)).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::Algorithm;

    #[test]
    fn no_referrers_are_an_empty_index() {
        let expected =
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        assert_eq!(index(std::iter::empty()), expected.as_bytes());
    }

    #[test]
    fn an_entry_leaves_out_what_it_has_not_and_sorts_its_annotations() {
        let digest = Digest::from_bytes(Algorithm::Sha256, &[0; 32]);
        let bare = ReferrerDescriptor {
            media_type: media::OCI_IMAGE_INDEX.into(),
            digest: digest.clone(),
            size: 7,
            artifact_type: None,
            annotations: BTreeMap::new(),
        };
        let full = ReferrerDescriptor {
            artifact_type: Some("application/vnd.a+json".into()),
            annotations: [("b".into(), "2".into()), ("a".into(), "1".into())].into(),
            ..bare.clone()
        };
        let text = String::from_utf8(index([bare, full].into_iter())).unwrap();
        let common = format!(r#"{{"mediaType":"{}","digest":"{digest}","size":7"#, media::OCI_IMAGE_INDEX);
        let entries = format!(
            r#"[{common}}},{common},"artifactType":"application/vnd.a+json","annotations":{{"a":"1","b":"2"}}}}]"#
        );
        assert!(text.ends_with(&format!("\"manifests\":{entries}}}")), "{text}");
    }

    #[test]
    fn a_fallback_tag_is_cut_to_64_characters_of_the_hash() {
        let of = |algorithm: Algorithm| {
            let digest = Digest::from_bytes(algorithm, &vec![0xab; algorithm.hex_len() / 2]);
            fallback_tag(&digest).unwrap().to_string()
        };
        assert_eq!(of(Algorithm::Sha256), format!("sha256-{}", "ab".repeat(32)));
        assert_eq!(of(Algorithm::Sha512), format!("sha512-{}", "ab".repeat(32)));
    }
}
