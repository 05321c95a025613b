//! What a server under test keeps its registry in, as `ARTIFACTSTORE_TEST_ENGINE` says: `embedded` (a directory, the
//! default) or `production` (PostgreSQL and a bucket on Ceph RGW, as `tests/services` exports them).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::runtime::Runtime;

/// Whether servers run on PostgreSQL and a bucket.
pub(crate) fn is_production() -> bool {
    match std::env::var("ARTIFACTSTORE_TEST_ENGINE").as_deref() {
        Ok("production") => true,
        Ok("embedded") | Err(std::env::VarError::NotPresent) => false,
        other => panic!("ARTIFACTSTORE_TEST_ENGINE is {other:?}; it can be embedded or production"),
    }
}

/// A database and a bucket nobody else uses. They go away with their value, whoever is connected.
#[derive(Debug)]
pub(crate) struct Engine {
    database: String,
    bucket: String,
    client: Client,
}

impl Engine {
    pub(crate) fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (process, (access, secret, endpoint)) = (std::process::id(), service());
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(access, secret, None, None, "tests"))
            .force_path_style(true);
        let (database, bucket) = (format!("it_{process}_{number}"), format!("it-{process}-{number}"));
        let engine = Self { database, bucket, client: Client::from_conf(config.build()) };
        runtime().block_on(async {
            execute(&format!("CREATE DATABASE {}", engine.database)).await.unwrap();
            engine.client.create_bucket().bucket(&engine.bucket).send().await.unwrap();
        });
        engine
    }

    /// The settings of a server on them.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let (access, secret, endpoint) = service();
        let postgres = variable("ARTIFACTSTORE_TEST_POSTGRES");
        let (server, _) = postgres.rsplit_once('/').expect("a URL that names a database");
        vec![
            ("ARTIFACTSTORE_DATABASE_URL", format!("{server}/{}", self.database)),
            ("ARTIFACTSTORE_STORAGE_BACKEND", "s3".to_owned()),
            ("ARTIFACTSTORE_STORAGE_S3_BUCKET", self.bucket.clone()),
            ("ARTIFACTSTORE_STORAGE_S3_ENDPOINT", endpoint),
            ("ARTIFACTSTORE_STORAGE_S3_REGION", "us-east-1".to_owned()),
            ("ARTIFACTSTORE_STORAGE_S3_PATH_STYLE", "true".to_owned()),
            ("ARTIFACTSTORE_STORAGE_S3_ACCESS_KEY_ID", access),
            ("ARTIFACTSTORE_STORAGE_S3_SECRET_ACCESS_KEY", secret),
        ]
    }

    /// From now on the bucket keeps every version of an object.
    pub(crate) fn keep_versions(&self) {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let ask = self.client.put_bucket_versioning().bucket(&self.bucket).versioning_configuration(on);
        runtime().block_on(ask.send()).unwrap();
    }

    /// Writes an object behind the back of the program.
    pub(crate) fn put(&self, key: &str, bytes: Vec<u8>) {
        let put = self.client.put_object().bucket(&self.bucket).key(key).body(bytes.into());
        runtime().block_on(put.send()).unwrap();
    }

    /// A small object as text.
    pub(crate) fn get(&self, key: &str) -> String {
        let object = self.client.get_object().bucket(&self.bucket).key(key);
        let bytes = runtime().block_on(async { object.send().await.unwrap().body.collect().await.unwrap() });
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// Everything in the bucket: keys and versions.
    pub(crate) fn versions(&self) -> Vec<(String, String)> {
        let page = self.client.list_object_versions().bucket(&self.bucket);
        let page = runtime().block_on(page.send()).unwrap();
        assert_ne!(page.is_truncated(), Some(true), "no test leaves a thousand");
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        page.versions().iter().map(|object| (text(object.key()), text(object.version_id()))).collect()
    }

    /// What must never be shown.
    pub(crate) fn secret() -> String {
        service().1
    }

    /// Removes everything in the bucket, and the bucket.
    async fn empty(&self) -> Result<(), aws_sdk_s3::Error> {
        let (client, bucket) = (&self.client, &self.bucket);
        for upload in client.list_multipart_uploads().bucket(bucket).send().await?.uploads() {
            let abort = client.abort_multipart_upload().bucket(bucket);
            abort.set_key(upload.key.clone()).set_upload_id(upload.upload_id.clone()).send().await?;
        }
        loop {
            let page = client.list_object_versions().bucket(bucket).send().await?;
            let objects = page.versions().iter().map(|object| (&object.key, &object.version_id));
            let markers = page.delete_markers().iter().map(|marker| (&marker.key, &marker.version_id));
            let all: Vec<_> = objects.chain(markers).collect();
            if all.is_empty() {
                break;
            }
            for (key, version) in all {
                let delete = client.delete_object().bucket(bucket).set_key(key.clone());
                delete.set_version_id(version.clone()).send().await?;
            }
        }
        client.delete_bucket().bucket(bucket).send().await?;
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A second panic would hide the first; what is left behind ends with the services.
        runtime().block_on(async {
            if let Err(error) = execute(&format!("DROP DATABASE {} WITH (FORCE)", self.database)).await {
                eprintln!("{} is left behind: {error}", self.database);
            }
            if let Err(error) = self.empty().await {
                eprintln!("{} is left behind: {error}", self.bucket);
            }
        });
    }
}

/// One for all tests: the services' clients keep connections in it.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime can be built"))
}

async fn execute(statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&variable("ARTIFACTSTORE_TEST_POSTGRES")).await?;
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
    connection.close().await
}

/// Access key, secret and endpoint of the service with the buckets.
fn service() -> (String, String, String) {
    let url = variable("ARTIFACTSTORE_TEST_S3_RGW");
    let parts = url.strip_prefix("http://").and_then(|rest| rest.split_once('@'));
    let (login, address) = parts.expect("ARTIFACTSTORE_TEST_S3_RGW is http://ACCESS:SECRET@HOST:PORT");
    let (access, secret) = login.split_once(':').expect("an access key and a secret");
    (access.to_owned(), secret.to_owned(), format!("http://{address}"))
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; start the services with: eval \"$(tests/services up DIR)\"")
    })
}
