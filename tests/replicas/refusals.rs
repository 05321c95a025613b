//! What a replica does not start with, in one sentence, and without telling a secret.

use std::net::TcpListener;

use crate::cluster::PREFIX;
use crate::database::Database;
use crate::plan::Plan;
use crate::postgres::Postgres;
use crate::support::{Content, alone, push};

/// Found nowhere else, so that it can be looked for.
const WRONG: &str = "wrong-secret-of-the-tests";

/// An address that refuses connections.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    address.to_string()
}

#[test]
fn a_bucket_that_cannot_be_used_stops_the_start() {
    let _alone = alone();
    let cluster = Plan::new().set("STORAGE_S3_ATTEMPTS", "2").prepare();
    let hint = ["does not accept the credentials", "check storage.s3.secret_access_key"];
    let said = cluster.refuses(&[("STORAGE_S3_SECRET_ACCESS_KEY", WRONG)], &hint);
    let hint = ["does not accept the credentials", "storage.s3.access_key_id"];
    assert!(!said.contains(WRONG), "{said}");
    cluster.refuses(&[("STORAGE_S3_ACCESS_KEY_ID", "nobody-knows-it")], &hint);
    cluster.refuses(&[("STORAGE_S3_BUCKET", "there-is-no-such-bucket")], &["there-is-no-such-bucket"]);
    let nobody = format!("http://{}", nobody());
    cluster.refuses(&[("STORAGE_S3_ENDPOINT", &nobody)], &[&nobody]);
    // Something that accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let settings = [("STORAGE_S3_ENDPOINT", endpoint.as_str()), ("STORAGE_S3_IDLE_TIMEOUT", "2s")];
    cluster.refuses(&settings, &[&endpoint]);
}

#[test]
fn a_database_that_cannot_be_used_stops_the_start() {
    let _alone = alone();
    let postgres = Postgres::start();
    let cluster = Plan::new().database(postgres.admin()).set("DATABASE_CONNECT_TIMEOUT", "3s").prepare();
    let place = cluster.database.place.clone();
    let url = |place: crate::place::Place| place.to_string();

    let said = cluster.refuses(&[("DATABASE_URL", &url(place.with_password(WRONG)))], &["password"]);
    assert!(!said.contains(WRONG), "{said}");
    cluster.refuses(&[("DATABASE_URL", &url(place.with_path("no_such_database")))], &["no_such_database"]);
    let nobody = nobody();
    cluster.refuses(&[("DATABASE_URL", &url(place.at(nobody.parse().unwrap())))], &[&nobody]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    cluster.refuses(&[("DATABASE_URL", &url(place.at(silent)))], &[&silent.to_string()]);

    let foreign = Database::create(&postgres.admin());
    foreign.execute("CREATE TABLE customers (id bigint)");
    cluster.refuses(&[("DATABASE_URL", &url(foreign.place.clone()))], &["another program"]);
    assert_eq!(
        foreign.number("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'"),
        1,
        "and leaves it alone"
    );
}

#[test]
fn a_bucket_of_another_registry_is_refused() {
    let _alone = alone();
    let cluster = Plan::new().start(1);
    push(&mut cluster.client(0), "some/app", Content { seed: 1, length: 1000 }).unwrap().expect(201);
    let other = Database::create(&crate::plan::shared_database());
    let url = other.place.to_string();
    cluster.refuses(&[("DATABASE_URL", &url)], &[&cluster.bucket.name, "registry"]);
    let objects = cluster.bucket.objects("");
    assert!(objects.iter().all(|key| key.starts_with(PREFIX)), "{objects:?}");
    cluster.check();
}

#[test]
fn a_second_replica_with_another_prefix_was_ready_and_had_none_of_the_objects() {
    let _alone = alone();
    let cluster = Plan::new().start(1);
    let words = ["the objects of this registry are in place", "a new one", "storage.s3.prefix"];
    cluster.refuses(&[("STORAGE_S3_PREFIX", "registy/")], &words);
    push(&mut cluster.client(0), "some/app", Content { seed: 1, length: 1000 }).unwrap().expect(201);
    cluster.refuses(&[("STORAGE_S3_PREFIX", "registy/")], &words);
    let objects = cluster.bucket.objects("");
    assert!(objects.iter().all(|key| key.starts_with(PREFIX)), "{objects:?}");
    cluster.check();
}
