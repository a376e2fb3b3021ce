"""The gateway beside its peers: same provider, same load, same run. `python -m benchmarks.gateway --help`.

throughput  requests per second and CPU per 1,000 of them, beside LiteLLM's proxy (wrk, nginx as provider)
latency     what is added to a call of the official SDK
slow        500 slow calls at once in one process, and how soon /health/live answers meanwhile
processes   requests per second of one process to four
agreement   how soon all processes know that one has opened a circuit, with Redis and without

LiteLLM is left out and named where it is not installed. `--peers-bin` says where its command is:
`python3 -m venv /tmp/litellm && /tmp/litellm/bin/pip install 'litellm[proxy]'` makes `/tmp/litellm/bin`.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx

from benchmarks import router_peers, router_wrk
from benchmarks.gateway_agreement import agreement
from benchmarks.gateway_slow import slow
from benchmarks.gateway_timing import latency
from benchmarks.router_peers import BACKENDS, BODY, MODEL, cpu_seconds, nginx_backend
from benchmarks.router_wrk import WRK_SCRIPT, Row, middle

HOST = "127.77.3.2"  # the router's benchmark has another one: they do not stand in each other's way
GATEWAY, LITELLM = 21820, 21840
running = partial(router_peers.running, host=HOST)
wrk = partial(router_wrk.wrk, host=HOST)
DIRECT = "/chat/direct"
PASSED = "/v1/chat/completions"
DIRECT_SCRIPT = WRK_SCRIPT.replace(BODY, '{"message": "What is Python?", "temperature": 0.7}')


def gateway(port: int, backend: int, *options: str) -> list[str]:
    """The command of a gateway whose only provider is a backend."""
    told = {
        "OPENAI_API_KEY": "sk-benchmark",
        "OPENAI_BASE_URL": f"http://{HOST}:{backend}/v1",
        "OPENAI_MODEL": MODEL,
        "ANTHROPIC_API_KEY": "",
        "MUSTER_GATEWAY_REDIS": "none",
    }
    variables = [f"{name}={value}" for name, value in told.items()]
    listen = ["--host", HOST, "--port", str(port), "--log-level", "error"]
    return ["env", *variables, sys.executable, "-m", "system", "gateway", *listen, *options]


def litellm(folder: Path, peers: Path) -> list[str]:
    """LiteLLM's proxy, told not to call home and to log nothing."""
    config = folder / "litellm.yaml"
    config.write_text(
        f"model_list:\n  - model_name: {MODEL}\n    litellm_params: {{model: openai/{MODEL},"
        f' api_base: "http://{HOST}:{BACKENDS[0]}/v1", api_key: x}}\n'
        "router_settings: {routing_strategy: simple-shuffle, num_retries: 2}\n"
        "litellm_settings: {callbacks: [], request_timeout: 30}\n"
    )
    quiet = ["LITELLM_LOG=ERROR", "LITELLM_TELEMETRY=False", "LITELLM_LOCAL_MODEL_COST_MAP=True"]
    quiet.append("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY=true")
    listen = ["--host", HOST, "--port", str(LITELLM), "--num_workers", "1"]
    return ["env", *quiet, str(peers / "litellm"), "--config", str(config), *listen]


@contextmanager
def stage() -> Iterator[tuple[ExitStack, Path, Path, Path]]:
    """The provider; a folder, and wrk's scripts for both paths."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        passed, direct = folder / "passed.lua", folder / "direct.lua"
        passed.write_text(WRK_SCRIPT)
        direct.write_text(DIRECT_SCRIPT)
        stack.enter_context(running(nginx_backend(folder, HOST), BACKENDS[0]))
        yield stack, folder, passed, direct


def throughput(args: argparse.Namespace) -> None:
    """Alternating rounds; medians, so that a disturbance of the machine hits all alike."""
    how = {"connections": args.connections, "seconds": args.seconds}
    with stage() as (stack, folder, passed, direct):
        ours = stack.enter_context(running(gateway(GATEWAY, BACKENDS[0]), GATEWAY))
        runs: dict[str, Callable[[], Row]] = {
            "nginx, the provider itself": lambda: wrk(BACKENDS[0], None, passed, **how),
            f"muster, {PASSED}": lambda: wrk(GATEWAY, ours, passed, **how),
            f"muster, {DIRECT}": lambda: wrk(GATEWAY, ours, direct, **how, path=DIRECT),
        }
        try:
            theirs = stack.enter_context(running(litellm(folder, args.peers_bin), LITELLM, within=90))
            runs["LiteLLM's proxy"] = lambda: wrk(LITELLM, theirs, passed, **how)
        except (OSError, RuntimeError) as error:
            print(f"left out: LiteLLM: {error}", file=sys.stderr)
        rows: dict[str, list[Row]] = {name: [] for name in runs}
        for _ in range(args.rounds):
            for name, run in runs.items():
                rows[name].append(run())
    medians = {name: middle(found) for name, found in rows.items()}
    base = medians.get("LiteLLM's proxy")
    print("| program | req/s | p50 ms | p99 ms | CPU s per 1,000 | RSS MB | not 2xx | times LiteLLM |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in medians.items():
        times = f"{row.per_second / base.per_second:.1f}" if base else "-"
        print(
            f"| {name} | {row.per_second:,.0f} | {row.p50:.2f} | {row.p99:.2f} | {row.cpu_per_1000:.3f} |"
            f" {row.resident:.0f} | {row.bad:.0f} | {times} |"
        )


def processes(args: argparse.Namespace) -> None:
    """One process to four; the machine's cores, which wrk and the provider share, end the curve."""
    print(f"{os.cpu_count()} cores, shared with wrk and nginx")
    print(f"| processes | {PASSED} req/s | p99 ms | {DIRECT} req/s | p99 ms |\n|---|---|---|---|---|")
    how = {"connections": args.connections, "seconds": args.seconds}
    with stage() as (_, _folder, passed, direct):
        for number in range(1, 5):
            command = gateway(GATEWAY, BACKENDS[0], "--workers", str(number))
            with running(command, GATEWAY, within=60):
                one = middle([wrk(GATEWAY, None, passed, **how) for _ in range(args.rounds)])
                two = middle([wrk(GATEWAY, None, direct, **how, path=DIRECT) for _ in range(args.rounds)])
            rates = f"{one.per_second:,.0f} | {one.p99:.1f} | {two.per_second:,.0f} | {two.p99:.1f}"
            print(f"| {number} | {rates} |")


def timed(args: argparse.Namespace) -> None:
    with stage() as (stack, _, _passed, _direct):
        stack.enter_context(running(gateway(GATEWAY, BACKENDS[0]), GATEWAY))
        latency(f"http://{HOST}:{BACKENDS[0]}", f"http://{HOST}:{GATEWAY}", MODEL, args.calls)


def slowed(args: argparse.Namespace) -> None:
    backend = 21830
    mock = [sys.executable, "-m", "mock_services", "openai", "--host", HOST, "--port", str(backend)]
    mock += ["--models", MODEL]
    with running(mock, backend, within=60), running(gateway(GATEWAY, backend), GATEWAY, within=60) as pid:
        httpx.post(f"http://{HOST}:{backend}/control", json={"slow": "2s"}).raise_for_status()
        before = cpu_seconds(pid)
        slow(f"http://{HOST}:{GATEWAY}", args.calls, args.seconds)
        print(f"CPU of the gateway: {cpu_seconds(pid) - before:.1f} s")


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "throughput": throughput,
    "latency": timed,
    "slow": slowed,
    "processes": processes,
    "agreement": lambda args: agreement(100 * args.rounds),
}
NEEDS = {
    "throughput": ("wrk", "nginx"),
    "latency": ("nginx",),
    "processes": ("wrk", "nginx"),
    "agreement": ("redis-server",),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=PARTS)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--peers-bin", type=Path, default=Path("/usr/local/bin"))
    args = parser.parse_args()
    missing = [tool for tool in NEEDS.get(args.what, ()) if not shutil.which(tool)]
    if missing:
        print(f"needs {' and '.join(missing)}: apt-get install wrk nginx-light redis-server", file=sys.stderr)
        return 2
    PARTS[args.what](args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
