"""A made run of the two-servers scenario: what was planned, and a history with every outcome in it."""

from __future__ import annotations

from harness.events import (
    FaultHealed,
    FaultHealing,
    FaultProven,
    FaultRequested,
    FaultUnproven,
    HostUp,
    LoadFinished,
    LoadStarted,
    RequestDone,
    RunFinished,
    RunStarted,
    ServiceExited,
    ServiceReady,
    ServiceStarting,
)
from tests.histories.cast import (
    BACKEND,
    EVENLY,
    FORGOTTEN,
    HOSTS,
    KILLED,
    NOTICES,
    PARTITION,
    ROUTER,
    ROUTER_DIES,
    SERVICES,
    STEPS,
    entry,
)
from tests.histories.tape import Tape


def _register(tape: Tape, *letters: str) -> None:
    for letter in letters:
        for server, name in ((False, f"babysitter-{letter}"), (True, f"babysitter-{letter}-server")):
            tape.views["registry", "services"][name] = entry(letter, server=server)
            tape.log("server1/registry", f"registered {name}")


def _forget(tape: Tape, *names: str) -> None:
    for name in names:
        del tape.views["registry", "services"][name]
        tape.log("server1/registry", f"lease of {name} expired, forgotten", "WARNING")


def _start(tape: Tape, name: str, t: float, after: float) -> None:
    host, port = SERVICES[name]
    url = f"http://{HOSTS[host]}:{port}"
    tape.at(t).add(ServiceStarting(service=name, host=host, pid=4000 + len(tape.records)))
    tape.log(f"{host}/{name}", f"listening on {url}")
    tape.at(t + after).add(
        ServiceReady(service=name, host=host, after=after, by=f"GET {url}/health: 200", url=url)
    )


def load(
    tape: Tape, step: tuple[str, ...], model: str, servers: str, count: int, spacing: float, bad: int = 0
) -> tuple[int, list[int]]:
    """Traffic in a step: round robin over servers; the first `bad` answers of each are errors. Bad numbers."""
    name = f"{STEPS[step].id}.chat"
    tape.add(
        LoadStarted(
            load=name,
            what=f"chat {model}",
            url=f"{ROUTER}/v1/chat/completions",
            requests=count,
            concurrency=8,
        )
    )
    failed: list[int] = []
    for i in range(count):
        tape.at(tape.t + spacing)
        letter = servers[i % len(servers)]
        number = _request(tape, name, i, model, letter, fails=i < bad)
        if i < bad:
            failed.append(number)
    tape.add(LoadFinished(load=name, sent=count, ok=count - bad, failed=bad))
    return tape.records[-1].n, failed


def _request(tape: Tape, load: str, i: int, model: str, letter: str, *, fails: bool) -> int:
    took = 0.004 + tape.random.expovariate(250)
    host, _ = SERVICES[f"babysitter-{letter}"]
    request = f"mu-{load}-{i:04}"
    if not fails:
        tape.log(f"{host}/babysitter-{letter}", f"POST /v1/chat/completions 200 id={request}")
    return tape.add(
        RequestDone(
            load=load,
            id=request,
            method="POST",
            url=f"{ROUTER}/v1/chat/completions",
            outcome="error" if fails else "ok",
            started=max(0.0, tape.t - took),
            ended=tape.t,
            model=model,
            status=502 if fails else 200,
            answered_model="" if fails else model,
            claims={} if fails else {"x-muster-backend": f"babysitter-{letter}-server"},
            served_by="" if fails else f"babysitter-{letter}-server",
            error="HTTP 502: backend did not answer" if fails else "",
        )
    )


def play(*, good: bool) -> Tape:
    """The whole run; a good one keeps every promise that applies, the other fails, and is unknown at the end."""
    tape = Tape()
    tape.add(RunStarted(run="2025-11-20T22-10-03", scenario="two servers, two models", hosts_kind="process"))
    _come_up(tape)
    _discovery(tape)
    _backend_dies(tape)
    _server_dies(tape, good=good)
    _partition(tape)
    _router_dies(tape, good=good)
    _checks(tape, good=good)
    tape.step = ""
    for name, (host, _) in reversed(SERVICES.items()):
        tape.at(tape.t + 0.03).add(ServiceExited(service=name, host=host, code=0, expected=True))
    tape.add(RunFinished(status="pass" if good else "fail"))
    return tape


def _come_up(tape: Tape) -> None:
    for host, address in HOSTS.items():
        tape.at(tape.t + 0.004).add(HostUp(host=host, address=address))
    for number, name in enumerate(SERVICES):
        _start(tape, name, 0.02 + number * 0.22, 0.19 + 0.01 * number)
    tape.views = {
        ("registry", "services"): {},
        ("router", "models"): {"models": []},
        ("babysitter-a", "health"): {"status": 200, "body": {"status": "ok"}},
    }
    tape.watch()


def _discovery(tape: Tape) -> None:
    first, second = STEPS["every service registers",], STEPS["the router offers both models, once each",]
    tape.begin(first)
    tape.at(tape.t + 0.6)
    _register(tape, "a", "b", "c", "d")
    tape.at(tape.t + 0.6)
    seen = (tape.last_look("registry", "services"),)
    tape.judge(first, "pass", "all 8 names are registered", limit=10.0, evidence=seen)
    tape.begin(second)
    tape.views["router", "models"] = {"models": ["model-1", "model-2"]}
    tape.at(tape.t + 0.7)
    seen = (tape.last_look("router", "models"),)
    tape.judge(second, "pass", "router offers model-1 and model-2, once each", limit=5.0, evidence=seen)
    third = STEPS[EVENLY,]
    tape.begin(third)
    ended, _ = load(tape, third.path, "model-1", "ac", 62, 0.012)
    one = {"observed": 31, "expected": 31.0, "share": 0.5, "low": 0.33, "high": 0.67}
    numbers = {
        "policy": "round-robin",
        "n": 62,
        "backends": {f"babysitter-{x}-server": one for x in "ac"},
        "p_value": 1.0,
        "detectable": 0.25,
        "alpha": 1e-6,
    }
    message = "62 requests went to 2 backends evenly: 31 and 31"
    tape.judge(third, "pass", message, evidence=(ended,), numbers={"distribution": numbers})


def _backend_dies(tape: Tape) -> None:
    outer, inner = STEPS[BACKEND], STEPS[*BACKEND, "its babysitter brings it back"]
    names = {"fault": "f1", "what": "kill", "target": "babysitter-a.backend"}
    tape.begin(outer)
    tape.add(FaultRequested(**names, hits=("babysitter-a",)))
    tape.log("server1/babysitter-a", "backend ended by SIGKILL, starting it again in 0.2 s", "WARNING")
    proof = tape.at(tape.t + 0.041).add(FaultProven(**names, after=0.041, receipt=("process 4711 is gone",)))
    since = tape.t
    tape.begin(inner)
    tape.views["babysitter-a", "health"] = {"status": 503, "body": {"status": "starting"}}
    tape.at(tape.t + 0.9)
    tape.views["babysitter-a", "health"] = {"status": 200, "body": {"status": "ok"}}
    tape.at(tape.t + 0.6)
    evidence = (proof, tape.last_look("babysitter-a", "health"))
    tape.judge(inner, "pass", "babysitter-a-server is healthy", since=since, limit=10.0, evidence=evidence)
    tape.step = outer.id
    tape.add(FaultHealing(**names))
    healed = tape.at(tape.t + 0.02).add(
        FaultHealed(
            **names, after=0.02, receipt=("process 4790 runs", "GET http://127.64.1.1:8100/health: 200")
        )
    )
    tape.judge(outer, "pass", "kill babysitter-a.backend: proven, healed", evidence=(proof, healed))


def _server_dies(tape: Tape, *, good: bool) -> None:
    outer = STEPS[KILLED]
    names = {"fault": "f2", "what": "kill", "target": "server2"}
    tape.begin(outer)
    tape.add(FaultRequested(**names, hits=("babysitter-c", "babysitter-d")))
    for letter, code in (("c", "SIGKILL"), ("d", "SIGKILL")):
        tape.at(tape.t + 0.01).add(
            ServiceExited(service=f"babysitter-{letter}", host="server2", signal=code, expected=True)
        )
    receipt = (
        "process group 4102 is gone",
        "process group 4107 is gone",
        "127.64.1.2:8100 refuses connections",
    )
    tape.at(tape.t + 0.042).add(FaultProven(**names, after=0.062, receipt=receipt))
    since = tape.t
    _forgotten(tape, since, good=good)
    notices = STEPS[NOTICES]
    tape.begin(notices)
    ended, bad = load(tape, NOTICES, "model-1", "a", 50, 0.02, bad=0 if good else 2)
    status, said = (
        ("pass", "50 of 50 requests succeeded")
        if good
        else ("fail", "48 of 50 requests succeeded, 100 % asked")
    )
    why = "" if good else f"; first: mu-{notices.id}.chat-0000, HTTP 502: backend did not answer"
    tape.judge(notices, status, said + why, evidence=(ended, *bad))
    tape.step = outer.id
    tape.add(FaultHealing(**names))
    for letter in "cd":
        _start(tape, f"babysitter-{letter}", tape.t + 0.05, 0.31)
    tape.at(tape.t + 0.01).add(
        FaultHealed(
            **names,
            after=0.73,
            receipt=("babysitter-c answers /health: 200", "babysitter-d answers /health: 200"),
        )
    )
    tape.judge(outer, "pass", "kill server2: proven, healed")
    back = STEPS["server 2 comes back by itself",]
    tape.begin(back)
    tape.at(tape.t + 0.8)
    _register(tape, "c", "d")
    tape.at(tape.t + 0.6)
    seen = (tape.last_look("registry", "services"),)
    tape.judge(back, "pass", "all 4 names are registered", limit=10.0, evidence=seen)


def _forgotten(tape: Tape, since: float, *, good: bool) -> None:
    step = STEPS[FORGOTTEN]
    tape.begin(step)
    tape.at(since + 3.7)
    _forget(tape, "babysitter-c", "babysitter-c-server", "babysitter-d")
    tape.at(since + 4.3)
    gone = tape.last_look("registry", "services")
    if good:
        _forget(tape, "babysitter-d-server")
        tape.at(since + 4.9)
        seen = (gone, tape.last_look("registry", "services"))
        message = "babysitter-c-server and babysitter-d-server are gone"
        tape.judge(step, "pass", message, since=since, limit=8.0, evidence=seen)
        return
    tape.log(
        "server1/registry", "heartbeat of babysitter-d-server from 127.64.1.1, lease extended", "WARNING"
    )
    tape.at(since + 8.0)
    seen = (gone, tape.last_look("registry", "services"))
    message = (
        "unregistered: babysitter-d-server was still registered 8.0 s after server2 was killed (limit 8 s)"
    )
    tape.judge(step, "fail", message, since=since, limit=8.0, evidence=seen)


def _partition(tape: Tape) -> None:
    reason = "hosts that are processes share one network, so no cable can be cut; --hosts docker can"
    for path in (PARTITION, (*PARTITION, "the clients go on")):
        tape.begin(STEPS[path])
        tape.judge(STEPS[path], "not-applicable", reason)


def _router_dies(tape: Tape, *, good: bool) -> None:
    outer, inner = STEPS[ROUTER_DIES], STEPS[*ROUTER_DIES, "it is back at once"]
    names = {"fault": "f3", "what": "kill", "target": "router"}
    tape.begin(outer)
    tape.add(FaultRequested(**names, hits=("router",)))
    if not good:
        reason = "process 4051 is still there after 2 s"
        tape.at(tape.t + 2.0).add(FaultUnproven(**names, phase="effect", reason=reason))
        message = f"kill router has no receipt: {reason}; what follows cannot be judged"
        tape.judge(outer, "unknown", message, evidence=(tape.records[-1].n,))
        tape.begin(inner)
        tape.judge(inner, "unknown", "not run: kill router has no receipt")
        return
    tape.at(tape.t + 0.01).add(
        ServiceExited(service="router", host="server1", signal="SIGKILL", expected=True)
    )
    tape.add(FaultProven(**names, after=0.01, receipt=("process 4051 is gone",)))
    models, tape.views["router", "models"] = tape.views["router", "models"], None
    since = tape.t
    tape.at(tape.t + 0.7)
    _start(tape, "router", tape.t, 0.24)
    tape.views["router", "models"] = models
    tape.begin(inner)
    tape.at(tape.t + 0.6)
    evidence = (tape.last_look("router", "models"),)
    tape.judge(inner, "pass", "router answers again", since=since, limit=5.0, evidence=evidence)
    tape.step = outer.id
    tape.add(FaultHealing(**names))
    tape.at(tape.t + 0.01).add(
        FaultHealed(**names, after=0.01, receipt=("GET http://127.64.1.1:8000/health: 200",))
    )
    tape.judge(outer, "pass", "kill router: proven, healed")


def _checks(tape: Tape, *, good: bool) -> None:
    for path, message in (
        (("checks", "right_model"), "each of 112 requests reached a service with its model"),
        (("checks", "logs"), "each request stands in the log of the service that served it"),
    ):
        tape.at(tape.t + 0.01).begin(STEPS[path])
        tape.judge(STEPS[path], "pass", message if good else message.replace("112", "110"))
