# shellcheck shell=bash
# Evidence packages: the same tree by the producers' command, by HTTP calls and by oras is the same package.
# Every case runs under `set -e` (see run_case), which shellcheck cannot see from here.
# shellcheck disable=SC2164

test_packages() {
    PACKAGE_TYPE=application/vnd.artifactstore.package.v1
    CBOR_TYPE=application/vnd.artifactstore.manifest.v1+cbor
    run_case "packages: a tree to pack is made" packages_tree
    run_case "packages: package push makes one, and the same one again" packages_push
    run_case "packages: the same files by HTTP calls are the same package" packages_http
    run_case "packages: oras push of files with their table is the same package" packages_declared
    run_case "packages: oras push of files without a table is a package" packages_implicit
    run_case "packages: oras push of a directory is a package of what is in its archive" packages_archive
    run_case "packages: oras pull of each gives the tree back" packages_oras_pull
    run_case "packages: package pull of each gives the tree back" packages_pull
    run_case "packages: a table that differs from the layers is refused by the path" packages_disagree
    run_case "packages: one more file is one more upload" packages_one_more
    run_case "packages: what a package has cannot be deleted" packages_kept
    # A hundred files each.
    FOLDERS=${CLIENTS_FOLDERS:-30}
    run_case "packages: $((FOLDERS * 100)) files go there and back" packages_many
}

api() {
    local method=$1 path=$2
    shift 2
    curl -fsS -X "$method" "$@" "http://$ADDR/v2/$path"
}

artifactstore() {
    env -u ARTIFACTSTORE_TEST_POSTGRES -u ARTIFACTSTORE_TEST_S3_RGW -u ARTIFACTSTORE_TEST_S3_VERSITY \
        ARTIFACTSTORE_SERVER="http://$ADDR" "$BINARY" "$@"
}

# Nested, empty, the same bytes twice, names that need escaping; what oras takes for a file name and a type.
packages_tree() {
    local tree=$SCRATCH/tree
    mkdir -p "$tree/logs/deep/er" "$tree/reports"
    printf 'one\n' >"$tree/a.txt"
    printf 'one\n' >"$tree/logs/same.txt"
    : >"$tree/logs/deep/empty"
    printf '{"ok":true}\n' >"$tree/reports/score card.json"
    printf 'ä\n' >"$tree/logs/deep/er/größe.log"
    head -c 3000000 /dev/urandom >"$tree/reports/raw.bin"
}

# files ID: path and both digests of every file, a line each.
files_of() {
    api GET "_artifactstore/packages/$1" | jq -r '.files[] | [.path, .size, .content_address, .sha256] | @tsv'
}

packages_push() {
    local again
    artifactstore package push "$SCRATCH/tree" --to pack/cli:v1 --kind test-run --meta run=r1 --json >"$SCRATCH/cli.json"
    again=$(artifactstore package push "$SCRATCH/tree" --to pack/cli:v1 --kind test-run --meta run=r1 --json)
    same "package" "$(jq -r .id "$SCRATCH/cli.json")" "$(jq -r .id <<<"$again")"
    same "digest" "$(jq -r .digest "$SCRATCH/cli.json")" "$(jq -r .digest <<<"$again")"
    same "digest of the tag" "$(jq -r .digest "$SCRATCH/cli.json")" "$(oras resolve --plain-http "$ADDR/pack/cli:v1")"
    same "packages" 1 "$(api GET pack/cli/_artifactstore/packages | jq '.packages | length')"
    files_of "$(jq -r .id "$SCRATCH/cli.json")" >"$SCRATCH/cli.files"
    same "files" 6 "$(wc -l <"$SCRATCH/cli.files")"
}

escaped() { jq -rn --arg path "$1" '$path | split("/") | map(@uri) | join("/")'; }

packages_http() {
    local id path type finalized
    id=$(api POST pack/http/_artifactstore/packages -H 'Content-Type: application/json' \
        -d '{"kind":"test-run","metadata":{"run":"r1"}}' | jq -r .id)
    # In another order than the command has them.
    while IFS= read -r path; do
        type=$(jq -r --arg path "$path" '.layers[] | select(.annotations["org.opencontainers.image.title"] == $path) | .mediaType' \
            < <(oras manifest fetch --plain-http "$ADDR/pack/cli:v1"))
        api PUT "pack/http/_artifactstore/packages/$id/files/$(escaped "$path")" -H "Content-Type: $type" \
            --data-binary "@$SCRATCH/tree/$path" >/dev/null
    done < <(cd "$SCRATCH/tree" && find . -type f -printf '%P\n' | LC_ALL=C sort -r)
    finalized=$(api POST "pack/http/_artifactstore/packages/$id/finalize" -H 'Content-Type: application/json' -d '{"tag":"v1"}')
    same "digest" "$(jq -r .digest "$SCRATCH/cli.json")" "$(oras resolve --plain-http "$ADDR/pack/http:v1")"
    same "status" finalized "$(jq -r .status <<<"$finalized")"
    same "files" "$(<"$SCRATCH/cli.files")" "$(files_of "$id")"
}

packages_declared() {
    local config layers=() id path
    mkdir -p "$SCRATCH/declared"
    cp -a "$SCRATCH/tree/." "$SCRATCH/declared/"
    mkdir "$SCRATCH/declared/.artifactstore"
    config=$(oras manifest fetch --plain-http "$ADDR/pack/cli:v1" | jq -r .config.digest)
    oras blob fetch --plain-http -o "$SCRATCH/declared/.artifactstore/package.cbor" "$ADDR/pack/cli@$config"
    cd "$SCRATCH/declared"
    while IFS=$'\t' read -r path type; do
        layers+=("$path:$type")
    done < <(oras manifest fetch --plain-http "$ADDR/pack/cli:v1" | jq -r '.layers[1:][] | [.annotations["org.opencontainers.image.title"], .mediaType] | @tsv')
    oras push --plain-http "$ADDR/pack/declared:v1" --artifact-type "$PACKAGE_TYPE" \
        --config ".artifactstore/package.cbor:$CBOR_TYPE" ".artifactstore/package.cbor:$CBOR_TYPE" "${layers[@]}"
    id=$(packages_id pack/declared)
    same "files" "$(<"$SCRATCH/cli.files")" "$(files_of "$id")"
    same "content manifest" "$(api GET "_artifactstore/packages/$(jq -r .id "$SCRATCH/cli.json")" | jq -r .content_manifest)" \
        "$(api GET "_artifactstore/packages/$id" | jq -r .content_manifest)"
}

# The one package of a repository.
packages_id() { api GET "$1/_artifactstore/packages" | jq -er 'if (.packages | length) == 1 then .packages[0].id else error("not one package") end'; }

packages_implicit() {
    cd "$SCRATCH/tree"
    find . -type f -printf '%P:application/octet-stream\0' | xargs -0 -x oras push --plain-http --artifact-type "$PACKAGE_TYPE" "$ADDR/pack/implicit:v1"
    same "files" "$(<"$SCRATCH/cli.files")" "$(files_of "$(packages_id pack/implicit)")"
    same "generated tables" 1 "$(oras discover --plain-http --format json "$ADDR/pack/implicit:v1" | jq '.referrers | length')"
}

packages_archive() {
    cd "$SCRATCH/tree"
    oras push --plain-http --artifact-type "$PACKAGE_TYPE" "$ADDR/pack/archive:v1" ./
    same "files" "$(<"$SCRATCH/cli.files")" "$(files_of "$(packages_id pack/archive)")"
}

packages_oras_pull() {
    local repository
    for repository in cli http declared implicit archive; do
        oras pull --plain-http -o "$SCRATCH/oras-$repository" "$ADDR/pack/$repository:v1"
        diff -r -x .artifactstore "$SCRATCH/tree" "$SCRATCH/oras-$repository"
    done
    for repository in cli http declared; do
        artifactstore package verify "$SCRATCH/oras-$repository"
    done
    printf x >>"$SCRATCH/oras-cli/a.txt"
    refused artifactstore package verify "$SCRATCH/oras-cli"
}

packages_pull() {
    local repository what
    for repository in cli http declared implicit archive; do
        for what in "pack/$repository:v1" "pack/$repository@$(oras resolve --plain-http "$ADDR/pack/$repository:v1")" \
            "$(packages_id "pack/$repository")"; do
            rm -rf "$SCRATCH/pulled"
            artifactstore package pull "$what" -o "$SCRATCH/pulled"
            diff -r -x .artifactstore "$SCRATCH/tree" "$SCRATCH/pulled"
            artifactstore package verify "$SCRATCH/pulled"
        done
    done
}

packages_disagree() {
    local answer
    oras manifest fetch --plain-http "$ADDR/pack/cli:v1" |
        jq -c '(.layers[] | select(.annotations["org.opencontainers.image.title"] == "a.txt") | .annotations["org.opencontainers.image.title"]) = "b.txt"' >"$SCRATCH/odd.json"
    answer=$(curl -sS -o "$SCRATCH/odd.answer" -w '%{http_code}' -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
        --data-binary "@$SCRATCH/odd.json" "http://$ADDR/v2/pack/cli/manifests/odd")
    same "status" 400 "$answer"
    same "code" MANIFEST_INVALID "$(jq -r '.errors[0].code' "$SCRATCH/odd.answer")"
    grep -E 'a\.txt|b\.txt' "$SCRATCH/odd.answer"
    refused oras resolve --plain-http "$ADDR/pack/cli:odd"
}

packages_one_more() {
    local again
    cp -a "$SCRATCH/tree" "$SCRATCH/more"
    echo new >"$SCRATCH/more/new.txt"
    again=$(artifactstore package push "$SCRATCH/more" --to pack/cli:v2 --kind test-run --json)
    same "uploads" 1 "$(jq .uploaded <<<"$again")"
}

packages_kept() {
    local digest blob
    digest=$(jq -r .digest "$SCRATCH/cli.json")
    blob=$(oras manifest fetch --plain-http "$ADDR/pack/cli:v1" | jq -r '.layers[1].digest')
    same "delete of the manifest" 405 "$(curl -sS -o /dev/null -w '%{http_code}' -X DELETE "http://$ADDR/v2/pack/cli/manifests/$digest")"
    same "delete of a blob" 405 "$(curl -sS -o /dev/null -w '%{http_code}' -X DELETE "http://$ADDR/v2/pack/cli/blobs/$blob")"
    oras pull --plain-http -o "$SCRATCH/kept" "$ADDR/pack/cli:v1"
}

packages_many() {
    local many=$SCRATCH/many files=$((FOLDERS * 100)) peak id
    python3 - "$many" "$FOLDERS" <<'PYTHON'
import pathlib, sys
root = pathlib.Path(sys.argv[1])
for folder in range(int(sys.argv[2])):
    directory = root / f"logs/part-{folder:03}"
    directory.mkdir(parents=True)
    for file in range(100):
        (directory / f"entry-{file:03}.txt").write_text(f"{folder} {file}\n")
PYTHON
    /usr/bin/env python3 "$CLIENTS/peak.py" "$SCRATCH/push.peak" "$BINARY" package push "$many" --to pack/many:v1 --server "http://$ADDR" --json >"$SCRATCH/many.json"
    /usr/bin/env python3 "$CLIENTS/peak.py" "$SCRATCH/pull.peak" "$BINARY" package pull pack/many:v1 --server "http://$ADDR" -o "$SCRATCH/many-pulled"
    diff -r -x .artifactstore "$many" "$SCRATCH/many-pulled"
    artifactstore package verify "$SCRATCH/many-pulled"
    id=$(jq -r .id "$SCRATCH/many.json")
    same "files" "$files" "$(api GET "_artifactstore/packages/$id" | jq -r '.file_count // (.files | length)')"
    same "files listed" "$files" "$(artifactstore package files "$id" --json | jq '.files // . | length')"
    same "files of the manifest" "$files" "$(api GET "pack/many/_artifactstore/packages/$id/manifest" -H 'Accept: application/json' | jq '.files | length')"
    echo more >"$many/more.txt"
    same "uploads" 1 "$(artifactstore package push "$many" --to pack/many:v2 --json | jq .uploaded)"
    for peak in "$SCRATCH/push.peak" "$SCRATCH/pull.peak"; do
        (($(<"$peak") < 256 * 1024)) || { echo "$peak: $(<"$peak") KiB"; return 1; }
    done
    peak=$(awk '/VmHWM/ { print $2 }' "/proc/$SERVER_PID/status")
    ((peak < 256 * 1024)) || { echo "server: $peak KiB"; return 1; }
    echo "peaks in KiB: push $(<"$SCRATCH/push.peak"), pull $(<"$SCRATCH/pull.peak"), server $peak"
}
