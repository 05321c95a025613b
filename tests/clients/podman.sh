# shellcheck shell=bash
# podman: build, push, pull into an empty store, search.

test_podman() {
    run_case "podman: builds from scratch and pushes" podman_push
    run_case "podman: an empty store pulls the same files" podman_pull
    run_case "podman: pulls by digest" podman_digest
    run_case "podman: a second push of the same image keeps its digest" podman_again
    run_case "podman: search lists the tags" podman_search
}

# podman_ STORE ARGUMENT…
podman_() {
    local store=$SCRATCH/$1
    shift
    podman --storage-driver vfs --root "$store/root" --runroot "$store/run" --tmpdir "$store/tmp" \
        --cgroup-manager cgroupfs --events-backend file "$@"
}

podman_contents() {
    local store=$1 image=$2
    diff -r "$WORK/tree" "$(podman_ "$store" image mount "$image")/evidence"
    podman_ "$store" image umount "$image"
}

podman_push() {
    printf 'FROM scratch\nCOPY tree /evidence\nCMD ["/none"]\n' >"$SCRATCH/Containerfile"
    mkdir "$SCRATCH/context"
    cp -r "$WORK/tree" "$SCRATCH/context/tree"
    podman_ one build --isolation chroot --signature-policy "$POLICY" -f "$SCRATCH/Containerfile" -t built "$SCRATCH/context"
    podman_ one push --signature-policy "$POLICY" --tls-verify=false built "docker://$ADDR/podman/image:v1"
}

podman_pull() {
    podman_ two pull --signature-policy "$POLICY" --tls-verify=false "$ADDR/podman/image:v1"
    podman_contents two "$ADDR/podman/image:v1"
}

podman_digest() {
    local digest
    digest=$(crane digest "$ADDR/podman/image:v1")
    podman_ three pull --signature-policy "$POLICY" --tls-verify=false "$ADDR/podman/image@$digest"
    podman_contents three "$ADDR/podman/image@$digest"
}

podman_again() {
    local digest
    digest=$(crane digest "$ADDR/podman/image:v1")
    podman_ one push --signature-policy "$POLICY" --tls-verify=false built "docker://$ADDR/podman/image:v2"
    same "digest" "$digest" "$(crane digest "$ADDR/podman/image:v2")"
}

podman_search() {
    same "tags" "v1 v2" \
        "$(podman_ two search --tls-verify=false --list-tags --format json "$ADDR/podman/image" | jq -r '.[].Tags[]' | LC_ALL=C sort | paste -sd' ')"
}
