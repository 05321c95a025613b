//! Objects without a row.

use super::*;

const WEEK: Micros = 7 * DAY;

impl Shop {
    /// A blob that a manifest names, and its key, as if its event were not there yet.
    async fn late(&self) -> (Digest, String) {
        let blob = self.push("a", "late").await;
        self.put("a", &config_only(&blob)).await.unwrap();
        let content = hash::digest(Algorithm::Blake3, b"late");
        let row = views::blobs::of_any_state(&self.db, &content).await.unwrap().unwrap();
        self.rename(&row.key, "elsewhere").await;
        (blob, row.key)
    }

    /// Changes what a row says of where its object is.
    async fn rename(&self, from: &str, to: &str) {
        let mut tx = self.db.write().await.unwrap();
        let sql = "UPDATE blobs SET storage_key = $1 WHERE storage_key = $2";
        tx.execute(sql, vec![to.to_owned().into(), from.to_owned().into()]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

on_both![
    an_object_of_nobody_goes_when_it_was_seen_twice,
    what_is_young_named_staged_or_not_ours_is_never_an_orphan,
    an_object_that_gets_its_event_late_stays,
    an_event_that_came_while_a_page_of_orphans_was_removed_lost_its_object,
    a_copy_that_was_replaced_goes_as_an_orphan,
    orphans_beyond_a_page_go_as_well,
    an_object_whose_event_came_late_is_looked_at_again,
];

async fn an_object_of_nobody_goes_when_it_was_seen_twice(on: On) {
    let shop = Shop::new(on).await;
    let key = shop.orphan(WEEK + SECOND).await;
    let tally = Tally { objects: 1, bytes: 6 };
    assert_eq!(shop.plan().await.waiting, tally);
    assert_eq!(counts(&shop.run().await), (0, 0, 0, 0));
    assert_eq!(counts(&shop.after(WEEK - 1).await), (0, 0, 0, 0));
    shop.clock.advance(1);
    assert_eq!(shop.plan().await.orphans, tally);
    assert_eq!(counts(&shop.run().await), (0, 0, 0, 1));
    assert!(shop.backend.head(&key).await.is_err());
    assert_eq!(shop.plan().await, CollectionPlan::default());
    assert_eq!(counts(&shop.after(WEEK).await), (0, 0, 0, 0));
}

async fn what_is_young_named_staged_or_not_ours_is_never_an_orphan(on: On) {
    let shop = Shop::new(on).await;
    let named = shop.push("a", "named").await;
    shop.put("a", &config_only(&named)).await.unwrap();
    let upload = shop.registry.begin_upload(&name("a"), Actor::anonymous(), None).await.unwrap();
    shop.registry.append_upload(upload.clone(), None, whole(&pattern(10))).await.unwrap();
    shop.clock.advance(2 * WEEK);
    let young = shop.orphan(WEEK - SECOND).await;
    let other: Key = "backup/notes.txt".parse().unwrap();
    shop.backend.put(&other, Bytes::new()).await.unwrap();
    for _ in 0..3 {
        // Time for a second look, and not enough to grow old.
        shop.after(SECOND / 4).await;
    }
    assert_eq!(counts(&shop.run().await), (0, 0, 0, 0));
    assert_eq!(shop.objects().await.len(), 3);
    assert_eq!(shop.backend.leftovers(10).await.unwrap().len(), 1);
    for _ in 0..3 {
        shop.after(WEEK).await;
    }
    assert!(shop.backend.head(&young).await.is_err());
    assert!(shop.backend.head(&other).await.is_ok() && shop.has("a", &named).await);
    assert_eq!(shop.backend.leftovers(10).await.unwrap().len(), 1);
}

async fn an_object_that_gets_its_event_late_stays(on: On) {
    let shop = Shop::new(on).await;
    let (blob, key) = shop.late().await;
    shop.clock.advance(WEEK + HOUR);
    shop.run().await;
    assert_eq!(shop.plan().await.waiting.objects, 1, "seen once");
    shop.rename("elsewhere", &key).await;
    for _ in 0..3 {
        assert_eq!(counts(&shop.after(WEEK).await), (0, 0, 0, 0));
    }
    assert!(shop.has("a", &blob).await);
}

async fn an_event_that_came_while_a_page_of_orphans_was_removed_lost_its_object(on: On) {
    let shop = Shop::new(on).await;
    let (blob, key) = shop.late().await;
    let first: Key = format!("a{}", shop.orphan(WEEK + SECOND).await).parse().unwrap();
    shop.backend.put(&first, Bytes::from_static(b"orphan")).await.unwrap();
    shop.clock.advance(WEEK + HOUR);
    shop.run().await;
    shop.clock.advance(WEEK);
    let hold = shop.faults.hold(Op::Delete);
    let registry = shop.registry.clone();
    let run = tokio::spawn(async move { registry.collect().await });
    hold.reached().await;
    shop.rename("elsewhere", &key).await;
    hold.release();
    let run = run.await.unwrap().unwrap().unwrap();
    assert_eq!((run.status, counts(&run)), (RunStatus::Completed, (0, 0, 0, 2)));
    assert_eq!(shop.objects().await.len(), 1);
    assert!(shop.has("a", &blob).await);
}

async fn a_copy_that_was_replaced_goes_as_an_orphan(on: On) {
    let mut shop = Shop::hasty(on).await;
    shop.push("a", "garbage and then not").await;
    shop.after(1).await;
    shop.after(1).await;
    shop.clock.advance(1);
    killed_at(Op::Delete, &shop.faults, &shop.registry).await;
    let blob = shop.push("a", "garbage and then not").await;
    shop.put("a", &config_only(&blob)).await.unwrap();
    shop.restart().await;
    shop.run().await;
    assert_eq!(shop.objects().await.len(), 2, "nothing names the first copy any more");
    shop.after(WEEK + HOUR).await;
    assert_eq!(counts(&shop.after(WEEK).await), (0, 0, 0, 1));
    assert_eq!(shop.objects().await.len(), 1);
    assert!(shop.has("a", &blob).await);
    shop.check().await;
}

async fn orphans_beyond_a_page_go_as_well(on: On) {
    let shop = Shop::new(on).await;
    let used = shop.push("a", "used").await;
    shop.put("a", &config_only(&used)).await.unwrap();
    for n in 0..1100 {
        shop.orphan(WEEK + SECOND + n * 1000).await;
    }
    shop.run().await;
    let run = shop.after(WEEK).await;
    assert_eq!(counts(&run), (0, 0, 0, 1100));
    assert!(shop.has("a", &used).await);
}

async fn an_object_whose_event_came_late_is_looked_at_again(on: On) {
    let shop = Shop::new(on).await;
    let hold = shop.faults.hold(Op::Put);
    let registry = shop.registry.clone();
    let bytes = Bytes::from_static(b"slow");
    let digest = sha256(&bytes);
    let pushed = tokio::spawn({
        let (digest, bytes) = (digest.clone(), bytes.clone());
        async move { registry.push_blob(&name("a"), Actor::anonymous(), &digest, whole(&bytes)).await }
    });
    hold.reached().await;
    // The process stands still for an hour: what it has stored may have been taken for nobody's meanwhile.
    shop.clock.advance(HOUR);
    shop.faults.fail(Op::Head, Cause::Kind(std::io::ErrorKind::TimedOut));
    hold.release();
    let outcome = pushed.await.unwrap();
    assert!(matches!(outcome, Err(Error::Data(_))), "{outcome:?}");
    shop.push("a", "slow").await;
    assert!(shop.has("a", &digest).await);
}
