"""The router beside its peers: same backend, same load, same run. `python -m benchmarks.router --help`.

throughput  requests per second and CPU per 1,000 of them (wrk, nginx as backend)
latency     what is added to an answer's time at half of the highest rate
crash       one of two backends is killed under a steady load, and started again
streams     many streams at once: what the router adds to the first byte and to every chunk
memory      resident memory over a million requests, and over 10,000 backends that come and go
bodies      resident memory while a body of 64 MB passes, there and back

A peer that is not installed is left out and named. `--peers-bin` says where wheels put their commands.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.router_disturbed import crash, streams
from benchmarks.router_memory import bodies, memory
from benchmarks.router_peers import PEERS
from benchmarks.router_wrk import latency, throughput

PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "throughput": throughput,
    "latency": latency,
    "crash": crash,
    "streams": streams,
    "memory": memory,
    "bodies": bodies,
}
NEEDS = {"throughput": ("wrk", "nginx"), "latency": ("wrk", "nginx"), "memory": ("wrk", "nginx")}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=PARTS)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--own-ids", action="store_true", help="no two requests have the same head")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS))
    parser.add_argument("--peers-bin", type=Path, default=Path("/usr/local/bin"))
    args = parser.parse_args()
    missing = [tool for tool in NEEDS.get(args.what, ()) if not shutil.which(tool)]
    if missing:
        print(f"needs {' and '.join(missing)}: apt-get install wrk nginx-light", file=sys.stderr)
        return 2
    PARTS[args.what](args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
