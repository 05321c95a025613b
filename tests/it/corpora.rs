//! The fuzz corpora as ordinary tests: what the fuzzer found once stays found.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/targets.rs"]
#[expect(unreachable_pub, reason = "the fuzzer reaches them too")]
mod targets;

#[test]
fn every_corpus_input_keeps_the_promises() {
    for (name, target) in targets::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() >= 8, "the corpus of {name} has {} inputs", inputs.len());
        for input in inputs {
            target(&fs::read(&input).unwrap());
        }
    }
}

#[test]
fn every_target_has_a_fuzzer() {
    let fuzzers = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut found: Vec<_> =
        fs::read_dir(fuzzers).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    let expected: Vec<_> = targets::ALL.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(found, expected);
}
