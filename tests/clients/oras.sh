# shellcheck shell=bash
# oras: evidence directories, artifacts with a subject, deletes.
# Every case runs under `set -e` (see run_case), which shellcheck cannot see from here.
# shellcheck disable=SC2164

test_oras() {
    run_case "oras: a directory of 200 files comes back identical" oras_directory
    run_case "oras: 200 files as 200 layers come back identical" oras_files
    run_case "oras: manifest fetch gives the bytes its digest names" oras_manifest_fetch
    run_case "oras: blob push and fetch keep the bytes" oras_blob
    run_case "oras: an attached artifact is discovered and pulled" oras_attach
    run_case "oras: discover filters by artifact type" oras_discover_type
    run_case "oras: copies an artifact and its referrers between repositories" oras_copy
    run_case "oras: repo tags lists tags in order" oras_tags
    run_case "oras: repo ls lists repositories" oras_repos
    run_case "oras: a deleted manifest is gone" oras_delete
}

oras_directory() {
    cd "$WORK/tree"
    oras push --plain-http "$ADDR/evidence/tree:v1" --artifact-type application/vnd.example.evidence .
    mkdir "$SCRATCH/tree"
    oras pull --plain-http -o "$SCRATCH/tree" "$ADDR/evidence/tree:v1"
    diff -r "$WORK/tree" "$SCRATCH/tree"
    same "number of files" 200 "$(find "$SCRATCH/tree" -type f | wc -l)"
}

oras_files() {
    cd "$WORK/tree"
    find . -type f -printf '%P\0' | LC_ALL=C sort -z |
        xargs -0 -x oras push --plain-http --artifact-type application/vnd.example.evidence "$ADDR/evidence/files:v1"
    same "number of layers" 200 "$(oras manifest fetch --plain-http "$ADDR/evidence/files:v1" | jq '.layers | length')"
    mkdir "$SCRATCH/files"
    oras pull --plain-http -o "$SCRATCH/files" "$ADDR/evidence/files:v1"
    diff -r "$WORK/tree" "$SCRATCH/files"
}

oras_digest() {
    oras resolve --plain-http "$1"
}

oras_manifest_fetch() {
    local digest
    digest=$(oras_digest "$ADDR/evidence/files:v1")
    oras manifest fetch --plain-http -o "$SCRATCH/manifest.json" "$ADDR/evidence/files@$digest"
    same "digest" "$digest" "sha256:$(sha256sum <"$SCRATCH/manifest.json" | cut -d' ' -f1)"
    same "size in the descriptor" "$(stat -c %s "$SCRATCH/manifest.json")" \
        "$(oras manifest fetch --plain-http --descriptor "$ADDR/evidence/files:v1" | jq .size)"
}

oras_blob() {
    local digest
    digest=sha256:$(sha256sum "$WORK/tree/nested/0/0/file-000" | cut -d' ' -f1)
    oras blob push --plain-http "$ADDR/evidence/blob@$digest" "$WORK/tree/nested/0/0/file-000"
    oras blob fetch --plain-http -o "$SCRATCH/blob" "$ADDR/evidence/blob@$digest"
    cmp "$WORK/tree/nested/0/0/file-000" "$SCRATCH/blob"
}

oras_attach() {
    local found
    mkdir "$SCRATCH/attach"
    cd "$SCRATCH/attach"
    printf '{"signed": true}\n' >signature.json
    printf 'a: b\n' >sbom.yaml
    oras attach --plain-http --artifact-type application/vnd.example.signature "$ADDR/evidence/files:v1" signature.json
    oras attach --plain-http --artifact-type application/vnd.example.sbom "$ADDR/evidence/files:v1" sbom.yaml
    found=$(oras discover --plain-http --format json "$ADDR/evidence/files:v1" | jq -r '.referrers[].artifactType' | sort | paste -sd' ')
    same "artifact types" "application/vnd.example.sbom application/vnd.example.signature" "$found"
    found=$(oras discover --plain-http --format json --artifact-type application/vnd.example.signature "$ADDR/evidence/files:v1" | jq -r '.referrers[0].digest')
    oras pull --plain-http -o pulled "$ADDR/evidence/files@$found"
    cmp signature.json pulled/signature.json
}

oras_discover_type() {
    local count
    count=$(oras discover --plain-http --format json --artifact-type application/vnd.example.sbom "$ADDR/evidence/files:v1" | jq '.referrers | length')
    same "referrers of the type" 1 "$count"
    count=$(oras discover --plain-http --format json --artifact-type application/vnd.example.none "$ADDR/evidence/files:v1" | jq '.referrers | length')
    same "referrers of an unknown type" 0 "$count"
}

oras_copy() {
    oras copy -r --from-plain-http --to-plain-http "$ADDR/evidence/files:v1" "$ADDR/archive/files:v1"
    same "digest" "$(oras_digest "$ADDR/evidence/files:v1")" "$(oras_digest "$ADDR/archive/files:v1")"
    mkdir "$SCRATCH/copy"
    oras pull --plain-http -o "$SCRATCH/copy" "$ADDR/archive/files:v1"
    diff -r "$WORK/tree" "$SCRATCH/copy"
    same "referrers of the copy" 2 "$(oras discover --plain-http --format json "$ADDR/archive/files:v1" | jq '.referrers | length')"
}

oras_tags() {
    oras tag --plain-http "$ADDR/evidence/tree:v1" v2 v10 latest
    same "tags" "latest v1 v10 v2" "$(oras repo tags --plain-http "$ADDR/evidence/tree" | LC_ALL=C sort | paste -sd' ')"
}

oras_repos() {
    same "repositories" "archive/files evidence/blob evidence/files evidence/tree" \
        "$(oras repo ls --plain-http "$ADDR" | LC_ALL=C sort | paste -sd' ')"
}

oras_delete() {
    local digest
    digest=$(oras_digest "$ADDR/archive/files:v1")
    oras manifest delete --plain-http --force "$ADDR/archive/files@$digest"
    refused oras manifest fetch --plain-http "$ADDR/archive/files@$digest"
    refused oras manifest fetch --plain-http "$ADDR/archive/files:v1"
    oras manifest fetch --plain-http "$ADDR/evidence/files@$digest" >/dev/null
}
