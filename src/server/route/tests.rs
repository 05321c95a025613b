use proptest::prelude::*;

use super::*;
use crate::auth::Action;
use crate::package::{PackageId, PackagePath};
use crate::retention::{DispositionId, HoldId};

const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn get(path: &str) -> Result<Route, RouteError> {
    Route::parse(&Method::GET, path, None)
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

#[test]
fn a_repository_may_be_named_like_a_route() {
    let digest: Digest = SHA.parse().unwrap();
    for repository in
        ["a/manifests/b", "a/blobs/uploads", "tags/list", "blobs", "a/referrers", "manifests/v1/blobs"]
    {
        let blob = get(&format!("/v2/{repository}/blobs/{SHA}")).unwrap();
        assert_eq!(blob, Route::Blob(name(repository), digest.clone()));
        let manifest = get(&format!("/v2/{repository}/manifests/v1")).unwrap();
        assert_eq!(manifest, Route::Manifest(name(repository), "v1".parse().unwrap()));
        let tags = get(&format!("/v2/{repository}/tags/list")).unwrap();
        assert_eq!(tags, Route::Tags(name(repository), Page::default()));
    }
}

#[test]
fn uploads_begin_with_and_without_the_trailing_slash() {
    for path in ["/v2/a/b/blobs/uploads", "/v2/a/b/blobs/uploads/"] {
        let route = Route::parse(&Method::POST, path, None).unwrap();
        assert_eq!(route, Route::BeginUpload(name("a/b"), Begin::Session(None)));
    }
}

#[test]
fn an_encoded_slash_never_makes_a_segment() {
    assert!(matches!(get("/v2/a%2fb/manifests/v1"), Err(RouteError::Name(_))));
    assert!(matches!(get("/v2/a/b%2fmanifests%2fv1"), Err(RouteError::NotFound)));
}

#[test]
fn other_spellings_of_a_path_are_not_the_path() {
    for path in [
        "/v2//a/manifests/v1",
        "/v2/a//manifests/v1",
        "/v2/./a/manifests/v1",
        "/v2/a/../b/manifests/v1",
        "/v2/A/manifests/v1",
    ] {
        assert!(matches!(get(path), Err(RouteError::Name(_))), "{path}");
    }
    assert!(matches!(get("/V2/a/manifests/v1"), Err(RouteError::NotFound)));
    assert!(
        matches!(get("/v2/a/manifests/v1/"), Err(RouteError::NotFound)),
        "{:?}",
        get("/v2/a/manifests/v1/")
    );
}

#[test]
fn unknown_extensions_are_not_found() {
    assert!(matches!(get("/v2/_unknown/x/y"), Err(RouteError::NotFound)));
    assert!(matches!(get("/v2/a/_unknown/tags/list"), Err(RouteError::NotFound)));
}

#[test]
fn an_encoded_digest_is_a_digest() {
    let route = get(&format!("/v2/a/blobs/{}", SHA.replace(':', "%3A"))).unwrap();
    assert_eq!(route, Route::Blob(name("a"), SHA.parse().unwrap()));
}

#[test]
fn tags_come_only_with_a_digest() {
    let put = |path: &str, query| Route::parse(&Method::PUT, path, Some(query));
    let pushed = put(&format!("/v2/a/manifests/{SHA}"), "tag=v1&tag=v2&tag=v1").unwrap();
    let tags = vec!["v1".parse().unwrap(), "v2".parse().unwrap()];
    assert_eq!(pushed, Route::PushManifest(name("a"), SHA.parse().unwrap(), tags));
    assert!(matches!(put("/v2/a/manifests/v1", "tag=v2"), Err(RouteError::Query { name: "tag", .. })));
    assert!(matches!(put(&format!("/v2/a/manifests/{SHA}"), "tag=-bad"), Err(RouteError::Tag(_))));
}

#[test]
fn page_numbers_must_be_numbers() {
    let tags = |query| Route::parse(&Method::GET, "/v2/a/tags/list", Some(query));
    assert_eq!(
        tags("n=0&last=b").unwrap(),
        Route::Tags(name("a"), Page { n: Some(0), last: "b".to_owned() })
    );
    for bad in ["n=-1", "n=x", "n=1.5", "n=99999999999999999999999"] {
        assert!(matches!(tags(bad), Err(RouteError::Query { name: "n", .. })), "{bad}");
    }
}

#[test]
fn a_raw_plus_in_an_artifact_type_stays_a_plus() {
    let query = Some("artifactType=application/vnd.a+json&ns=docker.io");
    let route = Route::parse(&Method::GET, &format!("/v2/a/referrers/{SHA}"), query).unwrap();
    let Route::Referrers(_, _, filter) = route else { panic!("{route:?}") };
    assert_eq!(filter.artifact_types, ["application/vnd.a+json"]);
}

#[test]
fn a_wrong_method_names_the_right_ones() {
    let error = Route::parse(&Method::POST, "/v2/a/tags/list", None).unwrap_err();
    assert_eq!(error.to_string(), "this path takes GET, HEAD");
}

#[test]
fn the_extension_is_found_by_its_segment_wherever_it_stands() {
    let id = "pkg_01arz3ndektsv4rrffq69g5fav";
    let file = |path: &str| get(&format!("/v2/a/b/_artifactstore/packages/{id}/files/{path}"));
    // Other routes, and the extension itself, may be the path of a file.
    for path in
        ["blobs/uploads/x", "tags/list", "_artifactstore/packages", "manifests/v1", "finalize", "events"]
    {
        let expected = Extension::File(name("a/b"), id.parse().unwrap(), path.parse().unwrap());
        assert_eq!(file(path).unwrap(), Route::Extension(expected));
    }
    assert!(matches!(file("a%2Fb"), Err(RouteError::EncodedSlash(_))));
    assert!(matches!(file("a/%2e%2e/b"), Err(RouteError::Path(_))));
    assert!(matches!(file("%ff"), Err(RouteError::Encoding(_))));
    // A tag may have its name, and a repository may be named like what stands behind it.
    let tag = get("/v2/a/manifests/_artifactstore").unwrap();
    assert_eq!(tag, Route::Manifest(name("a"), "_artifactstore".parse().unwrap()));
    let files = get(&format!("/v2/packages/files/_artifactstore/packages/{id}/files")).unwrap();
    let expected = Extension::Files(name("packages/files"), id.parse().unwrap(), Page::default());
    assert_eq!(files, Route::Extension(expected));
    for nothing in [
        "/v2/_artifactstore",
        "/v2/a/_artifactstore",
        "/v2/_artifactstore/packages",
        "/v2/a/_artifactstore/x",
    ] {
        assert!(matches!(get(nothing), Err(RouteError::NotFound)), "{nothing}");
    }
}

#[test]
fn what_the_extension_asks_for_is_known_before_a_handler_runs() {
    let id: PackageId = "pkg_01arz3ndektsv4rrffq69g5fav".parse().unwrap();
    let (here, package) = ("/v2/a/_artifactstore", format!("/v2/a/_artifactstore/packages/{id}"));
    let (hold, disposition) = (HoldId::generate(), DispositionId::generate());
    let step = |verb: &str| format!("{here}/disposition/{disposition}/{verb}");
    let name = name("a");
    for (method, path, expected) in [
        (Method::GET, format!("{here}/packages"), Permission::pull(&name)),
        (Method::POST, format!("{here}/packages"), Permission::push(&name)),
        (Method::HEAD, package.clone(), Permission::pull(&name)),
        (Method::DELETE, package.clone(), Permission::push(&name)),
        (Method::POST, format!("{package}/finalize"), Permission::push(&name)),
        (Method::GET, format!("{package}/events"), Permission::pull(&name)),
        (Method::GET, format!("{package}/files/x"), Permission::pull(&name)),
        (Method::PUT, format!("{package}/files/x"), Permission::push(&name)),
        (Method::DELETE, format!("{package}/files/x"), Permission::push(&name)),
        (Method::GET, format!("/v2/_artifactstore/packages/{id}"), Permission::PullPackage(&id)),
        (Method::GET, "/v2/_artifactstore/schemas/run".to_owned(), Permission::Known),
        (Method::PUT, "/v2/_artifactstore/schemas/run".to_owned(), Permission::Everywhere(Action::Admin)),
        (Method::GET, format!("{here}/holds"), Permission::pull(&name)),
        (Method::POST, format!("{here}/holds"), Permission::In(&name, &[Action::Hold])),
        (Method::DELETE, format!("{here}/holds/{hold}"), Permission::In(&name, &[Action::Release])),
        (Method::GET, format!("{here}/disposition/{disposition}"), Permission::pull(&name)),
        (Method::POST, format!("{here}/disposition"), Permission::In(&name, &[Action::Dispose])),
        (Method::POST, step("approve"), Permission::In(&name, &[Action::Approve])),
        (Method::POST, step("reject"), Permission::In(&name, &[Action::Approve, Action::Dispose])),
        (Method::POST, step("execute"), Permission::In(&name, &[Action::Dispose])),
        (Method::GET, format!("{here}/audit"), Permission::In(&name, &[Action::Audit])),
        (Method::GET, "/v2/_artifactstore/audit".to_owned(), Permission::Everywhere(Action::Audit)),
        (Method::GET, "/v2/_artifactstore/webhooks".to_owned(), Permission::Everywhere(Action::Admin)),
        (Method::POST, "/v2/_artifactstore/gc".to_owned(), Permission::Everywhere(Action::Admin)),
        (Method::GET, "/v2/_catalog".to_owned(), Permission::Sight),
    ] {
        let route = Route::parse(&method, &path, None).unwrap();
        assert_eq!(route.permission(), expected, "{method} {path}");
    }
}

#[test]
fn the_query_of_a_file_says_how_it_comes_in() {
    let put = |query: &str| {
        let path = "/v2/a/_artifactstore/packages/pkg_01arz3ndektsv4rrffq69g5fav/files/x";
        Route::parse(&Method::PUT, path, Some(query)).map(|route| match route {
            Route::Extension(Extension::IngestFile(_, _, _, ingest)) => ingest,
            other => panic!("{other:?}"),
        })
    };
    let digest: Digest = SHA.parse().unwrap();
    assert_eq!(put("replace=false").unwrap(), Ingest::default());
    let expected =
        Ingest { replace: true, digest: Some(digest.clone()), role: Some("log".to_owned()), mount: None };
    assert_eq!(put(&format!("replace=true&role=log&digest={SHA}")).unwrap(), expected);
    assert_eq!(put(&format!("mount={SHA}")).unwrap().mount, Some(digest));
    assert!(matches!(put("replace=1"), Err(RouteError::Query { name: "replace", .. })));
    assert!(matches!(put("digest=x"), Err(RouteError::QueryDigest { name: "digest", .. })));
}

proptest! {
    #[test]
    fn the_path_of_a_file_parses_back(path in "[ -~äλ☃]{1,20}(/[ -~ä]{1,9}){0,3}") {
        let Ok(path) = path.parse::<PackagePath>() else { return Ok(()) };
        let (name, id) = (name("a/b"), PackageId::generate());
        let expected = Route::Extension(Extension::File(name.clone(), id.clone(), path.clone()));
        prop_assert_eq!(get(&file_path(&name, &id, &path)).unwrap(), expected);
    }

    #[test]
    fn parsing_never_panics(path in "/(v2/(a/)?(_artifactstore/packages/)?)?[ -~]{0,80}", query in "[ -~]{0,40}", which in 0..6_usize) {
        let method = [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE, Method::HEAD][which].clone();
        let _ = Route::parse(&method, &path, Some(&query));
    }

    #[test]
    fn our_own_paths_parse_back(
        name in "[a-z0-9]{1,8}(/(blobs|uploads|manifests|tags|[a-z]{1,5})){0,3}",
        random: [u8; 20],
    ) {
        let name: RepositoryName = name.parse().unwrap();
        let digest: Digest = SHA.parse().unwrap();
        let id = UploadId::from_random(random);
        prop_assert_eq!(get(&blob_path(&name, &digest)).unwrap(), Route::Blob(name.clone(), digest.clone()));
        prop_assert_eq!(get(&upload_path(&name, &id)).unwrap(), Route::UploadStatus(name.clone(), id));
        let manifest = Route::Manifest(name.clone(), digest.clone().into());
        prop_assert_eq!(get(&manifest_path(&name, &digest)).unwrap(), manifest);
    }
}

#[test]
fn the_log_is_asked_for_as_a_whole_and_of_a_repository() {
    let events = |path: &str| match get_with(path) {
        Ok(Route::Extension(Extension::Events(events))) => events,
        other => panic!("{path}: {other:?}"),
    };
    let all = events("/v2/_artifactstore/events");
    assert_eq!((&all.of, &all.since, all.filter.is_everything()), (&None, &None, true));
    assert_eq!(get("/v2/_artifactstore/events").unwrap().permission(), Permission::Sight);
    let of =
        events("/v2/a/b/_artifactstore/events?since=now&types=tag,package.created&wait=60&epoch=1&log_id=L");
    assert_eq!((of.of.as_ref(), of.filter.repository.as_ref()), (Some(&name("a/b")), Some(&name("a/b"))));
    assert_eq!((of.since, of.wait, of.filter.types.len()), (Some(crate::registry::Begin::Now), Some(60), 2));
    assert_eq!((of.expected.log_id.as_deref(), of.expected.epoch), (Some("L"), Some(1)));
    let repository = get("/v2/a/b/_artifactstore/events").unwrap();
    assert_eq!(repository.permission(), Permission::pull(&name("a/b")));
    assert_eq!(events_path(None), "/v2/_artifactstore/events");
    assert_eq!(events_path(Some(&name("a/b"))), "/v2/a/b/_artifactstore/events");
    let since = events("/v2/_artifactstore/events?since=9007199254740991&format=cloudevents&repository=a/b");
    assert_eq!(since.since, Some(crate::registry::Begin::After((1 << 53) - 1)));
    assert_eq!((since.of, since.filter.repository), (None, Some(name("a/b"))));
    for refused in ["since=9007199254740992", "since=Now", "repository=A", "actor=x"] {
        assert!(get_with(&format!("/v2/_artifactstore/events?{refused}")).is_err(), "{refused}");
    }
    assert!(get_with("/v2/a/b/_artifactstore/events?repository=a/b").is_err());
}

fn get_with(target: &str) -> Result<Route, RouteError> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Route::parse(&Method::GET, path, query)
}
