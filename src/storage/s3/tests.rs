//! Against real servers, which the environment names.

use std::sync::Arc;

use super::keys::fresh;
use super::*;
use crate::storage::testing::{Faulty, contract};

/// A server that tests may use.
#[derive(Clone, Copy, Debug)]
enum Server {
    Rgw,
    Versity,
}

impl Server {
    /// Options for a new prefix of a new bucket.
    async fn options(self) -> Options {
        let variable = match self {
            Self::Rgw => "ARTIFACTSTORE_TEST_S3_RGW",
            Self::Versity => "ARTIFACTSTORE_TEST_S3_VERSITY",
        };
        let url = std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set; start the services with `eval \"$(tests/services up DIR)\"`")
        });
        let (key, host) =
            url.trim_start_matches("http://").split_once('@').expect("http://ACCESS:SECRET@HOST");
        let (access, secret) = key.split_once(':').expect("http://ACCESS:SECRET@HOST");
        let options = Options {
            prefix: "in/here/".to_owned(),
            endpoint: Some(format!("http://{host}")),
            path_style: true,
            credentials: Some(Credentials {
                access_key_id: access.to_owned(),
                secret_access_key: secret.into(),
                session_token: None,
            }),
            part_size: 5 * 1024 * 1024,
            ..Options::new(format!("test-{}", fresh()))
        };
        let bucket = Bucket::open(&options).await;
        bucket.client.create_bucket().bucket(&options.bucket).send().await.expect("a bucket can be made");
        options
    }
}

async fn keeps_the_contract(server: Server, wrap: impl Fn(Arc<dyn Backend>) -> Arc<dyn Backend>) {
    let options = server.options().await;
    contract(async || {
        let options = Options { prefix: format!("{}/", fresh()), ..options.clone() };
        wrap(Arc::new(S3::open_untried(&options).await))
    })
    .await;
}

#[tokio::test]
async fn rgw_keeps_the_contract() {
    keeps_the_contract(Server::Rgw, |backend| backend).await;
}

#[tokio::test]
async fn versity_keeps_the_contract() {
    keeps_the_contract(Server::Versity, |backend| backend).await;
}

#[tokio::test]
async fn rgw_keeps_the_contract_behind_the_fault_wrapper() {
    keeps_the_contract(Server::Rgw, |backend| Arc::new(Faulty::new(backend))).await;
}
