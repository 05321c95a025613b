# shellcheck shell=bash
# versitygw on a folder: the second implementation of S3, since Ceph and AWS differ. From the Go module proxy,
# pinned in tests/lib/versitygw.

versity_install() {
    apt_ensure python3:python3 || return
    go_tools versitygw "$ROOT/tests/lib/versitygw" && VERSITY_BIN=$GO_TOOLS/versitygw
}

# A blob of 4 GiB takes twice its size here while its parts are put together; on the disk the builds need some too.
VERSITY_MEMORY_KIB=$((12 * 1024 * 1024))
VERSITY_DISK_KIB=$((24 * 1024 * 1024))

# versity_place DIR: where the objects go: to the disk, or to memory where that has room for them and the disk has not.
versity_place() {
    local memory=/dev/shm
    if (($(free_kib "$1") < VERSITY_DISK_KIB)) && [[ -d $memory && -w $memory ]] &&
        (($(free_kib "$memory") >= VERSITY_MEMORY_KIB)); then
        mktemp -d "$memory/artifactstore-versity.XXXXXX"
    else
        echo "$1"
    fi
}

versity_up() {
    local dir=$1/versity place port secret
    versity_clear "$dir"
    mkdir -p "$dir"
    place=$(versity_place "$dir")
    echo "$place" >"$dir/place"
    mkdir -p "$place/objects" "$place/versions"
    # Attributes hold the metadata of objects; some file systems in memory have none.
    python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.probe", b"1")' "$place/objects" 2>"$dir/log" ||
        { echo "the file system of $place has no extended attributes, which versitygw needs"; return 1; }
    port=$(free_ports 1)
    secret=$(python3 -c 'import secrets; print(secrets.token_hex(20))')
    echo "http://versity:$secret@127.0.0.1:$port" >"$dir/url"
    daemon_start "$dir/pid" "$dir/log" env ROOT_ACCESS_KEY_ID=versity ROOT_SECRET_ACCESS_KEY="$secret" \
        "$VERSITY_BIN" --port "127.0.0.1:$port" --quiet posix --versioning-dir "$place/versions" "$place/objects"
    daemon_await "$dir/pid" "$dir/log" 30 python3 "$ROOT/tests/lib/s3.py" "$(<"$dir/url")" buckets
}

versity_down() {
    daemon_stop "$1/versity/pid" TERM
    versity_clear "$1/versity"
}

# versity_clear DIR: what it stored last time.
versity_clear() {
    local place=
    [[ ! -f $1/place ]] || place=$(<"$1/place")
    [[ $place != /dev/shm/artifactstore-versity.* ]] || rm -rf -- "$place"
    rm -rf -- "$1"
}

versity_alive() { daemon_alive "$1/versity/pid"; }

versity_exports() { echo "export ARTIFACTSTORE_TEST_S3_VERSITY='$(<"$1/versity/url")'"; }
