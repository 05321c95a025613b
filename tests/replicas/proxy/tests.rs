//! The faults are what they say they are.

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

use super::{DatabaseFault, DatabaseFaults, Operation, Proxy, StorageFault, StorageFaults};
use crate::bucket::{Bucket, client};
use crate::database::Database;
use crate::plan::{shared_database, shared_storage};
use crate::runtime::wait;
use crate::support::{Content, alone};

const CONTENT: Content = Content { seed: 1, length: 3_000_000 };

#[test]
fn a_storage_fault_strikes_the_request_it_is_meant_for_and_no_other() {
    let _alone = alone();
    let bucket = Bucket::create(&shared_storage());
    let proxy = Proxy::start(bucket.service.address, StorageFaults::new(1));
    // Tries once.
    let s3 = client(&bucket.service.at(proxy.address), 1);
    let put = |key: &str| {
        let body = ByteStream::from(CONTENT.bytes());
        wait(s3.put_object().bucket(&bucket.name).key(key).body(body).send()).is_ok()
    };
    let get = |key: &str| {
        wait(async {
            let answer = s3.get_object().bucket(&bucket.name).key(key).send().await.ok()?;
            Some(answer.body.collect().await.ok()?.to_vec())
        })
    };
    let exists = |key: &str| bucket.objects("").contains(&key.to_owned());
    let faults = &proxy.faults;
    assert!(put("whole"));
    assert_eq!(get("whole"), Some(CONTENT.bytes()));
    assert_eq!(faults.take_seen(), [Operation::Put, Operation::Get]);

    for (number, (fault, stored)) in [
        (StorageFault::SlowDown, false),
        (StorageFault::Internal, false),
        (StorageFault::ResetRequest(1000), false),
        (StorageFault::LoseAnswer, true),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("put-{number}");
        faults.arm(&[Operation::Put], 1, fault);
        assert_eq!(get("whole"), Some(CONTENT.bytes()), "{fault:?} is not meant for it");
        assert!(!put(&key), "{fault:?}");
        assert_eq!((faults.disarm(), exists(&key)), (1, stored), "{fault:?}");
        assert!(put(&key));
    }
    for fault in [
        StorageFault::SlowDown,
        StorageFault::ResetAnswer(1000),
        StorageFault::TruncateAnswer(2_999_999),
        StorageFault::LoseAnswer,
    ] {
        faults.arm(&[Operation::Get], 1, fault);
        assert_eq!(get("whole"), None, "{fault:?}");
        assert_eq!(faults.disarm(), 1);
    }
    let stall = Duration::from_millis(300);
    for fault in [StorageFault::Stall(stall), StorageFault::StallAnswer(1000, stall)] {
        faults.arm(&[Operation::Get], 1, fault);
        let begun = Instant::now();
        assert_eq!(get("whole"), Some(CONTENT.bytes()), "{fault:?}");
        assert!(faults.disarm() == 1 && begun.elapsed() >= stall);
    }
    proxy.close();
    assert_eq!(get("whole"), None);
    proxy.open();
    assert_eq!(get("whole"), Some(CONTENT.bytes()));
}

#[test]
fn a_database_fault_cuts_where_it_says() {
    let _alone = alone();
    let database = Database::create(&shared_database());
    database.execute("CREATE TABLE numbers (number bigint)");
    let proxy = Proxy::start(database.place.address, DatabaseFaults::new(1));
    let place = database.place.at(proxy.address).to_string();
    let insert = |number: i64| {
        wait(async {
            let mut connection = PgConnection::connect(&place).await?;
            let mut tx = connection.begin().await?;
            sqlx::query("INSERT INTO numbers VALUES ($1)").bind(number).execute(&mut *tx).await?;
            tx.commit().await
        })
    };
    let holds = |number: i64| {
        // The server may not have noticed yet that the client is gone.
        database.execute("BEGIN; LOCK TABLE numbers; COMMIT");
        database.number(&format!("SELECT COUNT(*) FROM numbers WHERE number = {number}"))
    };
    insert(1).unwrap();
    proxy.faults.arm(DatabaseFault::BeforeCommit, 1000, 1);
    insert(2).unwrap_err();
    proxy.faults.disarm();
    proxy.faults.arm(DatabaseFault::AfterCommit, 1000, 1);
    insert(3).unwrap_err();
    proxy.faults.disarm();
    proxy.faults.arm(DatabaseFault::AtAny, 1000, 1);
    insert(4).unwrap_err();
    assert_eq!(proxy.faults.disarm(), 1);
    insert(5).unwrap();
    assert_eq!([1, 2, 3, 4, 5].map(holds), [1, 0, 1, 0, 1]);

    proxy.faults.set_delay(Duration::from_millis(50));
    wait(async {
        let mut connection = PgConnection::connect(&place).await.unwrap();
        let begun = Instant::now();
        connection.execute("SELECT 1").await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(50));
    });
}
