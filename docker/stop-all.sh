#!/usr/bin/env bash
# docker/stop-all.sh [SERVER...]: stops what start-server1.sh and start-server2.sh started on this machine;
# without names, all of it. Exit code 0: nothing of it runs any more. 1: something would not stop. 2: wrong usage.
usage() {
    echo "usage: docker/stop-all.sh [server1] [server2]"
}
case ${1:-} in -h | --help) usage; exit 0 ;; esac

# shellcheck source=docker/servers.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/servers.sh"
for name in "$@"; do
    if [[ $name != server1 && $name != server2 ]]; then usage >&2; exit 2; fi
done
(($#)) || set -- server2 server1 # workers leave before the registry does

readonly stop_within=10
stopped=0 left=0

# Babysitters first: they unregister, and the router must still be there for the requests under way.
programs_of() {
    local file
    for file in "$state/$1"/babysitter-*.pid "$state/$1"/router.pid "$state/$1"/registry.pid; do
        [[ ! -f $file ]] || basename "$file" .pid
    done
}

# stop_process SERVER NAME...: asks them all, waits for them all, then ends what is left with its session.
stop_processes() {
    local of=$1 name pid deadline=$((SECONDS + stop_within))
    shift
    for name in "$@"; do
        if is_process "$of" "$name"; then kill -TERM "$(<"$state/$of/$name.pid")" 2>/dev/null || true; fi
    done
    for name in "$@"; do
        pid=$(<"$state/$of/$name.pid")
        while is_process "$of" "$name" && ((SECONDS < deadline)); do sleep 0.05; done
        if is_process "$of" "$name"; then kill -KILL -- "-$pid" 2>/dev/null || true; fi
        rm -f "$state/$of/$name.pid"
        stopped=$((stopped + 1))
    done
}

stop_containers() {
    local ids
    command -v docker >/dev/null || return 0
    mapfile -t ids < <(timeout 10 docker ps -aq --filter "label=muster.server=$1" 2>/dev/null)
    ((${#ids[@]})) || return 0
    docker stop --time "$stop_within" "${ids[@]}" >/dev/null && docker rm "${ids[@]}" >/dev/null || left=1
    stopped=$((stopped + ${#ids[@]}))
}

for name in "$@"; do
    mapfile -t programs < <(programs_of "$name")
    mapfile -t sitters < <(printf '%s\n' "${programs[@]}" | grep '^babysitter' || true)
    mapfile -t others < <(printf '%s\n' "${programs[@]}" | grep -v -e '^babysitter' -e '^$' || true)
    stop_processes "$name" "${sitters[@]}"
    stop_processes "$name" "${others[@]}"
    stop_containers "$name"
    rm -f "$state/$name/address"
done
((left == 0)) || fail "a container would not stop; docker ps shows it"
if ((stopped)); then say "stopped $stopped programs"; else say "nothing was running"; fi
