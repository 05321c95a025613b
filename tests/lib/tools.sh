# shellcheck shell=bash
# Installing what a fresh Debian machine lacks. Every function is a no-op when all is there.

# apt_ensure COMMAND:PACKAGE…: installs the packages of the commands that are missing.
apt_ensure() {
    local pair missing=() sudo=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    ((${#missing[@]})) || return 0
    [[ $(id -u) -eq 0 ]] || sudo=(sudo -n)
    echo "installing: ${missing[*]}"
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" || return
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || { echo "${pair%%:*} is still missing"; return 1; }
    done
}

# What the build and the test scripts themselves need.
ensure_base_tools() {
    # build-essential and not gcc: the C library's headers are only a recommendation of gcc.
    apt_ensure cc:build-essential make:make python3:python3 jq:jq || return
    local tool
    for tool in cargo go; do
        command -v "$tool" >/dev/null || { echo "$tool is not installed; see README.md, Set-up"; return 1; }
    done
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt || return
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
}

# Clients from Debian. PATH gets the sbin folders, where some of them live.
ensure_debian_clients() {
    export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
    apt_ensure jq:jq python3:python3 skopeo:skopeo buildah:buildah podman:podman ctr:containerd containerd:containerd runc:runc
}

# Clients from the Go module proxy, pinned in tests/clients/tools. Puts their folder on PATH.
ensure_go_clients() {
    go_tools clients "$ROOT/tests/clients/tools" && export PATH=$GO_TOOLS:$PATH
}

# go_tools NAME MODULE: builds every tool the go.mod in the folder MODULE names, and keeps them under the hash of
# its pins. Sets GO_TOOLS, their folder.
go_tools() {
    local module=$2 key staged
    key=$(cat "$module/go.mod" "$module/go.sum" | sha256sum | cut -c1-16)
    GO_TOOLS=$ROOT/tests/.cache/$1-$key
    [[ ! -d $GO_TOOLS ]] || return 0
    mkdir -p "$ROOT/tests/.cache"
    staged=$(mktemp -d "$ROOT/tests/.cache/$1-new.XXXXXX")
    # `tool` is every tool the go.mod names.
    if ! (cd "$module" && GOWORK=off CGO_ENABLED=0 GOFLAGS="-mod=readonly -buildvcs=false" go build -o "$staged/" tool); then
        rm -rf "$staged"
        return 1
    fi
    # Another run may have published the same folder meanwhile; either copy will do.
    mv -T "$staged" "$GO_TOOLS" 2>/dev/null || rm -rf "$staged"
}

# free_kib DIR: the space that is left there.
free_kib() { df -Pk -- "$1" | awk 'NR == 2 { print $4 }'; }
