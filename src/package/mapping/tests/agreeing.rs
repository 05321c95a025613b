//! Table and layers say the same, or what disagrees is named.

use super::*;

#[test]
fn layers_in_the_order_of_a_command_line_are_as_good() {
    let content = content(vec![file("a", b"1"), file("b", b"2"), file("c", b"")]);
    let mut manifest = parse(&composed(&content).manifest);
    manifest.layers.reverse();
    assert_eq!(check_layers(&content, &declared(&manifest)), Ok(()));
}

#[test]
fn what_disagrees_is_named() {
    let role = Some("log".to_owned());
    let content = content(vec![file("a", b"1"), File { role, ..file("b", b"2") }]);
    let manifest = parse(&composed(&content).manifest);
    let refused = |change: &dyn Fn(&mut Manifest)| {
        let mut changed = manifest.clone();
        change(&mut changed);
        check_layers(&content, &declared(&changed)).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|m| m.layers[1].size = 7),
        "file a as pushed has the size 7, the package manifest says 1"
    );
    assert!(
        refused(&|m| m.layers[1].digest = BlobRef::of(b"x").digest)
            .starts_with("file a as pushed has the digest")
    );
    assert!(
        refused(&|m| drop(m.layers[2].annotations.insert(FILE_ROLE.into(), "x".into()))).contains("role x")
    );
    let odd =
        refused(&|m| drop(m.layers[1].annotations.insert(FILE_ROLE.into(), "nothing of a role".into())));
    assert!(odd.contains("file a as pushed has the role"), "{odd}");
    assert_eq!(refused(&|m| drop(m.layers.remove(2))), "file b is in the package manifest and has no layer");
    assert_eq!(
        refused(&|m| drop(m.layers[1].annotations.insert(TITLE.into(), "x".into()))),
        "file x has a layer and is not in the package manifest"
    );
    assert!(refused(&|m| m.layers[1].annotations.clear()).starts_with("layers[1] has no org.opencontainers"));
    assert_eq!(refused(&|m| m.layers.push(m.layers[1].clone())), "file a has two layers");
    assert!(
        refused(&|m| m.layers[1].urls.push("https://a.b".into()))
            .contains("file a: its layer lies elsewhere")
    );
    assert!(
        refused(&|m| drop(m.layers[1].annotations.insert(UNPACK.into(), "true".into()))).contains("archive")
    );
    assert!(refused(&|m| drop(m.layers.remove(0))).contains(CBOR_TITLE));
    assert!(refused(&|m| m.layers[0].size += 1).contains(CBOR_TITLE));
    assert!(refused(&|m| m.layers.push(m.layers[0].clone())).contains("two layers"));
    let class = refused(&|m| drop(m.annotations.insert(RETENTION_CLASS.into(), "permanent".into())));
    assert_eq!(
        class,
        format!("annotation {RETENTION_CLASS} is \"permanent\", the package manifest says \"\"")
    );

    let stored = hash::digest(Algorithm::Blake3, b"other");
    let refused = check_content_address(&content.files[0], &stored).unwrap_err().to_string();
    assert!(refused.starts_with("file a as pushed has the content address blake3:"), "{refused}");
    assert_eq!(check_content_address(&content.files[0], &content.files[0].content_address), Ok(()));
}

#[test]
fn a_role_may_be_left_out_of_a_layer() {
    let content = content(vec![File { role: Some("log".to_owned()), ..file("a", b"1") }]);
    let mut manifest = parse(&composed(&content).manifest);
    manifest.layers[1].annotations.remove(FILE_ROLE);
    assert_eq!(check_layers(&content, &declared(&manifest)), Ok(()));
}
