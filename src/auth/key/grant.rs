//! What a key is for, and until when.

use super::KeyScope;
use crate::auth::{Action, Scope};
use crate::clock::Micros;

/// What a key lets its robot do at most. It allows nothing by itself: the policy has to allow it to the robot as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGrant {
    /// From when on it is for nothing; never, when there is no such time.
    pub expires_at: Option<Micros>,
    /// What it is for.
    pub access: KeyScope,
}

impl KeyGrant {
    /// Whether its time is over.
    pub fn is_expired(&self, now: Micros) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether it is for something now.
    pub fn covers(&self, action: Action, scope: Scope<'_>, now: Micros) -> bool {
        !self.is_expired(now) && self.access.covers(action, scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_for_something_until_it_expires() {
        let name = "team/a".parse().unwrap();
        let scope = Scope::Repository(&name);
        let grant = KeyGrant { expires_at: Some(100), access: "pull:team/*".parse().unwrap() };
        assert!(grant.covers(Action::Pull, scope, 99) && !grant.covers(Action::Push, scope, 99));
        assert!(
            !grant.covers(Action::Pull, scope, 100) && grant.is_expired(100) && grant.is_expired(i64::MAX)
        );
        let forever = KeyGrant { expires_at: None, ..grant };
        assert!(forever.covers(Action::Pull, scope, i64::MAX));
    }
}
