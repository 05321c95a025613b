//! The bucket is slow, unwilling, cut off and forgetful: clients see an error that is one, or success; never other bytes.

use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::crowd::{Crowd, Habits};
use crate::plan::{Plan, shared_storage};
use crate::proxy::{Operation, Proxy, StorageFault, StorageFaults};
use crate::seed;
use crate::support::{Answer, Client, Content, alone, push};

const SMALL: Content = Content { seed: 1, length: 1000 };

/// Travels in two parts.
const LARGE: Content = Content { seed: 2, length: 9 * 1024 * 1024 + 333 };

/// More often than the replica tries.
const ALWAYS: u64 = 1000;

/// A replica that gives up on a silent bucket soon, and the proxy in front of the bucket.
struct Lab {
    cluster: Cluster,
    proxy: Proxy<StorageFaults>,
}

impl Lab {
    fn start(seed: u64, settings: &[(&str, &str)]) -> Self {
        Self::replicas(1, seed, settings)
    }

    fn replicas(count: usize, seed: u64, settings: &[(&str, &str)]) -> Self {
        let proxy = Proxy::start(shared_storage().address, StorageFaults::new(seed));
        let plan = Plan::new().storage_through(proxy.address);
        let plan = settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value));
        Self { cluster: plan.start(count), proxy }
    }

    fn client(&self) -> Client {
        self.cluster.client(0)
    }

    fn faults(&self) -> &StorageFaults {
        &self.proxy.faults
    }
}

/// Settings with which a silent bucket is given up in seconds.
const QUICK: [(&str, &str); 2] = [("STORAGE_S3_IDLE_TIMEOUT", "2s"), ("STORAGE_S3_ATTEMPTS", "3")];

/// The ways to push a blob.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// `POST ?digest=`
    Once,
    /// `POST`, `PATCH`, `PATCH`, `PUT`.
    Chunks,
}

/// Pushes until something is refused; that answer or the last one.
fn push_by(way: Way, client: &mut Client, content: Content) -> io::Result<Answer> {
    if way == Way::Once {
        return push(client, "some/app", content);
    }
    let begun = client.send("POST", "/v2/some/app/blobs/uploads/", &[], b"")?;
    if begun.status != 202 {
        return Ok(begun);
    }
    let (bytes, location) = (content.bytes(), begun.location());
    for half in bytes.chunks(bytes.len() / 2 + 1) {
        let answer = client.send("PATCH", &location, &[], half)?;
        if answer.status != 202 {
            return Ok(answer);
        }
    }
    client.send("PUT", &format!("{location}?digest={}", content.digest()), &[], b"")
}

fn blob(content: Content) -> String {
    format!("/v2/some/app/blobs/{}", content.digest())
}

/// An answer that a client understands: success, a failure of the server, or none at all.
#[track_caller]
fn is_clean(case: &str, answer: &io::Result<Answer>) {
    match answer {
        Ok(answer) if answer.status == 503 => {
            assert!(answer.header("retry-after").is_some(), "{case}: {answer:?}");
        }
        Ok(answer) => assert!(matches!(answer.status, 201 | 500..600), "{case}: {answer:?}"),
        Err(_) => {}
    }
}

#[test]
fn what_the_bucket_does_to_a_push_its_client_is_told() {
    pushes_meet(&[StorageFault::SlowDown, StorageFault::ResetRequest(700), StorageFault::LoseAnswer]);
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn whatever_the_bucket_does_to_a_push_its_client_is_told_the_truth() {
    use StorageFault::{Internal, ResetAnswer, ResetRequest, SlowDown, Stall, StallAnswer, TruncateAnswer};
    let long = Duration::from_secs(4);
    pushes_meet(&[
        SlowDown,
        Internal,
        ResetRequest(0),
        ResetRequest(3_000_000),
        StorageFault::LoseAnswer,
        TruncateAnswer(0),
        ResetAnswer(20),
        Stall(long),
        StallAnswer(0, long),
    ]);
}

/// Each way to push meets each fault at each kind of request, once and for good.
fn pushes_meet(faults: &[StorageFault]) {
    use Operation::{Begin, Complete, Part, Put};
    use StorageFault::{Stall, StallAnswer};
    use Way::{Chunks, Once};
    let _alone = alone();
    let seed = seed();
    let lab = Lab::start(seed, &QUICK);
    let ways: [(Way, Content, &[Operation]); 6] = [
        (Once, SMALL, &[Put]),
        (Chunks, SMALL, &[Put]),
        (Once, LARGE, &[Begin]),
        (Once, LARGE, &[Part]),
        (Chunks, LARGE, &[Part]),
        (Once, LARGE, &[Complete]),
    ];
    let (mut refused, mut survived) = (0, 0);
    let cases = ways.iter().flat_map(|way| faults.iter().map(move |fault| (way, *fault)));
    for (number, ((way, content, operations), fault)) in cases.enumerate() {
        // Once: the replica tries again. Always: it cannot win. Always takes as long as the stall, often.
        let is_stall = matches!(fault, Stall(_) | StallAnswer(..));
        for times in if is_stall { &[1][..] } else { &[1, ALWAYS] } {
            let case = format!("{way:?} of {} bytes, {fault:?} x {times} to {operations:?}", content.length);
            let content = Content { seed: 100 + 2 * number as u64 + times % 2, ..*content };
            lab.faults().arm(operations, *times, fault);
            let begun = Instant::now();
            let answer = push_by(*way, &mut lab.client(), content);
            let struck = lab.faults().disarm();
            assert!(struck > 0, "{case}: nothing went wrong, {:?}", lab.faults().take_seen());
            is_clean(&case, &answer);
            assert!(begun.elapsed() < Duration::from_secs(40), "{case} took {:.0?}", begun.elapsed());
            let is_stored = answer.is_ok_and(|answer| answer.status == 201);
            let found = lab.client().get(&blob(content)).unwrap();
            if is_stored {
                survived += 1;
                assert_eq!(found.status, 200, "{case}");
            } else {
                refused += 1;
            }
            assert!(matches!(found.status, 200 | 404), "{case}: {found:?}");
            assert!(found.status == 404 || found.body == content.bytes(), "{case}: other bytes");

            let again = push_by(*way, &mut lab.client(), content).unwrap();
            assert_eq!(again.status, 201, "{case}, and then again: {again:?}");
            assert!(lab.client().get(&blob(content)).unwrap().body == content.bytes(), "{case}: other bytes");
        }
    }
    println!("{survived} pushes survived what happened to them, {refused} were refused");
    assert!(survived > 0 && refused > 0, "both ends are met");
    lab.cluster.check_sweep();
    lab.cluster.check();
}

#[test]
fn whatever_the_bucket_does_to_a_pull_no_client_gets_other_bytes() {
    use StorageFault::{Internal, LoseAnswer, ResetAnswer, SlowDown, Stall, StallAnswer, TruncateAnswer};
    let _alone = alone();
    let seed = seed();
    let lab = Lab::start(seed, &QUICK);
    for content in [SMALL, LARGE] {
        push(&mut lab.client(), "some/app", content).unwrap().expect(201);
    }
    let long = Duration::from_secs(4);
    let faults = [
        SlowDown,
        Internal,
        LoseAnswer,
        ResetAnswer(0),
        ResetAnswer(500),
        ResetAnswer(6_000_000),
        TruncateAnswer(0),
        TruncateAnswer(999),
        TruncateAnswer(6_000_000),
        Stall(long),
        StallAnswer(0, long),
        StallAnswer(900, long),
        StallAnswer(6_000_000, long),
    ];
    let (mut broken, mut whole) = (0, 0);
    for (content, fault) in
        [SMALL, LARGE].into_iter().flat_map(|content| faults.map(|fault| (content, fault)))
    {
        let is_stall = matches!(fault, Stall(_) | StallAnswer(..));
        for times in if is_stall { &[1][..] } else { &[1, ALWAYS] } {
            let case = format!("{} bytes, {fault:?} x {times}", content.length);
            lab.faults().arm(&[Operation::Get], *times, fault);
            let (mut pieces, mut length) = (content.pieces(), 0);
            let mut body = Vec::new();
            let answer = lab.client().pull(&blob(content), |bytes| {
                if body.is_empty() && !pieces.go_on_with(bytes) {
                    body.extend_from_slice(bytes); // an error has a body too
                }
                length += bytes.len() as u64;
            });
            assert!(lab.faults().disarm() > 0, "{case}: nothing went wrong, {:?}", lab.faults().take_seen());
            match answer {
                Ok(200) => {
                    assert!(body.is_empty() && length == content.length, "{case}: other bytes");
                    whole += 1;
                }
                Ok(status) => {
                    assert!((500..600).contains(&status), "{case}: {status}");
                    broken += 1;
                }
                Err(_) => {
                    assert!(body.is_empty(), "{case}: other bytes, and then an end");
                    broken += 1;
                }
            }
            assert!(lab.client().get(&blob(content)).unwrap().expect(200).body == content.bytes(), "{case}");
        }
    }
    println!("{whole} pulls survived what happened to them, {broken} did not");
    assert!(whole > 0 && broken > 0, "both ends are met");
    lab.cluster.check();
}

/// An answer that never comes is not an upload that never ends.
#[test]
fn a_lost_answer_to_complete_is_found_out() {
    let _alone = alone();
    let lab = Lab::start(seed(), &QUICK);
    for seed in 60..64 {
        let content = Content { seed, ..LARGE };
        lab.faults().arm(&[Operation::Complete], 1, StorageFault::LoseAnswer);
        push(&mut lab.client(), "some/app", content).unwrap().expect(201);
        assert_eq!(lab.faults().disarm(), 1);
        assert!(lab.client().get(&blob(content)).unwrap().expect(200).body == content.bytes());
    }
    assert_eq!(lab.cluster.bucket.multiparts(), []);
    lab.cluster.check();
}

#[test]
fn many_clients_get_through_a_storm_of_503_and_broken_connections() {
    use StorageFault::{Internal, LoseAnswer, ResetAnswer, ResetRequest, SlowDown, TruncateAnswer};
    let _alone = alone();
    let seed = seed();
    let lab = Lab::replicas(2, seed, &QUICK);
    let crowd = Crowd::new(&lab.cluster, seed);
    let habits = Habits { clients: 16, steps: 4, large: 60 };
    crowd.push(habits, || {
        for (share, fault) in [
            (150, SlowDown),
            (50, Internal),
            (50, ResetRequest(100_000)),
            (50, ResetAnswer(10)),
            (50, TruncateAnswer(100)),
            (50, LoseAnswer),
        ] {
            lab.faults().arm_share(&[], share, u64::MAX, fault);
        }
    });
    // The clients did their steps with the faults armed: nothing ends them earlier.
    let struck = lab.faults().disarm();
    println!("{struck} requests to the bucket went wrong: {}", crowd.report());
    assert!(struck > 50, "{struck}");
    crowd.check();
    lab.cluster.check_sweep();
    lab.cluster.check();
}

#[test]
fn a_bucket_that_is_away_for_a_while_is_told_to_clients_and_harms_nothing() {
    let _alone = alone();
    let lab = Lab::start(seed(), &QUICK);
    push(&mut lab.client(), "some/app", SMALL).unwrap().expect(201);
    lab.client().get("/readyz").unwrap().expect(200);
    lab.proxy.close();
    for content in [Content { seed: 70, ..SMALL }, Content { seed: 70, ..LARGE }] {
        let answer = push(&mut lab.client(), "some/app", content);
        is_clean("away", &answer);
        assert!(
            answer.is_ok_and(|answer| answer.status == 503),
            "the log and the client know that it is away"
        );
    }
    let ready = lab.client().get("/readyz").unwrap().expect(503);
    lab.cluster.keeps_secrets(&String::from_utf8_lossy(&ready.body));
    lab.client().get("/livez").unwrap().expect(200);
    // What needs no bytes goes on.
    lab.client().head(&blob(SMALL)).unwrap().expect(200);
    let pull = lab.client().get(&blob(SMALL)).unwrap();
    assert!((500..600).contains(&pull.status), "{pull:?}");
    lab.proxy.open();
    lab.client().get("/readyz").unwrap().expect(200);
    push(&mut lab.client(), "some/app", Content { seed: 70, ..LARGE }).unwrap().expect(201);
    lab.client().get(&blob(SMALL)).unwrap().expect(200);
    lab.cluster.check_sweep();
    lab.cluster.check();
}

/// With the time-outs as they are when nobody sets them.
#[test]
#[ignore = "minutes; run with --include-ignored"]
fn stalls_of_30_seconds_end_in_success() {
    let _alone = alone();
    let lab = Lab::start(seed(), &[]);
    let stall = Duration::from_secs(35);
    let cases = [
        (SMALL, Operation::Put, StorageFault::Stall(stall)),
        (LARGE, Operation::Part, StorageFault::Stall(stall)),
        (LARGE, Operation::Part, StorageFault::StallAnswer(0, stall)),
        (LARGE, Operation::Complete, StorageFault::Stall(stall)),
    ];
    // All at once, each meets one of the stalls.
    let together = Barrier::new(cases.len());
    for (_, operation, fault) in cases {
        lab.faults().arm(&[operation], 1, fault);
    }
    thread::scope(|scope| {
        for ((content, ..), seed) in cases.into_iter().zip(80..) {
            let (lab, together) = (&lab, &together);
            scope.spawn(move || {
                let (mut client, content) = (lab.client(), Content { seed, ..content });
                client.patience(Duration::from_mins(3)).unwrap();
                together.wait();
                push(&mut client, "some/app", content).unwrap().expect(201);
                assert!(client.get(&blob(content)).unwrap().expect(200).body == content.bytes());
            });
        }
    });
    assert_eq!(lab.faults().disarm(), cases.len() as u64);
    lab.cluster.check_sweep();
    lab.cluster.check();
}
