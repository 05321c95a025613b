//! What a content manifest is composed to.

use super::*;

#[test]
fn a_package_is_one_manifest_with_its_own_document_in_front() {
    let package = Description {
        kind: Some("run".to_owned()),
        retention_class: Some("raw-evidence".to_owned()),
        ..Description::default()
    };
    let files = vec![file("b/ü\".log", b""), File { role: Some("scorecard".to_owned()), ..file("a", b"1") }];
    let content = ContentManifest::new(package, files, Object::default()).unwrap();
    let own = BlobRef::of(&content.encode().unwrap());
    let composed = compose(&content, &own);
    let sha = |bytes: &[u8]| hash::digest(Algorithm::Sha256, bytes);
    let expected = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{}\",\"artifactType\":\"{PACKAGE}\",\
         \"config\":{{\"mediaType\":\"{MANIFEST_CBOR}\",\"digest\":\"{1}\",\"size\":{2}}},\"layers\":[\
         {{\"mediaType\":\"{MANIFEST_CBOR}\",\"digest\":\"{1}\",\"size\":{2},\"annotations\":{{\"{TITLE}\":\"{CBOR_TITLE}\"}}}},\
         {{\"mediaType\":\"text/plain\",\"digest\":\"{3}\",\"size\":1,\"annotations\":{{\"{FILE_ROLE}\":\"scorecard\",\"{TITLE}\":\"a\"}}}},\
         {{\"mediaType\":\"text/plain\",\"digest\":\"{4}\",\"size\":0,\"annotations\":{{\"{TITLE}\":\"b/ü\\\".log\"}}}}],\
         \"annotations\":{{\"{KIND}\":\"run\",\"{RETENTION_CLASS}\":\"raw-evidence\"}}}}",
        media::OCI_IMAGE_MANIFEST,
        own.digest,
        own.size,
        sha(b"1"),
        sha(b""),
    );
    assert_eq!(String::from_utf8(composed.manifest.clone()).unwrap(), expected);
    assert_eq!(check(&content, &composed), Ok(0));
}

#[test]
fn a_package_is_cut_at_the_first_file_above_the_count() {
    let of = |count: usize| content((0..count).map(|n| file(&format!("{n:05}"), b"same")).collect());
    let whole = of(MAX_PART_FILES);
    assert_eq!(check(&whole, &composed(&whole)), Ok(0));
    let more = of(MAX_PART_FILES + 1);
    let composed = composed(&more);
    assert_eq!(check(&more, &composed), Ok(2));
    let parts: Vec<Manifest> = composed.parts.iter().map(|part| parse(part)).collect();
    assert_eq!(parts[0].layers.len(), MAX_PART_FILES + 1);
    assert_eq!(parts[0].layers[0].annotations[TITLE], CBOR_TITLE);
    assert_eq!(parts[1].layers[0].annotations[TITLE], format!("{MAX_PART_FILES:05}"));
    let config = parts[1].config.as_ref().unwrap();
    assert_eq!((&*config.media_type, config.size), (media::OCI_EMPTY, 2));
    assert!(parts.iter().all(|part| part.artifact_type.as_deref() == Some(PART)));
    assert!(parts.iter().all(|part| recognise(part) == Ok(Recognised::Ordinary)));
}

#[test]
fn the_longest_paths_and_types_stay_below_what_clients_read() {
    // Quotes take two bytes in JSON.
    let folders = format!("{}/", "\"".repeat(255)).repeat(3);
    let long = |n: usize| File {
        media_type: format!("a/{}", "b".repeat(253)),
        role: Some("r".repeat(64)),
        ..file(&format!("{folders}{}{n:04}", "\"".repeat(251)), b"x")
    };
    let content = content((0..4_000).map(long).collect());
    let parts = check(&content, &composed(&content)).unwrap();
    assert_eq!(parts, 4);
    assert!(parts * MAX_FILES / 4_000 <= MAX_PARTS);
}

#[test]
fn a_generated_table_is_a_referrer_and_no_package() {
    let own = BlobRef::of(&content(vec![file("a", b"1")]).encode().unwrap());
    let subject = BlobRef::of(b"manifest");
    let manifest = parse(&compose_generated(&own, &subject, media::OCI_IMAGE_MANIFEST));
    assert_eq!(recognise(&manifest), Ok(Recognised::Ordinary));
    assert_eq!(manifest.subject.as_ref().unwrap().digest, subject.digest);
    assert_eq!(manifest.artifact_type.as_deref(), Some(MANIFEST_CBOR));
    assert_eq!(manifest.layers[0].digest, own.digest);
    assert_eq!(manifest.annotations[names::GENERATED], "true");
}
