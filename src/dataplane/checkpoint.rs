//! What a later request needs to go on with an object, in whatever process it arrives.
//!
//! ```text
//! version | received (8) | hashes (1) | per hash: algorithm (1), length (4), state | storage state | SHA-256 of it all (32)
//! ```
//! The digest at the end covers the staging id too. It is there because a wrong hash state would not fail: it
//! would name the bytes by a digest they do not have.

use super::Error;
use super::digester::Digester;
use crate::hash::{self, Hasher};
use crate::oci::Algorithm;
use crate::storage::StagingId;

/// Grows whenever the layout changes. An upload whose checkpoint has another version begins anew.
const VERSION: u8 = 1;

const DIGEST: usize = 32;

/// Opaque bytes; kept with the session and given back on [`resume`](super::DataPlane::resume).
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint(Box<[u8]>);

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checkpoint({} bytes)", self.0.len())
    }
}

impl Checkpoint {
    /// The largest checkpoint, bytes.
    pub const MAX_LEN: usize = 2 * 1024 * 1024;

    /// A stored checkpoint. Whether it is one shows when it is used.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The state of an object after `received` bytes.
    pub(super) fn new(
        id: &StagingId,
        received: u64,
        digester: &Digester,
        storage: &[u8],
    ) -> Result<Self, Error> {
        let hashes = digester.export();
        let mut bytes = vec![VERSION];
        bytes.extend(received.to_le_bytes());
        bytes.push(u8::try_from(hashes.len()).expect("there are three algorithms"));
        for (algorithm, state) in hashes {
            bytes.push(number(algorithm));
            bytes.extend(u32::try_from(state.len()).expect("a state has a few KiB").to_le_bytes());
            bytes.extend(state);
        }
        bytes.extend(storage);
        let digest = digest(id, &bytes);
        bytes.extend(digest);
        if bytes.len() > Self::MAX_LEN {
            return Err(Error::NotResumable("its state is too large to be kept"));
        }
        Ok(Self(bytes.into()))
    }

    /// The hash states, if there are any, and the state of the storage.
    pub(super) fn read(&self, id: &StagingId, received: u64) -> Result<(Option<Digester>, &[u8]), Error> {
        self.parse(id, received).map_err(Error::NotResumable)
    }

    fn parse(&self, id: &StagingId, received: u64) -> Result<(Option<Digester>, &[u8]), &'static str> {
        const CUT: &str = "its state is cut short";
        if self.0.first() != Some(&VERSION) {
            return Err("its state was written by another version of this program");
        }
        let (mut rest, checked) = self.0.split_last_chunk::<DIGEST>().ok_or(CUT)?;
        if digest(id, rest) != *checked {
            return Err("its state is damaged or that of another upload");
        }
        take::<1>(&mut rest).ok_or(CUT)?;
        if u64::from_le_bytes(take(&mut rest).ok_or(CUT)?) != received {
            return Err("its state is that of another length");
        }
        let [count] = take(&mut rest).ok_or(CUT)?;
        let mut hashers = Vec::new();
        for _ in 0..count {
            let [algorithm] = take(&mut rest).ok_or(CUT)?;
            let len = u32::from_le_bytes(take(&mut rest).ok_or(CUT)?);
            let (state, after) = rest.split_at_checked(usize::try_from(len).map_err(|_| CUT)?).ok_or(CUT)?;
            rest = after;
            let algorithm = Algorithm::ALL.into_iter().find(|known| number(*known) == algorithm);
            let hasher = algorithm.and_then(|algorithm| Hasher::import(algorithm, state));
            hashers.push(hasher.ok_or("its hash state was written by another version of this program")?);
        }
        let digester = if hashers.is_empty() { None } else { Digester::from_hashers(hashers) };
        if count > 0 && digester.is_none() {
            return Err("its state lacks a hash that every upload has");
        }
        Ok((digester, rest))
    }
}

fn number(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 1,
        Algorithm::Sha512 => 2,
        Algorithm::Blake3 => 3,
    }
}

fn digest(id: &StagingId, bytes: &[u8]) -> [u8; DIGEST] {
    hash::sha256(&[id.as_str().as_bytes(), &[0], bytes])
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> StagingId {
        text.parse().unwrap()
    }

    fn digester(len: usize, extra: Option<Algorithm>) -> Digester {
        let mut digester = Digester::resumable(extra);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(digester.update(&[crate::storage::testing::pattern(len)]));
        digester
    }

    #[test]
    fn a_checkpoint_gives_back_what_went_in() {
        for extra in [None, Some(Algorithm::Sha512)] {
            let digester = digester(50_000, extra);
            let checkpoint = Checkpoint::new(&id("a"), 50_000, &digester, b"storage").unwrap();
            assert!(checkpoint.as_bytes().len() < 20_000, "{checkpoint:?}");
            let stored = Checkpoint::from_bytes(checkpoint.as_bytes());
            let (read, storage) = stored.read(&id("a"), 50_000).unwrap();
            assert_eq!(storage, b"storage");
            assert_eq!(read.unwrap().finish(), digester.finish());
        }
        let none = Checkpoint::new(&id("a"), 1, &Digester::new(None), b"storage").unwrap();
        let (digester, storage) = none.read(&id("a"), 1).unwrap();
        assert!(digester.is_none() && storage == b"storage");
    }

    #[test]
    fn a_checkpoint_of_another_upload_length_or_version_is_refused() {
        let checkpoint = Checkpoint::new(&id("a"), 5, &digester(5, None), b"").unwrap();
        assert!(checkpoint.read(&id("b"), 5).is_err());
        assert!(checkpoint.read(&id("a"), 6).is_err());
        let mut newer = checkpoint.as_bytes().to_vec();
        newer[0] += 1;
        let error = Checkpoint::from_bytes(&newer).read(&id("a"), 5).unwrap_err();
        assert!(error.to_string().contains("another version"), "{error}");
        assert!(Checkpoint::new(&id("a"), 5, &digester(5, None), &vec![0; Checkpoint::MAX_LEN]).is_err());
    }

    proptest! {
        #[test]
        fn damage_is_noticed(at: prop::sample::Index, flip in 1..=255_u8, cut: prop::sample::Index) {
            let whole = Checkpoint::new(&id("a"), 500, &digester(500, None), b"storage").unwrap();
            let mut bytes = whole.as_bytes().to_vec();
            *at.get_mut(&mut bytes) ^= flip;
            prop_assert!(Checkpoint::from_bytes(&bytes).read(&id("a"), 500).is_err());
            let cut = &whole.as_bytes()[..cut.index(whole.as_bytes().len())];
            prop_assert!(Checkpoint::from_bytes(cut).read(&id("a"), 500).is_err());
        }
    }
}
