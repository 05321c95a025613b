//! Collection without any grace beside clients of two replicas, over `PostgreSQL` and a bucket that keeps versions.

use crate::churn::{HASTY, WORKERS, Worker, end, work};
use crate::cluster::PREFIX;
use crate::place::Place;
use crate::plan::Plan;
use crate::support::{alone, setting};

#[test]
fn what_was_acknowledged_stays_while_two_replicas_collect() {
    let _alone = alone();
    let storage = Place::of_variable("ARTIFACTSTORE_TEST_S3_VERSITY");
    let plan = HASTY.iter().fold(Plan::new().storage(storage), |plan, (name, value)| plan.set(name, value));
    let cluster = plan.start(2);
    let replica = |number: u64| usize::try_from(number % 2).unwrap();
    let mut workers: Vec<Worker> =
        (0..WORKERS).map(|number| Worker::new(cluster.client(replica(number)), number)).collect();
    let collectors = vec![cluster.client(0), cluster.client(1)];
    let worked = work(collectors, &mut workers, setting("LOAD_GC_SECONDS", 8));
    println!("99 of 100 pushes take {:?} at most", worked.slow);
    assert!(worked.runs > 0 && worked.pushes > 0, "{worked:?}");
    end(&mut cluster.client(0), &mut workers);
    let left = cluster.bucket.objects(&format!("{PREFIX}blake3/"));
    assert!(left.is_empty(), "nothing names anything any more: {left:?}");
    cluster.check();
}
