//! Many clients want the same thing at once.

use std::sync::Barrier;
use std::thread;

use crate::support::{
    Content, IMAGE, Random, Server, alone, expect_fine, folder, image, objects, push, sha256, staged,
};

#[test]
fn one_content_pushed_32_times_at_once_is_one_object() {
    let _alone = alone();
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let content = Content { seed: 1, length: 8 * 1024 * 1024 };
    let digest = content.digest();
    let together = Barrier::new(32);
    thread::scope(|scope| {
        for number in 0..32 {
            let (server, together) = (&server, &together);
            scope.spawn(move || {
                let mut client = server.client();
                together.wait();
                push(&mut client, &format!("same/{number}"), content).unwrap().expect(201);
            });
        }
    });
    for number in 0..32 {
        let path = format!("/v2/same/{number}/blobs/{digest}");
        assert_eq!(server.client().get(&path).unwrap().expect(200).body, content.bytes());
    }
    let storage = data.join("storage");
    assert_eq!(objects(&storage).len(), 1, "{:?}", objects(&storage));
    assert!(staged(&storage).is_empty(), "{:?}", staged(&storage));
    server.stop();
    expect_fine(&data, &["verify"]);
    expect_fine(&data, &["replay", "--check"]);
}

#[test]
fn pushes_and_deletes_of_one_tag_and_manifest_leave_consistent_views() {
    let _alone = alone();
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let content = Content { seed: 1, length: 100 };
    push(&mut server.client(), "contested", content).unwrap().expect(201);
    let images: Vec<_> =
        (0..3).map(|number| image(&content.digest(), content.length, &number.to_string())).collect();
    let digests: Vec<_> = images.iter().map(|image| sha256(image)).collect();
    thread::scope(|scope| {
        for number in 0..8 {
            let (server, images, digests) = (&server, &images, &digests);
            scope.spawn(move || {
                let (mut client, mut random) = (server.client(), Random::new(number));
                for _ in 0..60 {
                    let which = usize::try_from(random.below(3)).unwrap();
                    let by_tag = "/v2/contested/manifests/latest".to_owned();
                    let by_digest = format!("/v2/contested/manifests/{}", digests[which]);
                    let (method, path, body, allowed): (_, _, &[u8], &[u16]) = match random.below(5) {
                        0 => ("PUT", by_tag, &images[which], &[201]),
                        1 => ("PUT", format!("{by_digest}?tag=latest&tag=other"), &images[which], &[201]),
                        2 => ("DELETE", by_tag, b"", &[202, 404]),
                        3 => ("DELETE", by_digest, b"", &[202, 404]),
                        _ => ("GET", by_tag, b"", &[200, 404]),
                    };
                    let headers: &[_] = if method == "PUT" { &[("content-type", IMAGE)] } else { &[] };
                    let answer = client.send(method, &path, headers, body).unwrap();
                    assert!(allowed.contains(&answer.status), "{method} {path} says {answer:?}");
                    if method == "GET" && answer.status == 200 {
                        let shown = answer.header("docker-content-digest").unwrap();
                        assert_eq!(sha256(&answer.body), shown, "a tag shows the bytes of its digest");
                    }
                }
            });
        }
    });
    let tags = server.client().get("/v2/contested/tags/list").unwrap().expect(200);
    let tags: serde_json::Value = serde_json::from_slice(&tags.body).unwrap();
    for tag in tags["tags"].as_array().unwrap() {
        let path = format!("/v2/contested/manifests/{}", tag.as_str().unwrap());
        let shown = server.client().get(&path).unwrap().expect(200);
        let digest = shown.header("docker-content-digest").unwrap();
        let by_digest = format!("/v2/contested/manifests/{digest}");
        assert_eq!(server.client().get(&by_digest).unwrap().expect(200).body, shown.body);
    }
    server.stop();
    expect_fine(&data, &["verify"]);
    expect_fine(&data, &["replay", "--check"]);
}
