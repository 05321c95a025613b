# shellcheck shell=bash
# crane: the go-containerregistry client, strict about response headers.

test_crane() {
    run_case "crane: push and pull keep every blob" crane_push_pull
    run_case "crane: an index keeps every blob" crane_index
    run_case "crane: digest by HEAD equals the pushed digest" crane_digest
    run_case "crane: manifest gives the pushed bytes" crane_manifest
    run_case "crane: blob gives the pushed bytes" crane_blob
    run_case "crane: append makes an image that validates and exports" crane_append
    run_case "crane: validate reads everything back" crane_validate
    run_case "crane: copy mounts into another repository" crane_copy
    run_case "crane: tag and ls agree" crane_tag
    run_case "crane: catalog lists the repositories" crane_catalog
    run_case "crane: a deleted manifest is gone" crane_delete
}

crane_push_pull() {
    crane push "$WORK/image" "$ADDR/crane/image:v1"
    crane pull --format=oci "$ADDR/crane/image:v1" "$SCRATCH/image"
    diff -r "$WORK/image/blobs" "$SCRATCH/image/blobs"
}

crane_index() {
    # The layout's own index.json holds one index; crane pushes what that refers to.
    crane push --index "$WORK/index" "$ADDR/crane/index:v1"
    crane pull --format=oci "$ADDR/crane/index@$INDEX_DIGEST" "$SCRATCH/index"
    diff -r "$WORK/index/blobs" "$SCRATCH/index/blobs"
}

crane_digest() {
    same "digest" "$IMAGE_DIGEST" "$(crane digest "$ADDR/crane/image:v1")"
}

crane_manifest() {
    crane manifest "$ADDR/crane/image:v1" >"$SCRATCH/manifest.json"
    cmp "$WORK/image/blobs/sha256/${IMAGE_DIGEST#sha256:}" "$SCRATCH/manifest.json"
}

crane_blob() {
    local digest
    digest=$(crane manifest "$ADDR/crane/image:v1" | jq -r '.layers[0].digest')
    crane blob "$ADDR/crane/image@$digest" >"$SCRATCH/blob"
    cmp "$WORK/image/blobs/sha256/${digest#sha256:}" "$SCRATCH/blob"
}

crane_append() {
    tar -C "$WORK/tree" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$SCRATCH/layer.tar" .
    crane append -f "$SCRATCH/layer.tar" -t "$ADDR/crane/appended:v1"
    crane validate --remote "$ADDR/crane/appended:v1"
    mkdir "$SCRATCH/exported"
    crane export "$ADDR/crane/appended:v1" - | tar -C "$SCRATCH/exported" -xf -
    diff -r "$WORK/tree" "$SCRATCH/exported"
}

crane_validate() {
    crane validate --remote "$ADDR/crane/image:v1"
    crane validate --remote "$ADDR/crane/index@$INDEX_DIGEST"
}

crane_copy() {
    crane copy "$ADDR/crane/image:v1" "$ADDR/crane/copy:v1"
    same "digest" "$IMAGE_DIGEST" "$(crane digest "$ADDR/crane/copy:v1")"
    crane validate --remote "$ADDR/crane/copy:v1"
}

crane_tag() {
    crane tag "$ADDR/crane/image:v1" second
    crane tag "$ADDR/crane/image@$IMAGE_DIGEST" third
    same "tags" "second third v1" "$(crane ls "$ADDR/crane/image" | LC_ALL=C sort | paste -sd' ')"
    same "digest" "$IMAGE_DIGEST" "$(crane digest "$ADDR/crane/image:third")"
}

crane_catalog() {
    same "repositories" "crane/appended crane/copy crane/image crane/index" "$(crane catalog "$ADDR" | LC_ALL=C sort | paste -sd' ')"
}

crane_delete() {
    crane delete "$ADDR/crane/copy@$IMAGE_DIGEST"
    refused crane manifest "$ADDR/crane/copy:v1"
    refused crane manifest "$ADDR/crane/copy@$IMAGE_DIGEST"
    crane validate --remote "$ADDR/crane/image:v1"
}
