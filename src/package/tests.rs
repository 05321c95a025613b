//! The rules of paths, ids and documents.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::hash;
use crate::oci::Algorithm;

fn path(text: &str) -> PackagePath {
    text.parse().unwrap()
}

fn file(text: &str) -> File {
    File {
        path: path(text),
        media_type: "text/plain".to_owned(),
        size: text.len() as u64,
        content_address: hash::digest(Algorithm::Blake3, text.as_bytes()),
        sha256: hash::digest(Algorithm::Sha256, text.as_bytes()),
        role: None,
    }
}

#[test]
fn a_path_that_could_lead_elsewhere_or_mean_two_things_is_refused() {
    for text in [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "./a",
        "a/.",
        "a\\b",
        "a\u{0}b",
        "a\nb",
        "e\u{301}",
        ".artifactstore",
        ".artifactstore/package.cbor",
        "a\u{85}b",
    ] {
        assert!(text.parse::<PackagePath>().is_err(), "{text:?}");
    }
    assert!("a".repeat(1025).parse::<PackagePath>().is_err());
    let longest = format!("{}{}", "a/".repeat(384), "b".repeat(255));
    for text in ["a", "a b/c:d", "é", "…", ".hidden", "a/.artifactstore", "...", "a/..b", &longest] {
        assert_eq!(path(text).as_str(), text);
    }
}

/// They were accepted, and a pull could not make such a file.
#[test]
fn a_part_that_no_file_system_takes_is_no_part() {
    for (text, len) in [("a".repeat(256), 256), (format!("a/{}/b", "é".repeat(128)), 256)] {
        let refused = text.parse::<PackagePath>().unwrap_err();
        assert!(matches!(refused, PathError::PartLength { len: found, .. } if found == len), "{refused}");
    }
    assert_eq!(path(&format!("{0}/{0}", "a".repeat(255))).as_str().len(), 511);
}

#[test]
fn the_folders_of_a_path_lead_outwards() {
    assert_eq!(path("a/b/c").folders().collect::<Vec<_>>(), ["a/b", "a"]);
    assert_eq!(path("a").folders().count(), 0);
}

#[test]
fn an_id_has_one_spelling() {
    let id = PackageId::generate();
    assert_eq!(id.as_str().parse(), Ok(id.clone()));
    for text in [id.as_str().to_uppercase(), id.as_str()[4..].to_owned(), "pkg_".to_owned(), format!("{id}0")]
    {
        assert_eq!(text.parse::<PackageId>(), Err(PackageIdError), "{text}");
    }
    // The letter i is read as the digit 1.
    let odd = format!("pkg_0{}", "i".repeat(25));
    assert_eq!(odd.parse::<PackageId>(), Err(PackageIdError));
}

#[test]
fn metadata_is_what_both_encodings_can_say() {
    let object = Object::from_json(br#"{"b":[1,null,true],"a":{"x":-9007199254740991}}"#).unwrap();
    assert_eq!(object.to_json(), r#"{"a":{"x":-9007199254740991},"b":[1,null,true]}"#);
    for json in
        ["[]", "1", r#"{"a":1.5}"#, r#"{"a":1,"a":2}"#, r#"{"ä":1}"#, r#"{"a":9007199254740992}"#, "{"]
    {
        assert!(Object::from_json(json.as_bytes()).is_err(), "{json}");
    }
    let large = json!({ "a": "x".repeat(300 << 10) }).to_string();
    assert!(Object::from_json(large.as_bytes()).is_err());
}

#[test]
fn the_order_in_which_files_were_found_does_not_matter() {
    let names = ["z", "a/b", "a-b", "a/c/d", "b"];
    let new = |names: &[&str]| {
        let files = names.iter().map(|name| file(name)).collect();
        ContentManifest::new(Description::default(), files, Object::default()).unwrap().encode().unwrap()
    };
    let forwards = new(&names);
    let mut backwards = names;
    backwards.reverse();
    assert_eq!(forwards, new(&backwards));
    let read = ContentManifest::decode(&forwards).unwrap();
    assert_eq!(read.encode().unwrap(), forwards);
    assert_eq!(read.files[0].path.as_str(), "a-b");
}

#[test]
fn files_that_make_no_package_are_refused_by_name() {
    let refused = |files: Vec<File>| {
        ContentManifest::new(Description::default(), files, Object::default()).unwrap_err().to_string()
    };
    assert_eq!(refused(vec![]), "a package has at least one file");
    assert_eq!(refused(vec![file("a"), file("b"), file("a")]), "file a is there twice");
    let both = refused(vec![file("a"), file("a-b"), file("a/b/c")]);
    assert_eq!(both, "a is a file and also the folder of a/b/c");
    let odd = File { content_address: file("a").sha256, ..file("a") };
    assert!(refused(vec![odd]).contains("content_address"));
    let odd = File { media_type: "text".to_owned(), ..file("a") };
    assert!(refused(vec![odd]).contains("media_type"));
    let odd = File { role: Some("Score Card".to_owned()), ..file("a") };
    assert!(refused(vec![odd]).contains("role"));
}

#[test]
fn only_canonical_bytes_of_this_version_are_read() {
    let manifest = ContentManifest::new(Description::default(), vec![file("a")], Object::default()).unwrap();
    let bytes = manifest.encode().unwrap();
    let mut trailing = bytes.clone();
    trailing.push(0);
    assert!(matches!(ContentManifest::decode(&trailing), Err(Invalid::Encoding(_))));
    let later = ContentManifest { manifest_version: 2, ..manifest.clone() };
    assert!(matches!(ContentManifest::decode(&later.encode().unwrap()), Err(Invalid::Version(2))));
    let unsorted = ContentManifest { files: vec![file("b"), file("a")], ..manifest };
    assert!(matches!(ContentManifest::decode(&unsorted.encode().unwrap()), Err(Invalid::Order(_))));
}

proptest! {
    #[test]
    fn a_path_is_accepted_as_it_is_or_not_at_all(text in "\\PC{0,40}|[a./\\\\]{0,12}") {
        if let Ok(path) = text.parse::<PackagePath>() {
            prop_assert_eq!(path.as_str(), &text);
            prop_assert!(text.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255));
        }
    }

    #[test]
    fn a_content_manifest_is_the_same_after_a_round_trip(names in proptest::collection::btree_set("[a-z]{1,8}", 1..20), n in any::<i32>()) {
        let files: Vec<File> = names.iter().map(|name| file(name)).collect();
        let metadata = Object::from_json(json!({ "n": n, "list": [n, "x"] }).to_string().as_bytes()).unwrap();
        let package = Description { kind: Some("run".to_owned()), metadata, ..Description::default() };
        let manifest = ContentManifest::new(package, files, Object::default()).unwrap();
        let bytes = manifest.encode().unwrap();
        prop_assert_eq!(&ContentManifest::decode(&bytes).unwrap(), &manifest);
        let json = crate::codec::jcs::from_cbor(&bytes).unwrap();
        prop_assert_eq!(crate::codec::jcs::to_cbor(&json).unwrap(), bytes);
    }
}
