//! The vocabulary of the OCI specifications.
