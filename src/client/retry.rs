//! When to try again, and how long to wait before.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

/// How often one request is sent at most.
pub(super) const ATTEMPTS: u32 = 6;

/// The first pause; each further one is up to twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause, also when the server asks for a longer one.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Whether the answer says that the same request may do better later.
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The pause after the `attempt`th try, the first being 1: what the server asked for, else a random part of a time
/// that doubles, so that clients which failed together do not come back together.
pub(super) fn pause(attempt: u32, asked: Option<Duration>) -> Duration {
    let limit = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(MAX_PAUSE);
    match asked {
        Some(asked) => asked.min(MAX_PAUSE),
        None => limit.mul_f64(random()),
    }
}

/// What `Retry-After` says, in seconds; a date counts as nothing said.
pub(super) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// From 0.5 to 1.
fn random() -> f64 {
    let byte = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
    0.5 + byte / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_bounds_and_the_server_is_heard() {
        for attempt in 1..40 {
            let limit = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(MAX_PAUSE);
            let pause = pause(attempt, None);
            assert!(pause >= limit / 2 && pause <= limit, "{attempt}: {pause:?}");
        }
        assert_eq!(pause(1, Some(Duration::from_secs(3))), Duration::from_secs(3));
        assert_eq!(pause(1, Some(Duration::from_hours(24))), MAX_PAUSE);
        let mut headers = HeaderMap::new();
        assert_eq!(asked(&headers), None);
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(asked(&headers), Some(Duration::from_secs(7)));
    }
}
