"""Check `http`: an answer has this status, these headers, this JSON, this text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from harness.checks.words import after, clock_time
from harness.events import Called
from harness.options import ServiceName
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.evidence import Evidence, Facts

VIEW = "http:"


@dataclass(frozen=True, slots=True)
class Http:
    """The answer of a `call`, or of a URL that is looked at again and again, is as stated.

    ```yaml
    call: "{router.url}/models"
    expect: {http: "", status: 200, json: {object: list}}

    expect: {http: /health, at: registry, status: 200, within: 5s}
    ```

    A URL that does not answer fails; one that nobody looked at is *unknown*.
    `json` and `headers` state a part: what they do not mention may be anything. A list in `json` states every
    item.
    """

    url: str = ""
    """A URL, or a path at the service `at`; empty: the last `call` of this step."""
    _: KW_ONLY
    at: ServiceName = ""
    """The service a path belongs to."""
    status: int | None = None
    """The status; without any other wish, a 2xx."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers and their values."""
    json: Any = None
    """A part of the JSON body."""
    contains: str = ""
    """Text that stands in the body."""
    matches: str = ""
    """A regular expression that is found in the body."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """The URL, if one is given."""
        url = self._whole_url(facts)
        return [(self.at, VIEW + url)] if url else []

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """A path without a service, and a pattern that is none."""
        found = []
        if self.url and "://" not in self.url and not self.at and "{" not in self.url:
            found.append(
                f"'{self.url}' is a path: say which service with 'at: SERVICE', or write the whole URL"
            )
        try:
            re.compile(self.matches)
        except re.error as error:
            found.append(f"'{self.matches}' is not a regular expression: {error}")
        return found

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when nothing differs."""
        if self.url:
            return self._judge_observed(evidence)
        calls = list(evidence.of(Called))
        if not calls:
            return unknown(
                "nothing was called, so there is no answer: add a 'call', or give a URL to look at"
            )
        record, call = calls[-1]
        if call.error:
            return failed(f"{call.method} {call.url} failed: {call.error}", evidence=[record.n])
        answer = {"status": call.status, "headers": call.headers, "body": call.body, "json": call.json}
        return self._compare(f"{call.method} {call.url}", answer, record.n)

    def _judge_observed(self, evidence: Evidence) -> Verdict:
        url = self._whole_url(evidence.facts)
        if not url:
            return unknown(f"'{self.url}' is a path, and no service '{self.at}' with a URL is known")
        looks = evidence.observations(VIEW + url, self.at)
        if not looks:
            return unknown(f"nobody looked at {url} in these {evidence.until - evidence.since:.1f} s")
        record, seen, value = looks[-1]
        if not seen.ok:
            since = max((r.t for r, e, _ in looks if e.ok), default=None)
            when = "" if since is None else f" (the last answer came at {clock_time(since)})"
            return failed(f"no answer {after(evidence, record.t)}{when}: {seen.error}", evidence=[record.n])
        where = f"{url} at {clock_time(record.t)}, {after(evidence, record.t)}"
        return self._compare(where, value, record.n)

    def _whole_url(self, facts: Facts) -> str:
        if not self.url or "://" in self.url:
            return self.url
        service = facts.service(self.at)
        return service.url + self.url if service and service.url else ""

    def _compare(self, where: str, answer: Mapping[str, Any], record: int) -> Verdict:
        wrong = list(self._differences(answer))
        if wrong:
            return failed(f"{where}: {'; '.join(wrong)}", evidence=[record])
        return passed(f"{where} answered {answer['status']} as stated", evidence=[record])

    def _differences(self, answer: Mapping[str, Any]) -> Iterator[str]:
        body = str(answer["body"])
        yield from self._status_differs(answer["status"], body)
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        for name, value in self.headers.items():
            if headers.get(name.lower()) != value:
                yield _differs(f"header {name}", value, headers.get(name.lower(), MISSING))
        if self.json is not None:
            yield from json_differs("json", self.json, answer["json"])
        if self.contains and self.contains not in body:
            yield _differs("body", f"... {self.contains} ...", body)
        if self.matches and not re.search(self.matches, body):
            yield _differs("body", f"a match of /{self.matches}/", body)

    def _status_differs(self, status: int, body: str) -> Iterator[str]:
        if self.status is not None and status != self.status:
            yield f"{_differs('status', self.status, status)} ({_short(body)})"
        elif self.status is None and not 200 <= status < 300:
            yield f"{_differs('status', '2xx', status)} ({_short(body)})"


class _Missing:
    """What stands in for a key or header that is not there; equal to nothing a scenario can state."""

    def __str__(self) -> str:
        return "nothing"


MISSING = _Missing()


def json_differs(path: str, wanted: Any, got: Any) -> Iterator[str]:
    """Where `got` does not hold what `wanted` states: mappings as subsets, everything else as a whole."""
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        for key, value in wanted.items():
            yield from json_differs(f"{path}.{key}", value, got.get(key, MISSING))
    elif isinstance(wanted, list | tuple) and isinstance(got, list) and len(wanted) == len(got):
        for index, (value, item) in enumerate(zip(wanted, got, strict=True)):
            yield from json_differs(f"{path}[{index}]", value, item)
    elif isinstance(wanted, bool) is not isinstance(got, bool) or wanted != got:
        yield _differs(path, wanted, got)


def _differs(path: str, wanted: Any, got: Any) -> str:
    return f"{path}: wanted {_short(wanted)}, got {_short(got)}"


def _short(value: Any, most: int = 120) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[:most] + "..."
