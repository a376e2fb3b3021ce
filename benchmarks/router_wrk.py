"""Load by wrk: requests per second, what one costs, and what the router adds to the time an answer takes."""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.router_peers import (
    BACKENDS,
    BODY,
    HOST,
    PEERS,
    cpu_seconds,
    nginx_backend,
    resident_mb,
    running,
)

WRK_SCRIPT = f"""
wrk.method = "POST"
wrk.body = '{BODY}'
wrk.headers["Content-Type"] = "application/json"
"""
OWN_IDS = """
local sent = 0
request = function()
  sent = sent + 1
  wrk.headers["X-Request-Id"] = "request-" .. sent
  return wrk.format()
end
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One run of wrk."""

    per_second: float
    p50: float
    p99: float
    cpu_per_1000: float
    resident: float
    bad: int


def wrk(
    port: int,
    pid: int | None,
    script: Path,
    *,
    connections: int,
    seconds: float,
    path: str = "/v1/chat/completions",
    host: str = HOST,
) -> Row:
    """One run: as many requests as so many connections can carry."""
    before = cpu_seconds(pid) if pid else 0.0
    url = f"http://{host}:{port}{path}"
    load = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(script), url]
    out = subprocess.run(load, check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(pid) - before if pid else 0.0
    requests = int(re.search(r"(\d+) requests in", out)[1])  # type: ignore[index]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return Row(
        per_second=float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),  # type: ignore[index]
        p50=_milliseconds(out, "50%"),
        p99=_milliseconds(out, "99%"),
        cpu_per_1000=used / requests * 1000,
        resident=resident_mb(pid) if pid else 0.0,
        bad=int(bad[1]) if bad else 0,
    )


def _milliseconds(out: str, which: str) -> float:
    number, unit = re.search(rf"\s{which}\s+([\d.]+)(us|ms|s)", out).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


@contextmanager
def stage(args: argparse.Namespace, names: list[str]) -> Iterator[tuple[Path, dict[str, int]]]:
    """The backends and the programs that could be started: wrk's script, and their pids by name."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script = folder / "post.lua"
        script.write_text(WRK_SCRIPT + (OWN_IDS if args.own_ids else ""))
        stack.enter_context(running(nginx_backend(folder), BACKENDS[0]))
        pids = {}
        for name in names:
            try:
                peer = PEERS[name]
                pids[name] = stack.enter_context(running(peer.command(folder, args.peers_bin), peer.port))
            except (OSError, RuntimeError) as error:
                print(f"left out: {name}: {error}", file=sys.stderr)
        yield script, pids


def middle(runs: list[Row]) -> Row:
    """The median of each figure."""
    fields = Row.__dataclass_fields__
    return Row(**{field: statistics.median(getattr(run, field) for run in runs) for field in fields})


def throughput(args: argparse.Namespace) -> None:
    """Alternating rounds; medians, so that a disturbance of the machine hits all alike."""
    rows: dict[str, list[Row]] = {"direct": []}
    how = {"connections": args.connections, "seconds": args.seconds}
    with stage(args, args.peers) as (script, pids):
        for _ in range(args.rounds):
            rows["direct"].append(wrk(BACKENDS[0], None, script, **how))
            for name, pid in pids.items():
                rows.setdefault(name, []).append(wrk(PEERS[name].port, pid, script, **how))
    print("| program | req/s | p50 ms | p99 ms | CPU s per 1,000 | RSS MB | not 2xx |")
    print("|---|---|---|---|---|---|---|")
    for name, row in ((name, middle(runs)) for name, runs in rows.items()):
        print(
            f"| {name} | {row.per_second:,.0f} | {row.p50:.2f} | {row.p99:.2f} | {row.cpu_per_1000:.4f} |"
            f" {row.resident:.0f} | {row.bad:.0f} |"
        )


def latency(args: argparse.Namespace) -> None:
    """What is added at half of the router's own highest rate: as many connections as come nearest to that."""
    with stage(args, ["muster"]) as (script, pids):
        port, pid = PEERS["muster"].port, pids["muster"]
        most = wrk(port, pid, script, connections=args.connections, seconds=args.seconds).per_second
        rates = {
            number: wrk(port, pid, script, connections=number, seconds=1.0).per_second
            for number in range(1, 9)
        }
        number = min(rates, key=lambda number: abs(rates[number] - most / 2))
        direct, through = list[Row](), list[Row]()
        for _ in range(args.rounds):
            direct.append(wrk(BACKENDS[0], None, script, connections=number, seconds=args.seconds))
            through.append(wrk(port, pid, script, connections=number, seconds=args.seconds))
    base, row = middle(direct), middle(through)
    print(f"at {row.per_second:,.0f} requests/s of at most {most:,.0f}, on {number} connections:")
    print(f"direct p50 {base.p50:.2f} ms, p99 {base.p99:.2f} ms")
    print(f"muster p50 {row.p50:.2f} ms, p99 {row.p99:.2f} ms")
    pairs = list(zip(through, direct, strict=True))
    p50 = statistics.median(one.p50 - other.p50 for one, other in pairs)
    p99 = statistics.median(one.p99 - other.p99 for one, other in pairs)
    print(f"added  p50 {p50:.2f} ms (at most 0.30), p99 {p99:.2f} ms (at most 1.00)")
