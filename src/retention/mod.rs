//! Retention: how long something stays. Pure.

mod class;
mod period;

pub use class::{Class, Classes, Mode, Resolved, UnknownClass};
pub use period::{Period, PeriodError, rfc3339};
