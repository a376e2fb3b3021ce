#!/usr/bin/env bash
# Sourced by start-server1.sh, start-server2.sh and stop-all.sh: how the programs of a server are started,
# awaited and stopped on this machine.
#
# A program runs in a container of $MUSTER_IMAGE where a Docker Engine answers and has that image, else as a
# process of its own session. MUSTER_RUNTIME=docker|process decides it instead. What runs is noted below
# $MUSTER_SERVERS_DIR: <server>/address, <server>/<program>.pid and <server>/<program>.log.
set -euo pipefail

CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
readonly root=$PWD
readonly image=${MUSTER_IMAGE:-muster-system:local}
readonly state=${MUSTER_SERVERS_DIR:-$root/artifacts/servers}
readonly registry_port=18000 router_port=8000
readonly ready_within=60 # seconds
server=''                # set by use_server

say() { echo "${server:+$server: }$*"; }
fail() { say "$*" >&2; exit 1; }

# --- which runtime -------------------------------------------------------------------------------------------

runtime=''
choose_runtime() {
    case ${MUSTER_RUNTIME:-auto} in
        docker | process) runtime=$MUSTER_RUNTIME ;;
        auto) if image_is_there; then runtime=docker; else runtime=process; fi ;;
        *) echo "MUSTER_RUNTIME is '$MUSTER_RUNTIME'; it may be docker, process or auto" >&2; exit 2 ;;
    esac
}

image_is_there() {
    command -v docker >/dev/null && timeout 10 docker image inspect "$image" >/dev/null 2>&1
}

# --- one program ---------------------------------------------------------------------------------------------

# use_server NAME ADDRESS: what follows is about this server; refuses when it runs already with another address.
use_server() {
    server=$1
    local address=$2 known=''
    mkdir -p "$state/$server"
    [[ -f $state/$server/address ]] && known=$(<"$state/$server/address")
    if [[ $known && $known != "$address" ]] && anything_runs "$server"; then
        fail "runs already with the address $known; stop it first: docker/stop-all.sh $server"
    fi
    echo "$address" >"$state/$server/address"
    choose_runtime
}

# launch NAME PROGRAM [OPTIONS]: starts one program unless it runs; sets started=1 if it had to.
started=0
launch() {
    local name=$1
    shift
    if is_running "$server" "$name"; then return; fi
    "launch_as_$runtime" "$name" "$@"
    started=1
}

launch_as_process() {
    local name=$1
    shift
    printf '\n--- started %s\n' "$(date -u +%FT%TZ)" >>"$state/$server/$name.log"
    PATH=$root/.venv/bin:$PATH setsid "$root/.venv/bin/python" -m system "$@" \
        >>"$state/$server/$name.log" 2>&1 </dev/null &
    echo $! >"$state/$server/$name.pid"
}

launch_as_docker() {
    local name=$1
    shift
    docker rm -f "muster-$server-$name" >/dev/null 2>&1 || true
    docker run --detach --init --network host --name "muster-$server-$name" --label "muster.server=$server" \
        --volume "$root/docker/config:$root/docker/config:ro" --entrypoint muster-system "$image" "$@" >/dev/null ||
        fail "the container of $name could not be started (image $image)"
}

is_running() { is_process "$1" "$2" || is_container "muster-$1-$2"; }

# A pid counts only while its command line is one of ours: pids are used again.
is_process() {
    local file=$state/$1/$2.pid pid
    [[ -f $file ]] || return 1
    pid=$(<"$file")
    [[ -r /proc/$pid/cmdline ]] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- '-m system '
}

is_container() {
    [[ $runtime != process ]] && command -v docker >/dev/null &&
        [[ $(timeout 10 docker container inspect -f '{{.State.Running}}' "$1" 2>/dev/null) == true ]]
}

anything_runs() {
    local file
    for file in "$state/$1"/*.pid; do
        [[ -f $file ]] && is_process "$1" "$(basename "$file" .pid)" && return 0
    done
    command -v docker >/dev/null && [[ $(timeout 10 docker ps -q --filter "label=muster.server=$1" 2>/dev/null) ]]
}

last_lines() {
    if [[ -f $state/$server/$1.log ]]; then
        tail -n 8 "$state/$server/$1.log"
    else
        docker logs --tail 8 "muster-$server-$1" 2>&1
    fi
}

# --- waiting -------------------------------------------------------------------------------------------------

# http_get ADDRESS PORT PATH: prints status line, headers and body; fails when nobody answers within 3 seconds.
# shellcheck disable=SC2016 # expanded by the inner shell
http_get() {
    timeout 3 bash -c 'exec 3<>"/dev/tcp/$1/$2" && printf "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" "$3" "$1" >&3 && cat <&3' \
        _ "$1" "$2" "$3" 2>/dev/null
}

answers_ok() { http_get "$@" | head -n 1 | grep -q ' 200 '; }

# await NAME WHAT COMMAND...: until the command succeeds; ends at once when the program has ended.
await() {
    local name=$1 what=$2 deadline=$((SECONDS + ready_within))
    shift 2
    until "$@"; do
        if ! is_running "$server" "$name"; then
            fail "$name has ended while it was waited for; its last lines:"$'\n'"$(last_lines "$name")"
        elif ((SECONDS >= deadline)); then
            fail "$name: $what not within $ready_within s; its last lines:"$'\n'"$(last_lines "$name")"
        fi
        sleep 0.05
    done
}

router_lists() {
    local services name
    services=$(http_get "$1" "$router_port" /services) || return 1
    for name in "${@:2}"; do
        [[ $services =~ \"$name-server\"[^{}]*\"healthy\":true ]] || return 1
    done
}

# --- a server's babysitters ----------------------------------------------------------------------------------

# babysitters REGISTRY_ADDRESS ADDRESS LETTER:PORT...: starts them all, then waits until each is registered.
babysitters() {
    local registry=$1 address=$2 pair
    shift 2
    for pair in "$@"; do
        launch "babysitter-${pair%:*}" babysitter --config "$root/docker/config/babysitter-${pair%:*}.toml" \
            --host "$address" --registry-url "http://$registry:$registry_port"
    done
    for pair in "$@"; do
        await "babysitter-${pair%:*}" "ready" answers_ok "$address" $((${pair#*:} + 1)) /ready
    done
}

report() {
    if ((started)); then say "ready: $*"; else say "already running: $*"; fi
    [[ $runtime == docker ]] || say "logs in $state/$server/"
}

set_up() {
    choose_runtime
    [[ $runtime == docker ]] || "$root/scripts/setup"
}

# plain_address WORD: an address that programs can bind; `localhost` may mean two.
plain_address() { if [[ $1 == localhost ]]; then echo 127.0.0.1; else echo "$1"; fi; }
