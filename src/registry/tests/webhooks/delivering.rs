//! In order, at least once, never lossy.

use tokio::task::JoinSet;

use super::*;
use crate::db::testing::on_both;

on_both!(
    every_event_is_sent_once_and_in_order,
    a_receiver_that_fails_gets_the_same_event_until_it_takes_it,
    a_receiver_that_was_dead_for_an_hour_misses_nothing,
    a_receiver_that_stays_away_is_suspended_and_misses_nothing_when_it_is_back,
    a_receiver_that_is_gone_is_called_no_more,
    a_redirect_is_a_failure_that_says_so,
    a_receiver_may_say_when_it_wants_to_be_asked_again,
    what_the_filter_passes_over_moves_the_cursor_without_a_request,
    an_attempt_that_is_asked_for_is_made_at_once,
    a_row_that_somebody_altered_stops_no_other,
    a_log_that_was_restored_is_noticed_and_nothing_is_sent,
    an_answer_is_kept_so_that_it_can_be_shown,
    turns_that_were_over_added_up_while_events_came,
    what_a_receiver_said_of_a_secret_was_on_record_for_ever,
    a_webhook_before_an_event_that_cannot_be_read_said_nothing_of_it,
    those_behind_the_first_that_fit_into_a_round_were_never_served,
);

async fn every_event_is_sent_once_and_in_order(on: On) {
    let stage = Stage::new(on).await;
    stage.push("before").await;
    let webhook = stage.hook().await;
    let begun = webhook.cursor;
    for n in 0..40 {
        stage.push(&format!("blob {n}")).await;
    }
    stage.send().await;
    let last = stage.has_all_after(begun);
    let seen = stage.see(&webhook).await;
    assert_eq!((seen.cursor, seen.attempts, seen.last_status), (last, 0, Some(204)));
    stage.send().await;
    stage.has_all_after(begun);
    let taken = stage.receiver.all();
    let ids: std::collections::BTreeSet<_> = taken.iter().map(|taken| taken.header("webhook-id")).collect();
    assert_eq!(ids.len(), taken.len(), "each has an id of its own");
    assert_eq!(taken[0].json()["type"], "v1.webhook.created", "that it was set up is the first it hears of");
    let secret = WebhookSecret::parse(SECRET).unwrap();
    for taken in &taken {
        assert_eq!((taken.url.as_str(), taken.header("content-type")), (URL, "application/json"));
        let (id, timestamp) = (taken.header("webhook-id"), taken.header("webhook-timestamp"));
        assert_eq!(timestamp, "1000000");
        assert_eq!(taken.header("webhook-signature"), signature(&secret, id, timestamp, &taken.body));
    }
}

/// By another implementation than the one that signs.
fn signature(secret: &WebhookSecret, id: &str, timestamp: &str, body: &[u8]) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let key = STANDARD.decode(secret.expose().strip_prefix("whsec_").unwrap()).unwrap();
    let pad =
        |byte: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or_default() ^ byte).collect() };
    let digest = |parts: &[&[u8]]| -> Vec<u8> {
        let digest = hash::digest(Algorithm::Sha256, &parts.concat());
        let hex = digest.hex().to_owned();
        (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let inner = digest(&[&pad(0x36), format!("{id}.{timestamp}.").as_bytes(), body]);
    format!("v1,{}", STANDARD.encode(digest(&[&pad(0x5c), &inner])))
}

async fn a_receiver_that_fails_gets_the_same_event_until_it_takes_it(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.push("one").await;
    stage.receiver.answers([
        Ok(receipt(204)),
        Ok(receipt(500)),
        Err(Undelivered::Late("no answer within 20 seconds".to_owned())),
        Ok(receipt(404)),
    ]);
    stage.send().await;
    let failing = stage.see(&webhook).await;
    assert_eq!((failing.cursor, failing.attempts, failing.last_status), (webhook.cursor + 1, 1, Some(500)));
    let error = failing.last_error.unwrap();
    assert!(error.contains("answered 500"), "{error}");
    assert_eq!(failing.failing_since, Some(1_000_000 * SECOND));
    stage.send().await;
    assert_eq!(stage.receiver.all().len(), 2, "not before its time");
    stage.pass(1).await;
    let failing = stage.see(&webhook).await;
    assert_eq!((failing.attempts, failing.last_status), (2, None));
    stage.pass(1).await;
    assert_eq!(stage.see(&webhook).await.attempts, 3);
    stage.pass(3).await;
    stage.has_all_after(webhook.cursor);
    let seen = stage.see(&webhook).await;
    assert_eq!((seen.attempts, seen.failing_since, seen.last_error), (0, None, None));
    let taken = stage.receiver.all();
    let again = &taken[1..5];
    assert!(again.iter().all(|it| it.header("webhook-id") == again[0].header("webhook-id")));
    assert!(again[0].header("webhook-timestamp") < again[3].header("webhook-timestamp"), "of the attempt");
}

async fn a_receiver_that_was_dead_for_an_hour_misses_nothing(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.push("one").await;
    stage.send().await;
    *stage.receiver.is_dead.lock().unwrap() = true;
    for n in 0..60 {
        stage.push(&format!("meanwhile {n}")).await;
        stage.pass(1).await;
    }
    let failing = stage.see(&webhook).await;
    assert_eq!(failing.state, WebhookState::Active);
    assert!((4..=7).contains(&failing.attempts), "{failing:?}");
    *stage.receiver.is_dead.lock().unwrap() = false;
    stage.pass(90).await;
    stage.has_all_after(webhook.cursor);
}

async fn a_receiver_that_stays_away_is_suspended_and_misses_nothing_when_it_is_back(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.send().await;
    *stage.receiver.is_dead.lock().unwrap() = true;
    stage.push("one").await;
    for _ in 0..170 {
        stage.clock.advance(HOUR);
        stage.send().await;
    }
    let suspended = stage.see(&webhook).await;
    assert_eq!((suspended.state, suspended.attempts), (WebhookState::Suspended, 15));
    assert_eq!(suspended.cursor, webhook.cursor + 1);
    assert_eq!(suspended.reason.unwrap(), "15 attempts failed; the last found no connection");
    let error = suspended.last_error.unwrap();
    assert!(error.starts_with("event ") && error.contains("refused"), "{error}");
    let recorded = stage.recorded().await;
    let Some((actor, Fact::WebhookChanged(fact))) = recorded.last() else { panic!("{recorded:?}") };
    assert_eq!((actor.as_str(), fact.state.as_str()), ("system", "suspended"));
    *stage.receiver.is_dead.lock().unwrap() = false;
    stage.push("two").await;
    stage.pass(10).await;
    assert_eq!(stage.receiver.has(), [webhook.cursor + 1], "nothing until somebody says so");
    let retried = stage.registry.retry_webhook(&webhook.id).await;
    assert!(matches!(retried, Err(Error::WebhookInactive { state: WebhookState::Suspended, .. })));
    let resumed = stage.resume(&webhook, None).await.unwrap();
    assert_eq!((resumed.state, resumed.reason, resumed.attempts), (WebhookState::Active, None, 0));
    stage.send().await;
    stage.has_all_after(webhook.cursor);
}

async fn a_receiver_that_is_gone_is_called_no_more(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.receiver.answers([Ok(receipt(200)), Ok(receipt(410))]);
    stage.push("one").await;
    stage.send().await;
    stage.push("two").await;
    stage.pass(60 * 24).await;
    let disabled = stage.see(&webhook).await;
    assert_eq!((disabled.state, disabled.last_status), (WebhookState::Disabled, Some(410)));
    assert_eq!(stage.receiver.all().len(), 2);
    stage.resume(&webhook, None).await.unwrap();
    stage.send().await;
    stage.has_all_after(webhook.cursor);
}

async fn a_redirect_is_a_failure_that_says_so(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.receiver.answers([Ok(receipt(302))]);
    stage.send().await;
    let failing = stage.see(&webhook).await;
    let error = failing.last_error.unwrap();
    assert!(error.contains("302: redirects are not followed"), "{error}");
    assert_eq!((failing.cursor, failing.attempts), (webhook.cursor, 1));
}

async fn a_receiver_may_say_when_it_wants_to_be_asked_again(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    let busy = |hours| Ok(Receipt { retry_after: Some(Duration::from_hours(hours)), ..receipt(503) });
    stage.receiver.answers([busy(2), busy(900)]);
    stage.send().await;
    stage.pass(119).await;
    assert_eq!(stage.receiver.all().len(), 1);
    stage.pass(2).await;
    assert_eq!(stage.receiver.all().len(), 2);
    let next = stage.see(&webhook).await.next_attempt_at;
    assert!(next <= stage.clock.clock().now() + 24 * HOUR, "no longer than a day: {next}");
}

async fn what_the_filter_passes_over_moves_the_cursor_without_a_request(on: On) {
    let stage = Stage::new(on).await;
    let types = Filter::parse_types("tag").unwrap();
    let webhook = stage.hook_with(|new| new.filter.types = types).await;
    for n in 0..10 {
        stage.push(&format!("blob {n}")).await;
        stage.send().await;
    }
    assert_eq!(stage.see(&webhook).await.cursor, webhook.cursor, "it is noted now and then");
    stage.pass(1).await;
    let seen = stage.see(&webhook).await;
    assert_eq!((seen.cursor, stage.receiver.all().len()), (stage.registry.last_sequence(), 0));
    let bytes = Bytes::from("blob 1");
    let image = image(&sha256(&bytes), &[sha256(&bytes)]);
    let (tag, actor) = ("v1".parse().unwrap(), Actor::anonymous());
    stage.registry.push_manifest(&name("a/b"), actor, &tag, vec![], None, image).await.unwrap();
    stage.send().await;
    let taken = stage.receiver.all();
    assert_eq!((taken.len(), &taken[0].json()["type"]), (1, &Value::from("v1.tag.moved")));
    assert_eq!(stage.see(&webhook).await.cursor, taken[0].sequence());
}

async fn an_attempt_that_is_asked_for_is_made_at_once(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    let busy = Receipt { retry_after: Some(Duration::from_hours(20)), ..receipt(503) };
    stage.receiver.answers([Ok(busy)]);
    stage.send().await;
    stage.send().await;
    assert_eq!(stage.receiver.all().len(), 1);
    stage.registry.retry_webhook(&webhook.id).await.unwrap();
    stage.send().await;
    stage.has_all_after(webhook.cursor);
}

async fn a_row_that_somebody_altered_stops_no_other(on: On) {
    let stage = Stage::new(on).await;
    let damaged = stage.hook().await;
    let whole = stage.hook().await;
    stage
        .db
        .operational()
        .execute("UPDATE webhooks SET secrets = 'x' WHERE id = $1", vec![damaged.id.as_str().into()])
        .await
        .unwrap();
    stage.push("one").await;
    stage.send().await;
    stage.has_all_after(whole.cursor);
    let seen = stage.see(&damaged).await;
    assert_eq!(seen.state, WebhookState::Damaged);
    assert!(seen.reason.unwrap().contains("secrets cannot be read"));
    assert_eq!(stage.registry.webhooks("", 10).await.unwrap().len(), 2);
    assert!(matches!(stage.resume(&damaged, None).await, Err(Error::WebhookDamaged(_))));
    stage.registry.delete_webhook(Actor::anonymous(), &damaged.id).await.unwrap();
    assert!(matches!(stage.registry.webhook(&damaged.id).await, Err(Error::WebhookUnknown(_))));
}

async fn a_log_that_was_restored_is_noticed_and_nothing_is_sent(on: On) {
    for (sql, why) in [
        ("UPDATE webhooks SET cursor_at = cursor_at + 1000", "the log ends at event"),
        ("UPDATE webhooks SET cursor_hash = 'sha256:00'", "is not the one that the receiver had"),
    ] {
        let stage = Stage::new(on).await;
        stage.push("before").await;
        let webhook = stage.hook().await;
        stage.send().await;
        let sent = stage.receiver.all().len();
        stage.alter(sql).await;
        stage.push("after").await;
        stage.send().await;
        let suspended = stage.see(&webhook).await;
        assert_eq!(suspended.state, WebhookState::Suspended, "{sql}");
        assert!(suspended.reason.as_ref().unwrap().contains(why), "{suspended:?}");
        assert_eq!(stage.receiver.all().len(), sent);
        let refused = stage.resume(&webhook, None).await.unwrap_err();
        assert!(
            matches!(&refused, Error::WebhookPlaceLost { reason, .. } if reason.contains(why)),
            "{refused}"
        );
        let beyond = stage.resume(&webhook, Some(100_000)).await;
        assert!(matches!(beyond, Err(Error::CursorAhead { .. })));
        stage.resume(&webhook, Some(webhook.cursor)).await.unwrap();
        stage.send().await;
        let again: Vec<i64> = stage.receiver.has().split_off(sent);
        assert_eq!(again, (webhook.cursor + 1..=stage.registry.last_sequence()).collect::<Vec<_>>());
    }
}

async fn an_answer_is_kept_so_that_it_can_be_shown(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    let said = format!("no\r\n\u{1b}[2J/services/T000/token-of-a-url is \u{202e}wrong {}", "x".repeat(900));
    stage.receiver.answers([Ok(Receipt { beginning: said.into(), ..receipt(403) })]);
    stage.send().await;
    let error = stage.see(&webhook).await.last_error.unwrap();
    assert!(error.contains("answered 403: no [2J/…/…/… is wrong xxx"), "{error}");
    assert!(error.chars().count() < 300 && !error.contains("token"), "{error}");
}

async fn turns_that_were_over_added_up_while_events_came(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    let mut sending = JoinSet::new();
    for n in 0..20 {
        stage.push(&format!("blob {n}")).await;
        while stage.see(&webhook).await.cursor < stage.registry.last_sequence() {
            stage.courier.step(&mut sending).await;
        }
    }
    // One at a time has the claim; those before it may be about to end.
    assert!(sending.len() < 10, "{} turns of one webhook", sending.len());
}

async fn what_a_receiver_said_of_a_secret_was_on_record_for_ever(on: On) {
    let stage = Stage::new(on).await;
    let url = "https://hooks.example.com/hook/tok%2Den%2Dof%2Da%2Durl?key=0123456789abcdef";
    let webhook = stage.hook_with(|new| new.endpoint = url.parse().unwrap()).await;
    // Decoded, and in part: no whole piece of the URL as it is written.
    let said = Bytes::from("no tok-en-of-a-url here, 01234567…");
    stage.receiver.answers((0..15).map(|_| Ok(Receipt { beginning: said.clone(), ..receipt(500) })));
    for _ in 0..170 {
        stage.clock.advance(HOUR);
        stage.send().await;
    }
    let suspended = stage.see(&webhook).await;
    assert_eq!(suspended.reason.unwrap(), "15 attempts failed; the last was answered 500");
    let error = suspended.last_error.unwrap();
    assert!(error.contains("answered 500: no tok-en-of-a-url here"), "{error}");
    let moved = Some("https://other.example.com/".parse().unwrap());
    stage.change(&webhook, WebhookChange { endpoint: moved, ..WebhookChange::default() }).await.unwrap();
    let mut recorded = String::new();
    for event in stage.registry.events(0, 1000).await.unwrap() {
        recorded.push_str(&String::from_utf8_lossy(event.payload()));
        recorded.push_str(&String::from_utf8_lossy(event.header()));
    }
    assert_eq!(recorded.matches("the last was answered 500").count(), 2, "given up, and changed as it was");
    assert!(!recorded.contains("tok-en") && !recorded.contains("01234567"), "{recorded}");
}

async fn a_webhook_before_an_event_that_cannot_be_read_said_nothing_of_it(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.send().await;
    stage.push("one").await;
    // Opened anew: the newest events are in the memory of the one that recorded them.
    let (db, registry) = open(&stage.place, &stage.clock, &stage.bytes).await;
    let courier = registry.courier(stage.receiver.clone());
    let next = webhook.cursor + 2;
    let alter = async |sql: &'static str, args: Vec<db::Value>| {
        let mut tx = db.write().await.unwrap();
        tx.execute(sql, args).await.unwrap();
        tx.commit().await.unwrap();
    };
    let unlock = match on {
        On::Sqlite => "DROP TRIGGER events_are_not_changed",
        On::Postgres => "DROP TRIGGER events_are_not_changed ON events",
    };
    alter(unlock, vec![]).await;
    alter("UPDATE events SET actor = 'somebody' WHERE sequence = $1", vec![next.into()]).await;
    courier.deliver_due().await.unwrap();
    let failing = registry.webhook(&webhook.id).await.unwrap();
    let error = failing.last_error.unwrap();
    assert!(error.contains("could not read what comes next: ") && error.contains("damaged"), "{error}");
    assert_eq!((failing.state, failing.cursor), (WebhookState::Active, next - 1));
    let rests_until = failing.next_attempt_at;
    assert_eq!(rests_until, stage.clock.clock().now() + 30 * SECOND);
    stage.clock.advance(29 * SECOND);
    courier.deliver_due().await.unwrap();
    assert_eq!(
        registry.webhook(&webhook.id).await.unwrap().next_attempt_at,
        rests_until,
        "not before its time"
    );
    stage.clock.advance(2 * SECOND);
    courier.deliver_due().await.unwrap();
    assert!(registry.webhook(&webhook.id).await.unwrap().next_attempt_at > rests_until);
    alter("UPDATE events SET actor = 'anonymous' WHERE sequence = $1", vec![next.into()]).await;
    stage.clock.advance(31 * SECOND);
    courier.deliver_due().await.unwrap();
    stage.has_all_after(webhook.cursor);
    assert_eq!(registry.webhook(&webhook.id).await.unwrap().last_error, None);
}

async fn those_behind_the_first_that_fit_into_a_round_were_never_served(on: On) {
    let mut options = Options::default();
    options.webhooks.max = 100;
    let stage = Stage::with(on, options).await;
    let mut sending = JoinSet::new();
    let urls: Vec<String> = (0..66).map(|n| format!("https://hooks.example.com/{n}")).collect();
    for url in &urls {
        let set = |new: &mut NewWebhook| {
            new.endpoint = url.parse().unwrap();
            new.filter.types = Filter::parse_types("blob.linked").unwrap();
        };
        stage.hook_with(set).await;
    }
    // A round has room for 64, and all of them have something to send again in the next one.
    for n in 0..2 {
        stage.push(&format!("blob {n}")).await;
        *stage.receiver.is_stalled.lock().unwrap() = true;
        stage.courier.step(&mut sending).await;
        assert_eq!(sending.len(), 64);
        *stage.receiver.is_stalled.lock().unwrap() = false;
        while !sending.is_empty() {
            stage.receiver.release.notify_waiters();
            tokio::task::yield_now().await;
            while sending.try_join_next().is_some() {}
        }
        stage.clock.advance(SECOND);
    }
    let taken = stage.receiver.all();
    let served: std::collections::BTreeSet<&str> = taken.iter().map(|taken| taken.url.as_str()).collect();
    assert_eq!(served.len(), urls.len());
}
