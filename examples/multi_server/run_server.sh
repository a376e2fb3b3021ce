#!/usr/bin/env bash
# run_server.sh: a registry on :8080, worker 1 on :50051, worker 2 on :50052; Ctrl-C stops all three.
#
# HOST (default: every address) is where they listen; workers register as ADVERTISE (default localhost).
# PYTHON: one that has this project installed; without it scripts/setup makes .venv ready.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
[[ ${PYTHON:-} ]] || scripts/setup
python=${PYTHON:-$PWD/.venv/bin/python}
host=${HOST:-0.0.0.0}
advertise=${ADVERTISE:-localhost}
registry=http://$advertise:8080

pids=()
stop() {
    trap - EXIT INT TERM
    kill "${pids[@]}" 2>/dev/null || true
    wait
}
trap stop EXIT
trap 'stop; exit 0' INT TERM

start() {
    "$python" -m system "$@" &
    pids+=($!)
}

# Waits until a page holds a word; fails as soon as a program has ended.
wait_for() {
    local word=$1 page=$2
    for ((try = 0; try < 100; try++)); do
        if curl -fs --noproxy '*' "$registry$page" 2>/dev/null | grep -q "$word"; then return; fi
        for pid in "${pids[@]}"; do
            kill -0 "$pid" 2>/dev/null || { echo "run_server.sh: a program ended; its own lines say why" >&2; exit 1; }
        done
        sleep 0.1
    done
    echo "run_server.sh: $registry$page does not show $word after 10 s" >&2
    exit 1
}

start registry --host "$host" --port 8080
wait_for '"' /health
for number in 1 2; do
    start worker "examples.multi_server.worker$number:worker" --host "$host" --port "5005$number" \
        --registry "$registry" --replica-id "worker$number" --advertise "$advertise:5005$number"
    wait_for "worker$number" /registry
done
echo "All services are up: $registry/registry lists the workers. Ctrl-C stops them."
wait -n || true
echo "run_server.sh: a program ended; stopping the others" >&2
exit 1
