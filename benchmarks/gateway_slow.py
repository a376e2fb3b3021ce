"""Many slow calls at once, and what a liveness probe waits for meanwhile; the probe is its own process."""

import asyncio
import http.client
import json
import statistics
import subprocess
import sys
import time
from urllib.parse import urlsplit

import aiohttp

AT_MOST = 50.0  # milliseconds
EVERY = 0.01  # seconds between two probes


def slow(gateway: str, calls: int, seconds: float) -> None:
    """Both kinds of calls, one after the other."""
    bodies: dict[str, dict[str, object]] = {
        "/chat/direct": {"message": "What is Python?"},
        "/v1/chat/completions": {"messages": [{"role": "user", "content": "What is Python?"}]},
    }
    for path, body in bodies.items():
        _measure(gateway, path, body, calls, seconds)


def _measure(gateway: str, path: str, body: dict[str, object], calls: int, seconds: float) -> None:
    command = [sys.executable, "-m", "benchmarks.gateway_slow", gateway, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as probing:
        answered = asyncio.run(_load(gateway + path, body, calls, seconds))
        waited: list[float] = json.loads(probing.communicate()[0])
    p99 = statistics.quantiles(waited, n=100)[98]
    verdict = "yes" if p99 <= AT_MOST else "NO"
    print(
        f"{calls} calls of 2 s at once, {path}: {answered} answered; {len(waited)} probes of /health/live:"
        f" p50 {statistics.median(waited):.1f} ms, p99 {p99:.1f} ms (at most {AT_MOST:g}: {verdict}),"
        f" longest {max(waited):.1f} ms"
    )


async def _load(url: str, body: dict[str, object], calls: int, seconds: float) -> int:
    """So many calls under way all the time: whoever is answered asks again."""
    until = time.monotonic() + seconds
    answered = 0

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while time.monotonic() < until:
            async with session.post(url, json=body) as answer:
                await answer.read()
                assert answer.status == 200
                answered += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(ask(session) for _ in range(calls)))
    return answered


def probe(gateway: str, seconds: float) -> None:
    """Ask /health/live for so long; prints how many milliseconds each answer took."""
    connection = http.client.HTTPConnection(urlsplit(gateway).netloc)
    waited = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        connection.request("GET", "/health/live")
        connection.getresponse().read()
        waited.append((time.perf_counter() - began) * 1000)
        time.sleep(EVERY)
    print(json.dumps(waited))


if __name__ == "__main__":
    probe(sys.argv[1], float(sys.argv[2]))
