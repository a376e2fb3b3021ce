"""Small synthetic histories for the tests of checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.events import Event, RequestDone, Seen
from harness.evidence import Evidence, Facts, ServiceFacts
from harness.history import Record


def _babysitter(letter: str, host: str, model: str) -> ServiceFacts:
    name = f"babysitter-{letter}"
    return ServiceFacts(
        name=name,
        host=host,
        url=f"http://{host}:8100",
        registers={name: (), f"{name}-server": (model,)},
        answers_as=(f"mock-service-{letter}",),
    )


TWO_SERVERS = Facts(
    services=(
        ServiceFacts(
            name="registry", host="server1", url="http://server1:18000", speaks=("service_registry",)
        ),
        ServiceFacts(name="router", host="server1", url="http://server1:8000", speaks=("openai",)),
        _babysitter("a", "server1", "model-1"),
        _babysitter("b", "server1", "model-2"),
        _babysitter("c", "server2", "model-1"),
        _babysitter("d", "server2", "model-2"),
    ),
    stated_by="topologies/two-servers.yaml",
)


@dataclass
class Story:
    """A history under construction: each event at its time, in order."""

    facts: Facts = TWO_SERVERS
    records: list[Record] = field(default_factory=list)

    def add(self, t: float, event: Event) -> Story:
        """Something happened."""
        self.records.append(Record(len(self.records), t, 1e9 + t, "", event))
        return self

    def entries(self, t: float, *names: str, ill: Sequence[str] = (), **models: Sequence[str]) -> Story:
        """The registry showed these names; models are the stated ones unless given (`babysitter_a_server=[..]`)."""
        value = {}
        for name in names:
            stated = self.facts.offers().get(name, ())
            value[name] = {
                "url": f"http://10.0.0.9/{name}",
                "host": "10.0.0.9",
                "port": 8100,
                "healthy": name not in ill,
                "models": list(models.get(name.replace("-", "_"), stated)),
                "metadata": {},
            }
        return self.add(t, Seen(source="registry", view="services", ok=True, took=0.001, value=value))

    def models(self, t: float, *names: str) -> Story:
        """The router listed these models."""
        value = {"models": list(names)}
        return self.add(t, Seen(source="router", view="models", ok=True, took=0.001, value=value))

    def same(self, t: float, source: str = "registry", view: str = "services") -> Story:
        """The same as before was seen again."""
        return self.add(t, Seen(source=source, view=view, ok=True, took=0.001, same=True))

    def silence(self, t: float, error: str, source: str = "registry", view: str = "services") -> Story:
        """A look that was not answered."""
        return self.add(t, Seen(source=source, view=view, ok=False, took=0.001, error=error))

    def request(self, t: float, by: str = "", model: str = "model-1", **fields: Any) -> Story:
        """A request ended at `t`; ok unless said otherwise."""
        number = sum(isinstance(record.event, RequestDone) for record in self.records)
        about: dict[str, Any] = {
            "load": "load-1",
            "id": f"mu-load-1-{number:06d}",
            "method": "POST",
            "url": "http://server1:8000/v1/chat/completions",
            "outcome": "ok",
            "status": 200,
            "started": t - 0.01,
            "ended": t,
            "model": model,
            "served_by": by,
        }
        return self.add(t, RequestDone(**about | fields))

    def evidence(self, since: float = 0.0, until: float | None = None, load: str = "") -> Evidence:
        """What a check is given."""
        end = until if until is not None else max((r.t for r in self.records), default=0.0)
        return Evidence(records=self.records, since=since, until=end, facts=self.facts, load=load)


ALL_NAMES = TWO_SERVERS.registered()
