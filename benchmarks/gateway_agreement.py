"""How soon all processes know what one has found out: a circuit opened here, seen open there.

Four processes share as the gateway's do, through a real Redis or on one machine alone. One of them sees the
failures that open a circuit; each of the others notes when it would refuse the next request. The clock is the
machine's, so it is the same for all of them.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from system.gateway.breakers import BreakerSettings, Permit, RedisSettings, SyncSettings, opened
from system.gateway.sharing import SharedBreakers

PROVIDER = "openai"
PROCESSES = 4
ADDRESS, PORT = "127.77.3.3", 21850
ROUNDS_BEFORE = 10  # that do not count


async def process(sync: SyncSettings) -> None:
    """One of the processes: does what it is told on standard input, says when its circuit changed."""
    hear = SharedBreakers.hear

    def noting(self: SharedBreakers, provider: str, circuit: Any) -> None:
        before = self.view(provider).state
        hear(self, provider, circuit)
        if (after := self.view(provider).state) is not before:
            say(after.name, time.monotonic())

    SharedBreakers.hear = noting  # type: ignore[method-assign]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with opened(BreakerSettings(providers=(PROVIDER,), sync=sync)) as breakers:
        while not breakers.link.sync_enabled:  # noqa: ASYNC110 - no news of that is given
            await asyncio.sleep(0.01)
        say("ready", time.monotonic())
        while line := await reader.readline():
            if line == b"reset\n":
                await breakers.reset(PROVIDER)
                continue
            began = 0.0
            for _ in range(5):
                permit = await breakers.admit(PROVIDER)
                assert isinstance(permit, Permit), permit
                began = time.monotonic()
                permit.failed("timeout")
            say("OPEN", began)


def say(what: str, when: float) -> None:
    print(json.dumps([what, when]), flush=True)


def heard(process: "subprocess.Popen[str]", what: str) -> float:
    """When a process says that it saw this."""
    assert process.stdout is not None
    for line in process.stdout:
        said, when = json.loads(line)
        if said == what:
            return float(when)
    msg = "a process ended"
    raise RuntimeError(msg)


def tell(process: "subprocess.Popen[str]", what: str) -> None:
    stdin: IO[str] | None = process.stdin
    assert stdin is not None
    stdin.write(f"{what}\n")
    stdin.flush()


def measure(url: str, group: str, rounds: int) -> list[float]:
    """Milliseconds, for every process but the one that opened it, in every round."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        command = [sys.executable, "-m", "benchmarks.gateway_agreement", url, group, folder]
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(PROCESSES)
        ]
        for one in processes:
            stack.callback(one.kill)
            heard(one, "ready")
        found: list[float] = []
        for number in range(ROUNDS_BEFORE + rounds):
            opener = processes[number % PROCESSES]
            others = [one for one in processes if one is not opener]
            tell(opener, "fail")
            began = heard(opener, "OPEN")
            seen = [1000 * (heard(one, "OPEN") - began) for one in others]
            tell(opener, "reset")
            for one in others:
                heard(one, "CLOSED")
            if number >= ROUNDS_BEFORE:
                found += seen
        return found


@contextmanager
def redis_server() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        where = ["--bind", ADDRESS, "--port", str(PORT), "--dir", folder]
        command = ["redis-server", *where, "--save", "", "--appendonly", "no"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                while "Ready to accept" not in server.stdout.readline():
                    assert server.poll() is None, "redis-server ended; is it installed, and its port free?"
                yield f"redis://{ADDRESS}:{PORT}"
            finally:
                server.terminate()


def agreement(rounds: int) -> None:
    """Both ways, and what was found."""
    with redis_server() as url:
        found = {
            "real Redis": measure(url, "", rounds),
            "one machine, no Redis": measure("", "bench", rounds),
        }
    for name, times in found.items():
        cuts = statistics.quantiles(times, n=100)
        print(
            f"{name:22} {len(times)} times: p50 {cuts[49]:.2f} ms,"
            f" p99 {cuts[98]:.2f} ms, longest {max(times):.2f} ms"
        )


def main(url: str, group: str, folder: str) -> None:
    """A process of the benchmark."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        redis = RedisSettings(url=url) if url else None
        runner.run(process(SyncSettings(redis=redis, group=group or None, folder=Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
