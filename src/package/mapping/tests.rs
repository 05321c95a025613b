//! The mapping holds in both directions, and nothing else passes for it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::names::{
    CASE, CBOR_TITLE, EMPTY_CONFIG, FILE_ROLE, KIND, MANIFEST_CBOR, PACKAGE, PART, RETENTION_CLASS, TITLE,
    UNPACK,
};
use super::*;
use crate::hash;
use crate::oci::{Algorithm, Descriptor, Digest, Manifest, media};
use crate::package::{ContentManifest, Description, File, MAX_FILES, Object, PackagePath};

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

/// Files whose paths cannot be each other's folders: folders have no dot, files end with one.
fn tables() -> impl Strategy<Value = Vec<File>> {
    let path = "([a-c]{1,2}/){0,2}[a-cü\": ]{0,4}\\.";
    let row =
        (prop::collection::vec(any::<u8>(), 0..3), prop::option::of("[a-z]{1,4}"), "[a-z]{1,3}/[a-z.+]{1,5}");
    prop::collection::btree_map(path, row, 1..20).prop_filter_map("a path of dots", |rows| {
        let row = |(path, (bytes, role, media_type)): (String, (Vec<u8>, _, _))| {
            path.parse::<PackagePath>().ok()?;
            Some(File { media_type, role, ..file(&path, &bytes) })
        };
        rows.into_iter().map(row).collect()
    })
}

fn digest(seed: u8) -> Digest {
    Digest::from_bytes(Algorithm::Sha256, &[seed; 32])
}

/// One change of a layer that makes it say something else.
fn change_layer(layers: &mut Vec<Descriptor>, at: usize, how: u8) {
    let layer = &mut layers[at];
    match how % 8 {
        0 => layer.size += 1,
        1 => layer.digest = digest(how),
        2 => layer.media_type.push('x'),
        3 => layer.annotations.get_mut(TITLE).unwrap().push('x'),
        4 => drop(layer.annotations.remove(TITLE)),
        5 => layer.urls.push("https://a.b".to_owned()),
        6 => drop(layers.remove(at)),
        _ => layers.push(layers[at].clone()),
    }
}

/// One change of a row.
fn change_row(files: &mut Vec<File>, at: usize, how: u8) {
    let row = &mut files[at];
    match how % 6 {
        0 => row.size += 1,
        1 => row.sha256 = digest(how),
        2 => row.media_type.push('x'),
        3 => row.path = format!("{}x", row.path).parse().unwrap(),
        4 => drop(files.remove(at)),
        _ if row.role.is_some() => row.role = None,
        _ => files.push(file("new", b"new")),
    }
}

fn manifests() -> impl Strategy<Value = Manifest> {
    let types = prop::sample::select(vec![
        PACKAGE,
        PART,
        MANIFEST_CBOR,
        media::OCI_EMPTY,
        media::OCI_IMAGE_MANIFEST,
        media::OCI_IMAGE_INDEX,
        "x",
    ]);
    let titles = prop::sample::select(vec!["a", "a/b", "", "..", CBOR_TITLE, "\u{0}", "ü", "u\u{308}"]);
    let notes = (prop::option::of(titles), any::<bool>()).prop_map(|(title, unpack)| {
        let title = title.map(|title| (TITLE.to_owned(), title.to_owned()));
        title.into_iter().chain(unpack.then(|| (UNPACK.to_owned(), "true".to_owned()))).collect()
    });
    let descriptor = (types.clone(), any::<u8>(), any::<u64>(), notes).prop_map(
        |(media_type, seed, size, annotations): (&str, u8, u64, BTreeMap<_, _>)| Descriptor {
            media_type: media_type.to_owned(),
            digest: digest(seed),
            size,
            urls: Vec::new(),
            annotations,
            artifact_type: None,
        },
    );
    let list = || prop::collection::vec(descriptor.clone(), 0..4);
    (types.clone(), types, prop::option::of(descriptor.clone()), list(), list()).prop_map(
        |(media_type, artifact_type, config, layers, children)| Manifest {
            media_type: media_type.to_owned(),
            kind: crate::oci::Kind::of(media_type).unwrap_or(crate::oci::Kind::Image),
            config,
            layers,
            children,
            subject: None,
            artifact_type: Some(artifact_type.to_owned()),
            annotations: BTreeMap::new(),
        },
    )
}

proptest! {
    #[test]
    fn what_is_composed_is_recognised_and_agrees(files in tables()) {
        let content = content(files);
        prop_assert_eq!(check(&content, &composed(&content)), Ok(0));
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(files in tables().prop_flat_map(|f| (Just(f.clone()), Just(f).prop_shuffle()))) {
        prop_assert_eq!(composed(&content(files.0)), composed(&content(files.1)));
    }

    #[test]
    fn one_change_of_a_layer_is_refused(files in tables(), at: prop::sample::Index, how: u8) {
        let content = content(files);
        let mut manifest = parse(&composed(&content).manifest);
        let at = at.index(manifest.layers.len());
        change_layer(&mut manifest.layers, at, how);
        prop_assert!(check_layers(&content, &declared(&manifest)).is_err());
    }

    #[test]
    fn one_change_of_a_row_is_refused(files in tables(), at: prop::sample::Index, how: u8) {
        let original = content(files.clone());
        let manifest = parse(&composed(&original).manifest);
        let mut changed = files;
        let at = at.index(changed.len());
        change_row(&mut changed, at, how);
        let changed = ContentManifest::new(Description::default(), changed, Object::default());
        if let Ok(changed) = changed {
            prop_assert!(check_layers(&changed, &declared(&manifest)).is_err());
        }
    }

    #[test]
    fn every_manifest_is_something(manifest in manifests(), part in manifests()) {
        match recognise(&manifest) {
            Ok(Recognised::Declared(declared)) => drop(check_layers(&content(vec![file("a", b"")]), &declared)),
            Ok(Recognised::DeclaredIndex { parts }) => drop(join(&manifest, &vec![part; parts.len()])),
            Ok(Recognised::Implicit | Recognised::Archive { .. }) => {
                if let Ok(files) = implicit_files(&manifest) {
                    prop_assert!(files.len() <= manifest.layers.len());
                }
                prop_assert!(implicit_description(&manifest).is_ok());
            }
            Ok(Recognised::Ordinary) | Err(_) => {}
        }
    }
}
