# shellcheck shell=bash
# containerd through ctr: a private daemon, no CRI, the native snapshotter.

test_containerd() {
    step "containerd: starts" containerd_start || return 0
    run_case "containerd: pulls and unpacks an image over plain HTTP" containerd_pull
    run_case "containerd: the pulled blobs are the pushed ones" containerd_content
    run_case "containerd: pushes over plain HTTP and keeps every blob" containerd_push
    run_case "containerd: pulls by digest" containerd_digest
    run_case "containerd: pulls every platform of an index and pushes it" containerd_index
    step "containerd: stops" containerd_stop
}

containerd_start() {
    local tries
    mkdir "$SCRATCH/containerd"
    cat >"$SCRATCH/containerd/config.toml" <<TOML
version = 2
root = "$SCRATCH/containerd/root"
state = "$SCRATCH/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.overlayfs"]
[grpc]
address = "$SCRATCH/containerd/socket"
[ttrpc]
address = "$SCRATCH/containerd/socket.ttrpc"
TOML
    containerd --config "$SCRATCH/containerd/config.toml" </dev/null >"$SCRATCH/containerd/log" 2>&1 &
    CONTAINERD_PID=$!
    for ((tries = 0; tries < 600; tries++)); do
        ctr_ version >/dev/null 2>&1 && return 0
        kill -0 "$CONTAINERD_PID" 2>/dev/null || break
        sleep 0.05
    done
    tail -n 40 "$SCRATCH/containerd/log"
    return 1
}

containerd_stop() {
    kill -TERM "$CONTAINERD_PID" && wait "$CONTAINERD_PID"
    CONTAINERD_PID=
}

ctr_() { ctr --address "$SCRATCH/containerd/socket" --namespace test "$@"; }

# containerd_holds LAYOUT: every blob of the layout is in containerd's content store.
containerd_holds() {
    local blob
    for blob in "$1"/blobs/sha256/*; do
        ctr_ content get "sha256:${blob##*/}" | cmp - "$blob"
    done
}

containerd_pull() {
    crane push "$WORK/image" "$ADDR/containerd/image:v1"
    ctr_ images pull --plain-http --snapshotter native "$ADDR/containerd/image:v1"
    same "digest" "$IMAGE_DIGEST" "$(ctr_ images ls "name==$ADDR/containerd/image:v1" | awk 'NR == 2 { print $3 }')"
}

containerd_content() {
    containerd_holds "$WORK/image"
}

containerd_push() {
    ctr_ images tag "$ADDR/containerd/image:v1" "$ADDR/containerd/pushed:v1"
    ctr_ images push --plain-http "$ADDR/containerd/pushed:v1"
    crane pull --format=oci "$ADDR/containerd/pushed:v1" "$SCRATCH/pushed"
    diff -r "$WORK/image/blobs" "$SCRATCH/pushed/blobs"
}

containerd_digest() {
    ctr_ images pull --plain-http --snapshotter native "$ADDR/containerd/pushed@$IMAGE_DIGEST"
}

containerd_index() {
    skopeo --policy "$POLICY" copy -q --all --preserve-digests --dest-tls-verify=false "oci:$WORK/index:index" "docker://$ADDR/containerd/index:v1"
    ctr_ content fetch --plain-http --all-platforms "$ADDR/containerd/index:v1"
    containerd_holds "$WORK/index"
    ctr_ images tag "$ADDR/containerd/index:v1" "$ADDR/containerd/index-pushed:v1"
    ctr_ images push --plain-http "$ADDR/containerd/index-pushed:v1"
    same "digest" "$INDEX_DIGEST" "$(crane digest "$ADDR/containerd/index-pushed:v1")"
    crane validate --remote "$ADDR/containerd/index-pushed:v1"
}
