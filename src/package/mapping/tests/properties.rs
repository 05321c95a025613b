//! What holds for whatever table and manifest.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::oci::{Descriptor, Digest};
use crate::package::PackagePath;

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
            data: None,
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
