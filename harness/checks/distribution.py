"""Check `distribution`: requests are spread over services as a policy says, with stated error rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from harness.checks.requests import NOTHING_SENT, WHO_SERVES, foreign_names, is_ok, serving_name, told_all
from harness.checks.words import count, listed
from harness.options import RegisteredName
from harness.quantities import Percent
from harness.statistics import (
    cycles_against_chance,
    sample_size,
    share_interval,
    shares_p_value,
    smallest_bias,
)
from harness.verdict import Verdict, failed, not_applicable, passed, unknown

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence, Facts

CONFIDENCE = 0.99
"""Of the interval around each share that a report shows."""

SLACK = 1.02
"""A sample is enough when the smallest bias it shows is at most this much above the one asked for."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Requests are spread over these services in the policy's shares.

    ```yaml
    load: {chat: model-1, at: router, requests: auto, concurrency: 8}
    expect: {distribution: round-robin, over: [babysitter-a-server, babysitter-c-server], detect: 10%}

    expect: {distribution: weighted, weights: {big: 3, small: 1}, detect: 10%}
    ```

    A correct policy fails with a chance of at most `alpha`; a share that is off by `detect` is found with a
    chance of at least `power`. Both follow from the number of requests, which `requests: auto` chooses; with
    too few of them the verdict is *unknown*. `weighted` expects shares in proportion to the weights; all
    others expect equal shares (of `least-outstanding` and `two-choices` that is true for services of equal
    speed). Requests that failed are not counted: `availability` judges those. A model that one service alone
    offers is *not applicable*.
    """

    policy: Literal["round-robin", "random", "weighted", "least-outstanding", "two-choices", "even"]
    """What spreads the requests."""
    _: KW_ONLY
    over: tuple[RegisteredName, ...] = ()
    """The services that share the requests; empty: all that offer the model asked for."""
    detect: Annotated[Percent, Field(gt=0, lt=1)] = 0.1
    """The smallest bias worth finding: 10 % finds 60/40 where 50/50 is right."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 1e-6
    """The chance that a correct policy fails."""
    power: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """The chance that such a bias is found."""
    weights: Mapping[RegisteredName, Annotated[float, Field(gt=0)]] = field(default_factory=dict)
    """With `weighted`: name -> weight."""

    strict: bool = False
    """With `round-robin` and one request at a time: every service once in each cycle, no exception."""

    def sample(self, facts: Facts, model: str) -> int:
        """The number of requests for which alpha and power hold."""
        shares = self._shares(facts, model)
        return 1 if self._mistakes(shares) else self._needed(shares)

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """Shares that make no sense, and a number of requests that cannot decide."""
        shares = self._shares(facts, str(load.get("model") or load.get("chat") or ""))
        if not (self.over or self.weights) and len(shares) < 2:
            return []  # how many offer a model is the topology's matter, and may be discovered
        mistakes = self._mistakes(shares)
        if self.strict and load.get("concurrency", 1) != 1:
            mistakes.append("'strict' needs one request at a time: 'concurrency: 1'")
        sent = _planned(load)
        if not mistakes and sent is not None and not self._is_enough(sent, self._bias(sent, shares), shares):
            mistakes.append(
                f"{count(sent, 'request')} cannot decide this: {self._needs(shares)}; "
                "write 'requests: auto', or ask for a larger 'detect'"
            )
        return mistakes

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when the shares are the policy's, as far as the sample can tell."""
        requests = [done for _, done in evidence.requests()]
        if not requests:
            return unknown(NOTHING_SENT)
        models = {done.model for done in requests if done.model}
        shares = self._shares(evidence.facts, models.pop() if len(models) == 1 else "")
        if moot := self._moot(shares):
            return moot
        answers = [done for done in requests if is_ok(done)]
        names = [serving_name(done, evidence.facts, shares) for done in answers]
        if reason := _unattributed(names, shares, evidence):
            return unknown(reason)
        served = Counter(names)
        if others := {name: served[name] for name in served if name not in shares}:
            numbers = self._numbers(served, shares)
            return failed(_served_by_others(others, shares, answers), distribution=numbers)
        if self.strict:
            return self._judge_cycles(answers, names, shares)
        return self._judge_shares(served, shares, [done for done in requests if not is_ok(done)])

    def _moot(self, shares: Mapping[str, float]) -> Verdict | None:
        if not self.over and len(shares) == 1:
            return not_applicable(f"only {listed(shares)} serves these requests: there is nothing to spread")
        mistakes = self._mistakes(shares)
        return unknown("; ".join(mistakes)) if mistakes else None

    def _judge_shares(
        self, served: Counter[str], shares: Mapping[str, float], lost: Sequence[RequestDone]
    ) -> Verdict:
        numbers = self._numbers(served, shares)
        told = _told(served, shares, lost)
        if numbers["p_value"] <= self.alpha:
            chance = f"a correct one is that far off once in {_once_in(numbers['p_value'])} runs"
            return failed(f"{self.policy} is off: {told}; {chance}", distribution=numbers)
        if not self._is_enough(served.total(), numbers["detectable"] or inf, shares):
            needs = self._needs(shares)
            return unknown(f"too few answers to judge {self.policy}: {needs}; {told}", distribution=numbers)
        would = f"a share that is off by {_points(numbers['detectable'])} would have shown"
        return passed(f"{self.policy}: {told}; {would}", distribution=numbers)

    def _judge_cycles(
        self, answers: Sequence[RequestDone], names: Sequence[str], shares: Mapping[str, float]
    ) -> Verdict:
        served: Counter[str] = Counter()
        order = sorted(zip(answers, names, strict=True), key=lambda pair: pair[0].started)
        for number, (done, name) in enumerate(order, start=1):
            served[name] += 1
            lead = served[name] - min(served[other] for other in shares)
            if lead > 1:
                return failed(
                    f"no strict round robin: {name} served {done.id}, the {number}th request, and was then "
                    f"{lead} ahead of {min(shares, key=lambda other: served[other])}",
                    distribution=self._numbers(Counter(names), shares),
                )
        numbers = self._numbers(served, shares)
        if len(order) < self._needed(shares):
            return unknown(f"too few answers: {self._needs(shares)}; {len(order)} came", distribution=numbers)
        return passed(f"strict round robin: {_told(served, shares, ())}", distribution=numbers)

    def _shares(self, facts: Facts, model: str) -> dict[str, float]:
        """Name -> the share it should serve."""
        if self.policy == "weighted":
            total = sum(self.weights.values())
            return {name: weight / total for name, weight in self.weights.items()}
        names = dict.fromkeys(self.over or facts.offering(model))
        return dict.fromkeys(names, 1 / len(names)) if names else {}

    def _mistakes(self, shares: Mapping[str, float]) -> list[str]:
        found = []
        if (self.policy == "weighted") is not bool(self.weights):
            found.append("'weights' and 'distribution: weighted' belong together")
        elif self.over and self.weights and set(self.over) != set(self.weights):
            found.append("'over' and 'weights' name different services; leave 'over' out")
        elif len(shares) < 2:
            who = f"only {listed(shares)} serves" if shares else "it is not known who serves"
            found.append(
                f"{who} these requests, so there is nothing to spread: name two services under 'over'"
            )
        elif all(share < self.detect and share + self.detect > 1 for share in shares.values()):
            found.append(f"no share can be off by {_points(self.detect)}; ask for a smaller 'detect'")
        if self.strict and self.policy != "round-robin":
            found.append("'strict' belongs to 'distribution: round-robin'")
        return found

    def _needed(self, shares: Mapping[str, float]) -> int:
        if self.strict:
            return len(shares) * cycles_against_chance(len(shares), self.alpha)
        return sample_size(tuple(sorted(shares.values())), self.detect, self.alpha, self.power)

    def _needs(self, shares: Mapping[str, float]) -> str:
        what = (
            "telling it from chance"
            if self.strict
            else f"finding a share that is off by {_points(self.detect)}"
        )
        return (
            f"{what} with power {self.power:g} at a false-alarm rate of {self.alpha:g} takes "
            f"{self._needed(shares)} answers"
        )

    def _is_enough(self, n: int, bias: float, shares: Mapping[str, float]) -> bool:
        close = not self.strict and bias <= self.detect * SLACK
        return close or n >= self._needed(shares)

    def _bias(self, n: int, shares: Mapping[str, float]) -> float:
        return smallest_bias(n, sorted(shares.values()), self.alpha, self.power) if n else inf

    def _numbers(self, served: Counter[str], shares: Mapping[str, float]) -> dict[str, Any]:
        n = served.total()
        counts = [served[name] for name in shares]
        bias = self._bias(n, shares)
        return {
            "policy": self.policy,
            "n": n,
            "backends": {
                name: _backend(served[name], n, shares.get(name, 0.0)) for name in {**shares, **served}
            },
            "p_value": shares_p_value(counts, list(shares.values())) if sum(counts) else 1.0,
            "detectable": bias if isfinite(bias) else None,
            "alpha": self.alpha,
        }


def _unattributed(names: Sequence[str], shares: Mapping[str, float], evidence: Evidence) -> str:
    """Why it cannot be said who served which answer; empty when it can."""
    if nameless := names.count(""):
        return f"{nameless} of {count(len(names), 'answer')} went unattributed: {WHO_SERVES}"
    return foreign_names(set(names) - shares.keys(), evidence)


def _backend(served: int, n: int, share: float) -> dict[str, float]:
    low, high = share_interval(served, n, CONFIDENCE) if n else (0.0, 1.0)
    return {
        "observed": served,
        "expected": n * share,
        "share": served / n if n else 0.0,
        "low": low,
        "high": high,
    }


def _planned(load: Mapping[str, object]) -> int | None:
    """How many requests a load is written to send; None where that is left open."""
    requests, rate, seconds = load.get("requests"), load.get("rate"), load.get("seconds", load.get("for"))
    if isinstance(requests, int):
        return requests
    if requests is None and isinstance(rate, float | int) and isinstance(seconds, float | int):
        return round(rate * seconds)
    return None


def _told(served: Counter[str], shares: Mapping[str, float], lost: Sequence[RequestDone]) -> str:
    n = served.total()
    parts = [_one_share(name, served[name], n, share) for name, share in shares.items()]
    text = ", ".join(parts)
    return (
        f"{text}; not counted: {count(len(lost), 'failed request')} ({told_all(lost, 1)})" if lost else text
    )


def _one_share(name: str, served: int, n: int, share: float) -> str:
    if not served:
        return f"{name} served none of {n} (instead of {_points(share)})"
    return f"{name} served {served} of {n} ({_points(served / n)} instead of {_points(share)})"


def _served_by_others(
    others: Mapping[str, int], shares: Mapping[str, float], answers: Sequence[RequestDone]
) -> str:
    who = listed(f"{name} served {number}" for name, number in sorted(others.items()))
    first = next((done.id for done in answers if done.served_by in others), "")
    return f"{who} of {count(len(answers), 'answer')} (first {first}), but only {listed(shares)} should"


def _points(share: float) -> str:
    return f"{share * 100:.3g} %"


def _once_in(p_value: float) -> str:
    return f"{1 / p_value:,.0f}" if p_value > 1e-12 else "more than a million million"
