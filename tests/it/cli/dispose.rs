//! `artifactstore dispose`

use serde_json::json;

use super::edit;
use crate::support::{Launch, MANIFEST, Repo, image};

/// As if it had been pushed a hundred days ago.
#[test]
fn what_is_due_is_foretold_and_leaves_only_where_that_is_switched_on() {
    let mut server = Launch::new().start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_empty_config();
    for (tag, class) in [("v1", "transient"), ("v2", "summary-evidence")] {
        let layer = repo.push_layer(tag.as_bytes());
        let class = json!({ "annotations": { "dev.artifactstore.retention.class": class } });
        repo.put_manifest(tag, MANIFEST, &image(&[layer], class)).expect(201);
    }
    server.stop();
    assert_eq!(server.run(&["dispose", "--dry-run"]).expect(0).out, "nothing is due\n");
    let earlier = "UPDATE retentions SET retain_from = retain_from - 8640000000000, \
        retain_until = retain_until - 8640000000000, leaves_at = leaves_at - 8640000000000";
    edit(&server.data().join("registry.db"), &[earlier]);
    let plan = server.run(&["dispose", "--dry-run", "--json"]).expect(0).json();
    assert_eq!((&plan["is_enabled"], &plan["dry_run"]), (&json!(false), &json!(true)));
    let scheduled = plan["scheduled"].as_array().unwrap();
    assert_eq!(scheduled.len(), 1, "{plan}");
    assert_eq!(
        (&scheduled[0]["repository"], &scheduled[0]["class"], &scheduled[0]["step"]),
        (&json!("a"), &json!("transient"), &json!("propose"))
    );
    server.run(&["dispose"]).refused(&["retention.scheduled_disposal"]);
    let on = [("ARTIFACTSTORE_RETENTION_SCHEDULED_DISPOSAL", "true")];
    let run = server.run_with(&["dispose", "--json"], &on).expect(0).json();
    assert_eq!(run, json!({ "looked": 1, "proposed": 1, "executed": 1 }));
    let server = server.restart();
    let repo = Repo::new(&server.client(), "a");
    repo.client.get(repo.manifest("v1")).expect(404);
    repo.client.get(repo.manifest("v2")).expect(200);
}
