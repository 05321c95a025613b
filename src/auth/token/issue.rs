//! Making tokens.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};

use super::claims::{External, Written};
use super::purpose::Purpose;
use super::verify::LONGEST;
use super::{KeyRing, Options, Subject};
use crate::auth::{Access, Principal};
use crate::clock::{Micros, SECOND};
use crate::retention::rfc3339;
use crate::secret::Secret;

/// Makes the tokens of a registry, with the key of its ring that signs.
#[derive(Clone, Debug)]
pub struct Issuer {
    options: Options,
    keys: Arc<KeyRing>,
}

/// A token that was made, and what its receiver is told with it (distribution specification, `auth/token.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The token: the members `token` and `access_token` of the answer, or `refresh_token`.
    pub token: Secret,
    /// How long it is good, in seconds, never less than 300.
    pub expires_in: u64,
    /// When it was made, RFC 3339 in UTC.
    pub issued_at: String,
}

/// Why a token was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// It would be longer than any is let in: too much was asked for at once, or an external issuer names too many
    /// groups.
    #[error("the token would be longer than {LONGEST} bytes; ask for fewer scopes at once")]
    Length,
    /// The clock shows a year no token can say.
    #[error("the clock shows a year before 1970 or after 9000")]
    Clock,
}

impl Issuer {
    /// One that says in its tokens what the options say.
    pub fn new(options: Options, keys: Arc<KeyRing>) -> Self {
        Self { options, keys }
    }

    /// An access token: what of `access` is granted stands in it, entries without an action included, so that a
    /// client that asked and may not is told from one that did not ask.
    pub fn access(&self, subject: &Subject, access: &[Access], now: Micros) -> Result<Issued, IssueError> {
        self.make(Purpose::Access, subject, Some(access), self.options.access_lifetime(), now)
    }

    /// A refresh token. There is none for nobody in particular, who needs no proof, nor for a workload: the word of
    /// its issuer is not good for days, and it gets a new one from there.
    pub fn refresh(&self, subject: &Subject, now: Micros) -> Result<Option<Issued>, IssueError> {
        if subject.issuer().is_some() || *subject.principal() == Principal::Anonymous {
            return Ok(None);
        }
        self.make(Purpose::Refresh, subject, None, self.options.refresh_lifetime(), now).map(Some)
    }

    fn make(
        &self,
        purpose: Purpose,
        subject: &Subject,
        access: Option<&[Access]>,
        lifetime: Duration,
        now: Micros,
    ) -> Result<Issued, IssueError> {
        let now = now.div_euclid(SECOND);
        if !(0..YEAR_9000).contains(&now) {
            return Err(IssueError::Clock);
        }
        let lifetime = lifetime.as_secs();
        let claims = Written {
            iss: self.options.issuer(),
            aud: &purpose.audience(self.options.service()),
            sub: subject.principal().to_string(),
            iat: now,
            nbf: now,
            exp: now + i64::try_from(lifetime).expect("options allow days, not ages"),
            jti: &id(),
            access,
            external: External::of(subject),
        };
        let key = self.keys.signing();
        let header = Header {
            typ: Some(purpose.kind().to_owned()),
            kid: Some(key.public().id().to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token =
            jsonwebtoken::encode(&header, &claims, key.private()).expect("an Ed25519 key signs any text");
        if token.len() > LONGEST {
            return Err(IssueError::Length);
        }
        Ok(Issued { token: token.into(), expires_in: lifetime, issued_at: rfc3339(now * SECOND) })
    }
}

/// The first second of the year 9000. What lasts for days from before ends in a year that can be written.
const YEAR_9000: i64 = 221_845_392_000;

/// 128 random bits.
fn id() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}
