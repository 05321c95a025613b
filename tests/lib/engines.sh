# shellcheck shell=bash
# The services of a run, and the tests of the program on PostgreSQL and a bucket.

NEED_SERVICES=(test production load replicas conformance clients schemathesis long)
SERVICES=

section_services() {
    local service variable
    declare -A variables=([postgres]=POSTGRES [rgw]=S3_RGW [versity]=S3_VERSITY)
    for service in postgres rgw versity; do
        variable=ARTIFACTSTORE_TEST_${variables[$service]}
        if [[ -n ${!variable:-} ]]; then
            echo "ok services: $service of the environment"
            passed 1
            continue
        fi
        # Not below $LOGS: the user PostgreSQL runs as must reach it, and Ceph wants it short.
        [[ -n $SERVICES ]] || SERVICES=$(mktemp -d "${TMPDIR:-/tmp}/artifactstore-services.XXXXXX")
        if tests/services up "$SERVICES" "$service" >"$LOGS/exports" 2>"$LOGS/services"; then
            # shellcheck source=/dev/null
            source "$LOGS/exports"
            echo "ok services: $service"
            passed 1
        else
            cat "$LOGS/services"
            echo "FAIL services: $service"
            failed 1
        fi
    done
}

# At the end of the run, however it ends.
stop_services() {
    [[ -n $SERVICES ]] || return 0
    tests/services down "$SERVICES" && rm -rf -- "$SERVICES"
    SERVICES=
}

# The tests of the program once more, on PostgreSQL and Ceph RGW. Those that have no business there are named in
# tests/it/embedded-only.txt, one a line with its reason.
section_production() {
    local name skipped=() known
    if ! known=$(cargo test --test it -- --list 2>"$LOGS/list"); then
        failed 1
        cat "$LOGS/list"
        echo "FAIL production: the tests do not build"
        return
    fi
    while read -r name _; do
        [[ -n $name && $name != '#' ]] || continue
        skipped+=(--skip "$name")
        [[ $known == *"$name"* ]] && continue
        failed 1
        echo "FAIL production: tests/it/embedded-only.txt names $name, which no test is called"
    done <tests/it/embedded-only.txt
    local -x ARTIFACTSTORE_TEST_ENGINE=production
    count_cargo production --test it -- "${skipped[@]}"
    sed -n 's/^test result: .* \([0-9]*\) filtered out.*/\1 run on embedded engines only; tests\/it\/embedded-only.txt says why/p' "$LOGS/production"
}
