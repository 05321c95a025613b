# shellcheck shell=bash
# The sections that are cargo's.

section_setup() {
    # In this shell and not through `check`: the tools end up on PATH.
    local what
    for what in base_tools debian_clients go_clients; do
        if "ensure_$what" >"$LOGS/setup" 2>&1; then
            passed 1
            echo "ok setup: ${what/_/ }"
        else
            failed 1
            cat "$LOGS/setup"
            echo "FAIL setup: ${what/_/ }"
        fi
    done
}

section_fmt() { check "cargo fmt --check" cargo fmt --check; }

section_clippy() { check "cargo clippy" cargo clippy --all-targets -- -D warnings; }

# The supply chain: `cargo deny check` over deny.toml belongs here, once it is required.
section_deny() { echo "not required yet"; }

# count_cargo NAME CARGO-ARGUMENTS…: runs cargo test and counts what it counted.
count_cargo() {
    local name=$1 log=$LOGS/$1 code=0 totals cargo_passed cargo_failed cargo_ignored
    shift
    cargo test "$@" >"$log" 2>&1 || code=$?
    totals=$(awk '/^test result: / { passed += $4; failed += $6; ignored += $8 } END { print passed + 0, failed + 0, ignored + 0 }' "$log")
    read -r cargo_passed cargo_failed cargo_ignored <<<"$totals"
    passed "$cargo_passed"
    failed "$cargo_failed"
    ((cargo_ignored == 0)) || echo "$cargo_ignored left to the sections load, replicas and long"
    if ((code != 0)); then
        cat "$log"
        # A compile error or a test binary that died leaves no total of its own.
        ((cargo_failed)) || failed 1
        echo "FAIL $name (exit code $code)"
    elif ((cargo_passed == 0)); then
        failed 1
        echo "FAIL $name ran no test"
    fi
}

section_test() { count_cargo test --no-fail-fast; }

# What takes minutes: many kills, much garbage, gigabytes in bounded memory.
section_load() { count_cargo load --no-fail-fast --test load -- --ignored; }

# Several servers over one PostgreSQL and one bucket, killed and cut off: the long part, as above. A gigabyte at once to
# a bucket on the same two cores wants a release build and is left to `long`; a fifth of it is in every run.
section_replicas() { count_cargo replicas --no-fail-fast --test replicas -- --ignored --skip uploads_of_16_mib; }

# The release build: what of the above meets a server meets this one, over a hundred kills and with 100 000 blobs.
# Then at full length: histories of more than 20 000 operations on each engine, ten minutes of collections on each pair,
# and how much slower pushes are meanwhile.
section_long() {
    check "cargo build --release" cargo build --release --bin artifactstore || return
    local -x ARTIFACTSTORE_BIN=${CARGO_TARGET_DIR:-target}/release/artifactstore
    ARTIFACTSTORE_BIN=$(realpath -e -- "$ARTIFACTSTORE_BIN") || return
    local -x LOAD_GARBAGE=100000 LOAD_KILLS=100 CLIENTS_FOLDERS=200
    count_cargo load --release --no-fail-fast --test load -- --ignored
    count_cargo replicas --release --no-fail-fast --test replicas -- --ignored
    section_conformance
    section_clients
    section_schemathesis
    ARTIFACTSTORE_TEST_HISTORIES=180 count_cargo long-histories --release --lib -- everything --nocapture
    LOAD_GC_SECONDS=600 count_cargo long-garbage --release --test load -- garbage --nocapture
    LOAD_GC_SECONDS=600 count_cargo long-replicas --release --test replicas -- garbage --nocapture
    check "cargo bench push-gc put-over-tag" cargo bench --bench registry -- push-gc put-over-tag
}
