//! Packages without a table of their own.

use super::*;

#[test]
fn the_table_of_an_implicit_package_is_its_titles() {
    let mut with_role = layer("b/c");
    with_role["annotations"][FILE_ROLE] = json!("log");
    let manifest = parse_json(&pushed(media::OCI_EMPTY, &[with_role, archive("x"), layer("a")]));
    let files = implicit_files(&manifest).unwrap();
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a", "b/c"]);
    assert_eq!((files[1].role.as_deref(), files[1].size), (Some("log"), 3));

    let refused = |layers: &[Value]| {
        implicit_files(&parse_json(&pushed(media::OCI_EMPTY, layers))).unwrap_err().to_string()
    };
    let mut untitled = layer("a");
    untitled["annotations"] = json!({});
    assert!(refused(&[layer("b"), untitled]).starts_with("layers[1] has no"));
    assert_eq!(refused(&[layer("a"), layer("b"), layer("a")]), "file a has two layers");
    assert!(refused(&[layer(CBOR_TITLE)]).contains("registry's own"));
    assert!(refused(&[layer("a/../b")]).contains("\"a/../b\""));
    assert!(refused(&[]).contains("at least one file"));
    let mut typed = layer("a");
    typed["mediaType"] = json!("text");
    assert!(refused(&[typed]).contains("not a media type"));
    let mut role = layer("a");
    role["annotations"][FILE_ROLE] = json!("Score Card");
    assert!(refused(&[role]).contains("role"));
    let mut foreign = layer("a");
    foreign["urls"] = json!(["https://a.b"]);
    assert!(refused(&[foreign]).contains("lies elsewhere"));
    let only_archives = parse_json(&pushed(media::OCI_EMPTY, &[archive(".")]));
    assert_eq!(implicit_files(&only_archives), Ok(vec![]));
}

#[test]
fn annotations_describe_an_implicit_package() {
    let mut document = pushed(media::OCI_EMPTY, &[layer("a")]);
    document["annotations"] = json!({KIND: "run", RETENTION_CLASS: "general", CASE: "A 17", "other": "x"});
    let description = implicit_description(&parse_json(&document)).unwrap();
    assert_eq!(description.kind.as_deref(), Some("run"));
    assert_eq!(description.retention_class.as_deref(), Some("general"));
    assert_eq!(description.metadata.to_json(), r#"{"case":"A 17"}"#);
    document["annotations"] = json!({KIND: "Big Run"});
    assert!(
        implicit_description(&parse_json(&document)).unwrap_err().to_string().contains("kind \"Big Run\"")
    );
}
