"""The program that holds a simulated host: it sees and signals processes, cuts the network, probes peers.

It is process 1 of the host's sandbox container, as root, and shares network and processes with all services
of that host. Requests come in on standard input, answers go out on standard output, a line of JSON each.
Standard library only: the sandbox has `harness.processes` and this file, nothing else.

Rules for packets live in a table of their own that `cut` replaces as a whole; it accepts the loopback and the
harness's own way in before anything is dropped, established connections included.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from harness import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TABLE = "muster"
PROBED_PORT = 9
"""Nobody listens there, so a host that can be reached refuses at once."""


def find(service: str, labels: Sequence[str]) -> list[processes.Stat]:
    """The live processes of a service, its main process first: its parent is outside of the host."""
    wanted = [label.encode() for label in (f"MUSTER_SERVICE={service}", *labels)]
    return sorted(processes.family(wanted), key=lambda stat: stat.parent != 0)


def seen(service: str, labels: Sequence[str], *, child: bool) -> list[Any]:
    """The processes of a service, or of its child, as JSON values."""
    return [
        [stat.pid, stat.born, stat.state, processes.command(stat.pid)]
        for stat in find(service, labels)
        if not (child and stat.parent == 0)
    ]


def hit(service: str, labels: Sequence[str], *, child: bool, number: int, again: bool) -> list[Any]:
    """Signal them; with `again`, also those that appear meanwhile."""
    done: dict[tuple[int, int], Any] = {}
    while fresh := [p for p in seen(service, labels, child=child) if (p[0], p[1]) not in done]:
        for process in fresh:
            done[process[0], process[1]] = process
            processes.send_signal(process[0], process[1], number)
        if not again:
            break
    return list(done.values())


def cut(addresses: Sequence[str], control: Sequence[str]) -> None:
    """Drop every packet from and to these addresses; an empty list cuts nothing."""
    rules = [f"add table inet {TABLE}", f"delete table inet {TABLE}"]
    if addresses:
        drop, keep = (f"{{ {', '.join(each)} }}" for each in (addresses, control))
        rules += [f"add table inet {TABLE}"]
        for chain, direction, interface in (("input", "saddr", "iif"), ("output", "daddr", "oif")):
            head = f"inet {TABLE} {chain}"
            rules += [
                f"add chain {head} {{ type filter hook {chain} priority -300; policy accept; }}",
                f"add rule {head} {interface} lo accept",
                f"add rule {head} ip {direction} {keep} accept",
                f"add rule {head} ip {direction} {drop} counter drop",
            ]
    done = subprocess.run(
        ["nft", "-f", "-"], input="\n".join(rules), text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise OSError(done.returncode, done.stderr.strip().split("\n")[0] or "nft failed")


def dropped() -> list[int]:
    """Packets that the rules dropped, coming in and going out."""
    done = subprocess.run(
        ["nft", "--json", "list", "table", "inet", TABLE], text=True, capture_output=True, check=False
    )
    counts = {"input": 0, "output": 0}
    if done.returncode == 0:
        for entry in json.loads(done.stdout)["nftables"]:
            rule = entry.get("rule", {})
            for part in rule.get("expr", []):
                if "counter" in part:
                    counts[rule["chain"]] += part["counter"]["packets"]
    return [counts["input"], counts["output"]]


def probe(addresses: Sequence[str], within: float) -> dict[str, bool]:
    """Which of these hosts can be reached: they refuse a connection, or accept it, in time."""
    reached: dict[str, bool] = {}

    def one(address: str) -> None:
        try:
            socket.create_connection((address, PROBED_PORT), within).close()
            reached[address] = True
        except ConnectionRefusedError:
            reached[address] = True
        except OSError:
            reached[address] = False

    threads = [threading.Thread(target=one, args=(address,)) for address in addresses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reached


def bury() -> None:
    """Take note of the end of orphans: process 1 inherits them."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


DO: Mapping[str, Callable[..., Any]] = {
    "hello": time.monotonic,
    "seen": seen,
    "hit": hit,
    "cut": cut,
    "dropped": dropped,
    "probe": probe,
}


def main() -> None:
    """Answer requests; when the harness goes away, go on holding the host until somebody removes it."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"id": request["id"], "is": DO[request["do"]](**request["with"])}
        except Exception as error:  # noqa: BLE001  # whatever it is, the harness has to hear of it
            answer = {"id": request["id"], "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
        bury()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
