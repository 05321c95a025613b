# shellcheck shell=bash
# skopeo: copies in and out in both formats, the way the docker and podman families push.

test_skopeo() {
    run_case "skopeo: an OCI layout copied in and out keeps every blob" skopeo_layout
    run_case "skopeo: a dir: image copied in and out is identical" skopeo_dir
    run_case "skopeo: a multi-platform index keeps every blob" skopeo_index
    run_case "skopeo: a docker v2s2 image keeps its manifest and blobs" skopeo_docker
    run_case "skopeo: a docker manifest list keeps its digest" skopeo_docker_list
    run_case "skopeo: copies between repositories of the registry" skopeo_between
    run_case "skopeo: list-tags lists every tag" skopeo_tags
    run_case "skopeo: inspect reads tag and configuration" skopeo_inspect
    run_case "skopeo: a deleted image is gone" skopeo_delete
}

skopeo_() {
    local command=$1
    shift
    skopeo --policy "$POLICY" "$command" "$@"
}

skopeo_in() { skopeo_ copy -q --dest-tls-verify=false "$@"; }
skopeo_out() { skopeo_ copy -q --src-tls-verify=false "$@"; }

skopeo_layout() {
    skopeo_in --preserve-digests "oci:$WORK/image:image" "docker://$ADDR/skopeo/image:v1"
    skopeo_out --preserve-digests "docker://$ADDR/skopeo/image:v1" "oci:$SCRATCH/image:image"
    diff -r "$WORK/image/blobs" "$SCRATCH/image/blobs"
}

skopeo_dir() {
    skopeo_ copy -q "oci:$WORK/image:image" "dir:$SCRATCH/dir-in"
    skopeo_in "dir:$SCRATCH/dir-in" "docker://$ADDR/skopeo/dir:v1"
    skopeo_out "docker://$ADDR/skopeo/dir:v1" "dir:$SCRATCH/dir-out"
    diff -r "$SCRATCH/dir-in" "$SCRATCH/dir-out"
}

skopeo_index() {
    skopeo_in --all --preserve-digests "oci:$WORK/index:index" "docker://$ADDR/skopeo/index:v1"
    skopeo_out --all --preserve-digests "docker://$ADDR/skopeo/index:v1" "oci:$SCRATCH/index:index"
    diff -r "$WORK/index/blobs" "$SCRATCH/index/blobs"
}

skopeo_docker() {
    skopeo_ copy -q --format v2s2 "oci:$WORK/image:image" "dir:$SCRATCH/docker-in"
    skopeo_in --format v2s2 "oci:$WORK/image:image" "docker://$ADDR/skopeo/docker:v1"
    skopeo_ inspect --tls-verify=false --raw "docker://$ADDR/skopeo/docker:v1" >"$SCRATCH/docker.json"
    same "media type" application/vnd.docker.distribution.manifest.v2+json "$(jq -r .mediaType "$SCRATCH/docker.json")"
    cmp "$SCRATCH/docker-in/manifest.json" "$SCRATCH/docker.json"
    skopeo_out "docker://$ADDR/skopeo/docker:v1" "dir:$SCRATCH/docker-out"
    diff -r "$SCRATCH/docker-in" "$SCRATCH/docker-out"
}

skopeo_docker_list() {
    skopeo_ copy -q --all --format v2s2 "oci:$WORK/index:index" "dir:$SCRATCH/list-in"
    skopeo_in --all --format v2s2 "oci:$WORK/index:index" "docker://$ADDR/skopeo/list:v1"
    skopeo_out --all "docker://$ADDR/skopeo/list:v1" "dir:$SCRATCH/list-out"
    same "media type" application/vnd.docker.distribution.manifest.list.v2+json "$(jq -r .mediaType "$SCRATCH/list-out/manifest.json")"
    diff -r "$SCRATCH/list-in" "$SCRATCH/list-out"
}

skopeo_between() {
    skopeo_ copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$ADDR/skopeo/image:v1" "docker://$ADDR/skopeo/mounted:v1"
    same "digest" "$IMAGE_DIGEST" "$(skopeo_ inspect --tls-verify=false --format '{{.Digest}}' "docker://$ADDR/skopeo/mounted:v1")"
}

skopeo_tags() {
    local tag
    for tag in b a _c 1.0; do
        skopeo_ copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$ADDR/skopeo/image:v1" "docker://$ADDR/skopeo/image:$tag"
    done
    same "tags" "1.0 _c a b v1" \
        "$(skopeo_ list-tags --tls-verify=false "docker://$ADDR/skopeo/image" | jq -r '.Tags[]' | LC_ALL=C sort | paste -sd' ')"
}

skopeo_inspect() {
    skopeo_ inspect --tls-verify=false "docker://$ADDR/skopeo/image:v1" >"$SCRATCH/inspect.json"
    same "digest" "$IMAGE_DIGEST" "$(jq -r .Digest "$SCRATCH/inspect.json")"
    same "layers" 2 "$(jq '.Layers | length' "$SCRATCH/inspect.json")"
    same "command" /bin/noise "$(skopeo_ inspect --tls-verify=false --config "docker://$ADDR/skopeo/image:v1" | jq -r '.config.Cmd[0]')"
}

skopeo_delete() {
    skopeo_ delete --tls-verify=false "docker://$ADDR/skopeo/mounted:v1"
    refused skopeo_ inspect --tls-verify=false "docker://$ADDR/skopeo/mounted:v1"
    refused skopeo_ inspect --tls-verify=false "docker://$ADDR/skopeo/mounted@$IMAGE_DIGEST"
    skopeo_ inspect --tls-verify=false "docker://$ADDR/skopeo/image:v1" >/dev/null
}
