//! Against independent implementations, whole and in pieces.

use proptest::prelude::*;
use sha2::Digest as _;

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat()
}

proptest! {
    #[test]
    fn sha2_agrees_with_an_independent_implementation(bytes: Vec<u8>, cut: prop::sample::Index) {
        let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
        for (algorithm, expected) in [
            (Algorithm::Sha256, hex(&sha2::Sha256::digest(&bytes))),
            (Algorithm::Sha512, hex(&sha2::Sha512::digest(&bytes))),
        ] {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(head);
            hasher.update(tail);
            let digest = hasher.finish();
            prop_assert_eq!(digest.hex(), expected);
        }
        let digest = digest(Algorithm::Sha256, &bytes);
        prop_assert_eq!(hex(&sha256(&[head, tail])), digest.hex());
    }
}

#[test]
fn blake3_gives_the_published_vectors() {
    // From the BLAKE3 paper's test_vectors.json: input bytes are i % 251.
    let input: Vec<u8> = (0..1024_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    for (len, expected) in [
        (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
        (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
        (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
    ] {
        assert_eq!(digest(Algorithm::Blake3, &input[..len]).hex(), expected, "{len} bytes");
    }
}

const KIB: usize = 1024;

/// Bytes without a short cycle (xorshift32).
fn input(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..len).map(next).collect()
}

fn independent(algorithm: Algorithm, bytes: &[u8]) -> String {
    match algorithm {
        Algorithm::Sha256 => hex(&sha2::Sha256::digest(bytes)),
        Algorithm::Sha512 => hex(&sha2::Sha512::digest(bytes)),
        Algorithm::Blake3 => blake3::hash(bytes).to_hex().to_string(),
    }
}

/// Hashes the pieces between the cuts; where `moves` says so, the state is written down and read again.
fn hash_in_pieces(algorithm: Algorithm, bytes: &[u8], cuts: &[(usize, bool)]) -> Digest {
    let mut hasher = Hasher::resumable(algorithm);
    let mut at = 0;
    for &(cut, moves) in cuts {
        hasher.update(&bytes[at..cut]);
        at = cut;
        if moves {
            let state = hasher.export().unwrap();
            assert!(state.len() <= 19 * KIB, "{} bytes", state.len());
            hasher = Hasher::import(algorithm, &state).unwrap();
        }
    }
    hasher.update(&bytes[at..]);
    hasher.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_resumed_hash_is_that_of_the_whole(
        power in prop::sample::select(vec![0, KIB, 2 * KIB, 16 * KIB, 32 * KIB, 128 * KIB, 512 * KIB, 1024 * KIB]),
        around in -70_000_i64..70_000,
        near in any::<bool>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..8),
    ) {
        let around = if near { around % 3 } else { around };
        let len = usize::try_from((i64::try_from(power).unwrap() + around).max(0)).unwrap();
        let bytes = input(len);
        let mut cuts: Vec<_> = cuts.iter().map(|(cut, moves)| (cut.index(len + 1), *moves)).collect();
        cuts.sort_unstable();
        for algorithm in Algorithm::ALL {
            let digest = hash_in_pieces(algorithm, &bytes, &cuts);
            prop_assert_eq!(digest.hex(), independent(algorithm, &bytes));
        }
    }

    #[test]
    fn no_state_from_outside_panics(state: Vec<u8>, tail in 0..40_usize) {
        for algorithm in Algorithm::ALL {
            for state in [state.clone(), [&[1], state.as_slice()].concat(), vec![1; tail]] {
                if let Some(mut hasher) = Hasher::import(algorithm, &state) {
                    hasher.update(&input(40_000));
                    hasher.finish();
                }
            }
        }
    }
}

#[test]
fn every_size_at_an_edge_is_hashed_right_in_equal_pieces() {
    let bytes = input(2 * 1024 * KIB + 1);
    for piece in [KIB, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 512 * KIB] {
        for edge in [KIB, 16 * KIB, 48 * KIB, 512 * KIB, 2 * 1024 * KIB] {
            for len in [edge - 1, edge, edge + 1] {
                let cuts: Vec<_> = (1..=len / piece).map(|n| (n * piece, n % 2 == 0)).collect();
                let digest = hash_in_pieces(Algorithm::Blake3, &bytes[..len], &cuts);
                assert_eq!(digest.hex(), independent(Algorithm::Blake3, &bytes[..len]), "{len} in {piece}");
            }
        }
    }
}

/// If this fails, an update of a crate or a change here made states another program cannot read: the version of
/// the states has to grow with the new bytes.
#[test]
fn the_layout_of_a_state_is_the_one_of_its_version() {
    let digests = Algorithm::ALL.map(|algorithm| {
        let mut hasher = Hasher::resumable(algorithm);
        hasher.update(&input(100_003));
        let state = hasher.export().unwrap();
        (algorithm, state.len(), digest(Algorithm::Sha256, &state).hex()[..16].to_owned())
    });
    let expected = [
        (Algorithm::Sha256, 105, "b5e523063636cbd4"),
        (Algorithm::Sha512, 209, "619c789c382edea0"),
        (Algorithm::Blake3, 1772, "183bc13404bcc85d"),
    ];
    assert_eq!(digests, expected.map(|(algorithm, len, hash)| (algorithm, len, hash.to_owned())));
}

#[test]
fn a_state_of_another_version_or_algorithm_is_refused() {
    for algorithm in Algorithm::ALL {
        let mut hasher = Hasher::resumable(algorithm);
        hasher.update(&input(40_000));
        let mut state = hasher.export().unwrap();
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(Hasher::import(other, &state).is_none(), "{algorithm} as {other}");
        }
        assert!(Hasher::import(algorithm, &state[..state.len() - 20_000.min(state.len())]).is_none());
        state[0] += 1;
        assert!(Hasher::import(algorithm, &state).is_none());
        assert!(Hasher::new(algorithm).export().is_none(), "the fast hashers have no state to export");
    }
}

/// `cargo test --lib -- --ignored --nocapture how_fast_resumable; the crates that hash are always optimised.`
#[test]
#[ignore = "a measurement"]
fn how_fast_resumable_hashers_are() {
    let piece = input(512 * KIB);
    let rate = |mut hasher: Hasher| {
        let start = std::time::Instant::now();
        for _ in 0..1024 {
            hasher.update(&piece);
        }
        hasher.finish();
        512.0 / start.elapsed().as_secs_f64()
    };
    for algorithm in Algorithm::ALL {
        // Alternating, and the best of each: the machine has other work.
        let (mut plain, mut resumable) = (0_f64, 0_f64);
        for _ in 0..5 {
            plain = plain.max(rate(Hasher::new(algorithm)));
            resumable = resumable.max(rate(Hasher::resumable(algorithm)));
        }
        println!("{algorithm}: {plain:.0} MiB/s, resumable {resumable:.0}, ratio {:.2}", resumable / plain);
    }
}
