//! What only a folder can get wrong. The contract itself is in [`crate::storage::testing`].

mod durability;
mod hostile;
mod layout;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tempfile::TempDir;

use super::Local;
use super::sync::Fsync;
use crate::storage::testing::{Faulty, collect, contract};
use crate::storage::{Backend, Error, Key, StagingId};

const OBJECT: &str = "blake3/ab/cd/abcdef.01jd";

fn folder() -> (TempDir, Local) {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path()).unwrap();
    (dir, local)
}

/// A folder whose fsyncs go through `sync`.
fn folder_with(sync: Fsync) -> (TempDir, Local) {
    let dir = TempDir::new().unwrap();
    let local = Local::open_with("local".parse().unwrap(), dir.path(), sync).unwrap();
    (dir, local)
}

fn without_nameless_files(mut local: Local) -> Local {
    Arc::get_mut(&mut local.volume).unwrap().nameless = false;
    local
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn id(text: &str) -> StagingId {
    text.parse().unwrap()
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn read(local: &Local, text: &str) -> Result<Vec<u8>, Error> {
    collect(local.get(&key(text), None).await?.body).await
}

fn names(dir: &Path) -> Vec<String> {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names = std::fs::read_dir(dir).unwrap().map(entry).collect::<Vec<_>>();
    names.sort();
    names
}

/// Makes folders below one temporary folder that lives as long as this.
struct Folders(TempDir, AtomicUsize);

impl Folders {
    fn new() -> Self {
        Self(TempDir::new().unwrap(), AtomicUsize::new(0))
    }

    fn next(&self) -> PathBuf {
        // Two missing levels: opening makes them all.
        self.0.path().join(self.1.fetch_add(1, Ordering::Relaxed).to_string()).join("root")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    let folders = Folders::new();
    contract(async || Arc::new(Local::open(&folders.next()).unwrap()) as Arc<dyn Backend>).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract_without_nameless_files() {
    let folders = Folders::new();
    contract(async || {
        Arc::new(without_nameless_files(Local::open(&folders.next()).unwrap())) as Arc<dyn Backend>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract_behind_the_fault_wrapper() {
    let folders = Folders::new();
    contract(async || {
        Arc::new(Faulty::new(Arc::new(Local::open(&folders.next()).unwrap()))) as Arc<dyn Backend>
    })
    .await;
}
