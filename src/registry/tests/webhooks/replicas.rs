//! Processes that end, and several of them.

use super::*;
use crate::db::testing::on_both;

on_both!(
    a_process_that_ends_between_answer_and_cursor_leads_to_the_same_delivery_again,
    a_courier_goes_on_where_another_one_was,
    two_replicas_never_send_at_the_same_time,
    a_claim_that_was_lost_moves_nothing,
);

/// Begins to send, and ends the process when the receiver has the event and did not answer yet.
async fn killed_while_sending(stage: &Stage, courier: &Courier) {
    *stage.receiver.is_stalled.lock().unwrap() = true;
    let before = stage.receiver.all().len();
    let courier = courier.clone();
    let sending = tokio::spawn(async move { courier.deliver_due().await });
    while stage.receiver.all().len() == before {
        tokio::task::yield_now().await;
    }
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    *stage.receiver.is_stalled.lock().unwrap() = false;
    stage.receiver.under_way.store(0, Ordering::SeqCst);
}

async fn a_process_that_ends_between_answer_and_cursor_leads_to_the_same_delivery_again(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.push("one").await;
    killed_while_sending(&stage, &stage.courier).await;
    assert_eq!(stage.see(&webhook).await.cursor, webhook.cursor);
    let (registry, other) = stage.join().await;
    other.deliver_due().await.unwrap();
    assert_eq!(stage.receiver.all().len(), 1, "the lease of the one that ended holds");
    stage.clock.advance(61 * SECOND);
    other.deliver_due().await.unwrap();
    let taken = stage.receiver.all();
    assert_eq!(taken[0].header("webhook-id"), taken[1].header("webhook-id"));
    assert_eq!(taken[0].body, taken[1].body);
    assert_eq!(i64::try_from(taken.len()).unwrap(), registry.last_sequence() - webhook.cursor + 1);
    assert_eq!(registry.webhook(&webhook.id).await.unwrap().cursor, registry.last_sequence());
}

async fn a_courier_goes_on_where_another_one_was(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.push("one").await;
    stage.send().await;
    let (_, other) = stage.join().await;
    for n in 0..10 {
        stage.push(&format!("blob {n}")).await;
        if n % 2 == 0 { other.deliver_due().await.unwrap() } else { stage.send().await }
    }
    stage.has_all_after(webhook.cursor);
}

async fn two_replicas_never_send_at_the_same_time(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    let (_, other) = stage.join().await;
    let (_, third) = stage.join().await;
    let couriers = [stage.courier.clone(), other, third];
    let send = async |courier: &Courier| {
        for _ in 0..30 {
            courier.deliver_due().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let push = async {
        for n in 0..30 {
            stage.push(&format!("blob {n}")).await;
        }
    };
    tokio::join!(push, send(&couriers[0]), send(&couriers[1]), send(&couriers[2]));
    stage.send().await;
    stage.has_all_after(webhook.cursor);
    assert_eq!(stage.receiver.most.load(Ordering::SeqCst), 1);
}

async fn a_claim_that_was_lost_moves_nothing(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook().await;
    stage.push("one").await;
    // It answers when another replica has taken over, as after a long pause of the machine.
    let (registry, other) = stage.join().await;
    *stage.receiver.is_stalled.lock().unwrap() = true;
    let courier = stage.courier.clone();
    let slow = tokio::spawn(async move { courier.deliver_due().await });
    while stage.receiver.all().is_empty() {
        tokio::task::yield_now().await;
    }
    *stage.receiver.is_stalled.lock().unwrap() = false;
    stage.clock.advance(61 * SECOND);
    other.deliver_due().await.unwrap();
    let last = registry.last_sequence();
    assert_eq!(registry.webhook(&webhook.id).await.unwrap().cursor, last);
    stage.receiver.release.notify_one();
    slow.await.unwrap().unwrap();
    assert_eq!(registry.webhook(&webhook.id).await.unwrap().cursor, last);
    let after: Vec<i64> = stage.receiver.has().into_iter().skip(1).collect();
    assert_eq!(after, (webhook.cursor + 1..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_power_cut_undid_what_was_acknowledged() {
    let stage = Stage::new(On::Sqlite).await;
    // Notes with each write whether it is synced before it is acknowledged.
    stage.alter("CREATE TABLE noted (what TEXT NOT NULL, synchronous INTEGER NOT NULL)").await;
    for trigger in [
        "CREATE TRIGGER added AFTER INSERT ON webhooks \
         BEGIN INSERT INTO noted SELECT 'added', synchronous FROM pragma_synchronous; END",
        "CREATE TRIGGER changed AFTER UPDATE OF version ON webhooks \
         BEGIN INSERT INTO noted SELECT 'changed', synchronous FROM pragma_synchronous; END",
        "CREATE TRIGGER enforced AFTER UPDATE OF state ON webhooks WHEN OLD.state <> NEW.state \
         BEGIN INSERT INTO noted SELECT NEW.state, synchronous FROM pragma_synchronous; END",
        "CREATE TRIGGER removed AFTER DELETE ON webhooks \
         BEGIN INSERT INTO noted SELECT 'removed', synchronous FROM pragma_synchronous; END",
        "CREATE TRIGGER delivered AFTER UPDATE OF delivered_at ON webhooks \
         BEGIN INSERT INTO noted SELECT 'delivered', synchronous FROM pragma_synchronous; END",
    ] {
        stage.alter(trigger).await;
    }
    let webhook = stage.hook().await;
    stage.receiver.answers([Ok(receipt(204)), Ok(receipt(410))]);
    stage.push("one").await;
    stage.send().await;
    stage.resume(&webhook, None).await.unwrap();
    stage.registry.delete_webhook(Actor::anonymous(), &webhook.id).await.unwrap();
    let sql = "SELECT DISTINCT what, synchronous FROM noted ORDER BY what";
    let noted = stage.db.operational().query(sql, vec![]).await.unwrap();
    let noted: Vec<(&str, i64)> = noted.iter().map(|row| (row.text(0), row.integer(1))).collect();
    let (full, normal) = (2, 1);
    let expected = [
        ("active", full),
        ("added", full),
        ("changed", full),
        ("delivered", normal),
        ("disabled", full),
        ("removed", full),
        ("suspended", full),
    ];
    assert_eq!(noted, expected);
}
