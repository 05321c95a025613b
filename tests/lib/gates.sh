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

# The gate's exit code 3: the verdict rests on the older suite, because the module proxy does not
# serve the newer one. See conformance/README.md.
section_conformance() {
    local log=$LOGS/conformance code=0
    require_server conformance || return
    conformance/run >"$log" 2>&1 || code=$?
    if ! ((code == 0 || code == 3)) || ! count_from "$log" conformance; then
        blame conformance "$log" "$code"
        return
    fi
    grep '^conformance [^:]*: ' "$log"
    ((code == 0)) || note "$(grep -m 1 ': NOT RUN' "$log")"
}

section_clients() {
    local log=$LOGS/clients code=0
    require_server clients || return
    tests/clients/run >"$log" 2>&1 || code=$?
    if ((code != 0)) || ! count_from "$log" clients; then
        blame clients "$log" "$code"
    fi
}
