//! Several replicas over one database and one bucket. None of them ends the claims of another.

use super::*;
use crate::db::testing::{On, Place, on_both};
use crate::oci::{ContentRange, UploadId};
use crate::storage::testing::Unreadable;

/// Replicas in one process, each with connections, caches and an appender of its own.
struct Cluster {
    place: Place,
    clock: ManualClock,
    backend: Faulty,
    faults: Faults,
    bucket: Unreadable,
    replicas: Vec<Registry>,
    dbs: Vec<Db>,
}

impl Cluster {
    /// Three of them, over a bucket.
    async fn new(on: On) -> Self {
        Self::over(on, |_, bucket| Arc::new(bucket)).await
    }

    /// The same over storage in memory that can be read back.
    async fn rereading(on: On) -> Self {
        Self::over(on, |clock, _| Arc::new(Memory::with_clock(clock.clock()))).await
    }

    async fn over(on: On, backend: impl Fn(&ManualClock, Unreadable) -> Arc<dyn Backend>) -> Self {
        let place = Place::new(on).await;
        let clock = ManualClock::at(1_000_000 * SECOND);
        let bucket = Unreadable::new(clock.clock());
        let backend = Faulty::new(backend(&clock, bucket.clone()));
        let faults = backend.faults();
        let mut cluster =
            Self { place, clock, backend, faults, bucket, replicas: Vec::new(), dbs: Vec::new() };
        for _ in 0..3 {
            cluster.join().await;
        }
        cluster
    }

    /// Starts one more replica.
    async fn join(&mut self) {
        let db = self.place.open(Access::Create).await;
        let data = DataPlane::new(Arc::new(self.backend.clone()));
        let options = Options::default();
        let joined = Registry::open_as(db.clone(), data, self.clock.clock(), options, true).await.unwrap();
        self.replicas.push(joined);
        self.dbs.push(db);
    }

    async fn begin(&self, at: usize) -> Upload {
        self.replicas[at].begin_upload(&name("a"), Actor::anonymous(), None).await.unwrap()
    }

    async fn append(&self, at: usize, upload: &Upload, bytes: &Bytes) -> Result<u64, Error> {
        Ok(self.replicas[at].append_upload(upload.clone(), None, whole(bytes)).await?.received)
    }

    async fn finish(&self, at: usize, upload: &Upload, bytes: &Bytes) -> Result<PushedBlob, Error> {
        self.replicas[at].finish_upload(upload.clone(), sha256(bytes), None, empty()).await
    }

    async fn progress(&self, at: usize, upload: &Upload) -> Result<u64, Error> {
        Ok(self.replicas[at].upload_progress(upload).await?.received)
    }

    async fn pull(&self, at: usize, digest: &Digest) -> Result<Vec<u8>, Error> {
        let blob = self.replicas[at].blob(&name("a"), digest).await?;
        Ok(collect(self.replicas[at].open_blob(&blob, None).await?.body).await.unwrap())
    }

    /// Objects and staged writes.
    async fn stored(&self) -> (usize, usize) {
        let objects = self.backend.list("", None, 1000).await.unwrap().objects.len();
        (objects, self.backend.leftovers(1000).await.unwrap().len())
    }

    /// As a crash of the database does that loses the newest writes to operational tables.
    async fn alter(&self, sql: &'static str) {
        self.dbs[0].operational().execute(sql, vec![]).await.unwrap();
    }
}

on_both!(
    an_upload_begins_here_goes_on_there_and_ends_elsewhere,
    a_digest_nobody_hashed_on_the_way_is_right_on_another_replica,
    a_replica_that_was_killed_left_a_session_nobody_could_use,
    a_claim_is_not_ended_by_a_replica_that_starts,
    a_release_on_another_replica_is_noticed,
    a_hash_state_of_bytes_that_were_replaced_was_believed,
    a_checkpoint_that_was_not_recorded_does_not_spoil_the_one_before,
    an_upload_whose_checkpoint_cannot_be_read_is_unknown_and_leaves_nothing,
    a_chunk_that_is_refused_leaves_the_upload_where_another_replica_put_it,
    a_bucket_that_is_away_is_temporary_and_loses_no_upload,
    an_upload_that_two_replicas_finish_is_one_blob_whoever_is_second,
    a_close_while_the_bucket_is_away_can_be_repeated,
    sweeps_of_many_replicas_take_what_is_old_and_nothing_else,
    of_many_writers_on_many_replicas_at_one_offset_one_wins,
    a_session_of_nobody_is_unknown_at_once,
);

fn is_unknown<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::UploadUnknown(_)))
}

/// Polls a future until the condition holds; it must not be ready before.
async fn while_waiting<T>(
    mut future: std::pin::Pin<&mut impl Future<Output = T>>,
    is_so: impl AsyncFn() -> bool,
) {
    while !is_so().await {
        assert!(futures_util::poll!(&mut future).is_pending());
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
}

async fn an_upload_begins_here_goes_on_there_and_ends_elsewhere(on: On) {
    let cluster = Cluster::new(on).await;
    for cuts in [vec![0], vec![10, 20, 30_000], vec![LARGE, LARGE + 1, LARGE + 40_000]] {
        let bytes = pattern(2 * LARGE + cuts[0]);
        let upload = cluster.begin(0).await;
        let mut at = 0;
        for (replica, end) in cuts.into_iter().enumerate() {
            assert_eq!(cluster.append(replica, &upload, &bytes.slice(at..end)).await.unwrap(), end as u64);
            for other in 0..3 {
                assert_eq!(cluster.progress(other, &upload).await.unwrap(), end as u64);
            }
            at = end;
        }
        let rest = whole(&bytes.slice(at..));
        cluster.replicas[2].finish_upload(upload.clone(), sha256(&bytes), None, rest).await.unwrap();
        for replica in 0..3 {
            // A client that lost the answer asks again, anywhere.
            cluster.finish(replica, &upload, &bytes).await.unwrap();
            assert!(is_unknown(&cluster.progress(replica, &upload).await));
            assert!(is_unknown(&cluster.finish(replica, &upload, &pattern(3)).await));
            assert_eq!(cluster.pull(replica, &sha256(&bytes)).await.unwrap(), bytes);
        }
    }
    assert_eq!(cluster.stored().await, (3, 0));
    assert_eq!(cluster.bucket.hidden(), 0);
}

async fn a_digest_nobody_hashed_on_the_way_is_right_on_another_replica(on: On) {
    let cluster = Cluster::new(on).await;
    let bytes = pattern(LARGE);
    let upload = cluster.begin(0).await;
    cluster.append(0, &upload, &bytes.slice(..600_000)).await.unwrap();
    cluster.append(1, &upload, &bytes.slice(600_000..)).await.unwrap();
    cluster.replicas[2].finish_upload(upload, sha512(&bytes), None, empty()).await.unwrap();
    assert_eq!(cluster.pull(0, &sha512(&bytes)).await.unwrap(), bytes);
    assert_eq!(cluster.pull(1, &sha256(&bytes)).await.unwrap(), bytes);
    // Read back, and then found to be something else.
    let upload = cluster.begin(0).await;
    cluster.append(0, &upload, &bytes).await.unwrap();
    let wrong = cluster.replicas[1].finish_upload(upload, sha512(b"else"), None, empty()).await;
    assert!(matches!(wrong, Err(Error::DigestMismatch { .. })), "{wrong:?}");
    assert_eq!((cluster.stored().await, cluster.bucket.hidden()), ((1, 0), 0));
}

async fn a_replica_that_was_killed_left_a_session_nobody_could_use(on: On) {
    let cluster = Cluster::new(on).await;
    let bytes = pattern(LARGE);
    let upload = cluster.begin(0).await;
    cluster.append(0, &upload, &bytes.slice(..100_000)).await.unwrap();
    // It receives, and is heard of no more.
    let (feed, body) = fed();
    let mut lost = Box::pin(cluster.replicas[0].append_upload(upload.clone(), None, body));
    feed.send(bytes.slice(100_000..1_000_000));
    let is_claimed = async || {
        let sql = "SELECT id FROM uploads WHERE lease IS NOT NULL AND lease_until > 0";
        !cluster.dbs[1].operational().query(sql, vec![]).await.unwrap().is_empty()
    };
    while_waiting(lost.as_mut(), is_claimed).await;

    let range = ContentRange::parse("100000-1200000").unwrap();
    let rest = whole(&bytes.slice(100_000..));
    let other = cluster.replicas[1].append_upload(upload.clone(), Some(range), rest);
    let expire = async { cluster.clock.advance(sessions::LEASE + 1) };
    let (appended, ()) = tokio::join!(other, expire);
    assert_eq!(appended.unwrap().received, LARGE as u64);
    // A kill is not the only way: this one comes back, and what it has counts no more.
    drop(feed);
    let error = lost.await.unwrap_err();
    assert!(matches!(error, Error::UploadOutOfOrder { received } if received == LARGE as u64), "{error:?}");
    cluster.finish(2, &upload, &bytes).await.unwrap();
    assert_eq!(cluster.pull(0, &sha256(&bytes)).await.unwrap(), bytes);
}

async fn a_claim_is_not_ended_by_a_replica_that_starts(on: On) {
    let mut cluster = Cluster::new(on).await;
    let upload = cluster.begin(0).await;
    let owner = sessions::Owner { repository: name("a"), principal: "anonymous".to_owned() };
    let sessions = cluster.replicas[0].sessions();
    let claim = sessions.claim(&upload.id, &owner, cluster.clock.clock().now()).await.unwrap();
    let Ok(claim) = claim else { panic!("it is free") };
    cluster.join().await;
    assert!(sessions.renew(&claim, 0, cluster.clock.clock().now()).await.unwrap());
}

async fn a_release_on_another_replica_is_noticed(on: On) {
    let cluster = Cluster::new(on).await;
    let upload = cluster.begin(0).await;
    let (feed, body) = fed();
    let mut first = Box::pin(cluster.replicas[0].append_upload(upload.clone(), None, body));
    feed.send(pattern(1000));
    let is_claimed = async || {
        let sql = "SELECT id FROM uploads WHERE lease IS NOT NULL AND lease_until > 0";
        !cluster.dbs[1].operational().query(sql, vec![]).await.unwrap().is_empty()
    };
    while_waiting(first.as_mut(), is_claimed).await;
    let asked = cluster.progress(1, &upload);
    let (asked, received) = tokio::join!(asked, async {
        drop(feed);
        first.await.unwrap().received
    });
    assert_eq!((asked.unwrap(), received), (1000, 1000));
}

async fn a_hash_state_of_bytes_that_were_replaced_was_believed(on: On) {
    for cluster in [Cluster::rereading(on).await, Cluster::new(on).await] {
        let (ours, theirs) = (pattern(50_000), Bytes::from(vec![7; 50_000]));
        let upload = cluster.begin(0).await;
        cluster.append(0, &upload, &ours).await.unwrap();
        cluster.alter("UPDATE uploads SET received = 0, checkpoint = NULL, written_by = NULL").await;
        // Another replica writes as many other bytes.
        cluster.append(1, &upload, &theirs).await.unwrap();
        cluster.finish(0, &upload, &theirs).await.unwrap();
        assert_eq!(cluster.pull(2, &sha256(&theirs)).await.unwrap(), theirs);
    }
}

async fn a_checkpoint_that_was_not_recorded_does_not_spoil_the_one_before(on: On) {
    let cluster = Cluster::new(on).await;
    let bytes = pattern(LARGE);
    let upload = cluster.begin(0).await;
    cluster.append(0, &upload, &bytes.slice(..700_000)).await.unwrap();
    cluster.alter("CREATE TABLE uploads_before AS SELECT * FROM uploads").await;
    cluster.append(1, &upload, &pattern(300_000)).await.unwrap();
    // Killed between putting the bytes aside and noting them.
    cluster.alter("DELETE FROM uploads").await;
    cluster.alter("INSERT INTO uploads SELECT * FROM uploads_before").await;
    assert_eq!(cluster.progress(2, &upload).await.unwrap(), 700_000);
    cluster.append(2, &upload, &bytes.slice(700_000..)).await.unwrap();
    cluster.finish(0, &upload, &bytes).await.unwrap();
    assert_eq!(cluster.pull(1, &sha256(&bytes)).await.unwrap(), bytes);
}

async fn an_upload_whose_checkpoint_cannot_be_read_is_unknown_and_leaves_nothing(on: On) {
    let newer = |mut bytes: Vec<u8>| {
        bytes[0] += 1;
        Some(bytes)
    };
    let cut = |bytes: Vec<u8>| Some(bytes[..100].to_vec());
    let gone = |_| None;
    let harms: [&dyn Fn(Vec<u8>) -> Option<Vec<u8>>; 3] = [&newer, &cut, &gone];
    let cluster = Cluster::new(on).await;
    for harm in harms {
        let upload = cluster.begin(0).await;
        cluster.append(0, &upload, &pattern(LARGE)).await.unwrap();
        let table = cluster.dbs[0].operational();
        let rows = table.query("SELECT checkpoint FROM uploads", vec![]).await.unwrap();
        let harmed = harm(rows[0].blob(0).to_vec());
        table.execute("UPDATE uploads SET checkpoint = $1", vec![harmed.into()]).await.unwrap();
        assert!(is_unknown(&cluster.append(1, &upload, &pattern(10)).await));
        assert!(is_unknown(&cluster.progress(0, &upload).await));
        assert_eq!(cluster.stored().await, (0, 0));
    }
}

async fn a_chunk_that_is_refused_leaves_the_upload_where_another_replica_put_it(on: On) {
    let cluster = Cluster::new(on).await;
    let bytes = pattern(LARGE);
    let upload = cluster.begin(0).await;
    cluster.append(0, &upload, &bytes.slice(..500_000)).await.unwrap();
    let range = ContentRange::parse("500000-1199999").unwrap();
    let short = cluster.replicas[1].append_upload(upload.clone(), Some(range), whole(&pattern(9))).await;
    assert!(matches!(short, Err(Error::ChunkSize { .. })), "{short:?}");
    assert_eq!(cluster.progress(2, &upload).await.unwrap(), 500_000);
    let broken = broken_after(&bytes.slice(500_000..500_100));
    let broken = cluster.replicas[2].append_upload(upload.clone(), None, broken).await;
    assert!(matches!(broken, Err(Error::BodyBroken { received: 500_100, .. })), "{broken:?}");
    cluster.append(0, &upload, &bytes.slice(500_100..)).await.unwrap();
    cluster.finish(1, &upload, &bytes).await.unwrap();
    assert_eq!(cluster.pull(2, &sha256(&bytes)).await.unwrap(), bytes);
}

async fn a_bucket_that_is_away_is_temporary_and_loses_no_upload(on: On) {
    let cluster = Cluster::new(on).await;
    let bytes = pattern(LARGE);
    let upload = cluster.begin(0).await;
    cluster.append(0, &upload, &bytes.slice(..500_000)).await.unwrap();
    cluster.bucket.set_away(true);
    let error = cluster.append(1, &upload, &bytes.slice(500_000..)).await.unwrap_err();
    assert!(error.is_temporary(), "{error:?}");
    let (repository, digest) = (name("a"), sha256(&bytes));
    let pushed = cluster.replicas[2].push_blob(&repository, Actor::anonymous(), &digest, whole(&bytes)).await;
    let error = pushed.unwrap_err();
    assert!(error.is_temporary(), "{error:?}");
    cluster.bucket.set_away(false);
    assert_eq!(cluster.progress(2, &upload).await.unwrap(), 500_000);
    cluster.append(2, &upload, &bytes.slice(500_000..)).await.unwrap();
    cluster.finish(0, &upload, &bytes).await.unwrap();
    cluster.bucket.set_away(true);
    let blob = cluster.replicas[1].blob(&name("a"), &sha256(&bytes)).await.unwrap();
    assert!(cluster.replicas[1].open_blob(&blob, None).await.err().unwrap().is_temporary());
    let error = verify(&cluster.dbs[0], &DataPlane::new(Arc::new(cluster.backend.clone())), |_| ())
        .await
        .unwrap_err();
    assert!(error.is_temporary(), "nothing was found out about any byte: {error:?}");
}

async fn an_upload_that_two_replicas_finish_is_one_blob_whoever_is_second(on: On) {
    let cluster = Cluster::new(on).await;
    let cases = [(Op::Publish, sha256 as fn(&[u8]) -> Digest), (Op::ReadStaged, sha512)];
    for (n, (op, digest)) in cases.into_iter().enumerate() {
        let bytes = pattern(LARGE + n);
        let upload = cluster.begin(0).await;
        cluster.append(0, &upload, &bytes).await.unwrap();
        let hold = cluster.faults.hold(op);
        let stalled = tokio::spawn({
            let (replica, upload) = (cluster.replicas[0].clone(), upload.clone());
            let digest = digest(&bytes);
            async move { replica.finish_upload(upload, digest, None, empty()).await }
        });
        hold.reached().await;
        cluster.clock.advance(sessions::LEASE + 1);
        cluster.replicas[1].finish_upload(upload.clone(), digest(&bytes), None, empty()).await.unwrap();
        hold.release();
        stalled.await.unwrap().unwrap();
        assert_eq!(cluster.pull(2, &digest(&bytes)).await.unwrap(), bytes, "{op:?}");
        assert_eq!(cluster.stored().await, (n + 1, 0), "{op:?}");
    }
}

async fn a_close_while_the_bucket_is_away_can_be_repeated(on: On) {
    let cluster = Cluster::new(on).await;
    let cases = [
        (Op::Publish, sha256 as fn(&[u8]) -> Digest, LARGE),
        (Op::ReadStaged, sha512, LARGE + 1),
        (Op::Put, sha256, 0),
    ];
    for (n, (op, digest, len)) in cases.into_iter().enumerate() {
        let bytes = pattern(len + 1000);
        let upload = cluster.begin(0).await;
        cluster.append(0, &upload, &bytes.slice(..len)).await.unwrap();
        let hold = cluster.faults.hold(op);
        let close = async |at: usize| {
            let rest = whole(&bytes.slice(len..));
            cluster.replicas[at].finish_upload(upload.clone(), digest(&bytes), None, rest).await
        };
        let (refused, ()) = tokio::join!(close(0), async {
            hold.reached().await;
            cluster.bucket.set_away(true);
            hold.release();
        });
        assert!(refused.as_ref().is_err_and(Error::is_temporary), "{op:?}: {refused:?}");
        cluster.bucket.set_away(false);
        assert_eq!(cluster.progress(2, &upload).await.unwrap(), len as u64, "{op:?}");
        close(1).await.unwrap();
        assert_eq!(cluster.pull(2, &digest(&bytes)).await.unwrap(), bytes);
        assert_eq!(cluster.stored().await, (n + 1, 0), "{op:?}");
    }
}

async fn sweeps_of_many_replicas_take_what_is_old_and_nothing_else(on: On) {
    const DAY: i64 = 24 * 3600 * SECOND;
    let mut cluster = Cluster::new(on).await;
    let (bytes, other) = (pattern(LARGE), pattern(10));
    let finished = cluster.begin(0).await;
    cluster.append(0, &finished, &bytes).await.unwrap();
    cluster.finish(1, &finished, &bytes).await.unwrap();
    let idle = cluster.begin(1).await;
    cluster.append(1, &idle, &other).await.unwrap();
    drop(cluster.backend.stage(&"once-lost".parse().unwrap()).await.unwrap());
    cluster.clock.advance(DAY / 2);
    // What was there before a replica began belongs to the others.
    cluster.join().await;
    assert_eq!(cluster.replicas[3].sweep().await.unwrap(), Swept::default());
    let young = cluster.begin(2).await;
    cluster.append(2, &young, &other).await.unwrap();
    cluster.clock.advance(DAY / 2 + 1);
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| cluster.replicas[at].sweep());
    let swept = tokio::try_join!(a, b, c, d).unwrap();
    let swept = [swept.0, swept.1, swept.2, swept.3];
    assert_eq!(swept.iter().map(|swept| swept.sessions).sum::<u64>(), 2, "each session by one of them");
    // That of the session whose row one removed may be taken by another before that one gets to it.
    let leftovers = swept.iter().map(|swept| swept.leftovers).sum::<u64>();
    assert!(matches!(leftovers, 1 | 2), "{leftovers}");
    assert_eq!(cluster.pull(0, &sha256(&bytes)).await.unwrap(), bytes);
    assert!(is_unknown(&cluster.progress(0, &idle).await));
    cluster.finish(0, &young, &other).await.unwrap();
    assert_eq!(cluster.stored().await, (2, 0));
}

async fn of_many_writers_on_many_replicas_at_one_offset_one_wins(on: On) {
    let cluster = Arc::new(Cluster::new(on).await);
    let upload = cluster.begin(0).await;
    let mut expected = Vec::new();
    for round in 0..4_usize {
        let at = expected.len();
        let range = ContentRange::parse(&format!("{at}-{}", at + 1000 + round - 1)).unwrap();
        let write = |writer: u8| {
            let (cluster, upload) = (Arc::clone(&cluster), upload.clone());
            let chunk = Bytes::from(vec![writer; 1000 + round]);
            tokio::spawn(async move {
                let replica = &cluster.replicas[usize::from(writer) % 3];
                replica.append_upload(upload, Some(range), whole(&chunk)).await.is_ok().then_some(chunk)
            })
        };
        let mut winners = Vec::new();
        for writer in (0..6).map(write).collect::<Vec<_>>() {
            winners.extend(writer.await.unwrap());
        }
        assert_eq!(winners.len(), 1);
        expected.extend_from_slice(&winners[0]);
    }
    let expected = Bytes::from(expected);
    cluster.finish(1, &upload, &expected).await.unwrap();
    assert_eq!(cluster.pull(2, &sha256(&expected)).await.unwrap(), expected);
}

async fn a_session_of_nobody_is_unknown_at_once(on: On) {
    let cluster = Cluster::new(on).await;
    let nowhere =
        Upload { repository: name("a"), actor: Actor::anonymous(), id: UploadId::from_random([1; 20]) };
    assert!(is_unknown(&cluster.append(0, &nowhere, &pattern(1)).await));
    assert!(is_unknown(&cluster.progress(1, &nowhere).await));
}

/// Takes as long as claims are renewed, so on one engine.
#[tokio::test]
async fn a_claim_ran_out_while_its_bytes_were_made_durable() {
    let cluster = Cluster::new(On::Sqlite).await;
    let bytes = pattern(LARGE);
    let holds: Vec<_> = [Op::Suspend, Op::Publish].map(|op| cluster.faults.hold(op)).into();
    let upload = cluster.begin(0).await;
    let replica = cluster.replicas[0].clone();
    let (theirs, all) = (upload.clone(), bytes.clone());
    let pushed = tokio::spawn(async move {
        replica.append_upload(theirs.clone(), None, whole(&all)).await.unwrap();
        replica.finish_upload(theirs, sha256(&all), None, empty()).await
    });
    let until = async || {
        let sql = "SELECT lease_until FROM uploads";
        cluster.dbs[1].operational().query(sql, vec![]).await.unwrap()[0].integer(0)
    };
    for hold in holds {
        hold.reached().await;
        let before = until().await;
        cluster.clock.advance(sessions::LEASE - SECOND);
        while until().await == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Twice the time of a claim that nobody renews.
        cluster.clock.advance(sessions::LEASE - SECOND);
        hold.release();
    }
    pushed.await.unwrap().unwrap();
    assert_eq!(cluster.pull(1, &sha256(&bytes)).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_database_that_restarts_is_temporary_and_loses_no_upload() {
    let cluster = Cluster::new(On::Postgres).await;
    let Place::Postgres(database) = &cluster.place else { unreachable!("it was asked for") };
    let bytes = pattern(LARGE);
    let upload = cluster.begin(0).await;
    let mut at = 0;
    while at < LARGE {
        let end = (at + 300_000).min(LARGE);
        database.disconnect_all().await;
        let range = ContentRange::parse(&format!("{at}-{}", end - 1)).unwrap();
        let chunk = whole(&bytes.slice(at..end));
        match cluster.replicas[1].append_upload(upload.clone(), Some(range), chunk).await {
            Ok(progress) => assert_eq!(progress.received, end as u64),
            Err(error) => assert!(error.is_temporary(), "{error:?}"),
        }
        // What a client does that was told to come back.
        at = loop {
            match cluster.progress(2, &upload).await {
                Ok(received) => break usize::try_from(received).unwrap(),
                Err(error) => assert!(error.is_temporary(), "{error:?}"),
            }
        };
    }
    database.disconnect_all().await;
    while let Err(error) = cluster.finish(0, &upload, &bytes).await {
        assert!(error.is_temporary(), "{error:?}");
    }
    assert_eq!(cluster.pull(2, &sha256(&bytes)).await.unwrap(), bytes);
}

#[tokio::test]
async fn what_one_replica_deleted_or_moved_no_other_serves() {
    let cluster = Cluster::new(On::Postgres).await;
    let (repository, actor) = (name("a"), Actor::anonymous());
    let bytes = pattern(100);
    let digest = sha256(&bytes);
    cluster.replicas[0].push_blob(&repository, actor.clone(), &digest, whole(&bytes)).await.unwrap();
    let tag: Reference = "v1".parse().unwrap();
    for seed in ["one", "two", "three"] {
        let index = json(&serde_json::json!({"schemaVersion": 2, "mediaType": media::OCI_IMAGE_INDEX,
            "manifests": [], "annotations": {"seed": seed}}));
        let pushed = cluster.replicas[0].push_manifest(&repository, actor.clone(), &tag, vec![], None, index);
        let pushed = pushed.await.unwrap();
        for replica in &cluster.replicas {
            // Twice: the second answer comes from the cache, which the next push makes stale.
            for _ in 0..2 {
                assert_eq!(
                    replica.manifest(&repository, &tag).await.unwrap().digest,
                    pushed.digest,
                    "{seed}"
                );
            }
        }
    }
    for replica in &cluster.replicas {
        replica.blob(&repository, &digest).await.unwrap();
    }
    cluster.replicas[1].delete_blob(&repository, actor.clone(), &digest).await.unwrap();
    cluster.replicas[2].delete_manifest(&repository, actor, &tag).await.unwrap();
    for replica in &cluster.replicas {
        assert!(matches!(replica.blob(&repository, &digest).await, Err(Error::BlobUnknown(_))));
        assert!(matches!(replica.manifest(&repository, &tag).await, Err(Error::ManifestUnknown(_))));
    }
}

#[tokio::test]
async fn what_cannot_be_checked_against_the_database_is_not_served() {
    let cluster = Cluster::new(On::Postgres).await;
    let (repository, bytes) = (name("a"), pattern(100));
    let digest = sha256(&bytes);
    let replica = &cluster.replicas[0];
    replica.push_blob(&repository, Actor::anonymous(), &digest, whole(&bytes)).await.unwrap();
    replica.blob(&repository, &digest).await.unwrap();
    cluster.dbs[0].close().await;
    let error = replica.blob(&repository, &digest).await.unwrap_err();
    assert!(matches!(error, Error::Log(_) | Error::Db(_)), "{error:?}");
    cluster.replicas[1].blob(&repository, &digest).await.unwrap();
}
