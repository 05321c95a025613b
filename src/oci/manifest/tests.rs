use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const IMAGE: &str = media::OCI_IMAGE_MANIFEST;
const INDEX: &str = media::OCI_IMAGE_INDEX;

fn sha(n: u8) -> String {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
}

fn descriptor(media_type: &str, n: u8) -> Value {
    json!({"mediaType": media_type, "digest": sha(n), "size": 10})
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "config": descriptor(media::OCI_IMAGE_CONFIG, 1),
        "layers": [descriptor(media::OCI_LAYER_TAR, 2), descriptor(media::OCI_LAYER_TAR, 3)],
    })
}

fn index() -> Value {
    json!({"schemaVersion": 2, "manifests": [descriptor(IMAGE, 1), descriptor(INDEX, 2)]})
}

fn with(mut document: Value, key: &str, value: Value) -> Value {
    document[key] = value;
    document
}

fn without(mut document: Value, key: &str) -> Value {
    document.as_object_mut().unwrap().remove(key);
    document
}

fn parse(document: &Value, content_type: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(document.to_string().as_bytes(), Some(content_type))
}

fn parse_text(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text.as_bytes(), Some(IMAGE))
}

/// The path and reason of a `Field` error.
fn field_error(result: Result<Manifest, ManifestError>) -> (String, String) {
    match result {
        Err(ManifestError::Field { path, reason }) => (path, reason),
        other => panic!("expected a field error, got {other:?}"),
    }
}

fn required(manifest: &Manifest) -> Vec<String> {
    manifest.required().map(|descriptor| descriptor.digest.to_string()).collect()
}

#[test]
fn an_image_gives_config_layers_and_everything_a_referrer_needs() {
    let document = with(image(), "subject", descriptor(IMAGE, 9));
    let document = with(document, "artifactType", json!("application/vnd.a"));
    let document = with(document, "annotations", json!({"b": "2", "a": "1"}));
    let manifest = parse(&document, IMAGE).unwrap();
    assert_eq!((manifest.kind, manifest.media_type.as_str()), (Kind::Image, IMAGE));
    assert_eq!(manifest.config.as_ref().unwrap().digest.as_str(), sha(1));
    assert_eq!(manifest.layers[1].size, 10);
    assert_eq!(manifest.subject.as_ref().unwrap().digest.as_str(), sha(9));
    assert_eq!(manifest.artifact_type.as_deref(), Some("application/vnd.a"));
    assert_eq!(manifest.annotations["a"], "1");
    assert_eq!(required(&manifest), [sha(1), sha(2), sha(3)]);
}

#[test]
fn an_index_requires_its_children_and_not_its_subject() {
    let manifest = parse(&with(index(), "subject", descriptor(IMAGE, 9)), INDEX).unwrap();
    assert_eq!(manifest.kind, Kind::Index);
    assert!(manifest.config.is_none() && manifest.layers.is_empty());
    assert_eq!(required(&manifest), [sha(1), sha(2)]);
}

#[test]
fn docker_types_are_first_class() {
    assert_eq!(parse(&image(), media::DOCKER_MANIFEST).unwrap().kind, Kind::Image);
    let list = parse(&index(), media::DOCKER_MANIFEST_LIST).unwrap();
    assert_eq!((list.kind, list.media_type.as_str()), (Kind::Index, media::DOCKER_MANIFEST_LIST));
}

#[test]
fn content_type_parameters_are_ignored() {
    let manifest = parse(&with(image(), "mediaType", json!(IMAGE)), &format!("{IMAGE}; charset=utf-8"));
    assert_eq!(manifest.unwrap().media_type, IMAGE);
}

#[test]
fn without_a_content_type_the_body_tells_and_then_the_shape() {
    let bare = |document: Value, header| Manifest::parse(document.to_string().as_bytes(), header);
    let stated = with(image(), "mediaType", json!(media::DOCKER_MANIFEST));
    assert_eq!(bare(stated, None).unwrap().media_type, media::DOCKER_MANIFEST);
    assert_eq!(bare(image(), None).unwrap().media_type, IMAGE);
    assert_eq!(bare(index(), Some(" ")).unwrap().media_type, INDEX);
    let shapeless = bare(json!({"schemaVersion": 2}), None);
    assert_eq!(shapeless, Err(ManifestError::UnknownShape { media_type: String::new() }));
}

#[test]
fn a_body_of_another_type_than_the_header_says_is_refused() {
    let err = parse(&with(image(), "mediaType", json!(media::DOCKER_MANIFEST)), IMAGE).unwrap_err();
    assert!(matches!(err, ManifestError::MediaTypeMismatch { .. }), "{err}");
}

#[test]
fn a_custom_type_needs_a_clear_shape() {
    let custom = "application/vnd.example.thing+json";
    assert_eq!(parse(&image(), custom).unwrap().media_type, custom);
    assert_eq!(parse(&index(), custom).unwrap().kind, Kind::Index);
    for document in [without(image(), "config"), without(image(), "layers"), without(index(), "manifests")] {
        let err = parse(&document, custom).unwrap_err();
        assert_eq!(err, ManifestError::UnknownShape { media_type: custom.into() });
    }
}

#[test]
fn a_type_that_a_browser_or_a_header_would_choke_on_is_refused() {
    for content_type in ["text/html", "manifest", "application/a\r\nX: y", "application/"] {
        let err = parse(&image(), content_type).unwrap_err();
        assert!(matches!(err, ManifestError::MediaType { .. }), "{content_type:?}: {err}");
    }
}

#[test]
fn schema_1_is_named_whether_the_header_the_version_or_the_fields_tell() {
    for header in [media::DOCKER_SCHEMA1, media::DOCKER_SCHEMA1_SIGNED] {
        assert_eq!(parse(&image(), header), Err(ManifestError::Schema1));
        let body = with(image(), "mediaType", json!(header)).to_string();
        assert_eq!(Manifest::parse(body.as_bytes(), None), Err(ManifestError::Schema1));
    }
    assert_eq!(parse(&with(image(), "schemaVersion", json!(1)), IMAGE), Err(ManifestError::Schema1));
    assert_eq!(parse(&with(image(), "fsLayers", json!([])), IMAGE), Err(ManifestError::Schema1));
    assert!(ManifestError::Schema1.to_string().contains("schema1"));
}

#[test]
fn the_schema_version_must_be_2() {
    let missing = parse(&without(image(), "schemaVersion"), IMAGE);
    assert_eq!(missing, Err(ManifestError::Missing { field: "schemaVersion" }));
    let other = parse(&with(image(), "schemaVersion", json!(3)), IMAGE);
    assert_eq!(other, Err(ManifestError::SchemaVersion { found: 3 }));
    assert_eq!(field_error(parse(&with(image(), "schemaVersion", json!("2")), IMAGE)).0, "schemaVersion");
}

#[test]
fn a_document_that_is_both_image_and_index_is_ambiguous() {
    for key in ["config", "layers"] {
        for content_type in [IMAGE, INDEX, "application/vnd.example"] {
            let both = with(index(), key, image()[key].clone());
            assert_eq!(parse(&both, content_type), Err(ManifestError::Ambiguous));
        }
    }
    assert_eq!(parse(&with(image(), "manifests", Value::Null), IMAGE), Err(ManifestError::Ambiguous));
}

#[test]
fn a_key_that_differs_only_in_case_is_refused_because_go_readers_would_take_it() {
    for key in ["Manifests", "LAYERS", "manifeſts"] {
        let (path, reason) = field_error(parse(&with(image(), key, json!([])), IMAGE));
        assert!(path == "manifest" && reason.contains("mistaken"), "{path}: {reason}");
    }
    let mut document = image();
    document["layers"][1]["Digest"] = json!(sha(7));
    assert_eq!(field_error(parse(&document, IMAGE)).0, "layers[1]");
}

#[test]
fn the_shape_must_fit_the_type() {
    let err = parse(&index(), IMAGE).unwrap_err();
    assert_eq!(err, ManifestError::WrongShape { media_type: IMAGE.into(), field: "manifests" });
    let err = parse(&image(), INDEX).unwrap_err();
    assert_eq!(err, ManifestError::WrongShape { media_type: INDEX.into(), field: "config" });
    let missing = |field| Err(ManifestError::Missing { field });
    assert_eq!(parse(&without(image(), "config"), IMAGE), missing("config"));
    assert_eq!(parse(&with(image(), "config", Value::Null), IMAGE), missing("config"));
    assert_eq!(parse(&without(image(), "layers"), IMAGE), missing("layers"));
    assert_eq!(parse(&without(index(), "manifests"), INDEX), missing("manifests"));
}

#[test]
fn empty_lists_are_fine_and_null_is_an_empty_list() {
    for empty in [json!([]), Value::Null] {
        assert!(parse(&with(image(), "layers", empty.clone()), IMAGE).unwrap().layers.is_empty());
        assert!(parse(&with(index(), "manifests", empty), INDEX).unwrap().children.is_empty());
    }
}

#[test]
fn content_named_twice_is_listed_twice_and_required_once() {
    let twice = json!([descriptor(IMAGE, 1), descriptor(IMAGE, 1)]);
    let manifest = parse(&with(index(), "manifests", twice), INDEX).unwrap();
    assert_eq!(manifest.children.len(), 2);
    assert_eq!(required(&manifest), [sha(1)]);
}

#[test]
fn foreign_layers_are_kept_and_not_required() {
    let mut document = image();
    document["layers"][0]["urls"] = json!(["https://example.com/layer"]);
    document["layers"][1]["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    let manifest = parse(&document, IMAGE).unwrap();
    assert!(manifest.layers.iter().all(Descriptor::is_foreign));
    assert_eq!(required(&manifest), [sha(1)]);
}

#[test]
fn the_artifact_type_falls_back_to_the_config_type_of_images_only() {
    let of = |document: Value, content_type| parse(&document, content_type).unwrap().artifact_type;
    assert_eq!(of(image(), IMAGE).as_deref(), Some(media::OCI_IMAGE_CONFIG));
    assert_eq!(of(with(image(), "artifactType", json!("")), IMAGE).as_deref(), Some(media::OCI_IMAGE_CONFIG));
    assert_eq!(of(index(), INDEX), None);
    assert_eq!(of(with(index(), "artifactType", json!("")), INDEX), None);
}

#[test]
fn unknown_fields_data_and_null_options_are_accepted() {
    let mut document = with(image(), "x-unknown", json!({"deep": [1, -2, 0.5, true, null, "text"]}));
    document["layers"][0]["data"] = json!("not even base64!");
    document["layers"][0]["annotations"] = Value::Null;
    document["layers"][0]["urls"] = Value::Null;
    document["subject"] = Value::Null;
    document["artifactType"] = Value::Null;
    assert!(parse(&document, IMAGE).is_ok());
}

#[test]
fn a_bad_value_is_named_by_its_path() {
    let bad = |pointer: &str, value: Value| {
        let mut document = with(image(), "annotations", json!({"a": "1"}));
        document["subject"] = descriptor(IMAGE, 9);
        document["layers"] = json!(vec![descriptor(media::OCI_LAYER_TAR, 2); 4]);
        *document.pointer_mut(pointer).unwrap() = value;
        field_error(parse(&document, IMAGE))
    };
    for (pointer, value, path, fact) in [
        ("/layers/3/digest", json!("sha256:00"), "layers[3].digest", "expected 64"),
        ("/layers/3/digest", json!("md5:00"), "layers[3].digest", "unknown digest algorithm"),
        ("/config/digest", json!(7), "config.digest", "expected a digest"),
        ("/subject/digest", json!("x"), "subject.digest", "not a digest"),
        ("/layers/0/size", json!(-1), "layers[0].size", "-1"),
        ("/layers/0/size", json!(1.5), "layers[0].size", "1.5"),
        ("/layers/0/size", json!(u64::MAX), "layers[0].size", "signed 64-bit"),
        ("/layers/0/mediaType", json!(""), "layers[0].mediaType", "empty"),
        ("/layers/1", json!({}), "layers[1].mediaType", "missing"),
        ("/layers/1", Value::Null, "layers[1]", "null"),
        ("/layers", json!({}), "layers", "list of descriptors"),
        ("/config", json!([]), "config", "descriptor object"),
        ("/annotations/a", json!(1), "annotations[\"a\"]", "expected a string"),
    ] {
        let (at, reason) = bad(pointer, value);
        assert_eq!(at, path);
        assert!(reason.contains(fact), "{at}: {reason}");
    }
}

#[test]
fn a_known_key_stands_once() {
    let text = image().to_string();
    let twice = format!("{},\"config\":{}}}", &text[..text.len() - 1], descriptor("a/b", 5));
    assert!(field_error(parse_text(&twice)).1.contains("duplicate field `config`"));
    let size = text.replacen("\"size\":10", "\"size\":10,\"size\":11", 1);
    assert_eq!(field_error(parse_text(&size)).0, "config");
    let notes = r#"{"schemaVersion":2,"annotations":{"a":"1","a":"2"}}"#;
    assert_eq!(field_error(parse_text(notes)).0, "annotations[\"a\"]");
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    let trailing = format!("{} x", image());
    for text in ["", "[]", "7", "null", "\"x\"", "{", "{\"a\":}", "\u{feff}{}", trailing.as_str()] {
        assert_eq!(field_error(parse_text(text)).0, "manifest", "{text:?}");
    }
    assert!(parse_text(&format!(" {}\n", image())).is_ok());
    let broken = b"{\"schemaVersion\":2,\"x\":\"\xff\"}";
    assert!(Manifest::parse(broken, Some(IMAGE)).is_err());
}

#[test]
fn nesting_is_bounded_also_where_nobody_looks() {
    let nested = |depth: usize| {
        let value = "[".repeat(depth) + &"]".repeat(depth);
        parse_text(&image().to_string().replacen('{', &format!("{{\"x\":{value},"), 1))
    };
    assert!(nested(100).is_ok());
    assert!(field_error(nested(100_000)).1.contains("recursion limit"));
}

#[test]
fn an_error_does_not_repeat_a_long_value() {
    let long = with(image(), "schemaVersion", json!("x".repeat(1 << 20)));
    assert!(parse(&long, IMAGE).unwrap_err().to_string().len() < 300);
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), header in "\\PC{0,20}") {
        let _ = Manifest::parse(&bytes, None);
        let _ = Manifest::parse(&bytes, Some(&header));
    }

    #[test]
    fn a_damaged_manifest_never_panics(at in 0usize..400, byte: u8, cut in 0usize..400) {
        let mut bytes = with(image(), "annotations", json!({"a": "ä"})).to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Manifest::parse(&bytes, None);
        bytes.truncate(cut);
        let _ = Manifest::parse(&bytes, Some(IMAGE));
    }

    #[test]
    fn required_lists_each_digest_once_and_nothing_foreign(
        layers in prop::collection::vec((0u8..6, any::<bool>()), 0..20)
    ) {
        let list: Vec<Value> = layers.iter().map(|&(n, foreign)| {
            let mut layer = descriptor(media::OCI_LAYER_TAR, n);
            if foreign {
                layer["urls"] = json!(["https://example.com"]);
            }
            layer
        }).collect();
        let manifest = parse(&with(image(), "layers", json!(list)), IMAGE).unwrap();
        let listed = required(&manifest);
        let expected: BTreeSet<String> =
            layers.iter().filter(|layer| !layer.1).map(|layer| sha(layer.0)).chain([sha(1)]).collect();
        prop_assert_eq!(listed.len(), expected.len());
        prop_assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}
