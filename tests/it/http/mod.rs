//! The HTTP surface beyond the tricky cases, against the real binary.

mod conditional;
mod connections;
mod errors;
mod headers;
mod lists;
mod probes;
mod ranges;
mod resume;
mod uploads;
