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

section_test() {
    local log=$LOGS/test code=0 totals
    cargo test --no-fail-fast >"$log" 2>&1 || code=$?
    totals=$(awk '/^test result: / { passed += $4; failed += $6; ignored += $8 } END { print passed + 0, failed + 0, ignored + 0 }' "$log")
    read -r test_passed test_failed test_ignored <<<"$totals"
    passed "$test_passed"
    failed "$test_failed"
    ((test_ignored == 0)) || echo "$test_ignored ignored"
    if ((code != 0)); then
        cat "$log"
        # A compile error or a test binary that died leaves no total of its own.
        ((test_failed)) || failed 1
        echo "FAIL cargo test (exit code $code)"
    elif ((test_passed == 0)); then
        failed 1
        echo "FAIL cargo test ran no test"
    fi
}

section_build() {
    check "cargo build --release" cargo build --release --bin artifactstore
}
