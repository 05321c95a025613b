# shellcheck shell=bash
# Counted test cases: `ok NAME` for one that passed, `FAIL NAME` and its whole output for one that did not.

CASES_PASSED=0
CASES_FAILED=0

# run_case NAME FUNCTION [ARGUMENT…]: runs the function in a subshell with `set -e`. Call it as a
# plain statement: in a condition bash would switch `set -e` off inside as well.
run_case() {
    local name=$1 log code
    shift
    log=$(mktemp "$CASE_DIR/log.XXXXXX")
    set +e
    (
        set -euo pipefail
        "$@"
    ) </dev/null >"$log" 2>&1
    code=$?
    set -e
    if [[ $code -eq 0 ]]; then
        CASES_PASSED=$((CASES_PASSED + 1))
        echo "ok $name"
    else
        CASES_FAILED=$((CASES_FAILED + 1))
        echo "FAIL $name (exit code $code)"
        sed 's/^/    /' "$log"
    fi
    rm -f "$log"
}

# same WHAT EXPECTED ACTUAL
same() {
    [[ $2 == "$3" ]] || { printf '%s differ:\n  expected %s\n  actual   %s\n' "$1" "$2" "$3"; return 1; }
}

# refused COMMAND…: succeeds when the command fails.
refused() {
    if "$@"; then
        echo "succeeded, expected a failure: $*"
        return 1
    fi
}
