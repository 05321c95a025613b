//! Manifests that begin as a package and are none: refused with what is wrong, and nothing is named.

use artifactstore::package::mapping::{self, BlobRef};
use artifactstore::package::{ContentManifest, Description, File, Object};
use serde_json::{Value, json};

use super::packages_refused::refused_without_a_trace;
use crate::support::{MANIFEST, Repo, Request, Server, blake3, image, sha256};

const PACKAGE: &str = "application/vnd.artifactstore.package.v1";

const FILES: [(&str, &[u8]); 2] = [("logs/a.txt", b"one"), ("z", b"two")];

fn content() -> ContentManifest {
    let file = |(path, bytes): &(&str, &[u8])| File {
        path: path.parse().unwrap(),
        media_type: "text/plain".to_owned(),
        size: bytes.len() as u64,
        content_address: blake3(bytes).parse().unwrap(),
        sha256: sha256(bytes).parse().unwrap(),
        role: None,
    };
    let metadata = Object::from_json(br#"{"n":"x"}"#).unwrap();
    let description = Description { metadata, ..Description::default() };
    ContentManifest::new(description, FILES.iter().map(file).collect(), Object::default()).unwrap()
}

/// The manifest of a package whose content manifest has these bytes, which are pushed.
#[track_caller]
fn declared(repo: &Repo, content: &ContentManifest, cbor: &[u8]) -> Value {
    repo.push_blob(cbor);
    let composed = mapping::compose(content, &BlobRef::of(cbor));
    serde_json::from_slice(&composed.manifest).unwrap()
}

/// The same document in other bytes: the version takes two where one will do.
fn respelt(cbor: &[u8]) -> Vec<u8> {
    let key = b"manifest_version";
    let at = cbor.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    assert_eq!(cbor[at], 1);
    [&cbor[..at], &[0x18, 1], &cbor[at + 1..]].concat()
}

fn edited(manifest: &Value, edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut manifest = manifest.clone();
    edit(&mut manifest);
    manifest.to_string().into_bytes()
}

#[test]
fn a_declared_package_that_is_none_is_refused_and_names_nothing() {
    let server = Server::start();
    let client = server.client();
    let repo = Repo::new(&client, "a");
    let schema = json!({ "properties": { "n": { "type": "integer" } } }).to_string();
    client.send(&Request::put("/v2/_artifactstore/schemas/run").body(schema)).expect(201);
    for (_, bytes) in FILES {
        repo.push_blob(bytes);
    }
    repo.push_blob(b"six");
    let good = content();
    let cbor = good.encode().unwrap();
    let whole = declared(&repo, &good, &cbor);
    let put = |bytes: Vec<u8>| Request::put(repo.manifest("v1")).header("Content-Type", MANIFEST).body(bytes);
    let with = |edit: &dyn Fn(&mut ContentManifest)| {
        let mut content = content();
        edit(&mut content);
        let cbor = content.encode().unwrap();
        put(declared(&repo, &content, &cbor).to_string().into_bytes())
    };
    let spelt = put(declared(&repo, &good, &respelt(&cbor)).to_string().into_bytes());
    let trailing = put(declared(&repo, &good, &[&cbor[..], &[0xf6]].concat()).to_string().into_bytes());
    let cut = put(declared(&repo, &good, &cbor[..cbor.len() - 1]).to_string().into_bytes());
    let layer = |edit: &dyn Fn(&mut Value)| put(edited(&whole, |manifest| edit(&mut manifest["layers"])));
    let title = "org.opencontainers.image.title";
    let six: artifactstore::oci::Digest = blake3(b"six").parse().unwrap();
    let invalid = |request: Request, words: &'static str| (request, 400, "MANIFEST_INVALID", words);
    let twice = layer(&|layers| {
        let again = layers[1].clone();
        layers.as_array_mut().unwrap().push(again);
    });
    let cases = vec![
        // Not in its only spelling
        invalid(spelt, "canonical CBOR"),
        invalid(trailing, "canonical CBOR"),
        invalid(cut, "canonical CBOR"),
        // Table and layers
        invalid(twice, "logs/a.txt|two layers"),
        invalid(layer(&|layers| layers[2]["annotations"][title] = json!("../z")), "../z"),
        invalid(layer(&|layers| layers[2]["annotations"][title] = json!("y")), "file y"),
        invalid(layer(&|layers| drop(layers.as_array_mut().unwrap().pop())), "file z|no layer"),
        invalid(layer(&|layers| layers[2]["digest"] = json!(sha256(b"six"))), "file z|digest"),
        invalid(layer(&|layers| layers[2]["size"] = json!(4)), "file z|size"),
        // Table and bytes
        invalid(with(&|content| content.files[1].content_address = six.clone()), "file z|content address"),
        invalid(with(&|content| content.files[1].size = 4), "file z|size"),
        // What it says of itself
        invalid(
            with(&|content| content.package.retention_class = Some("for-ever".to_owned())),
            "\"for-ever\"|raw-evidence",
        ),
        invalid(with(&|content| content.package.schema = Some("run".to_owned())), "\"run\"|/n|integer"),
        invalid(with(&|content| content.package.schema = Some("none".to_owned())), "\"none\"|register"),
    ];
    refused_without_a_trace(&client, cases);
    assert!(repo.tags().is_empty());
    let listed = client.get(repo.path("_artifactstore/packages")).expect(200).json();
    assert_eq!(listed["packages"], json!([]));
    client.send(&put(whole.to_string().into_bytes())).expect(201).required("artifactstore-package");
}

#[test]
fn an_implicit_package_that_is_none_is_refused_and_names_nothing() {
    let server = Server::start();
    let client = server.client();
    let repo = Repo::new(&client, "a");
    repo.push_empty_config();
    let titled = |title: &str| {
        let mut layer = repo.push_layer(b"one");
        layer["annotations"] = json!({ "org.opencontainers.image.title": title });
        layer
    };
    let put = |layers: &[Value], annotations: Value| {
        let more = json!({ "artifactType": PACKAGE, "annotations": annotations });
        Request::put(repo.manifest("v1")).header("Content-Type", MANIFEST).body(image(layers, more))
    };
    let invalid = |layers: &[Value], words| (put(layers, json!({})), 400, "MANIFEST_INVALID", words);
    let lying = |edit: &dyn Fn(&mut Value)| {
        let manifest = image(&[titled("x")], json!({ "artifactType": PACKAGE }));
        let manifest = edited(&serde_json::from_slice(&manifest).unwrap(), edit);
        Request::put(repo.manifest("v1")).header("Content-Type", MANIFEST).body(manifest)
    };
    let config = |field: &'static str, value: Value, words| {
        (lying(&|manifest| manifest["config"][field] = value.clone()), 400, "MANIFEST_INVALID", words)
    };
    let embedded = lying(&|manifest| manifest["layers"][0]["data"] = json!("dHdv"));
    let class = put(&[titled("x")], json!({ "dev.artifactstore.retention.class": "for-ever" }));
    let kind = put(&[titled("x")], json!({ "dev.artifactstore.package.kind": "A b" }));
    let cases = vec![
        invalid(&[titled("x"), titled("x")], "x|two layers"),
        invalid(&[titled("x"), titled("x/y")], "x/y|folder"),
        invalid(&[titled("../x")], "\"../x\"|\"..\""),
        invalid(&[titled("/etc/passwd")], "/etc/passwd"),
        invalid(&[titled(".artifactstore/package.cbor")], ".artifactstore/"),
        invalid(&[titled("x"), repo.push_layer(b"one")], "layers[1]|title"),
        invalid(&[], "at least one file"),
        // Of descriptors
        config("size", json!(5), "config|size 2|size 5"),
        config("digest", json!(sha256(b"one")), "config|size 2|digest"),
        config("data", json!("W10="), "config.data|hashes to"),
        (embedded, 400, "MANIFEST_INVALID", "layers[0].data|hashes to"),
        (class, 400, "MANIFEST_INVALID", "\"for-ever\"|raw-evidence"),
        (kind, 400, "MANIFEST_INVALID", "kind|\"A b\""),
    ];
    refused_without_a_trace(&client, cases);
    assert!(repo.tags().is_empty());
    client.send(&put(&[titled("x")], json!({}))).expect(201).required("artifactstore-package");
}

#[test]
fn the_table_of_a_package_could_be_deleted() {
    let server = Server::start();
    let client = server.client();
    let repo = Repo::new(&client, "a");
    repo.push_empty_config();
    let mut layer = repo.push_layer(b"one");
    layer["annotations"] = json!({ "org.opencontainers.image.title": "x" });
    let manifest = image(&[layer], json!({ "artifactType": PACKAGE }));
    let put = Request::put(repo.manifest("v1")).header("Content-Type", MANIFEST).body(manifest.clone());
    let package = client.send(&put).expect(201).required("artifactstore-package").to_owned();
    let referrers = client.get(repo.path(format!("referrers/{}", sha256(&manifest)))).expect(200).json();
    let referrer = referrers["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let table = client.get(repo.manifest(&referrer)).expect(200).json();
    let table = table["layers"][0]["digest"].as_str().unwrap().to_owned();
    let deletes = [repo.manifest(&sha256(&manifest)), repo.manifest(&referrer), repo.blob(&table)];
    for path in deletes {
        let refused = client.delete(path).refused(405, "DENIED");
        let body = refused.json();
        let reason = &body["errors"][0]["detail"]["reasons"][0];
        assert_eq!((&reason["kind"], &reason["by"]), (&json!("retention"), &json!(package)), "{refused}");
        assert!(reason["class"].is_string() && reason["until"].is_string(), "{refused}");
    }
}
