# shellcheck shell=bash
# buildah: an image built from scratch, pushed in both formats, pulled into a second store.

test_buildah() {
    run_case "buildah: builds from scratch and pushes" buildah_push
    run_case "buildah: an empty store pulls the same files" buildah_pull
    run_case "buildah: pushes and pulls the docker format" buildah_docker
    run_case "buildah: a pushed manifest list reads back" buildah_list
}

# buildah_ STORE ARGUMENT…
buildah_() {
    local store=$SCRATCH/$1
    shift
    BUILDAH_ISOLATION=chroot buildah --storage-driver vfs --root "$store/root" --runroot "$store/run" "$@"
}

buildah_contents() {
    local store=$1 image=$2 container
    container=$(buildah_ "$store" from --signature-policy "$POLICY" --pull-never "$image")
    diff -r "$WORK/tree" "$(buildah_ "$store" mount "$container")/evidence"
    buildah_ "$store" umount "$container"
    buildah_ "$store" rm "$container"
}

buildah_push() {
    local container
    container=$(buildah_ one from --signature-policy "$POLICY" scratch)
    buildah_ one add "$container" "$WORK/tree" /evidence
    buildah_ one config --cmd /none --label kind=evidence "$container"
    buildah_ one commit --signature-policy "$POLICY" --rm "$container" built
    buildah_ one push --signature-policy "$POLICY" --tls-verify=false built "docker://$ADDR/buildah/image:v1"
}

buildah_pull() {
    buildah_ two pull --signature-policy "$POLICY" --tls-verify=false "docker://$ADDR/buildah/image:v1"
    buildah_contents two "$ADDR/buildah/image:v1"
}

buildah_docker() {
    buildah_ one push --signature-policy "$POLICY" --tls-verify=false --format v2s2 built "docker://$ADDR/buildah/docker:v1"
    same "media type" application/vnd.docker.distribution.manifest.v2+json "$(crane manifest "$ADDR/buildah/docker:v1" | jq -r .mediaType)"
    buildah_ two pull --signature-policy "$POLICY" --tls-verify=false "docker://$ADDR/buildah/docker:v1"
    buildah_contents two "$ADDR/buildah/docker:v1"
}

buildah_list() {
    buildah_ one manifest create list
    buildah_ one manifest add --tls-verify=false list "docker://$ADDR/buildah/image:v1"
    buildah_ one manifest push --signature-policy "$POLICY" --tls-verify=false --all list "docker://$ADDR/buildah/list:v1"
    crane validate --remote "$ADDR/buildah/list:v1"
    same "images" "$(crane digest "$ADDR/buildah/image:v1")" "$(crane manifest "$ADDR/buildah/list:v1" | jq -r '.manifests[].digest')"
}
