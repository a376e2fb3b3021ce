"""A made run of many hosts and requests, for what a report costs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.artifacts import Manifest, PlannedService, PlannedStep, ScenarioDirectory
from harness.events import (
    HostUp,
    LoadFinished,
    LoadStarted,
    RequestDone,
    RunFinished,
    RunStarted,
    ServiceReady,
    ServiceStarting,
)
from harness.evidence import Facts, ServiceFacts
from tests.histories.cast import FILE, manifest
from tests.histories.tape import Tape, at_wall, store

SERVICES_PER_HOST = 4
SECONDS = 300.0


def make_fleet(directory: Path, *, hosts: int, requests: int, log_bytes: int) -> None:
    """Write one scenario's directory; `log_bytes` are spread over all services' logs."""
    names = [f"worker-{host}-{n}" for host in range(hosts) for n in range(SERVICES_PER_HOST)]
    tape = Tape(every=1.0)
    tape.add(RunStarted(run="fleet", scenario="a fleet", hosts_kind="process"))
    planned = _plan(hosts, names)
    for host in planned.hosts:
        tape.add(HostUp(host=host, address=planned.hosts[host]))
    for service in planned.services:
        tape.at(tape.t + 0.01).add(ServiceStarting(service=service.name, host=service.host))
        tape.add(ServiceReady(service=service.name, host=service.host, after=0.2, by="GET /health: 200"))
    tape.views["worker-0-0", "services"] = {
        name: {"healthy": True, "url": "", "models": ["m"]} for name in names
    }
    tape.watch()
    (step,) = planned.steps
    tape.begin(step)
    _traffic(tape, names, requests)
    failed = tuple(r.n for r in tape.records if isinstance(r.event, RequestDone) and r.event.outcome != "ok")
    tape.judge(step, "fail", f"{len(failed)} of {requests} requests failed", evidence=failed[:50])
    tape.add(RunFinished(status="fail"))
    store(directory, planned, tape.records, {}, {"status": "fail"})
    for service in planned.services:
        _write_log(ScenarioDirectory(directory).log(service.host, service.name), log_bytes // len(names))


def _plan(hosts: int, names: list[str]) -> Manifest:
    addresses = {f"host-{n}": f"10.0.0.{n + 1}" for n in range(hosts)}
    services = tuple(
        PlannedService(name=name, host=f"host-{name.split('-')[1]}", kind="worker", url=f"http://{name}:8100")
        for name in names
    )
    step = PlannedStep(id="s1", path=("all requests succeed",), does="load", asks=(), file=FILE, line=3)
    facts = Facts(services=tuple(ServiceFacts(name=name, registers={name: ("m",)}) for name in names))
    return replace(
        manifest(),
        id="fleet",
        scenario="a fleet",
        hosts=addresses,
        services=services,
        steps=(step,),
        facts=facts,
    )


def _traffic(tape: Tape, names: list[str], requests: int) -> None:
    rng = random.Random(11)
    tape.add(
        LoadStarted(load="load-1", what="chat m", url="http://router/", requests=requests, concurrency=64)
    )
    failed = 0
    for n in range(requests):
        tape.at(tape.t + SECONDS / requests)
        took = 0.003 + rng.expovariate(120)
        bad = rng.random() < 0.002
        failed += bad
        tape.add(
            RequestDone(
                load="load-1",
                id=f"mu-{rng.getrandbits(40):010x}-{n}",
                method="POST",
                url="http://router/v1/chat/completions",
                outcome="error" if bad else "ok",
                started=max(0.0, tape.t - took),
                ended=tape.t,
                model="m",
                status=503 if bad else 200,
                served_by="" if bad else rng.choice(names),
                error="HTTP 503: no backend" if bad else "",
            )
        )
    tape.add(LoadFinished(load="load-1", sent=requests, ok=requests - failed, failed=failed))


def _write_log(path: Path, size: int) -> None:
    with path.open("w", encoding="utf-8") as out:
        written = 0
        for line in _log_lines(size // 110 + 1):
            written += out.write(line)
            if written >= size:
                return


def _log_lines(count: int) -> Iterator[str]:
    rng = random.Random(count)
    for n in range(count):
        stamp = at_wall(SECONDS * n / count)
        word = f"{rng.getrandbits(64):016x}"
        yield f"{stamp} INFO worker.http: POST /v1/chat/completions 200 id=mu-{word}-{n} took={rng.random():.6f}\n"
