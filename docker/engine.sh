#!/usr/bin/env bash
# docker/engine.sh [--check]: makes sure that a Docker Engine answers on this machine.
#
# On Debian and Ubuntu, as root, it installs docker.io and starts it; elsewhere it says what to do. --check only
# looks. Exit code 0: one answers. 6: none does, and the last line says why and what next. 4: wrong usage.
set -euo pipefail

readonly within=60 # seconds for a started engine to answer
readonly log=/var/log/muster-dockerd.log
readonly lock=/run/muster-engine.lock

say() { echo "engine: $*"; }
cannot() { say "$*" >&2; exit 6; }

usage() { sed -n '2,5s/^# \{0,1\}//p' "$0"; }

version() { timeout 10 docker version --format '{{.Server.Version}} (API {{.Server.APIVersion}})' 2>/dev/null; }

answers() {
    local found
    command -v docker >/dev/null && found=$(version) && [[ $found == [0-9]* ]] || return 1
    say "Docker Engine $found answers${DOCKER_HOST:+ at $DOCKER_HOST}"
}

# Says why none answers although this script may not change that, and leaves.
explain() {
    [[ -z ${DOCKER_HOST:-} ]] || cannot "nothing answers at DOCKER_HOST=$DOCKER_HOST; start it there, or unset DOCKER_HOST"
    [[ -z ${DOCKER_CONTEXT:-} ]] || cannot "nothing answers at the Docker context $DOCKER_CONTEXT; start it there, or unset DOCKER_CONTEXT"
    if [[ -S /var/run/docker.sock && ! -w /var/run/docker.sock ]]; then
        cannot "user $(id -un) may not use /var/run/docker.sock; join its group: sudo usermod -aG $(stat -c %G /var/run/docker.sock) $(id -un), and log in again"
    fi
    if command -v dockerd >/dev/null; then cannot "an engine is installed and does not run; start it: sudo docker/engine.sh"; fi
    if is_debian; then cannot "no engine is installed; install and start one: sudo docker/engine.sh"; fi
    cannot "no engine is installed; see https://docs.docker.com/engine/install/ and run this again"
}

is_debian() { command -v apt-get >/dev/null; }

install_engine() {
    command -v dockerd >/dev/null && return
    say "installing docker.io"
    export DEBIAN_FRONTEND=noninteractive
    {
        apt-get update -qq || true
        # Started below, in the way this machine allows: many containers have no init that a package could ask.
        apt-get install -y -qq --no-install-recommends docker.io iptables
    } >"$log" 2>&1 || cannot "apt-get could not install docker.io: $(tail -n 1 "$log") (all of it: $log)"
}

start_engine() {
    if [[ -d /run/systemd/system ]] && systemctl start docker 2>/dev/null && wait_for_it; then return; fi
    local driver
    for driver in '' fuse-overlayfs vfs; do
        run_dockerd ${driver:+--storage-driver "$driver"}
        if wait_for_it; then return; fi
    done
    cannot "dockerd was started and does not answer: $(grep -oE 'msg="?[^"]+|failed to .*' "$log" | tail -n 1) (all of it: $log)"
}

dockerd_pid=''
run_dockerd() {
    rm -f /var/run/docker.pid
    setsid nohup dockerd "$@" >>"$log" 2>&1 </dev/null 9>&- &
    dockerd_pid=$!
}

# Waits until the engine answers, or the dockerd that was started here has ended.
wait_for_it() {
    local deadline=$((SECONDS + within))
    until answers; do
        ((SECONDS < deadline)) || return 1
        [[ -z $dockerd_pid ]] || kill -0 "$dockerd_pid" 2>/dev/null || return 1
        sleep 0.2
    done
}

case ${1:-} in
    '') ;;
    --check) if answers; then exit 0; else explain; fi ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 4 ;;
esac
(($# <= 1)) || { usage >&2; exit 4; }

answers && exit 0
[[ $EUID == 0 && -z ${DOCKER_HOST:-}${DOCKER_CONTEXT:-} ]] || explain
command -v dockerd >/dev/null || is_debian || explain
exec 9>"$lock"
flock -w 300 9 || cannot "another docker/engine.sh is at work since five minutes ($lock)"
answers && exit 0
install_engine
start_engine
