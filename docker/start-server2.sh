#!/usr/bin/env bash
# docker/start-server2.sh SERVER1_IP SERVER2_IP: starts the worker server of the two-server set on this machine:
# babysitters C (:8100) and D (:8200), registered at server 1.
# Exit code 0: everything is ready, also when it was before. 1: it could not be, and why. 2: wrong usage.
usage() {
    cat <<'USAGE'
usage: docker/start-server2.sh SERVER1_IP SERVER2_IP
  SERVER1_IP  the address of server 1, where registry and router run
  SERVER2_IP  this machine's address, as server 1 reaches it; 127.0.0.2 to try both servers on one machine
USAGE
}
case ${1:-} in -h | --help) usage; exit 0 ;; esac
if (($# != 2)) || [[ $1 == -* || $2 == -* || -z $1 || -z $2 ]]; then usage >&2; exit 2; fi
if [[ $1 == "$2" ]]; then
    echo "both servers use the ports 8100 and 8200: SERVER2_IP must not be SERVER1_IP ($1)" >&2
    exit 2
fi

# shellcheck source=docker/servers.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/servers.sh"
control=$(plain_address "$1") address=$(plain_address "$2")
if ! answers_ok "$control" "$registry_port" /health; then
    server=server2
    fail "http://$control:$registry_port/health did not answer. Check that
  - server 1 runs: docker/start-server1.sh $control there
  - $control is its address and can be reached from here
  - no firewall blocks port $registry_port"
fi
set_up
use_server server2 "$address"

babysitters "$control" "$address" c:8100 d:8200
report "babysitters C and D at $address, registered at http://$control:$registry_port"

deadline=$((SECONDS + 10))
until router_lists "$control" babysitter-c babysitter-d; do
    if ((SECONDS >= deadline)); then
        say "the router at http://$control:$router_port does not list them yet; is it running, is the port open?" >&2
        break
    fi
    sleep 0.1
done
say "next: ./validate.sh $control"
