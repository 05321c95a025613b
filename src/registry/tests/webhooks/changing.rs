//! What is on record of a webhook, and what is nowhere.

use super::*;
use crate::db::testing::on_both;

on_both!(
    what_is_set_up_changed_and_removed_is_on_record,
    a_secret_is_told_once_and_is_nowhere_else,
    two_secrets_sign_while_they_are_exchanged,
    nothing_is_sent_by_a_webhook_that_is_suspended_and_nothing_is_lost,
    a_change_takes_effect_at_once_and_only_one_of_two_at_a_time,
    there_are_no_more_webhooks_than_allowed,
    a_webhook_goes_on_where_somebody_says,
    a_change_of_one_part_of_a_filter_dropped_the_others,
);

fn change() -> WebhookChange {
    WebhookChange::default()
}

async fn what_is_set_up_changed_and_removed_is_on_record(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    let endpoint = Some("https://other.example.com:8443/?token=abcdef".parse().unwrap());
    let format = Some(WebhookFormat::CloudEvents);
    stage.change(&webhook, WebhookChange { endpoint, format, ..change() }).await.unwrap();
    let same = stage.change(&webhook, WebhookChange { format, ..change() }).await.unwrap();
    assert_eq!(same.state, WebhookState::Active, "what is the same already is no change");
    stage.change(&webhook, WebhookChange { is_active: Some(false), ..change() }).await.unwrap();
    stage.registry.delete_webhook(Actor::anonymous(), &webhook.id).await.unwrap();
    assert!(matches!(stage.registry.webhook(&webhook.id).await, Err(Error::WebhookUnknown(_))));
    let recorded: Vec<Fact> = stage.recorded().await.into_iter().map(|(_, fact)| fact).collect();
    let [
        Fact::WebhookCreated(created),
        Fact::WebhookChanged(moved),
        Fact::WebhookChanged(suspended),
        Fact::WebhookDeleted(deleted),
    ] = recorded.as_slice()
    else {
        panic!("{recorded:?}")
    };
    assert_eq!((created.since, &created.subscribed.url[..]), (webhook.cursor, "https://hooks.example.com/…"));
    assert_eq!(moved.changes, ["format", "url"]);
    assert_eq!(moved.subscribed.url, "https://other.example.com:8443/…");
    assert_eq!(
        (suspended.state.as_str(), suspended.changes.as_slice()),
        ("suspended", &["state".to_owned()][..])
    );
    assert_eq!(deleted.url, "https://other.example.com:8443/…");
    stage.push("one").await;
    stage.send().await;
    assert!(stage.receiver.all().is_empty());
}

async fn a_secret_is_told_once_and_is_nowhere_else(on: On) {
    let stage = Stage::new(on).await;
    let (first, rotated) = (WebhookSecret::generate(), WebhookSecret::generate());
    let webhook = stage.hook_with(|new| new.secret = Some(first.clone())).await;
    let changed = stage.change(&webhook, WebhookChange { secret: Some(rotated.clone()), ..change() }).await;
    stage.receiver.answers([Ok(receipt(500))]);
    stage.send().await;
    let listed = stage.registry.webhooks("", 10).await.unwrap();
    let mut shown = format!("{webhook:?} {changed:?} {listed:?} {:?}", stage.recorded().await);
    for event in stage.registry.events(0, 1000).await.unwrap() {
        shown.push_str(&String::from_utf8_lossy(event.payload()));
        shown.push_str(&String::from_utf8_lossy(event.header()));
    }
    for taken in stage.receiver.all() {
        shown.push_str(&String::from_utf8_lossy(&taken.body));
        shown += &taken.headers.iter().map(|header| format!("{header:?}")).collect::<Vec<_>>().concat();
    }
    for secret in [&first.expose()[6..], &rotated.expose()[6..], "token-of-a-url"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

async fn two_secrets_sign_while_they_are_exchanged(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    let secret = Some(WebhookSecret::generate());
    stage.change(&webhook, WebhookChange { secret, ..change() }).await.unwrap();
    let overlap = stage.registry.webhook_overlap(&webhook.id).await.unwrap();
    assert_eq!(overlap, Some(stage.clock.clock().now() + 24 * HOUR));
    stage.send().await;
    stage.clock.advance(24 * HOUR);
    stage.push("one").await;
    stage.send().await;
    let signatures: Vec<usize> =
        stage.receiver.all().iter().map(|it| it.header("webhook-signature").split(' ').count()).collect();
    assert_eq!(signatures, [2, 2, 1, 1]);
    assert_eq!(stage.registry.webhook_overlap(&webhook.id).await.unwrap(), None);
}

async fn nothing_is_sent_by_a_webhook_that_is_suspended_and_nothing_is_lost(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.send().await;
    stage.change(&webhook, WebhookChange { is_active: Some(false), ..change() }).await.unwrap();
    for n in 0..10 {
        stage.push(&format!("blob {n}")).await;
        stage.pass(10).await;
    }
    assert_eq!(stage.receiver.has().len(), 1);
    stage.resume(&webhook, None).await.unwrap();
    stage.send().await;
    stage.has_all_after(webhook.cursor);
}

async fn a_change_takes_effect_at_once_and_only_one_of_two_at_a_time(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.push("one").await;
    let moved = async |host: &str| {
        let endpoint = Some(format!("https://{host}.example.com/x").parse().unwrap());
        stage.change(&webhook, WebhookChange { endpoint, ..change() }).await
    };
    let outcomes = tokio::join!(moved("one"), moved("two"), moved("three"));
    let outcomes = [outcomes.0, outcomes.1, outcomes.2];
    assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
    assert!(outcomes.iter().all(|it| matches!(it, Ok(_) | Err(Error::WebhookMoved(_)))), "{outcomes:?}");
    let seen = stage.see(&webhook).await;
    assert_eq!((seen.state, seen.reason), (WebhookState::Active, None));
    stage.send().await;
    stage.has_all_after(webhook.cursor);
    assert!(stage.receiver.all().iter().all(|taken| taken.url == seen.endpoint.expose()));
}

async fn there_are_no_more_webhooks_than_allowed(on: On) {
    let stage = Stage::new(on).await;
    let limit = Options::default().webhooks.max;
    for _ in 0..limit {
        stage.hook().await;
    }
    let refused = stage.registry.create_webhook(Actor::anonymous(), subscription(URL)).await;
    assert!(matches!(refused, Err(Error::TooManyWebhooks { limit: 64 })), "{refused:?}");
    for url in [
        "http://127.0.0.1:5000/",
        "http://169.254.169.254/latest",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/",
    ] {
        let refused = stage.registry.create_webhook(Actor::anonymous(), subscription(url)).await;
        assert!(matches!(refused, Err(Error::WebhookForbidden(_))), "{url}: {refused:?}");
    }
    assert_eq!(stage.registry.webhooks("", 100).await.unwrap().len(), limit);
}

async fn a_webhook_goes_on_where_somebody_says(on: On) {
    let stage = Stage::new(on).await;
    for n in 0..5 {
        stage.push(&format!("blob {n}")).await;
    }
    let webhook = stage.hook_with(|new| new.since = WebhookSince::After(0)).await;
    assert_eq!(webhook.cursor, 0);
    stage.send().await;
    let last = stage.has_all_after(0);
    let since = Some(WebhookSince::After(last - 3));
    stage.change(&webhook, WebhookChange { since, ..change() }).await.unwrap();
    stage.send().await;
    let again = stage.receiver.has().split_off(usize::try_from(last).unwrap());
    assert_eq!(again, (last - 2..=last + 1).collect::<Vec<_>>());
    let beyond = WebhookSince::After(last + 100);
    let refused =
        stage.registry.create_webhook(Actor::anonymous(), NewWebhook { since: beyond, ..subscription(URL) });
    assert!(matches!(refused.await, Err(Error::CursorAhead { .. })));
}

async fn a_change_of_one_part_of_a_filter_dropped_the_others(on: On) {
    let stage = Stage::new(on).await;
    let (tags, blobs) = (Filter::parse_types("tag").unwrap(), Filter::parse_types("blob").unwrap());
    let filter = Filter { types: tags, repository: Some(name("a/b")), package: None };
    let webhook = stage.hook_with(|new| new.filter = filter.clone()).await;
    let changed =
        async |filter| stage.change(&webhook, WebhookChange { filter, ..change() }).await.unwrap().filter;
    let types = WebhookFilterField::Set(blobs.clone());
    let found = changed(WebhookFilterChange { types, ..WebhookFilterChange::default() }).await;
    assert_eq!(found, Filter { types: blobs.clone(), ..filter });
    let repository = WebhookFilterField::Set(name("c"));
    let found = changed(WebhookFilterChange { repository, ..WebhookFilterChange::default() }).await;
    assert_eq!(found, Filter { types: blobs.clone(), repository: Some(name("c")), package: None });
    let repository = WebhookFilterField::Cleared;
    let found = changed(WebhookFilterChange { repository, ..WebhookFilterChange::default() }).await;
    assert_eq!(found, Filter { types: blobs, repository: None, package: None });
    let recorded = stage.recorded().await.len();
    changed(WebhookFilterChange::default()).await;
    assert_eq!(stage.recorded().await.len(), recorded, "what names nothing changes nothing");
}

#[tokio::test]
async fn what_is_not_on_record_is_not_in_force() {
    let stage = Stage::new(On::Sqlite).await;
    let refuse = async |sql: &'static str| {
        let mut tx = stage.db.write().await.unwrap();
        tx.execute(sql, vec![]).await.unwrap();
        tx.commit().await.unwrap();
    };
    refuse(
        "CREATE TRIGGER refused BEFORE INSERT ON events WHEN NEW.type LIKE 'v1.webhook.%' \
         BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    )
    .await;
    stage.registry.create_webhook(Actor::anonymous(), subscription(URL)).await.unwrap_err();
    let found = stage.registry.webhooks("", 10).await.unwrap().remove(0);
    assert_eq!(found.state, WebhookState::Suspended);
    assert!(found.reason.as_ref().unwrap().contains("was not finished"), "{found:?}");
    stage.push("one").await;
    stage.send().await;
    assert!(stage.receiver.all().is_empty());
    stage.resume(&found, None).await.unwrap_err();
    stage.send().await;
    assert!(stage.receiver.all().is_empty());
    refuse("DROP TRIGGER refused").await;
    stage.resume(&found, None).await.unwrap();
    stage.send().await;
    stage.has_all_after(found.cursor);
    assert!(
        matches!(&stage.recorded().await[..], [(_, Fact::WebhookChanged(fact))] if fact.state == "active")
    );
}
