//! What deliveries are signed with (Standard Webhooks): HMAC-SHA-256 with a secret of the webhook's own.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::clock::{Micros, SECOND};
use crate::secret::Secret;

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// Bytes of a secret: at least, of one that is made here, at most.
const BYTES: (usize, usize, usize) = (24, 32, 64);

/// How long the secret before the newest signs too, so that a receiver has time to learn the new one.
pub(super) const OVERLAP: Micros = 24 * 60 * 60 * SECOND;

/// A secret in the form that receivers are given it: `whsec_` and base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSecret(Secret);

/// Why a text is no secret. Does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not whsec_ and 24 to 64 bytes in base64")]
pub struct SecretError;

/// The secrets of one webhook, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secrets(Vec<Kept>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    secret: WebhookSecret,
    /// When it signs no more; never, of the newest.
    ends_at: Option<Micros>,
}

/// The same as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<Micros>,
}

impl WebhookSecret {
    /// A new one.
    pub fn generate() -> Self {
        let mut bytes = [0; BYTES.1];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        Self(format!("{PREFIX}{}", STANDARD.encode(bytes)).into())
    }

    /// Reads one that somebody chose.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let bytes =
            text.strip_prefix(PREFIX).and_then(|rest| STANDARD.decode(rest).ok()).ok_or(SecretError)?;
        if (BYTES.0..=BYTES.2).contains(&bytes.len()) { Ok(Self(text.into())) } else { Err(SecretError) }
    }

    /// The secret, for the one answer that tells it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The signature of a delivery: over its id, its time in seconds, and its body.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let bytes = STANDARD.decode(&self.expose()[PREFIX.len()..]).expect("it was decoded before");
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl Secrets {
    /// Of a webhook that is new.
    pub(super) fn new(secret: WebhookSecret) -> Self {
        Self(vec![Kept { secret, ends_at: None }])
    }

    /// With another newest one. The one before signs for a while too, and older ones no more.
    pub(super) fn rotated(&self, secret: WebhookSecret, now: Micros) -> Self {
        let Some(before) = self.0.first() else { return Self::new(secret) };
        if before.secret == secret {
            return self.clone();
        }
        let before = Some(Kept { ends_at: Some(now + OVERLAP), ..before.clone() });
        Self(std::iter::once(Kept { secret, ends_at: None }).chain(before).collect())
    }

    /// The signatures of a delivery, by every secret that signs now, in one header.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8], now: Micros) -> String {
        let signatures = self.signing(now).map(|kept| kept.secret.sign(id, timestamp, body));
        signatures.collect::<Vec<_>>().join(" ")
    }

    /// When the secret before the newest ends, while it signs.
    pub(super) fn overlap_ends_at(&self, now: Micros) -> Option<Micros> {
        self.signing(now).find_map(|kept| kept.ends_at)
    }

    fn signing(&self, now: Micros) -> impl Iterator<Item = &Kept> {
        self.0.iter().filter(move |kept| kept.ends_at.is_none_or(|end| now < end))
    }

    /// As they are stored.
    pub(super) fn to_text(&self) -> String {
        let stored = self
            .0
            .iter()
            .map(|kept| Stored { secret: kept.secret.expose().to_owned(), ends_at: kept.ends_at });
        serde_json::to_string(&stored.collect::<Vec<_>>()).expect("texts and numbers serialise")
    }

    /// Reads what is stored; `None` when somebody altered it.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let stored: Vec<Stored> = serde_json::from_str(text).ok()?;
        let kept = stored.into_iter().map(|stored| {
            Some(Kept { secret: WebhookSecret::parse(&stored.secret).ok()?, ends_at: stored.ends_at })
        });
        kept.collect::<Option<Vec<_>>>().filter(|kept| !kept.is_empty()).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The vector of the reference implementations of Standard Webhooks.
    #[test]
    fn a_signature_is_that_of_the_reference() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_has_24_to_64_bytes_and_is_never_shown() {
        let generated = WebhookSecret::generate();
        assert_ne!(generated, WebhookSecret::generate());
        assert_eq!(WebhookSecret::parse(generated.expose()), Ok(generated.clone()));
        assert!(!format!("{generated:?} {:?}", Secrets::new(generated.clone())).contains(generated.expose()));
        let of = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        for text in
            [of(23), of(65), String::new(), SECRET[6..].to_owned(), format!("{SECRET}="), "whsec_".to_owned()]
        {
            let refused = WebhookSecret::parse(&text).unwrap_err().to_string();
            assert!(text.len() < 12 || !refused.contains(&text[6..]), "{refused}");
        }
        assert!(WebhookSecret::parse(&of(24)).is_ok() && WebhookSecret::parse(&of(64)).is_ok());
    }

    #[test]
    fn the_secret_before_signs_for_a_day() {
        let first = WebhookSecret::parse(SECRET).unwrap();
        let second = WebhookSecret::generate();
        let rotated = Secrets::new(first.clone()).rotated(second.clone(), 0);
        let both = format!("{} {}", second.sign("i", 1, b""), first.sign("i", 1, b""));
        assert_eq!(rotated.sign("i", 1, b"", OVERLAP - 1), both);
        assert_eq!(rotated.overlap_ends_at(1), Some(OVERLAP));
        assert_eq!(rotated.sign("i", 1, b"", OVERLAP), second.sign("i", 1, b""));
        assert_eq!(rotated.overlap_ends_at(OVERLAP), None);
        let third = rotated.rotated(WebhookSecret::generate(), 1);
        assert_eq!(third.sign("i", 1, b"", 2).split(' ').count(), 2);
        assert_eq!(Secrets::from_text(&third.to_text()), Some(third));
        assert_eq!(rotated.rotated(second, 1), rotated, "asked for twice it is the same");
        for text in ["", "[]", "{}", r#"[{"secret":"x"}]"#, r#"[{"secret":"whsec_","ends_at":1}]"#] {
            assert_eq!(Secrets::from_text(text), None, "{text}");
        }
    }
}
