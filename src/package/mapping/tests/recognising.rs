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
