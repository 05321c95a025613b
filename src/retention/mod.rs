//! Retention: how long something stays, what holds it, and whether it may leave. Pure.
//!
//! A [`Class`] of the policy in force becomes a [`Rule`] that is pinned to what is finalized under it; [`Retained`] is
//! that rule with its dates. [`judge`] says with reasons whether something may leave.

mod class;
mod hold;
mod id;
mod judge;
mod period;
mod policy;
mod retained;
mod rule;
mod settings;

pub use class::{Class, Classes, UnknownClass};
pub use hold::HoldKind;
pub(crate) use id::named_id;
pub use id::{DispositionId, DispositionIdError, HoldId, HoldIdError};
pub use judge::{Facts, Hold, Reason, Verdict, judge};
pub use period::{LATEST, Period, PeriodError, parse_rfc3339, rfc3339};
pub use policy::{Bounds, Denied, Policy, PolicyError};
pub use retained::{Floor, Refused, Retained};
pub use rule::{Mode, Rule, Start};
