# shellcheck shell=bash
# The sections that run the real server. Each is one script with a line of totals of its own.

# require_server NAME: builds the server, or counts the section as one failure. Beside a test, because it has the
# dependencies of the tests then, which are built already.
require_server() {
    [[ -n ${ARTIFACTSTORE_BIN:-} ]] && return
    quietly "$LOGS/server" cargo build --bin artifactstore --test it && return
    failed 1
    echo "FAIL $1: not run, the server does not build"
    return 1
}

# One server on either pair of engines, and three on the second.
section_conformance() {
    require_server conformance || return
    conformance_gate --engine embedded
    conformance_gate --engine production
    conformance_gate --engine production --replicas 3
}

# The gate's exit code 3: the verdict rests on the older suite, because the module proxy does not
# serve the newer one. See conformance/README.md.
conformance_gate() {
    local log=$LOGS/conformance code=0
    conformance/run "$@" >"$log" 2>&1 || code=$?
    if ! ((code == 0 || code == 3)) || ! count_from "$log" conformance; then
        blame conformance "$log" "$code"
        return
    fi
    grep '^conformance [^:]*: ' "$log"
    ((code == 0)) || note "$(grep -m 1 ': NOT RUN' "$log") ($*)"
}

section_clients() { on_both_engines clients tests/clients/run; }

section_schemathesis() { on_both_engines schemathesis tests/schemathesis.sh; }

# on_both_engines NAME SCRIPT: the script on each pair of engines; its totals are called `NAME on ENGINE engines`.
on_both_engines() {
    local name=$1 script=$2 log=$LOGS/$1 engine title code
    require_server "$name" || return
    for engine in embedded production; do
        title="$name on $engine engines" code=0
        "$script" --engine "$engine" >"$log" 2>&1 || code=$?
        if ((code == 0)) && count_from "$log" "$title"; then
            tail -n 1 "$log"
        else
            blame "$title" "$log" "$code"
        fi
    done
}
