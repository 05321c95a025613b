# shellcheck shell=bash
# The sections that run the real server. Each is one script with a line of totals of its own.

# require_server NAME: builds the server, or counts the section as one failure.
require_server() {
    [[ -n ${ARTIFACTSTORE_BIN:-} ]] && return
    quietly "$LOGS/server" cargo build --release --bin artifactstore && return
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

section_clients() {
    local engine
    require_server clients || return
    for engine in embedded production; do
        clients_on "$engine"
    done
}

clients_on() {
    local log=$LOGS/clients title="clients on $1 engines" code=0
    tests/clients/run --engine "$1" >"$log" 2>&1 || code=$?
    if ((code != 0)) || ! count_from "$log" "$title"; then
        blame "$title" "$log" "$code"
        return
    fi
    tail -n 1 "$log"
}

section_schemathesis() {
    local engine
    require_server schemathesis || return
    for engine in embedded production; do
        schemathesis_on "$engine"
    done
}

schemathesis_on() {
    local log=$LOGS/schemathesis title="schemathesis on $1 engines" code=0
    tests/schemathesis.sh --engine "$1" >"$log" 2>&1 || code=$?
    if ((code != 0)) || ! count_from "$log" "$title"; then
        blame "$title" "$log" "$code"
        return
    fi
    tail -n 1 "$log"
}
