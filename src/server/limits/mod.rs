//! How much one principal, or everybody behind one address, may ask for.
//!
//! A [`RateLimiter`] says how many requests somebody may make in some time, [`Concurrency`] how many things they may
//! have under way at once. The service asks before it does any work: the limit of addresses before it looks at
//! credentials, those of principals once it knows whose they are. What is refused is answered 429 with what
//! [`RetryAfter`] says.
//!
//! Every limit is an object of its own with memory of its own: a flood of addresses takes no place from principals.
//! Limits are those of one process, and begin anew with it; a site with several replicas allows that many times as much.
//!
//! Time is an argument, and always that of [`Clock::elapsed`](crate::clock::Clock::elapsed): the time of day may be set
//! back, and whoever owed something would then owe it for hours.

mod concurrency;
mod gate;
mod key;
mod options;
mod rate;
mod rate_limiter;

#[cfg(test)]
mod tests;

pub use concurrency::{Concurrency, Guard};
pub(super) use gate::{Limits, Refusals, Refused};
pub use key::{AddressPrefix, Key};
pub use options::Options;
pub(super) use options::{BURST, REQUESTS, UPLOADS};
pub use rate::{Rate, RetryAfter};
pub use rate_limiter::RateLimiter;
