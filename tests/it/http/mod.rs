//! The HTTP surface beyond the tricky cases, against the real binary.

mod archives;
mod bounds;
mod buckets;
mod clock;
mod conditional;
mod connections;
mod disposing;
mod errors;
mod garbage;
mod headers;
mod limits;
mod lists;
mod locations;
mod objects;
mod packages;
mod packages_parallel;
mod packages_pushed_refused;
mod packages_refused;
mod probes;
mod ranges;
mod resume;
mod retention;
mod scrub;
mod unchanged;
mod uploads;
mod webhooks;
