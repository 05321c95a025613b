//! Objects in a bucket: AWS S3, Ceph RGW and what speaks their language (CAS-9).

mod options;
mod settings;

pub use options::{Checksums, Credentials, Options, Redirect};
pub use settings::{BUCKET, ENDPOINT, REGION};
