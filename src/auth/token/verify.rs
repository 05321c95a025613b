//! Telling the registry's own tokens from everything else.

use std::sync::Arc;

use jsonwebtoken::Algorithm;

use super::jws::Unproven;
use super::purpose::Purpose;
use super::validity::Validity;
use super::{Claims, KeyRing, Options, TokenError};
use crate::clock::Micros;
use crate::secret::Secret;

/// The longest token, in bytes: it has to fit into a header.
pub(super) const LONGEST: usize = 8 * 1024;

/// Tells which tokens are of this registry and good.
#[derive(Clone, Debug)]
pub struct Verifier {
    options: Options,
    keys: Arc<KeyRing>,
}

impl Verifier {
    /// One for the tokens that an [`Issuer`](super::Issuer) of the same options makes, now or before a change of keys.
    pub fn new(options: Options, keys: Arc<KeyRing>) -> Self {
        Self { options, keys }
    }

    /// What an access token says, if it is good at a time. A request that something older vouches for, as the parts of
    /// an upload do, is asked about with the time that began.
    pub fn access(&self, token: &Secret, now: Micros) -> Result<Claims, TokenError> {
        self.verify(Purpose::Access, token, now)
    }

    /// What a refresh token says, if it is good at a time.
    pub fn refresh(&self, token: &Secret, now: Micros) -> Result<Claims, TokenError> {
        self.verify(Purpose::Refresh, token, now)
    }

    fn verify(&self, purpose: Purpose, token: &Secret, now: Micros) -> Result<Claims, TokenError> {
        let token = Unproven::read(token, LONGEST)?;
        token.header.refuse("x5t")?;
        token.header.refuse_others()?;
        // The algorithm is the one of our keys; the header has only to agree.
        if token.header.algorithm()? != "EdDSA" {
            return Err(TokenError::Algorithm);
        }
        if token.header.kind()? != Some(purpose.kind()) {
            return Err(TokenError::Type);
        }
        let id = token.header.key()?.ok_or(TokenError::NoKey)?;
        let key = self.keys.verifying(id).ok_or(TokenError::UnknownKey)?;
        let claims = token.verified(key.key(), Algorithm::EdDSA)?;

        if claims.text("iss")? != self.options.issuer() {
            return Err(TokenError::Issuer);
        }
        if claims.audiences()? != [purpose.audience(self.options.service())] {
            return Err(TokenError::Audience);
        }
        let validity = Validity::read(&claims)?;
        if validity.not_before.is_none() {
            return Err(TokenError::Missing { claim: "nbf" });
        }
        validity.check(now, purpose.longest())?;
        Claims::read(&claims, validity, purpose)
    }
}
