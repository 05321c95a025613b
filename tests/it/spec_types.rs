//! What we write, read by the independent types of the oci-spec crate.

use artifactstore::hash;
use artifactstore::oci::{self, Algorithm, ErrorBody, ErrorCode, ReferrerDescriptor};
use oci_spec::distribution::ErrorResponse;
use oci_spec::image::{ImageIndex, ImageManifest, MediaType};

#[test]
fn every_error_body_is_a_distribution_error_response() {
    for code in ErrorCode::ALL {
        let body = ErrorBody::new(code, "a reason").with_detail(serde_json::json!({ "fact": 1 }));
        let read: ErrorResponse = serde_json::from_slice(&body.to_bytes()).unwrap();
        let [error] = read.detail() else { panic!("{read:?}") };
        assert_eq!(serde_json::to_value(error.code()).unwrap(), code.as_str());
        assert_eq!(error.message().as_deref(), Some("a reason"));
    }
}

#[test]
fn the_referrers_list_is_an_image_index() {
    let digest = hash::digest(Algorithm::Sha256, b"a referrer");
    let entry = ReferrerDescriptor {
        media_type: oci::media::OCI_IMAGE_MANIFEST.to_owned(),
        digest: digest.clone(),
        size: 10,
        artifact_type: Some("application/vnd.example+json".to_owned()),
        annotations: [("key".to_owned(), "value".to_owned())].into(),
    };
    let read: ImageIndex = serde_json::from_slice(&oci::referrer::index([entry].into_iter())).unwrap();
    let [found] = read.manifests().as_slice() else { panic!("{read:?}") };
    assert_eq!(found.digest().to_string(), digest.to_string());
    assert_eq!(found.artifact_type().as_ref(), Some(&MediaType::from("application/vnd.example+json")));
    assert_eq!(found.annotations().as_ref().unwrap()["key"], "value");
    let empty: ImageIndex = serde_json::from_slice(&oci::referrer::index(std::iter::empty())).unwrap();
    assert!(empty.manifests().is_empty());
}

#[test]
fn a_manifest_reads_the_same_in_both() {
    let digest = hash::digest(Algorithm::Sha256, b"{}");
    let descriptor =
        serde_json::json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": 2 });
    let json = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": oci::media::OCI_IMAGE_MANIFEST,
        "artifactType": "application/vnd.example",
        "config": descriptor,
        "layers": [descriptor, descriptor],
        "subject": descriptor,
    });
    let bytes = serde_json::to_vec(&json).unwrap();
    let ours = oci::Manifest::parse(&bytes, None).unwrap();
    let theirs: ImageManifest = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(ours.layers.len(), theirs.layers().len());
    assert_eq!(
        ours.subject.unwrap().digest.to_string(),
        theirs.subject().as_ref().unwrap().digest().to_string()
    );
    assert_eq!(ours.artifact_type, theirs.artifact_type().as_ref().map(ToString::to_string));
}
