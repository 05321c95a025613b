//! The contract on every server, bare and behind the fault wrapper.

use std::sync::Arc;

use super::{Server, fresh};
use crate::storage::testing::{Faulty, Traits, contract_of};
use crate::storage::{Backend, S3};

/// S3 replaces silently and knows nothing of a staged write before its first suspend.
const TRAITS: Traits = Traits { writes_once: false, keeps_staged: false };

async fn contract(server: Server, wrap: impl Fn(S3) -> Arc<dyn Backend>) {
    // One bucket, and a prefix for each check: servers limit how many buckets a user has.
    let options = server.bucket().await;
    contract_of(TRAITS, async || {
        let prefix = format!("{}/", fresh("check"));
        wrap(S3::open(&super::Options { prefix, ..options.clone() }).await.unwrap())
    })
    .await;
}

fn bare(s3: S3) -> Arc<dyn Backend> {
    Arc::new(s3)
}

fn faulty(s3: S3) -> Arc<dyn Backend> {
    Arc::new(Faulty::new(Arc::new(s3)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rgw_keeps_the_contract() {
    contract(Server::rgw(), bare).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rgw_keeps_the_contract_behind_the_fault_wrapper() {
    contract(Server::rgw(), faulty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versitygw_keeps_the_contract() {
    contract(Server::versity(), bare).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versitygw_keeps_the_contract_behind_the_fault_wrapper() {
    contract(Server::versity(), faulty).await;
}
