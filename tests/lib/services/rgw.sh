# shellcheck shell=bash
# A throw-away Ceph of one node: a monitor, a storage daemon that keeps its objects in memory, and the gateway that
# speaks S3. Loopback only, no authentication between its parts. What was stored is gone after `down`.

# How many bytes the storage daemon takes at most: half of the machine's memory, and 6 GiB are plenty.
rgw_memory() {
    local half
    half=$(awk '/^MemTotal:/ { printf "%d", $2 * 512 }' /proc/meminfo)
    echo "${SERVICES_RGW_MEMORY:-$((half < 6442450944 ? half : 6442450944))}"
}

rgw_install() {
    export PATH=$PATH:/usr/sbin
    apt_ensure python3:python3 ceph-mon:ceph-mon ceph-osd:ceph-osd radosgw:radosgw ceph:ceph-common monmaptool:ceph-common
}

rgw_up() {
    local dir=$1/rgw
    rm -rf "$dir"
    mkdir -p "$dir/mon" "$dir/osd" "$dir/run"
    # The paths of its control sockets have to fit in 107 bytes.
    ((${#dir} <= 70)) || { echo "the path $dir is too long for Ceph's sockets; use a directory below /tmp"; return 1; }
    local ports secret
    read -ra ports <<<"$(free_ports 3)"
    secret=$(python3 -c 'import secrets; print(secrets.token_hex(20))')
    (
        export CEPH_CONF=$dir/ceph.conf
        rgw_configure "$dir" "${ports[@]}" >"$CEPH_CONF"
        rgw_monitor "$dir" "${ports[@]}" && rgw_storage "$dir" && rgw_gateway "$dir" "${ports[0]}" "$secret"
    ) || return
    echo "http://rgw:$secret@127.0.0.1:${ports[0]}" >"$dir/url"
    daemon_await "$dir/gateway.pid" "$dir/gateway.log" 30 python3 "$ROOT/tests/lib/s3.py" "$(<"$dir/url")" buckets
}

# rgw_configure DIR GATEWAY MON1 MON2
rgw_configure() {
    local classes
    classes=$(find /usr/lib -maxdepth 2 -name rados-classes -print -quit)
    cat <<CONF
[global]
fsid = $(</proc/sys/kernel/random/uuid)
mon host = [v2:127.0.0.1:$3,v1:127.0.0.1:$4]
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms client mode = crc
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
run dir = $1/run
admin socket = $1/run/\$name.asok
log file = $1/\$name.log
mon cluster log file = $1/cluster.log
crash dir = $1/run
keyring = /dev/null
mon data = $1/mon
mon data avail crit = 1
mon allow pool size one = true
mon max pg per osd = 1000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd data = $1/osd
osd class dir = $classes
osd objectstore = memstore
memstore device bytes = $(rgw_memory)
osd op num shards = 2
rgw thread pool size = 64
rgw dns name = localhost
rgw crypt require ssl = false
# Deleted objects give their memory back in half a minute instead of two hours.
rgw gc obj min wait = 20
rgw gc processor period = 20
rgw gc processor max time = 20
[client.rgw]
# Without it a small body waits 40 ms for the acknowledgement of its own header.
rgw frontends = beast endpoint=127.0.0.1:$2 tcp_nodelay=1
CONF
}

rgw_monitor() {
    local dir=$1 fsid
    fsid=$(sed -n 's/^fsid = //p' "$CEPH_CONF")
    monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$3,v1:127.0.0.1:$4]" "$dir/monmap" >"$dir/monitor.log" 2>&1 &&
        ceph-mon --mkfs -i a --monmap "$dir/monmap" >>"$dir/monitor.log" 2>&1 || { tail -n 25 "$dir/monitor.log"; return 1; }
    daemon_start "$dir/monitor.pid" "$dir/monitor.log" ceph-mon -f -i a
    daemon_await "$dir/monitor.pid" "$dir/monitor.log" 60 ceph --connect-timeout 5 mon stat
}

rgw_storage() {
    local dir=$1 id
    id=$(</proc/sys/kernel/random/uuid)
    ceph --connect-timeout 20 osd new "$id" >>"$dir/storage.log" 2>&1 &&
        ceph-osd -i 0 --mkfs --osd-uuid "$id" >>"$dir/storage.log" 2>&1 || { tail -n 25 "$dir/storage.log"; return 1; }
    daemon_start "$dir/storage.pid" "$dir/storage.log" ceph-osd -f -i 0
}

rgw_gateway() {
    local dir=$1 port=$2 secret=$3
    daemon_start "$dir/gateway.pid" "$dir/gateway.log" radosgw -f -n client.rgw
    daemon_await "$dir/gateway.pid" "$dir/gateway.log" 120 python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" || return
    radosgw-admin user create --uid=rgw --display-name=rgw --access-key=rgw --secret="$secret" >"$dir/user.log" 2>&1 ||
        { tail -n 25 "$dir/user.log"; return 1; }
}

rgw_down() {
    local part
    for part in gateway storage monitor; do
        daemon_stop "$1/rgw/$part.pid" TERM
    done
}

rgw_alive() {
    local part
    for part in gateway storage monitor; do
        daemon_alive "$1/rgw/$part.pid" || return
    done
}

rgw_exports() { echo "export ARTIFACTSTORE_TEST_S3_RGW='$(<"$1/rgw/url")'"; }
