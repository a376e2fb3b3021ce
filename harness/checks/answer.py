"""Check `answer`: what a fleet answered together is what its nodes' answers make, by an oracle."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from harness.checks.requests import NOTHING_SENT, told_all
from harness.checks.words import count, listed, sentences
from harness.events import Combined
from harness.history import of
from harness.options import RegisteredName
from harness.quantities import Duration
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.evidence import Evidence

Outcome = Literal["answered", "failed", "late", "not needed"]
Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """Every question that was answered was answered right: by as many nodes as its plan says, combined so.

    ```yaml
    load: {ask: "What is the capital of France?", at: router, aggregation: majority, requests: 3}
    expect: {answer: majority, text: Paris}

    load: {ask: Hello, at: router, plan: quorum, count: 2, requests: 3}
    expect: {answer: any, outcomes: {big: answered, small: not needed}}
    ```

    Whatever the plan is, the answer must come when enough nodes have answered, and nobody is waited for
    beyond that. Questions without any answer are not judged: `availability` does that.
    """

    made: Literal["majority", "one", "all", "any"] = "any"
    """What the text must be: what most nodes said (spelling and punctuation aside), what one of them said,
    what all of them said, one below the other, or anything."""
    _: KW_ONLY
    text: str = ""
    """What every answer says."""
    models: Mapping[RegisteredName, str] = field(default_factory=dict)
    """Node -> the model that it answers with."""
    outcomes: Mapping[RegisteredName, Outcome] = field(default_factory=dict)
    """Node -> what becomes of its part, in every question."""
    some: Mapping[RegisteredName, Outcome] = field(default_factory=dict)
    """Node -> what becomes of its part, in one question at least."""
    echoes: bool = False
    """Whether what a node says must hold the question: for engines that repeat it."""
    grace: Duration = 0.5
    """How much later than the last answer that was needed the combined one may be."""

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when nothing is wrong with any answer."""
        requests = {done.id: done for _, done in evidence.requests()}
        asked = [(r.n, one) for r, one in of(evidence.records, Combined) if one.id in requests]
        judged = [(n, one) for n, one in asked if one.answered]
        if not asked:
            return unknown(NOTHING_SENT)
        if not judged:
            failures = told_all(requests[one.id] for _, one in asked)
            return unknown(f"none of {count(len(asked), 'question')} was answered: {failures}")
        wrong = [(n, one.id, finding) for n, one in judged for finding in self._wrong(one)]
        findings = [*_alike(wrong), *self._never([one for _, one in judged])]
        if findings:
            records = list(dict.fromkeys(n for n, _, _ in wrong))
            return failed(sentences(findings, 4), evidence=records[:10])
        return passed(f"{count(len(judged), 'question')} answered right")

    def _wrong(self, one: Combined) -> Iterator[str]:
        """What is wrong with one answer."""
        nodes = {str(node["client_id"]): node for node in one.nodes}
        said = {name: node["text"] for name, node in nodes.items() if node["outcome"] == "answered"}
        if not said:
            yield f"an answer came, and no node gave one: {one.text!r}"
            return
        if self.text and one.text != self.text:
            yield f"the answer is {one.text!r} instead of {self.text!r}: {_quoted(said)}"
        yield from ORACLES[self.made](one.text, said)
        yield from self._waited_for(one, nodes)
        for name, wanted in self.outcomes.items():
            if (finding := _outcome_differs(nodes.get(name), name, wanted)) is not None:
                yield finding
        for name, model in self.models.items():
            if name in said and nodes[name]["model"] != model:
                yield f"{name} answered with {nodes[name]['model']} instead of {model}"
        if self.echoes:
            yield from (
                f"{name} answered another question" for name, text in said.items() if one.prompt not in text
            )

    def _waited_for(self, one: Combined, nodes: Mapping[str, Node]) -> Iterator[str]:
        """Whom the answer waited for though enough others had answered."""
        ended = sorted(node["seconds"] for node in nodes.values() if node["outcome"] == "answered")
        enough = {"first": 1, "quorum": one.count}.get(one.plan, len(nodes))
        if one.plan not in ("first", "quorum") or len(ended) < enough:
            return
        needed = ended[enough - 1]
        if one.seconds - needed > self.grace:
            slow = [name for name, node in nodes.items() if node["seconds"] > needed + self.grace]
            told = f"{enough} of {len(nodes)} answers were enough"
            yield f"{told}, and {listed(slow)} was waited for all the same"

    def _never(self, judged: Sequence[Combined]) -> Iterator[str]:
        for name, wanted in self.some.items():
            met = Counter(
                node["outcome"] for one in judged for node in one.nodes if node["client_id"] == name
            )
            if not met[wanted]:
                seen = (
                    listed(f"{outcome} {number} times" for outcome, number in met.items()) or "was not asked"
                )
                yield f"{name} never was '{wanted}' in {count(len(judged), 'question')}: {seen}"


def _outcome_differs(node: Node | None, name: str, wanted: str) -> str | None:
    if node is None:
        return f"{name} was not asked"
    if node["outcome"] == wanted:
        return None
    reason = f" ({node['reason']})" if node["reason"] else ""
    return f"{name} is '{node['outcome']}'{reason} instead of '{wanted}'"


def _by_majority(text: str, said: Mapping[str, str]) -> Iterator[str]:
    votes = Counter(_plain(one) for one in said.values())
    most = max(votes.values())
    if votes[_plain(text)] != most:
        right = listed(repr(one) for one, number in votes.items() if number == most)
        told = f"the answer is {text!r}, which {votes[_plain(text)]} of {len(said)} said"
        yield f"{told}; most said {right}: {_quoted(said)}"


def _by_one(text: str, said: Mapping[str, str]) -> Iterator[str]:
    if text not in said.values():
        yield f"nobody said {text!r}: {_quoted(said)}"


def _by_all(text: str, said: Mapping[str, str]) -> Iterator[str]:
    missing = [name for name, one in said.items() if name not in text or one.strip() not in text]
    if missing:
        yield f"what {listed(missing)} said is missing in the answer: {text!r}"


def _by_any(text: str, said: Mapping[str, str]) -> Iterator[str]:
    if not text.strip():
        yield f"the answer is empty: {_quoted(said)}"


ORACLES: Mapping[str, Callable[[str, Mapping[str, str]], Iterator[str]]] = {
    "majority": _by_majority,
    "one": _by_one,
    "all": _by_all,
    "any": _by_any,
}


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _quoted(said: Mapping[str, str]) -> str:
    return listed(f"{name} said {text[:60]!r}" for name, text in said.items())


def _alike(wrong: Sequence[tuple[int, str, str]]) -> list[str]:
    """What is wrong, the same once for all questions of which it is true."""
    questions: dict[str, list[str]] = {}
    for _, question, finding in wrong:
        questions.setdefault(finding, []).append(question)
    return [
        f"{finding} ({ids[0]}{f' and {len(ids) - 1} more' if len(ids) > 1 else ''})"
        for finding, ids in questions.items()
    ]
