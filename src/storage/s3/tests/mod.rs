//! What only a bucket can get wrong, against real servers: Ceph RGW and versitygw.

mod contract;
mod faults;
mod proxy;
mod servers;

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Credentials, Options, S3};
use crate::storage::Key;

/// A server to test against, out of the environment.
#[derive(Clone)]
pub(crate) struct Server {
    endpoint: String,
    credentials: Credentials,
}

impl Server {
    fn rgw() -> Self {
        Self::named("ARTIFACTSTORE_TEST_S3_RGW")
    }

    pub(crate) fn versity() -> Self {
        Self::named("ARTIFACTSTORE_TEST_S3_VERSITY")
    }

    fn named(variable: &str) -> Self {
        let url = std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set; run `eval \"$(tests/services up DIR)\"` first")
        });
        let (credentials, address) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('@'))
            .expect("http://ACCESS:SECRET@HOST:PORT");
        let (access, secret) = credentials.split_once(':').expect("http://ACCESS:SECRET@HOST:PORT");
        Self {
            endpoint: format!("http://{address}"),
            credentials: Credentials {
                access_key_id: access.to_owned(),
                secret_access_key: secret.into(),
                session_token: None,
            },
        }
    }

    /// Options for a bucket of this name.
    fn options(&self, bucket: &str) -> Options {
        Options {
            endpoint: Some(self.endpoint.clone()),
            credentials: Some(self.credentials.clone()),
            path_style: true,
            part_size: 5 << 20,
            ..Options::new(bucket)
        }
    }

    /// Makes a bucket of its own.
    async fn bucket(&self) -> Options {
        let options = self.options(&fresh("test"));
        let client = super::client::connect(&options, options.endpoint.as_deref()).await.unwrap();
        client.create_bucket().bucket(&options.bucket).send().await.unwrap();
        options
    }

    /// Opens a bucket of its own.
    pub(crate) async fn open(&self) -> S3 {
        S3::open(&self.bucket().await).await.unwrap()
    }
}

/// A name nobody else has.
fn fresh(what: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let ulid = ulid::Ulid::generate().to_string().to_lowercase();
    format!("{what}-{ulid}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}
