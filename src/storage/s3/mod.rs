//! Objects in a bucket: AWS S3, Ceph RGW and what speaks their language (CAS-9).

mod options;

pub use options::{Checksums, Credentials, Options, Redirect};
