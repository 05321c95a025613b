//! What a cluster will be made of.

use std::net::SocketAddr;

use crate::cluster::Cluster;
use crate::place::Place;

/// The `PostgreSQL` that tests share.
pub(crate) fn shared_database() -> Place {
    Place::of_variable("ARTIFACTSTORE_TEST_POSTGRES")
}

/// The bucket service that tests share: Ceph RGW.
pub(crate) fn shared_storage() -> Place {
    Place::of_variable("ARTIFACTSTORE_TEST_S3_RGW")
}

/// What a cluster will be made of.
pub(crate) struct Plan {
    pub(crate) database: Place,
    pub(crate) storage: Place,
    pub(crate) database_at: Option<SocketAddr>,
    pub(crate) storage_at: Option<SocketAddr>,
    pub(crate) settings: Vec<(String, String)>,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self {
            database: shared_database(),
            storage: shared_storage(),
            database_at: None,
            storage_at: None,
            settings: Vec::new(),
        }
    }

    /// Its database lies on another server.
    pub(crate) fn database(mut self, admin: Place) -> Self {
        self.database = admin;
        self
    }

    /// Its bucket lies on another service.
    pub(crate) fn storage(mut self, service: Place) -> Self {
        self.storage = service;
        self
    }

    /// Replicas reach the database through this.
    pub(crate) fn database_through(mut self, address: SocketAddr) -> Self {
        self.database_at = Some(address);
        self
    }

    /// Replicas reach the bucket through this.
    pub(crate) fn storage_through(mut self, address: SocketAddr) -> Self {
        self.storage_at = Some(address);
        self
    }

    /// One more setting, named without the prefix that all have.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes database and bucket and starts nothing.
    pub(crate) fn prepare(self) -> Cluster {
        Cluster::new(self)
    }

    /// Starts `count` replicas.
    pub(crate) fn start(self, count: usize) -> Cluster {
        let mut cluster = Cluster::new(self);
        // One after the other: the first migrates.
        for _ in 0..count {
            cluster.add();
        }
        cluster
    }
}
