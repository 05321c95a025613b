//! The rules of the protocol, each a pure function. The commands decide with them, and so does the model that is
//! explored exhaustively (`model.rs`): what is proved of the one holds for the other.

use crate::views::blobs::State;

/// What a push of some content comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Push {
    /// The copy there is stays.
    Keep,
    /// The copy there is was condemned, and stays after all.
    Revive,
    /// Ours takes the place of the copy, which turned out to be lost.
    Repair {
        /// Whether that had been condemned.
        revives: bool,
    },
    /// Ours is the copy.
    Store,
}

/// What a push comes to, given the state of the blob. `None`: the pusher needs a copy of its own and has none.
///
/// A copy whose deletion was intended is as good as gone: the delete may reach the storage at any time, also late.
pub(in crate::registry) fn push(state: Option<State>, has_copy: bool, is_lost: bool) -> Option<Push> {
    match state.filter(|state| state.is_kept()) {
        Some(state) if is_lost => has_copy.then_some(Push::Repair { revives: state == State::Condemned }),
        Some(State::Condemned) => Some(Push::Revive),
        Some(_) => Some(Push::Keep),
        None => has_copy.then_some(Push::Store),
    }
}

/// Whether anything of a repository names a blob it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Naming {
    /// Nothing.
    Nothing,
    /// Something that will say so when it gives the blob up.
    Used,
    /// A manifest in a way that says nothing when it ends: one that was pushed before the blob, or an index.
    /// Or a package, whose content manifest it is.
    Mentioned,
}

/// What becomes of a link that looked unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Unused {
    /// The repository gives the blob up.
    Release,
    /// It is in use, and no candidate any more.
    Keep,
    /// It is in use for now: to be looked at again after another grace period.
    Defer,
    /// Nothing changes.
    Leave,
}

/// Decides on a link that was seen unused. `is_as_seen`: nothing used or refreshed it since.
pub(in crate::registry) fn unused(is_as_seen: bool, naming: Naming, is_held: bool) -> Unused {
    match (is_as_seen, naming) {
        (false, _) => Unused::Leave,
        (true, Naming::Used) => Unused::Keep,
        (true, Naming::Mentioned) => Unused::Defer,
        (true, Naming::Nothing) if is_held => Unused::Leave,
        (true, Naming::Nothing) => Unused::Release,
    }
}

/// Whether a blob may be condemned.
pub(in crate::registry) fn may_condemn(state: State, links: usize) -> bool {
    state == State::Live && links == 0
}

/// Whether the deletion of a blob may be intended. Asked again at that moment, whatever was found out before.
pub(in crate::registry) fn may_delete(state: State, links: usize) -> bool {
    state == State::Condemned && links == 0
}

/// Whether an object that was not made the copy of a blob may be removed at once, given the key of the copy there is.
/// Not when there is none: whose it is then is not known.
pub(in crate::registry) fn is_duplicate(copy: Option<&str>, key: &str) -> bool {
    copy.is_some_and(|copy| copy != key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_leaving_is_kept_until_its_deletion_is_intended() {
        use State::{Condemned, Deleting, Live, Purged};
        for has_copy in [false, true] {
            assert_eq!(push(Some(Live), has_copy, false), Some(Push::Keep));
            assert_eq!(push(Some(Condemned), has_copy, false), Some(Push::Revive));
            for gone in [None, Some(Deleting), Some(Purged)] {
                assert_eq!(push(gone, has_copy, false), has_copy.then_some(Push::Store));
                assert_eq!(push(gone, has_copy, true), has_copy.then_some(Push::Store));
            }
        }
        assert_eq!(push(Some(Live), true, true), Some(Push::Repair { revives: false }));
        assert_eq!(push(Some(Condemned), true, true), Some(Push::Repair { revives: true }));
        assert_eq!(push(Some(Live), false, true), None);
    }

    #[test]
    fn only_what_nobody_holds_goes_on_to_the_next_stage() {
        use State::{Condemned, Deleting, Live, Purged};
        for state in [Live, Condemned, Deleting, Purged] {
            assert_eq!(may_condemn(state, 0), state == Live);
            assert_eq!(may_delete(state, 0), state == Condemned);
            assert!(!may_condemn(state, 1) && !may_delete(state, 1));
        }
    }

    #[test]
    fn a_link_is_released_only_as_it_was_seen() {
        use Naming::{Mentioned, Nothing, Used};
        assert_eq!(unused(true, Nothing, false), Unused::Release);
        assert_eq!(unused(true, Nothing, true), Unused::Leave);
        for is_held in [false, true] {
            assert_eq!(unused(true, Used, is_held), Unused::Keep);
            assert_eq!(unused(true, Mentioned, is_held), Unused::Defer);
            for naming in [Nothing, Used, Mentioned] {
                assert_eq!(unused(false, naming, is_held), Unused::Leave);
            }
        }
    }
}
