# shellcheck shell=bash
# A throw-away PostgreSQL: durable as in production, reached through loopback TCP and a password only.
#
# Its default collation is a linguistic one on purpose: a statement that forgets COLLATE "C" sorts differently here.

postgres_install() {
    export PATH=$PATH:/usr/sbin
    if ! postgres_programs; then
        apt_ensure pg_ctlcluster:postgresql || return
        postgres_programs
    fi
}

# Sets POSTGRES_BIN: Debian keeps the server's programs out of PATH, a folder per version.
postgres_programs() {
    POSTGRES_BIN=$(find /usr/lib/postgresql -path '*/bin/initdb' -printf '%h\n' 2>/dev/null | sort -V | tail -n 1)
    [[ -n $POSTGRES_BIN ]] || { echo "no initdb below /usr/lib/postgresql"; return 1; }
}

# Sets POSTGRES_AS, the words to put before a command: the server refuses to run as root.
postgres_user() {
    local user=postgres
    POSTGRES_AS=()
    (($(id -u) == 0)) || return 0
    id -u "$user" >/dev/null 2>&1 || user=nobody
    POSTGRES_AS=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups --inh-caps=-all --)
}

# The data directory survives `down`, so `down` and `up` are a restart on the same port.
postgres_up() {
    local dir=$1/postgres port password
    mkdir -p "$dir"
    postgres_user
    if (($(id -u) == 0)); then
        # A directory of mktemp lets nobody but root in.
        chmod a+x "$1" "$dir"
        "${POSTGRES_AS[@]}" test -x "$dir" || { echo "$dir cannot be reached by the user PostgreSQL runs as; use a directory below /tmp"; return 1; }
    fi
    if [[ ! -f $dir/url ]]; then
        rm -rf "$dir/data"
        port=$(free_ports 1)
        password=$(python3 -c 'import secrets; print(secrets.token_hex(12))')
        postgres_init "$dir" "$port" "$password" || return
        echo "postgres://artifactstore:$password@127.0.0.1:$port/postgres" >"$dir/url"
    fi
    daemon_start "$dir/pid" "$dir/log" "${POSTGRES_AS[@]}" "$POSTGRES_BIN/postgres" -D "$dir/data"
    daemon_await "$dir/pid" "$dir/log" 60 "$POSTGRES_BIN/psql" -XqAt -c 'SELECT 1' "$(<"$dir/url")"
}

postgres_init() {
    local dir=$1 port=$2 password=$3 locale=()
    # Before version 15 the provider cannot be named; the locale then is plain C.
    if "$POSTGRES_BIN/initdb" --help | grep -q -- --icu-locale; then
        locale=(--locale-provider=icu --icu-locale=en-US)
    fi
    mkdir -m 700 "$dir/data"
    # The file is read by the user PostgreSQL runs as, and nobody needs it afterwards.
    printf '%s\n' "$password" >"$dir/password"
    (($(id -u))) || chown "$("${POSTGRES_AS[@]}" id -u):$("${POSTGRES_AS[@]}" id -g)" "$dir/data" "$dir/password"
    "${POSTGRES_AS[@]}" "$POSTGRES_BIN/initdb" -D "$dir/data" -U artifactstore --pwfile="$dir/password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 "${locale[@]}" >"$dir/initdb.log" 2>&1 ||
        { tail -n 25 "$dir/initdb.log"; rm -rf "$dir/data"; return 1; }
    rm -f "$dir/password"
    "${POSTGRES_AS[@]}" tee -a "$dir/data/postgresql.conf" >/dev/null <<SETTINGS
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
max_connections = 200
fsync = on
log_timezone = 'UTC'
timezone = 'UTC'
SETTINGS
}

postgres_down() { daemon_stop "$1/postgres/pid" INT QUIT; }

postgres_alive() { daemon_alive "$1/postgres/pid"; }

postgres_exports() { echo "export ARTIFACTSTORE_TEST_POSTGRES='$(<"$1/postgres/url")'"; }
