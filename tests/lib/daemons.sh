# shellcheck shell=bash
# Processes that outlive the script that starts them. Each leaves a file `PID START` behind, START being the kernel's start
# time of the process: a number that was given to another process since is never taken for ours.

# free_ports COUNT: ports nothing listens on, below those the kernel gives to outgoing connections, so that a service
# can be stopped and started again on the same one.
free_ports() {
    python3 - "$1" <<'PYTHON'
import random, socket, sys

with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
    top = int(file.read().split()[0])
ports = range(15000, top) if top > 16000 else range(15000, 65536)
held = []
for port in random.sample(ports, len(ports)):
    if len(held) == int(sys.argv[1]):
        break
    candidate = socket.socket()
    try:
        candidate.bind(("127.0.0.1", port))
    except OSError:
        continue
    held.append(candidate)
print(*(one.getsockname()[1] for one in held))
PYTHON
}

# daemon_start PIDFILE LOG COMMAND…: in a session of its own, so that the terminal's Ctrl-C does not reach it.
daemon_start() {
    local pidfile=$1 log=$2
    shift 2
    setsid "$@" </dev/null >>"$log" 2>&1 3>&- &
    echo "$! $(start_time $!)" >"$pidfile"
}

# Fails for a process that has ended, also while nobody has asked for its exit code yet.
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The second field is the name in brackets, which may hold spaces; after it come the state and, 20th, the start time.
    read -ra stat <<<"${stat##*) }"
    [[ ${stat[0]} != Z ]] && echo "${stat[19]}"
}

daemon_alive() {
    local pid start
    [[ -f $1 ]] && read -r pid start <"$1" && [[ -n $start && $(start_time "$pid") == "$start" ]]
}

# daemon_await PIDFILE LOG SECONDS COMMAND…: until the command succeeds; fails with the end of the log when the
# process ends before, or when it takes longer.
daemon_await() {
    local pidfile=$1 log=$2 seconds=$3 until
    shift 3
    until=$((SECONDS + seconds))
    while ! "$@" >/dev/null 2>&1; do
        if ! daemon_alive "$pidfile"; then
            echo "the process ended; the last lines of $log:"
            tail -n 25 "$log"
            return 1
        fi
        if ((SECONDS >= until)); then
            echo "no answer within $seconds s; the last lines of $log:"
            tail -n 25 "$log"
            return 1
        fi
        sleep 0.1
    done
}

# daemon_stop PIDFILE SIGNAL…: each signal gets 20 s; SIGKILL is the last one.
daemon_stop() {
    local pidfile=$1 signal pid tries
    shift
    for signal in "$@" KILL; do
        daemon_alive "$pidfile" || break
        read -r pid _ <"$pidfile"
        kill "-$signal" "$pid" 2>/dev/null || break
        for ((tries = 0; tries < 400; tries++)); do
            daemon_alive "$pidfile" || break 2
            sleep 0.05
        done
    done
    rm -f "$pidfile"
}
