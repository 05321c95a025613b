//! What carries deliveries. The registry says what is sent, and knows no HTTP.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::endpoint::Endpoint;

/// One request to a receiver.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where to.
    pub endpoint: Endpoint,
    /// Names in lower case, and values that can stand in a header.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes that were signed.
    pub body: Bytes,
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The status.
    pub status: u16,
    /// After which time it wants to be asked again.
    pub retry_after: Option<Duration>,
    /// How its answer begins.
    pub beginning: Bytes,
}

/// Why no receiver answered, in words for the operator. Says nothing of the URL but its host; of networks and who is on
/// them it may say anything, so that on record is no more than [which it is](Self::in_short).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// It may not be called.
    Forbidden(String),
    /// There was no connection to it.
    Unreachable(String),
    /// The connection ended without an answer.
    Unanswered(String),
    /// No answer came in time.
    Late(String),
}

impl Undelivered {
    /// What became of the attempt, in fixed words.
    pub(super) fn in_short(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "led to an address that is not allowed",
            Self::Unreachable(_) => "found no connection",
            Self::Unanswered(_) => "was not answered",
            Self::Late(_) => "was not answered in time",
        }
    }

    /// All there is to say.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Forbidden(text) | Self::Unreachable(text) | Self::Unanswered(text) | Self::Late(text) => {
                text
            }
        }
    }
}

/// Sends deliveries.
#[async_trait]
pub trait Deliver: fmt::Debug + Send + Sync {
    /// Sends one, once, and follows no redirect. Ends within [`LONGEST`], whatever the receiver does, and connects to no
    /// address that the [`Guard`](super::Guard) does not let through.
    async fn send(&self, delivery: &Delivery) -> Result<Receipt, Undelivered>;
}

/// The longest that a delivery takes.
pub const LONGEST: Duration = Duration::from_secs(20);
