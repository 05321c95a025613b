//! Sweeping uploads, on a clock that is moved.

use super::*;

const DAY: i64 = 24 * 3600 * SECOND;

async fn begun(fixture: &Fixture, len: usize) -> Upload {
    let upload = fixture.registry.begin_upload(&name("a"), Actor::anonymous(), None).await.unwrap();
    if len > 0 {
        fixture.registry.append_upload(upload.clone(), None, whole(&pattern(len))).await.unwrap();
    }
    upload
}

async fn sweep(fixture: &Fixture) -> (u64, u64) {
    let swept = fixture.registry.sweep().await.unwrap();
    (swept.sessions, swept.leftovers)
}

async fn is_there(fixture: &Fixture, upload: &Upload) -> bool {
    fixture.registry.upload_progress(upload).await.is_ok()
}

#[tokio::test]
async fn an_upload_is_swept_a_day_after_it_was_last_used() {
    let fixture = Fixture::new().await;
    let (idle, never, used) =
        (begun(&fixture, 10).await, begun(&fixture, 0).await, begun(&fixture, LARGE).await);
    fixture.clock.advance(DAY / 2);
    fixture.registry.append_upload(used.clone(), None, whole(&pattern(1))).await.unwrap();
    assert_eq!(sweep(&fixture).await, (0, 0));
    fixture.clock.advance(DAY / 2 + 1);
    assert_eq!(sweep(&fixture).await, (2, 0));
    assert!(!is_there(&fixture, &idle).await && !is_there(&fixture, &never).await);
    assert!(is_there(&fixture, &used).await);
    assert_eq!(fixture.leftovers().await, 1);
    assert_eq!(sweep(&fixture).await, (0, 0), "there is nothing left to do");
    fixture.clock.advance(DAY);
    assert_eq!(sweep(&fixture).await, (1, 0));
    assert_eq!(fixture.leftovers().await, 0);
}

#[tokio::test]
async fn the_note_of_a_finished_upload_is_swept_and_its_blob_stays() {
    let fixture = Fixture::new().await;
    let upload = begun(&fixture, 10).await;
    let digest = sha256(&pattern(10));
    fixture.registry.finish_upload(upload, digest.clone(), None, empty()).await.unwrap();
    fixture.clock.advance(DAY + 1);
    assert_eq!(sweep(&fixture).await, (1, 0));
    assert_eq!(fixture.pull("a", &digest).await.unwrap(), pattern(10));
}

#[tokio::test]
async fn staged_bytes_without_a_session_are_swept_when_they_are_as_old() {
    let fixture = Fixture::new().await;
    let leave = async |id: &str| {
        let mut staged = fixture.backend.stage(&id.parse().unwrap()).await.unwrap();
        staged.append(vec![pattern(10)]).await.unwrap();
    };
    leave("once-old").await;
    fixture.clock.advance(DAY);
    leave("once-young").await;
    let upload = begun(&fixture, 10).await;
    assert_eq!(sweep(&fixture).await, (0, 0), "exactly as old is not older");
    fixture.clock.advance(1);
    assert_eq!(sweep(&fixture).await, (0, 1));
    let left = fixture.backend.leftovers(10).await.unwrap();
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|leftover| leftover.id.as_str() != "once-old"));
    assert!(is_there(&fixture, &upload).await);
}

#[tokio::test]
async fn old_staged_bytes_of_a_session_that_is_alive_are_kept() {
    let fixture = Fixture::new().await;
    let upload = begun(&fixture, 10).await;
    // A chunk of no bytes renews the session and touches no byte.
    fixture.clock.advance(DAY - 1);
    fixture.registry.append_upload(upload.clone(), None, empty()).await.unwrap();
    fixture.clock.advance(DAY - 1);
    assert_eq!(sweep(&fixture).await, (0, 0));
    assert_eq!(fixture.leftovers().await, 1);
    fixture.registry.finish_upload(upload, sha256(&pattern(10)), None, empty()).await.unwrap();
}

#[tokio::test]
async fn an_upload_that_is_being_written_is_not_swept() {
    let fixture = Fixture::new().await;
    let upload = begun(&fixture, 0).await;
    fixture.clock.advance(DAY + 1); // expired, and then its client comes back
    let (feed, body) = fed();
    let mut append = Box::pin(fixture.registry.append_upload(upload.clone(), None, body));
    feed.send(pattern(LARGE));
    while fixture.leftovers().await == 0 {
        assert!(futures_util::poll!(&mut append).is_pending());
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
    assert_eq!(sweep(&fixture).await, (0, 0));
    drop(feed);
    assert_eq!(append.await.unwrap().received, LARGE as u64);
}

#[tokio::test]
async fn a_claim_that_ran_out_does_not_protect_an_expired_session() {
    let fixture = Fixture::new().await;
    let upload = begun(&fixture, 0).await;
    let sessions = fixture.registry.sessions();
    let owner = sessions::Owner { repository: name("a"), principal: "anonymous".to_owned() };
    fixture.clock.advance(DAY - SECOND);
    let now = fixture.clock.clock().now();
    assert!(sessions.claim(&upload.id, &owner, now).await.unwrap().is_ok());
    fixture.clock.advance(20 * SECOND);
    assert_eq!(sweep(&fixture).await, (0, 0));
    fixture.clock.advance(1);
    assert_eq!(sweep(&fixture).await, (1, 0));
}

#[tokio::test]
async fn one_write_that_cannot_be_removed_does_not_keep_the_others() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        begun(&fixture, 10).await;
    }
    fixture.clock.advance(DAY + 1);
    fixture.faults.fail(Op::Unstage, Cause::Broken);
    // What failed with its session succeeds as a leftover, of which there is no row any more.
    assert_eq!(sweep(&fixture).await, (3, 1));
    assert_eq!(fixture.leftovers().await, 0);
}

#[tokio::test]
async fn a_storage_that_cannot_be_listed_is_an_error() {
    let fixture = Fixture::new().await;
    fixture.faults.fail(Op::Leftovers, Cause::Broken);
    assert!(matches!(fixture.registry.sweep().await, Err(Error::Data(_))));
}

#[tokio::test]
async fn refused_attempts_waited_for_a_storage_that_could_not_be_listed() {
    let fixture = Fixture::new().await;
    fixture.push_image("a", "v1", "x").await;
    let (matter, reason) = ("case 7".to_owned(), "the court asked".to_owned());
    let new = NewHold { item: None, kind: crate::retention::HoldKind::Legal, matter, reason };
    fixture.registry.place_hold(&name("a"), Actor::anonymous(), new).await.unwrap();
    for _ in 0..3 {
        fixture.remove("a", "v1").await.unwrap_err();
    }
    fixture.clock.advance(61 * SECOND);
    fixture.faults.fail(Op::Leftovers, Cause::Broken);
    assert!(matches!(fixture.registry.sweep().await, Err(Error::Data(_))));
    let refused = AuditFilter { decision: Some(Decision::Refused), ..AuditFilter::default() };
    let page = fixture.registry.audit(&refused, AuditSpan::default()).await.unwrap();
    let attempts: Vec<_> = page.entries.iter().map(|entry| entry.attempts).collect();
    assert_eq!(attempts, [Some(1), Some(2)]);
}

#[tokio::test]
async fn a_run_is_bounded_and_the_next_one_goes_on() {
    let fixture = Fixture::new().await;
    for _ in 0..1001 {
        begun(&fixture, 0).await;
    }
    fixture.clock.advance(DAY + 1);
    assert_eq!(sweep(&fixture).await, (1000, 0));
    assert_eq!(sweep(&fixture).await, (1, 0));
}

#[tokio::test]
async fn files_in_a_folder_are_swept_by_their_own_time() {
    let dir = TempDir::new().unwrap();
    let backend = Arc::new(Local::open(&dir.path().join("objects")).unwrap());
    // Files tell the real time, so the clock begins there.
    let clock = ManualClock::at(crate::clock::Clock::system().now());
    let fixture = Fixture::over(dir, clock, backend, Options::default()).await;
    begun(&fixture, 10).await;
    fixture.backend.stage(&"once-1".parse().unwrap()).await.unwrap();
    fixture.clock.advance(DAY - 60 * SECOND);
    assert_eq!(sweep(&fixture).await, (0, 0));
    fixture.clock.advance(120 * SECOND);
    assert_eq!(sweep(&fixture).await, (1, 1));
    assert_eq!(fixture.leftovers().await, 0);
}
