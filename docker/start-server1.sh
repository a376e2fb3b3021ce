#!/usr/bin/env bash
# docker/start-server1.sh SERVER1_IP: starts the control server of the two-server set on this machine:
# registry :18000, router :8000, babysitters A (:8100) and B (:8200).
# Exit code 0: everything is ready, also when it was before. 1: it could not be, and why. 2: wrong usage.
usage() {
    cat <<'USAGE'
usage: docker/start-server1.sh SERVER1_IP
  SERVER1_IP  this machine's address, as server 2 reaches it; 127.0.0.1 to try both servers on one machine
USAGE
}
case ${1:-} in -h | --help) usage; exit 0 ;; esac
if (($# != 1)) || [[ $1 == -* || -z $1 ]]; then usage >&2; exit 2; fi

# shellcheck source=docker/servers.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/servers.sh"
address=$(plain_address "$1")
set_up
use_server server1 "$address"

launch registry registry --host "$address" --port "$registry_port"
await registry "an answer at http://$address:$registry_port/health" answers_ok "$address" "$registry_port" /health
launch router router --host "$address" --port "$router_port" --registry "http://$address:$registry_port"
babysitters "$address" "$address" a:8100 b:8200
await router "an answer at http://$address:$router_port/health" answers_ok "$address" "$router_port" /health
await router "babysitters A and B in its list" router_lists "$address" babysitter-a babysitter-b

report "registry http://$address:$registry_port, router http://$address:$router_port, babysitters A and B"
say "next, on server 2: docker/start-server2.sh $address SERVER2_IP; then ./validate.sh $address"
