//! What each fuzz target checks, as plain functions: the fuzzer calls them with whatever it invents, the
//! normal tests with the checked-in corpora. Each panics when a promise is broken.

use artifactstore::auth::Action;
use artifactstore::codec::{cbor, jcs};
use artifactstore::oci::{
    ContentRange, Digest, Manifest, RangeHeader, RangeRequest, Reference, RepositoryName, Tag, UploadId,
};
use artifactstore::package::mapping::{self, BlobRef, Recognised};
use artifactstore::package::{ContentManifest, Manifest as RegistryManifest};
use artifactstore::server::route::{Permission, Route};
use http::Method;

/// A check of one input.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const ALL: &[(&str, Target)] = &[
    ("cbor", cbor),
    ("content_range", content_range),
    ("digest", digest),
    ("manifest", manifest),
    ("name", name),
    ("package", package),
    ("range", range),
    ("route", route),
];

/// A method letter, a path, and after `?` a query: parses or refuses, and a name that was accepted is one.
pub fn route(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((method, target)) = text.split_at_checked(1) else { return };
    let method = match method {
        "P" => Method::PUT,
        "O" => Method::POST,
        "A" => Method::PATCH,
        "D" => Method::DELETE,
        "H" => Method::HEAD,
        _ => Method::GET,
    };
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    if let Ok(route) = Route::parse(&method, path, query) {
        let is_read = matches!(method, Method::GET | Method::HEAD);
        assert!(!(is_read && route.stores()), "{route:?}");
        if let Permission::In(_, actions) = route.permission() {
            assert!(!actions.is_empty(), "{route:?}");
            assert!(
                !is_read || actions.iter().all(|it| matches!(it, Action::Pull | Action::Audit)),
                "{route:?}"
            );
        }
        if let Route::Blob(name, digest) = &route {
            let again = artifactstore::server::route::blob_path(name, digest);
            assert_eq!(Route::parse(&Method::GET, &again, None).expect("our own path"), route);
        }
    }
}

/// Eight bytes of size, then a `Range` header: whatever is served lies inside the object.
pub fn range(data: &[u8]) {
    let Some((size, header)) = data.split_at_checked(8) else { return };
    let size = u64::from_le_bytes(size.try_into().expect("eight bytes"));
    let Ok(header) = std::str::from_utf8(header) else { return };
    let inside = |start: u64, end: u64| assert!(start < end && end <= size, "{start}..{end} of {size}");
    match RangeHeader::parse(header, size) {
        RangeRequest::Whole | RangeRequest::Unsatisfiable => {}
        RangeRequest::Single { start, end_exclusive } => inside(start, end_exclusive),
        RangeRequest::Multi(ranges) => {
            assert!(ranges.len() > 1);
            for (start, end) in ranges {
                inside(start, end);
            }
        }
    }
}

/// A `Content-Range` header: what is accepted is ordered and its length does not overflow.
pub fn content_range(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(range) = ContentRange::parse(text) {
        assert!(range.start <= range.end_inclusive);
        assert_eq!(range.len(), range.end_inclusive - range.start + 1);
    }
}

/// A digest prints as it was read.
pub fn digest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest.hex().len(), digest.algorithm().hex_len());
        assert_eq!(Digest::from_bytes(digest.algorithm(), &digest.to_bytes()), digest);
    }
}

/// Names, tags, references and upload ids print as they were read and keep their limits.
pub fn name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = text.parse::<RepositoryName>() {
        assert_eq!(name.as_str(), text);
        assert!(text.len() <= 255 && !text.contains("//") && !text.contains(".."));
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert_eq!(tag.as_str(), text);
        assert!(text.len() <= 128 && !text.contains(['/', ':']));
    }
    if let Ok(Reference::Tag(_)) = text.parse::<Reference>() {
        assert!(!text.contains(':'));
    }
    if let Ok(id) = text.parse::<UploadId>() {
        assert_eq!(id.as_str(), text);
    }
}

/// A manifest is read or refused; what it names is named once.
pub fn manifest(data: &[u8]) {
    for content_type in [None, Some("application/vnd.oci.image.manifest.v1+json")] {
        let Ok(manifest) = Manifest::parse(data, content_type) else { continue };
        let required: Vec<_> = manifest.required().map(|descriptor| &descriptor.digest).collect();
        let mut once = required.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), required.len());
    }
}

/// A package manifest that is read has no other spelling, and its OCI manifest says the same; whatever OCI manifest
/// comes is one of the four things or refused.
pub fn package(data: &[u8]) {
    if let Ok(content) = ContentManifest::decode(data) {
        assert_eq!(content.encode().expect("what was read can be written"), data);
        let parts = content.files.iter().flat_map(|file| file.path.as_str().split('/'));
        assert!(parts.map(str::len).all(|len| (1..=255).contains(&len)));
        let composed = mapping::compose(&content, &BlobRef::of(data));
        let parse = |bytes: &Vec<u8>| Manifest::parse(bytes, None).expect("our own manifest");
        let manifest = parse(&composed.manifest);
        let parts: Vec<_> = composed.parts.iter().map(parse).collect();
        let declared = match mapping::recognise(&manifest).expect("our own manifest") {
            Recognised::Declared(declared) => declared,
            Recognised::DeclaredIndex { .. } => mapping::join(&manifest, &parts).expect("our own parts"),
            other => panic!("{other:?}"),
        };
        mapping::check_layers(&content, &declared).expect("composed of this very table");
    }
    if let Ok(manifest) = RegistryManifest::decode(data) {
        assert_eq!(manifest.encode().expect("what was read can be written"), data);
    }
    let Ok(manifest) = Manifest::parse(data, None) else { return };
    if let Ok(Recognised::Implicit | Recognised::Archive { .. }) = mapping::recognise(&manifest) {
        if let Ok(files) = mapping::implicit_files(&manifest) {
            assert!(files.is_sorted_by(|a, b| a.path < b.path));
            assert!(files.len() <= manifest.layers.len());
        }
        let _ = mapping::implicit_description(&manifest);
    }
}

/// What the validator accepts decodes, encodes to the same bytes, and survives its JSON projection.
pub fn cbor(data: &[u8]) {
    if cbor::validate(data, &cbor::Limits::EVENT).is_err() {
        return;
    }
    let value: ciborium::Value = cbor::from_slice(data).expect("valid bytes decode");
    assert_eq!(cbor::to_vec(&value).expect("a decoded value encodes"), data);
    let json = jcs::from_cbor(data).expect("the profile has a JSON projection");
    assert_eq!(jcs::to_cbor(&json).expect("a projection reads back"), data);
}
