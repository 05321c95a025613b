# shellcheck shell=bash
# Counting and printing: every section is a function `section_NAME` that calls `passed` and `failed`.

PASSED=0
FAILED=0
NOTES=()

passed() { PASSED=$((PASSED + $1)); }
failed() { FAILED=$((FAILED + $1)); }

# note TEXT: printed once more beside the totals, for what a green run must not hide.
note() { NOTES+=("$1"); }

usage_error() {
    echo "tests/run: $1; sections: ${SECTIONS[*]}" >&2
    exit 2
}

section() {
    local name=$1 before_passed=$PASSED before_failed=$FAILED start=$EPOCHREALTIME spent
    echo "== section: $name =="
    "section_$name"
    spent=$(((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}) / 100000))
    echo "-- $name: $((PASSED - before_passed)) passed, $((FAILED - before_failed)) failed, $((spent / 10)).$((spent % 10)) s," \
        "$(($(free_kib .) / 1024 / 1024)) GiB of disk left"
}


# quietly LOG COMMAND…: output goes to the log, and is shown when the command fails.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 && return
    local code=$?
    cat "$log"
    echo "exit code $code: $*"
    return "$code"
}

# check NAME COMMAND…: one test that is a whole command.
check() {
    local name=$1
    shift
    if quietly "$LOGS/check" "$@"; then
        passed 1
        echo "ok $name"
    else
        failed 1
        echo "FAIL $name"
        return 1
    fi
}

# count_from LOG PREFIX: adds up the line `PREFIX: N passed, N failed`; fails when there is none.
count_from() {
    local line
    line=$(sed -n "s/^$2: \([0-9]*\) passed, \([0-9]*\) failed\$/\1 \2/p" "$1" | tail -n 1)
    [[ -n $line ]] || return 1
    passed "${line% *}"
    failed "${line#* }"
}

# blame NAME LOG CODE: a script of its own failed. Its output is shown, and at least one failure is counted.
blame() {
    local before=$FAILED
    cat "$2"
    count_from "$2" "$1" || true
    ((FAILED > before)) || failed 1
    echo "FAIL $1 (exit code $3)"
}

conclude() {
    local text
    for text in "${NOTES[@]}"; do
        echo "NOTE $text"
    done
    echo "$PASSED passed, $FAILED failed"
    [[ $FAILED -eq 0 && $PASSED -gt 0 ]]
}
