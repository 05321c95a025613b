//! The operations of the extension.

use serde_json::{Value, json};

use super::record::Tried;
use super::world::{Kept, World};
use super::{Call, Entry, Outcome};
use crate::support::{Request, sha256};

const PAST: &str = "2000-06-01T00:00:00Z";
const BYPASS: &str = "artifactstore-bypass-governance-retention";
const NO_HOLD: &str = "_artifactstore/holds/hold_01arz3ndektsv4rrffq69g5fav";
const NO_DISPOSITION: &str = "_artifactstore/disposition/disp_01arz3ndektsv4rrffq69g5fav";

pub(super) fn entries(world: &World) -> Vec<Entry> {
    let mut entries = disposing(world);
    entries.extend(retaining(world));
    entries.extend(packages(world));
    entries.extend(objects(world));
    entries.extend(upkeep());
    entries
}

pub(super) fn refused(request: Request, statuses: &'static [u16], record: impl Into<Option<Tried>>) -> Call {
    Call { request, outcome: Outcome::Refused(statuses, record.into()) }
}

pub(super) fn adds(request: Request, status: u16) -> Call {
    Call { request, outcome: Outcome::Adds(status, None) }
}

fn runs(request: Request) -> Call {
    Call { request, outcome: Outcome::Runs(200) }
}

fn post(target: impl Into<String>, body: &Value) -> Request {
    Request::post(target).body(body.to_string())
}

fn disposing(world: &World) -> Vec<Entry> {
    let all = world.evidence.path("_artifactstore/disposition");
    // One is proposed already and waits for its approval, another has no retention that could be over.
    let propose = |kept: &Kept, reference: &str| {
        let is_judged = kept.tag != Some("over") && kept.repo.name != world.archive.name;
        let record = is_judged.then(|| Tried::new(&kept.repo, "disposition", kept.target()));
        let target = kept.repo.path("_artifactstore/disposition");
        let body = json!({ "reference": reference, "reason": "it is over" });
        refused(post(target, &body), if is_judged { &[405] } else { &[409] }, record)
    };
    let mut proposals: Vec<Call> = Vec::new();
    for kept in &world.kept {
        let references = kept.tag.map(str::to_owned).into_iter().chain(kept.package.clone());
        proposals.extend(references.map(|it| propose(kept, &it)));
    }
    proposals.push(refused(post(all, &json!({ "reference": "nothing", "reason": "x" })), &[404], None));
    let tried = |verb: &str, tag: &str| {
        Tried::new(&world.evidence, &format!("disposition.{verb}"), world.tagged(tag).target())
    };
    let step = |verb: &str, statuses: &'static [u16]| {
        let step = |at: &str| Request::post(format!("{at}/{verb}"));
        vec![
            refused(step(&world.evidence.path(NO_DISPOSITION)), &[404], None),
            refused(step(&world.waiting), statuses, tried(verb, "over")),
            refused(step(&world.voided), statuses, tried(verb, "held")),
        ]
    };
    let reject = |at: &str, reason: &str, statuses: &'static [u16]| {
        refused(post(format!("{at}/reject"), &json!({ "reason": reason })), statuses, None)
    };
    let rejections = vec![
        reject(&world.evidence.path(NO_DISPOSITION), "late", &[404]),
        reject(&world.voided, "late", &[409]),
        reject(&world.waiting, "", &[400]),
    ];
    vec![
        ("proposeDisposition", proposals, ""),
        ("approveDisposition", step("approve", &[403, 409]), ""),
        ("executeDisposition", step("execute", &[409]), ""),
        (
            "rejectDisposition",
            rejections,
            "one that is still open may be rejected: it keeps what was proposed",
        ),
    ]
}

fn retaining(world: &World) -> Vec<Entry> {
    let change = |how: &str, kept: &str, change: Value| {
        let mut body = json!({ "reference": kept, "reason": "a mistake" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        post(world.evidence.path(format!("_artifactstore/retention/{how}")), &body)
    };
    let tried = |how: &str, kept: &str| Tried::new(&world.evidence, &format!("retention.{how}"), kept);
    let (mut shorter, mut longer) = (Vec::new(), Vec::new());
    for tag in ["governed", "immutable", "held", "list"] {
        for bypass in ["", "false"] {
            let request = change("shorten", tag, json!({ "until": PAST }));
            let request = if bypass.is_empty() { request } else { request.header(BYPASS, bypass) };
            shorter.push(refused(request, &[403, 409], tried("shorten", tag)));
        }
        longer.push(refused(
            change("extend", tag, json!({ "until": "2000-01-01T00:00:00Z" })),
            &[409],
            tried("extend", tag),
        ));
    }
    for tag in ["immutable", "list"] {
        let request = change("shorten", tag, json!({ "until": PAST })).header(BYPASS, "true");
        shorter.push(refused(request, &[409], tried("shorten", tag)));
    }
    for (tag, class) in
        [("governed", "transient"), ("immutable", "raw-evidence"), ("list", "summary-evidence")]
    {
        longer.push(refused(change("extend", tag, json!({ "class": class })), &[409], tried("extend", tag)));
    }
    longer.push(adds(change("extend", "governed", json!({ "until": "2199-01-01T00:00:00Z" })), 200));
    let matter = json!({ "kind": "legal", "matter": "case 8", "reason": "asked", "reference": "immutable" });
    let hold = post(world.evidence.path("_artifactstore/holds"), &matter);
    let releases = vec![
        refused(Request::delete(world.evidence.path(format!("{NO_HOLD}?reason=x"))), &[404], None),
        refused(Request::delete(world.archive.path(format!("{NO_HOLD}?reason=x"))), &[404], None),
        refused(Request::delete(format!("{}?reason=x", world.released)), &[409], None),
        refused(Request::delete(&world.released), &[400], None),
    ];
    vec![
        (
            "shortenRetention",
            shorter,
            "with the header and in governance it is what it is for, and takes a bypass right",
        ),
        ("extendRetention", longer, ""),
        ("placeHold", vec![adds(hold, 201)], "protects more"),
        ("releaseHold", releases, "whoever may releases one that is in force: that is no attack on it"),
    ]
}

fn packages(world: &World) -> Vec<Entry> {
    let (mut aborts, mut drops, mut puts, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let of_kept = world.kept.iter().filter_map(|kept| Some((&kept.repo, kept.package.clone()?)));
    let of_drafts = world.drafts.iter().map(|draft| (&draft.repo, draft.id.clone()));
    for (repo, id) in of_kept.clone().chain(of_drafts) {
        let at = repo.path(format!("_artifactstore/packages/{id}"));
        let tried = |action: &str, subject: &str| Tried::new(repo, action, subject);
        let x = format!("{id}/x");
        aborts.push(refused(Request::delete(&at), &[405], tried("package.abort", &id)));
        drops.push(refused(Request::delete(format!("{at}/files/x")), &[405], tried("file.drop", &x)));
        let put = |query: &str| Request::put(format!("{at}/files/x{query}")).body("something else");
        puts.push(refused(put("?replace=true"), &[403], tried("file.replace", &x)));
        puts.push(refused(put(""), &[409], None));
    }
    for (repo, id) in of_kept {
        let at = repo.path(format!("_artifactstore/packages/{id}"));
        let another = Request::put(format!("{at}/files/y")).body("one more");
        puts.push(refused(another, &[409], None));
        let again =
            post(format!("{at}/finalize"), &json!({ "retention_class": "transient", "tag": "other" }));
        ends.push(refused(again, &[409], None));
    }
    let ready = &world.drafts[1];
    puts.push(adds(ready.put("y", b"one more"), 201));
    // The table of the content is written down before, and stays for a collection.
    for (draft, tag) in world.drafts.iter().zip(["immutable", "plain"]) {
        let request = post(draft.path("/finalize"), &json!({ "tag": tag }));
        let tried = Tried::new(&draft.repo, "tag.move", tag);
        ends.push(Call { request, outcome: Outcome::Adds(403, Some(tried)) });
    }
    let draft = post(world.evidence.path("_artifactstore/packages"), &json!({}));
    let schema = Request::put("/v2/_artifactstore/schemas/test.v1").body(r#"{"type":"object"}"#);
    vec![
        ("abortPackage", aborts, ""),
        ("deletePackageFile", drops, ""),
        ("putPackageFile", puts, ""),
        ("finalizePackage", ends, ""),
        ("createPackage", vec![adds(draft, 201)], "a draft of its own"),
        ("putSchema", vec![adds(schema, 201)], "what was finalized keeps the schema it was checked by"),
    ]
}

fn objects(world: &World) -> Vec<Entry> {
    let repo = &world.archive;
    let at = |key: &str| repo.path(format!("_artifactstore/objects/{key}"));
    let tried = |action: &str, key: &str| Tried::new(repo, action, key);
    let of = |key: &'static str| {
        let matching = format!("\"{}\"", sha256(key.as_bytes()));
        let put = || Request::put(at(key)).body("two");
        let delete = || Request::delete(at(key));
        let puts = vec![
            refused(put(), &[403], tried("object.overwrite", key)),
            refused(put().header("If-Match", &*matching), &[403], tried("object.overwrite", key)),
            refused(put().header("If-None-Match", "*"), &[412], None),
        ];
        let deletes = vec![
            refused(delete(), &[405], tried("object.delete", key)),
            refused(delete().header("If-Match", &*matching), &[405], tried("object.delete", key)),
            refused(delete().header("If-None-Match", "*"), &[412], None),
        ];
        (puts, deletes)
    };
    let ((mut puts, mut deletes), (url_puts, url_deletes)) = (of("k"), of("k/url"));
    // What opens a key for reading opens it for nothing else.
    puts.push(refused(Request::put(&world.url).body("two"), &[403], None));
    deletes.push(refused(Request::delete(&world.url), &[403], None));
    puts.push(adds(Request::put(at("new")).body("one"), 201));
    vec![
        ("putObject", puts, ""),
        ("deleteObject", deletes, ""),
        ("putObjectNamedUrl", url_puts, ""),
        ("deleteObjectNamedUrl", url_deletes, ""),
        ("makeObjectUrl", vec![runs(Request::post(at("k/url")))], "a URL to read with"),
    ]
}

fn upkeep() -> Vec<Entry> {
    let gc = || Request::post("/v2/_artifactstore/gc");
    let resync = |reason: &str| post("/v2/_artifactstore/clock/resync", &json!({ "reason": reason }));
    let none = "/v2/_artifactstore/webhooks/whk_01arz3ndektsv4rrffq69g5fav";
    let unknown = |request: Request| vec![refused(request, &[404], None)];
    let inside = json!({ "url": "http://127.0.0.1/" });
    vec![
        ("createWebhook", vec![refused(post("/v2/_artifactstore/webhooks", &inside), &[400], None)], ""),
        ("changeWebhook", unknown(Request::patch(none).body("{}")), ""),
        ("deleteWebhook", unknown(Request::delete(none)), ""),
        ("retryWebhook", unknown(Request::post(format!("{none}/retry"))), ""),
        ("suspendWebhook", unknown(Request::post(format!("{none}/suspend"))), ""),
        ("resumeWebhook", unknown(Request::post(format!("{none}/resume"))), ""),
        (
            "collectGarbage",
            vec![runs(gc()), runs(gc().body(r#"{"dry_run":true}"#)), runs(gc()), runs(gc())],
            "",
        ),
        ("scrub", vec![runs(Request::post("/v2/_artifactstore/scrub"))], ""),
        (
            "resyncClock",
            vec![runs(resync("it is right")), refused(resync(""), &[400], None)],
            "compliance time follows the system's clock, which is right; that one is set ahead is a test of its own",
        ),
    ]
}
