# shellcheck shell=bash
# One artifactstore process on a free loopback port with a data directory, and engines, of its own.

SERVER_SETTINGS=()

# Prints the path of the server under test. Without ARTIFACTSTORE_BIN cargo builds it, so that no stale binary is
# tested: beside a test, which makes it the binary that the tests have, and is a no-op when nothing changed.
server_binary() {
    if [[ -n ${ARTIFACTSTORE_BIN:-} ]]; then
        realpath -e -- "$ARTIFACTSTORE_BIN"
        return
    fi
    (cd "$ROOT" && cargo build --bin artifactstore --test it >&2) || return
    (cd "$ROOT" && realpath -e -- "${CARGO_TARGET_DIR:-target}/debug/artifactstore")
}

# engine_make KIND: fresh engines for servers to come, `embedded` or `production`. Sets ENGINE_NAME and SERVER_SETTINGS.
engine_make() {
    local made
    made=$("$ROOT/tests/lib/engines.py" make "$1") || return
    mapfile -t SERVER_SETTINGS <<<"$made"
    ENGINE_NAME=${SERVER_SETTINGS[0]}
    unset 'SERVER_SETTINGS[0]'
}

# Removes them. Servers on them have to be stopped before.
engine_drop() {
    [[ -n ${ENGINE_NAME:-} ]] || return 0
    "$ROOT/tests/lib/engines.py" drop "$ENGINE_NAME" || return
    ENGINE_NAME=
    SERVER_SETTINGS=()
}

# server_start BINARY DIR: sets SERVER_PID and SERVER_ADDR (host:port). Everything it writes is in DIR, but for what
# SERVER_SETTINGS, a list of VARIABLE=value, sends elsewhere.
server_start() {
    local binary=$1 dir=$2 tries code=0
    mkdir -p "$dir"
    : >"$dir/stdout"
    # The server refuses settings it does not know, and a test wants none of the caller's.
    local settings=("${!ARTIFACTSTORE_@}")
    env "${settings[@]/#/--unset=}" "${SERVER_SETTINGS[@]}" "$binary" serve --listen 127.0.0.1:0 --data "$dir/data" </dev/null >"$dir/stdout" 2>"$dir/server.log" &
    SERVER_PID=$!
    SERVER_ADDR=
    for ((tries = 0; tries < 600; tries++)); do
        SERVER_ADDR=$(sed -n 's|^listening on http://\([^ ]*\)$|\1|p' "$dir/stdout")
        [[ -n $SERVER_ADDR ]] && return 0
        kill -0 "$SERVER_PID" 2>/dev/null || break
        sleep 0.05
    done
    if kill -0 "$SERVER_PID" 2>/dev/null; then
        echo "no \`listening on\` line within 30 s"
        server_kill
    else
        wait "$SERVER_PID" || code=$?
        SERVER_PID=
        echo "server ended with exit code $code before it listened"
    fi
    echo "its output and log:"
    tail -n 40 "$dir/stdout" "$dir/server.log"
    return 1
}

# SIGTERM; fails unless the server then ends by itself, within 30 s, with exit code 0.
server_stop() {
    local tries code=0
    kill -TERM "$SERVER_PID" || { echo "server had already died"; wait "$SERVER_PID"; return 1; }
    for ((tries = 0; tries < 600; tries++)); do
        kill -0 "$SERVER_PID" 2>/dev/null || break
        sleep 0.05
    done
    if kill -0 "$SERVER_PID" 2>/dev/null; then
        echo "server still ran 30 s after SIGTERM"
        server_kill
        return 1
    fi
    wait "$SERVER_PID" || code=$?
    SERVER_PID=
    [[ $code -eq 0 ]] || { echo "server exited with $code after SIGTERM, expected 0"; return 1; }
}

# The way out when a test run is interrupted: no questions asked.
server_kill() {
    [[ -n ${SERVER_PID:-} ]] || return 0
    kill -KILL "$SERVER_PID" 2>/dev/null || true
    wait "$SERVER_PID" 2>/dev/null || true
    SERVER_PID=
}
