# shellcheck shell=bash
# versitygw on a folder: the second implementation of S3, since Ceph and AWS differ. From the Go module proxy,
# pinned in tests/lib/versitygw.

versity_install() {
    apt_ensure python3:python3 || return
    go_tools versitygw "$ROOT/tests/lib/versitygw" && VERSITY_BIN=$GO_TOOLS/versitygw
}

versity_up() {
    local dir=$1/versity port secret
    rm -rf "$dir"
    mkdir -p "$dir/objects" "$dir/versions"
    # Attributes hold the metadata of objects; some file systems in memory have none.
    python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.probe", b"1")' "$dir/objects" 2>"$dir/log" ||
        { echo "the file system of $dir has no extended attributes, which versitygw needs"; return 1; }
    port=$(free_ports 1)
    secret=$(python3 -c 'import secrets; print(secrets.token_hex(20))')
    echo "http://versity:$secret@127.0.0.1:$port" >"$dir/url"
    daemon_start "$dir/pid" "$dir/log" env ROOT_ACCESS_KEY_ID=versity ROOT_SECRET_ACCESS_KEY="$secret" \
        "$VERSITY_BIN" --port "127.0.0.1:$port" --quiet posix --versioning-dir "$dir/versions" "$dir/objects"
    daemon_await "$dir/pid" "$dir/log" 30 python3 "$ROOT/tests/lib/s3.py" "$(<"$dir/url")" buckets
}

versity_down() { daemon_stop "$1/versity/pid" TERM; }

versity_alive() { daemon_alive "$1/versity/pid"; }

versity_exports() { echo "export ARTIFACTSTORE_TEST_S3_VERSITY='$(<"$1/versity/url")'"; }
