#!/usr/bin/env bash
# Validates two servers end to end. The usage below says it all; the work is done by `muster run`.
set -euo pipefail
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'END'
usage: ./validate.sh [ADDRESS] [OPTIONS]

Without ADDRESS two servers are simulated on this machine, disturbed, judged and taken down again.
With ADDRESS the servers that already run behind it are judged, and nothing is started or disturbed.

  ./validate.sh
  ./validate.sh 10.0.0.5
  ./validate.sh 10.0.0.5 --registry-port 18000 --router-port 8000 --expect-services 4
  ./validate.sh router.example.com --scheme https --token-file ~/.token --max-requests 100
  ./validate.sh 10.0.0.5 --inventory servers.yaml

  --registry-port PORT   where the registry listens (default 18000)
  --router-port PORT     where the router listens (default 8000)
  --scheme http|https    how both are spoken to (default http)
  --token-file FILE      a bearer token to send with every request
  --expect-services N    how many services that serve models there must be at least
  --max-requests N       the most requests one load may send to servers that already run (default 200)
  --inventory FILE       addresses, names, models and logs of the servers, where they are not to be discovered
  --hosts KIND           where simulated servers come from: process, docker, auto
  -k TEXT                judge only the steps whose names hold TEXT
  --keep                 leave the simulated servers standing until Ctrl-C
  --run-dir DIR          where runs are recorded (default artifacts/)
  --report NAME[=PATH]   one more report: html, json, junit, markdown

Exit code: 0 all passed, 1 something failed, 4 wrong usage, 5 nothing ran, 6 nothing failed but something is
unknown (a machine that cannot run it counts here), 130 interrupted.
END
}

wrong() {
    printf 'validate.sh: %s\n(./validate.sh --help shows examples)\n' "$*" >&2
    exit 4
}

# note OPTION: remembers what decides whether servers that already run are meant.
note() {
    case $1 in
        --inventory) inventory=given ;;
        --registry-port | --router-port | --scheme | --token-file | --expect-services) only_attached=$1 ;;
    esac
}

address='' inventory='' only_attached='' options=()
while (($#)); do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --registry-port | --router-port | --scheme | --token-file | --expect-services | --max-requests | --inventory | --hosts | --run-dir | --report | -k)
            (($# > 1)) || wrong "$1 needs a value"
            note "$1"; options+=("$1" "$2"); shift 2 ;;
        --registry-port=* | --router-port=* | --scheme=* | --token-file=* | --expect-services=* | --max-requests=* | --inventory=* | --hosts=* | --run-dir=* | --report=*)
            note "${1%%=*}"; options+=("$1"); shift ;;
        --keep) options+=("$1"); shift ;;
        -*) wrong "there is no option '$1'" ;;
        '') wrong "ADDRESS is empty; leave it out to simulate two servers" ;;
        *)
            [[ ! $address ]] || wrong "one ADDRESS at most, and here are two: '$address' and '$1'. More servers are named in an --inventory FILE"
            address=$1; shift ;;
    esac
done

[[ ! $only_attached || $address || $inventory ]] || wrong "$only_attached is for servers that already run; name their ADDRESS"

"$root/scripts/setup" docker
exec "$root/.venv/bin/muster" run "$root/scenarios/discovery/two_servers.scenario.yaml" ${address:+--attach "$address"} ${options[@]+"${options[@]}"}
