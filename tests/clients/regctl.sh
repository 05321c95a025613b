# shellcheck shell=bash
# regctl: mounts without `from`, tag deletes, artifacts.

test_regctl() {
    run_case "regctl: knows the registry as plain HTTP" regctl registry set --tls disabled "$ADDR"
    run_case "regctl: image copy in and out keeps every blob" regctl_copy
    run_case "regctl: an index copied in and out keeps every blob" regctl_index
    run_case "regctl: image copy between repositories keeps the digest" regctl_between
    run_case "regctl: an artifact comes back with the bytes put" regctl_artifact
    run_case "regctl: an artifact with a subject is listed" regctl_subject
    run_case "regctl: tag rm removes one tag and leaves the manifest" regctl_tag_rm
    run_case "regctl: repo ls lists the repositories" regctl_repos
}

regctl_copy() {
    regctl image copy "ocidir://$WORK/image:image" "$ADDR/regctl/image:v1"
    same "digest" "$IMAGE_DIGEST" "$(regctl image digest "$ADDR/regctl/image:v1")"
    regctl image copy "$ADDR/regctl/image:v1" "ocidir://$SCRATCH/image:image"
    diff -r "$WORK/image/blobs" "$SCRATCH/image/blobs"
}

regctl_index() {
    regctl image copy "ocidir://$WORK/index:index" "$ADDR/regctl/index:v1"
    regctl image copy "$ADDR/regctl/index:v1" "ocidir://$SCRATCH/index:index"
    diff -r "$WORK/index/blobs" "$SCRATCH/index/blobs"
}

regctl_between() {
    regctl image copy "$ADDR/regctl/image:v1" "$ADDR/regctl/copy:v1"
    same "digest" "$IMAGE_DIGEST" "$(regctl image digest "$ADDR/regctl/copy:v1")"
}

regctl_artifact() {
    regctl artifact put --artifact-type application/vnd.example.evidence -f "$WORK/tree/nested/0/0/file-000" "$ADDR/regctl/artifact:v1"
    regctl artifact get "$ADDR/regctl/artifact:v1" >"$SCRATCH/artifact"
    cmp "$WORK/tree/nested/0/0/file-000" "$SCRATCH/artifact"
}

regctl_subject() {
    printf 'signed\n' >"$SCRATCH/signature"
    regctl artifact put --artifact-type application/vnd.example.signature --subject "$ADDR/regctl/image:v1" -f "$SCRATCH/signature"
    same "referrers" application/vnd.example.signature \
        "$(regctl artifact list "$ADDR/regctl/image:v1" --format '{{jsonPretty .}}' | jq -r '.descriptors[].artifactType')"
    regctl artifact get --subject "$ADDR/regctl/image:v1" --filter-artifact-type application/vnd.example.signature >"$SCRATCH/signature.back"
    cmp "$SCRATCH/signature" "$SCRATCH/signature.back"
}

regctl_tag_rm() {
    regctl image copy "$ADDR/regctl/copy:v1" "$ADDR/regctl/copy:v2"
    regctl tag rm "$ADDR/regctl/copy:v2"
    same "tags" v1 "$(regctl tag ls "$ADDR/regctl/copy" | paste -sd' ')"
    same "digest" "$IMAGE_DIGEST" "$(regctl image digest "$ADDR/regctl/copy:v1")"
}

regctl_repos() {
    same "repositories" "regctl/artifact regctl/copy regctl/image regctl/index" "$(regctl repo ls "$ADDR" | LC_ALL=C sort | paste -sd' ')"
}
