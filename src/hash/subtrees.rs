//! BLAKE3 whose state can be written down.
//!
//! BLAKE3 is a binary tree over chunks of 1 KiB. What was hashed so far is a row of complete subtrees, each
//! known by its chaining value alone, and a rest that is still bytes:
//!
//! ```text
//! closed: multiple of 16 KiB              held: 1 to 16 KiB
//! [subtree 2^a][subtree 2^b]…[subtree 2^k][bytes]        a > b > … > k
//! ```
//! The subtrees have the sizes of the bits of `closed`, so equal neighbours were merged. The rest is never
//! empty once anything was added: what follows a closed subtree makes sure that it is not the root, whose
//! chaining value would be another one.

use blake3::hazmat::{ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Bytes held back at most, and what subtrees are multiples of: as many chunks as the widest vector
/// instructions hash side by side.
const UNIT: usize = 16 * 1024;

/// A BLAKE3 hash in the making.
#[derive(Clone, Default)]
pub(super) struct Subtrees {
    /// Bytes in closed subtrees.
    closed: u64,
    /// Chaining values, left to right.
    stack: Vec<ChainingValue>,
    /// The bytes after them.
    held: Vec<u8>,
}

impl Subtrees {
    pub(super) fn update(&mut self, mut input: &[u8]) {
        if self.held.len() + input.len() > UNIT {
            if !self.held.is_empty() {
                let (fill, rest) = input.split_at(UNIT - self.held.len());
                self.held.extend_from_slice(fill);
                let held = std::mem::take(&mut self.held);
                self.close(&held);
                self.held = held;
                self.held.clear();
                input = rest;
            }
            while input.len() > UNIT {
                let (subtree, rest) = input.split_at(self.largest(input.len()));
                self.close(subtree);
                input = rest;
            }
        }
        self.held.extend_from_slice(input);
    }

    /// The largest subtree that begins here and leaves something of `available` bytes, which are more than a unit.
    fn largest(&self, available: usize) -> usize {
        // The greatest power of two below `available`.
        let fits = 1 << (available - 1).ilog2();
        match self.closed.trailing_zeros() {
            u64::BITS => fits, // nothing is closed: the first subtree may have any size
            zeros => fits.min(1_usize.checked_shl(zeros).unwrap_or(usize::MAX)),
        }
    }

    fn close(&mut self, subtree: &[u8]) {
        self.stack.push(self.chaining_value(subtree));
        self.closed += subtree.len() as u64;
        while self.stack.len() > subtrees(self.closed) {
            let right = self.stack.pop().expect("there are more than one");
            let left = self.stack.pop().expect("there are more than one");
            self.stack.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }

    fn chaining_value(&self, subtree: &[u8]) -> ChainingValue {
        blake3::Hasher::new().set_input_offset(self.closed).update(subtree).finalize_non_root()
    }

    pub(super) fn finish(&self) -> blake3::Hash {
        let Some((first, others)) = self.stack.split_first() else {
            return blake3::hash(&self.held);
        };
        let merge = |right, left: &ChainingValue| merge_subtrees_non_root(left, &right, Mode::Hash);
        let right = others.iter().rev().fold(self.chaining_value(&self.held), merge);
        merge_subtrees_root(first, &right, Mode::Hash)
    }

    /// `closed` (8 bytes, little-endian), the chaining values, the held bytes: at most 18 KiB.
    pub(super) fn export(&self) -> Vec<u8> {
        let mut state = self.closed.to_le_bytes().to_vec();
        state.extend_from_slice(self.stack.as_flattened());
        state.extend_from_slice(&self.held);
        state
    }

    /// The hash whose state this is; `None` when it is none.
    pub(super) fn import(state: &[u8]) -> Option<Self> {
        let (closed, rest) = state.split_first_chunk()?;
        let closed = u64::from_le_bytes(*closed);
        let (stack, held) = rest.split_at_checked(subtrees(closed) * size_of::<ChainingValue>())?;
        let (stack, _) = stack.as_chunks();
        let is_possible =
            closed.is_multiple_of(UNIT as u64) && held.len() <= UNIT && (!held.is_empty() || closed == 0);
        is_possible.then(|| Self { closed, stack: stack.to_vec(), held: held.to_vec() })
    }
}

/// How many complete subtrees `closed` bytes make.
fn subtrees(closed: u64) -> usize {
    closed.count_ones() as usize
}
