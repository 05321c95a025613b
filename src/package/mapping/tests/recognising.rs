//! Which manifests are packages, and of which sort.

use super::*;

#[test]
fn the_four_rules_tell_packages_from_everything_else() {
    let plain = parse_json(&pushed(media::OCI_EMPTY, &[layer("a")]));
    assert_eq!(recognise(&plain), Ok(Recognised::Implicit));
    // What oras writes for registries of image-spec 1.0.
    let mut old = pushed(PACKAGE, &[layer("a")]);
    old.as_object_mut().unwrap().remove("artifactType");
    assert_eq!(recognise(&parse_json(&old)), Ok(Recognised::Implicit));
    let mixed = parse_json(&pushed(media::OCI_EMPTY, &[layer("a"), archive("."), archive("logs")]));
    let Ok(Recognised::Archive { layers }) = recognise(&mixed) else { panic!("{mixed:?}") };
    assert_eq!(layers.iter().map(|layer| &*layer.annotations[TITLE]).collect::<Vec<_>>(), [".", "logs"]);

    for (field, value) in [
        ("artifactType", json!("application/vnd.example")),
        ("artifactType", json!(PART)),
        ("mediaType", json!(media::DOCKER_MANIFEST)),
        ("config", json!({"mediaType": "application/json", "digest": BlobRef::of(b"{}").digest, "size": 2})),
    ] {
        let mut other = pushed(media::OCI_EMPTY, &[layer("a"), archive(".")]);
        other[field] = value;
        assert_eq!(recognise(&parse_json(&other)), Ok(Recognised::Ordinary), "{field}");
    }
}

#[test]
fn a_config_that_cannot_be_a_package_manifest_is_refused_before_it_is_read() {
    let blake3 = hash::digest(Algorithm::Blake3, b"{}");
    for (field, value) in
        [("digest", json!(blake3)), ("size", json!(17 << 20)), ("urls", json!(["https://a.b"]))]
    {
        let mut manifest = pushed(MANIFEST_CBOR, &[]);
        manifest["config"][field] = value;
        let refused = recognise(&parse_json(&manifest)).unwrap_err();
        assert!(matches!(refused, Mismatch::Config { .. }), "{field}: {refused}");
    }
}

#[test]
fn parts_that_are_not_parts_are_refused_by_their_place() {
    let content = content((0..=MAX_PART_FILES).map(|n| file(&format!("{n:05}"), b"")).collect());
    let composed = composed(&content);
    let index = parse(&composed.manifest);
    let parts: Vec<Manifest> = composed.parts.iter().map(|part| parse(part)).collect();
    let refused = |change: &dyn Fn(&mut Vec<Manifest>)| {
        let mut changed = parts.clone();
        change(&mut changed);
        join(&index, &changed).unwrap_err().to_string()
    };
    assert!(refused(&|p| p.swap(0, 1)).starts_with("manifests[0]: the config of the first part"));
    assert!(refused(&|p| p[1].artifact_type = None).starts_with("manifests[1]: is not an image manifest"));
    assert!(refused(&|p| p[1] = p[0].clone()).starts_with("manifests[1]: the config of a later part"));
    assert!(refused(&|p| p[1] = index.clone()).starts_with("manifests[1]: is not an image"));
    let mut stated = index.clone();
    stated.children[1].artifact_type = Some(PACKAGE.to_owned());
    assert!(join(&stated, &parts).is_err());

    let mut empty = index.clone();
    empty.children.clear();
    assert_eq!(recognise(&empty), Err(Mismatch::Parts { count: 0 }));
    let mut many = index.clone();
    many.children = vec![index.children[0].clone(); MAX_PARTS + 1];
    assert_eq!(recognise(&many), Err(Mismatch::Parts { count: MAX_PARTS + 1 }));
}

#[test]
fn an_empty_config_that_is_not_empty_passed_for_one() {
    let empty = BlobRef::of(EMPTY_CONFIG);
    for (field, value) in [("size", json!(5)), ("digest", json!(BlobRef::of(b"xx").digest))] {
        for media_type in [media::OCI_EMPTY, PACKAGE] {
            let mut manifest = pushed(media_type, &[layer("a")]);
            manifest["config"].as_object_mut().unwrap().remove("data");
            manifest["config"][field] = value.clone();
            match recognise(&parse_json(&manifest)) {
                Err(Mismatch::Config { reason }) => {
                    assert!(reason.contains(empty.digest.as_str()), "{reason}");
                }
                // A config of the package's type that has more in it says something we do not know.
                Ok(Recognised::Ordinary) if media_type == PACKAGE && field == "size" => {}
                other => panic!("{media_type} {field}: {other:?}"),
            }
        }
    }
    let mut other_digest = pushed(media::OCI_EMPTY, &[layer("a")]);
    other_digest["config"]["digest"] = json!(hash::digest(Algorithm::Sha512, EMPTY_CONFIG));
    assert_eq!(recognise(&parse_json(&other_digest)), Ok(Recognised::Implicit));

    let content = content((0..=MAX_PART_FILES).map(|n| file(&format!("{n:05}"), b"")).collect());
    let composed = composed(&content);
    let index = parse(&composed.manifest);
    let mut parts: Vec<Manifest> = composed.parts.iter().map(|part| parse(part)).collect();
    parts[1].config.as_mut().unwrap().size = 3;
    let refused = join(&index, &parts).unwrap_err().to_string();
    assert!(refused.starts_with("manifests[1]: config: an empty config"), "{refused}");
}

#[test]
fn embedded_data_that_is_not_the_blob_was_taken_along() {
    let refused = |at: &str, data: &str| {
        let mut manifest = pushed(media::OCI_EMPTY, &[layer("a"), layer("b")]);
        manifest.pointer_mut(at).unwrap()["data"] = json!(data);
        recognise(&parse_json(&manifest)).unwrap_err().to_string()
    };
    assert!(refused("/config", "W10=").starts_with("config.data: it hashes to sha256:4f53cda1"));
    assert!(refused("/config", "e30gIA==").starts_with("config.data: it has 4 bytes, size says 2"));
    assert!(refused("/layers/1", "Yg").starts_with("layers[1].data: not base64"));
    assert!(refused("/layers/1", "YQ==").starts_with("layers[1].data: it hashes to"));
    let mut right = pushed(media::OCI_EMPTY, &[layer("a"), layer("b")]);
    right["layers"][1]["data"] = json!("Yg==");
    assert_eq!(recognise(&parse_json(&right)), Ok(Recognised::Implicit));
    // What is no package is stored as it came.
    right["layers"][1]["data"] = json!("YQ==");
    right["artifactType"] = json!("application/vnd.example");
    assert_eq!(recognise(&parse_json(&right)), Ok(Recognised::Ordinary));

    let content = content((0..=MAX_PART_FILES).map(|n| file(&format!("{n:05}"), b"")).collect());
    let composed = composed(&content);
    let mut index = parse(&composed.manifest);
    let mut parts: Vec<Manifest> = composed.parts.iter().map(|part| parse(part)).collect();
    parts[1].layers[0].data = Some("eA==".to_owned());
    let refused = join(&index, &parts).unwrap_err().to_string();
    assert!(refused.starts_with("manifests[1]: layers[0].data: it has 1 bytes"), "{refused}");
    index.children[0].data = Some("eA==".to_owned());
    let refused = recognise(&index).unwrap_err().to_string();
    assert!(refused.starts_with("manifests[0].data: it has 1 bytes"), "{refused}");
}
