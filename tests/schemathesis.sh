#!/usr/bin/env bash
# Requests made up from docs/openapi.json against the real server: tests/schemathesis.sh [--engine embedded|production]
#
# Schemathesis (pinned in tests/lib/schemathesis.txt) sends what the document allows and what it forbids, alone and in
# sequences, and holds every answer against the document: no 5xx, no status, type or field that it does not name,
# nothing accepted that it forbids, 405 for every other method. Once with the id of a draft and once with that of a
# package; under a minute together. That valid input is accepted is not checked: paths and metadata have rules that a
# JSON Schema does not say. The last line is `schemathesis on ENGINE engines: N passed, N failed`.
set -euo pipefail

ROOT=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")/..")
# shellcheck source=lib/cases.sh
source "$ROOT/tests/lib/cases.sh"
# shellcheck source=lib/server.sh
source "$ROOT/tests/lib/server.sh"
# shellcheck source=lib/tools.sh
source "$ROOT/tests/lib/tools.sh"

ENGINE=embedded
if [[ ${1-} == --engine ]]; then
    ENGINE=${2-}
    shift 2
fi
[[ $# -eq 0 && $ENGINE =~ ^(embedded|production)$ ]] || { echo "usage: tests/schemathesis.sh [--engine embedded|production]" >&2; exit 2; }

WORK=$(mktemp -d "${TMPDIR:-/tmp}/artifactstore-schemathesis.XXXXXX")
CASE_DIR=$WORK
clean_up() {
    server_kill
    engine_drop || true
    rm -rf -- "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Installs the pinned packages once, kept under the hash of their pins. Sets SCHEMATHESIS.
ensure_schemathesis() {
    local pins=$ROOT/tests/lib/schemathesis.txt folder sudo=()
    folder=$ROOT/tests/.cache/schemathesis-$(sha256sum "$pins" | cut -c1-16)
    SCHEMATHESIS=$folder/bin/schemathesis
    # A virtual environment knows where it and Python are: in a clone that was moved it has to be made anew.
    [[ ! -e $folder/complete ]] || ! "$SCHEMATHESIS" --version >/dev/null 2>&1 || return 0
    apt_ensure curl:curl jq:jq python3:python3 || return
    if ! python3 -c 'import ensurepip' 2>/dev/null; then
        [[ $(id -u) -eq 0 ]] || sudo=(sudo -n)
        "${sudo[@]}" apt-get -qq update &&
            "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-venv || return
    fi
    rm -rf -- "$folder"
    mkdir -p "$ROOT/tests/.cache" && python3 -m venv "$folder" &&
        "$folder/bin/pip" install -q --no-deps -r "$pins" && touch "$folder/complete"
}

# Sets DRAFT and PACKAGE, the ids of one of each.
make_packages() {
    local packages=http://$SERVER_ADDR/v2/fuzz/repo/_artifactstore/packages
    DRAFT=$(curl -sf "$packages" -d '{"kind":"fuzz"}' | jq -er .id) &&
        PACKAGE=$(curl -sf "$packages" -d '{"kind":"fuzz"}' | jq -er .id) &&
        echo text | curl -sfT - "$packages/$PACKAGE/files/logs/a.txt" >/dev/null &&
        curl -sf "$packages/$PACKAGE/finalize" -d '{"tag":"v1"}' >/dev/null
}

# How a request that the document forbids may be refused. Its conditions are looked at first (RFC 9110 section 13.2.2),
# so it may fail by 412, which is not among those that schemathesis knows by itself.
REFUSED='[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "415", "422", "428", "429", "5xx"]'

# A hold that was released stays on record: what was deleted can still be asked for. All other checks are on unless they
# are named: `--checks all` would turn this one on again.
RECORDED='[[operations]]
include-operation-id = "getHold"
checks.use_after_free.enabled = false'

# fuzz ID SECONDS ARGUMENT…
fuzz() {
    local id=$1 seconds=$2
    shift 2
    # No request waits at the end of the log for as long as it may.
    printf '%s\n[parameters]\n"path.name" = "fuzz/repo"\n"path.id" = "%s"\n"query.wait" = 0\n%s\n' "$REFUSED" "$id" "$RECORDED" \
        >"$WORK/schemathesis.toml"
    cd "$WORK"
    "$SCHEMATHESIS" --config-file schemathesis.toml run "$ROOT/docs/openapi.json" --url "http://$SERVER_ADDR" \
        --exclude-checks positive_data_acceptance --max-time "$seconds" --seed "${SCHEMATHESIS_SEED:-1}" \
        --workers 1 --request-timeout 60 --suppress-health-check filter_too_much,too_slow --warnings off --continue-on-failure --no-color "$@"
}

if ! { ensure_schemathesis && BINARY=$(server_binary) && engine_make "$ENGINE" &&
    server_start "$BINARY" "$WORK/server" && make_packages; } >"$WORK/begin.log" 2>&1; then
    echo "FAIL schemathesis: could not begin"
    sed 's/^/    /' "$WORK/begin.log"
    echo "schemathesis on $ENGINE engines: 0 passed, 1 failed"
    exit 1
fi
run_case "a draft" fuzz "$DRAFT" 30 --exclude-operation-id finalizePackage --exclude-operation-id abortPackage
run_case "a package" fuzz "$PACKAGE" 20
# Not a case of its own shell: the server is a child of this one.
if server_stop >"$WORK/stop.log" 2>&1; then
    CASES_PASSED=$((CASES_PASSED + 1))
    echo "ok the server ends in order"
else
    CASES_FAILED=$((CASES_FAILED + 1))
    echo "FAIL the server ends in order"
    sed 's/^/    /' "$WORK/stop.log"
fi
echo "schemathesis on $ENGINE engines: $CASES_PASSED passed, $CASES_FAILED failed"
((CASES_FAILED == 0))
