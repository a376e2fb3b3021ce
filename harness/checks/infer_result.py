"""Check `infer_result`: what inference calls answered is what it should be, by an oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from harness.checks.requests import NOTHING_SENT, told_all
from harness.checks.tensor_matching import Tolerance, difference
from harness.checks.words import clock_time, count, listed, sentences
from harness.errors import did_you_mean
from harness.events import Inferred
from harness.expressions import INDEX, CannotCompute, ExpressionText, parse_expression
from harness.history import of
from harness.quantities import Percent
from harness.tensor_recipes import made
from harness.tensors import DATATYPES, TensorError, kept
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence, Facts
    from harness.tensors import Tensor

STATUSES = (
    *("OK", "INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"),
    *("UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAUTHENTICATED", "FAILED_PRECONDITION", "NO_REPLICA"),
)


@dataclass(frozen=True, slots=True)
class InferResult:
    """Every call that was answered was answered right: outputs are what these expressions make of the inputs.

    ```yaml
    load: {infer: multiply, at: registry, inputs: {a: INT32, b: INT32}, requests: 100}
    expect: {infer_result: {product: INT32(a * b)}}

    load: {infer: power, at: registry, inputs: {base: FP32 0..4, exp: INT32 0..3}, requests: 100}
    expect: {infer_result: {result: FP32(base ** exp)}, tolerance: {FP32: 1e-6}}

    load: {infer: power, at: registry, inputs: {base: BYTES}, requests: 10}
    expect: {infer_result: {}, status: INVALID_ARGUMENT, says: base}
    ```

    Expressions are Python's: `+ - * / // % ** @ & | ^ ~`, comparisons, and the functions abs, sqrt, exp, log,
    tanh, floor, round, minimum, maximum, where, sum, prod, min, max, mean, matmul, transpose, reshape,
    concat, upper, lower, reverse, length. A datatype around all of it, `INT32(...)`, is the output's own.
    Whole numbers, truths and bytes must be equal; fractions may differ by `tolerance`. In streams, `index` is
    the number of the answer, from 0. Calls that failed are not judged, unless a `status` is expected:
    `availability` does that.
    """

    outputs: Mapping[str, ExpressionText]
    """Output -> what it should be. No other output may be there."""
    _: KW_ONLY
    model: str = ""
    """The calls that are judged: those of this model; empty: all. For `checks`, which see every load."""
    tolerance: Mapping[str, Annotated[float, Field(ge=0, lt=1)]] = field(default_factory=dict)
    """Datatype -> by how much of itself a fraction may be off; four times its precision if not stated."""
    absolute: Annotated[float, Field(ge=0)] = 0.0
    """By how much a fraction may be off in any case: for sums whose parts cancel each other."""
    answers: Annotated[int, Field(ge=0)] | None = None
    """How many answers each call must get; empty: one, and at least one in a stream."""
    repeated: Percent | None = None
    """At most this share of the calls may have been sent to a second replica, as the first was not there."""
    status: str = "OK"
    """The gRPC status that every call must end with."""
    says: str = ""
    """With another status than OK: what its text must contain."""

    def __post_init__(self) -> None:
        """Refuse names that do not exist, and outputs of calls that are to fail."""
        for name in self.tolerance:
            if name not in DATATYPES or DATATYPES[name].exact:
                fractions = [kind.name for kind in DATATYPES.values() if not kind.exact]
                msg = f"tolerance: {name} is no datatype of fractions.{did_you_mean(name, fractions)}"
                raise ValueError(msg)
        if self.status not in STATUSES:
            msg = f"status: there is no {self.status}.{did_you_mean(self.status, STATUSES)}"
            raise ValueError(msg)
        if self.status != "OK" and self.outputs:
            msg = f"status: a call that ends with {self.status} has no outputs; write 'infer_result: {{}}'"
            raise ValueError(msg)

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """Expressions over inputs that the load beside it does not have."""
        del facts
        inputs = load.get("inputs")
        if not isinstance(inputs, Mapping):
            return []
        return [
            f"{output}: the load has no input '{name}'.{did_you_mean(name, [*inputs])}"
            for output, text in self.outputs.items()
            for name in sorted(parse_expression(text).names - {INDEX, *inputs})
        ]

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when every call that was answered was answered right."""
        requests = [(r.n, done) for r, done in evidence.requests() if self.model in ("", done.model)]
        sent = {done.id: (n, done) for n, done in requests}
        calls = [(*sent[call.id], call) for _, call in of(evidence.records, Inferred) if call.id in sent]
        refused = self.status != "OK"
        judged = [one for one in calls if refused or one[2].code == "OK"]
        if not calls:
            return unknown(NOTHING_SENT)
        if not judged:
            failures = told_all(done for _, done, _ in calls)
            return unknown(f"none of {count(len(calls), 'call')} was answered: {failures}")
        look = self._unrefused if refused else self._findings
        try:
            wrong = [Wrong(n, done, finding) for n, done, call in judged for finding in look(call)]
        except (CannotCompute, TensorError) as error:
            return unknown(f"nobody knows what is right: {error}")
        if wrong:
            return _wrong(wrong, len(judged))
        return self._too_often(calls) or self._right(len(judged))

    def _too_often(self, calls: Sequence[tuple[int, RequestDone, Inferred]]) -> Verdict | None:
        """Whether more calls than may be had to be sent again."""
        again = [(n, call) for n, _, call in calls if call.tries]
        if self.repeated is None or len(again) <= self.repeated * len(calls):
            return None
        told = sentences([f"{call.id} ({'; '.join(call.tries)})" for _, call in again], 3)
        most = f"at most {self.repeated * 100:g} % are allowed"
        text = f"{len(again)} of {count(len(calls), 'call')} had to be sent again, {most}: {told}"
        numbers = {"judged": len(calls), "wrong": 0, "repeated": len(again)}
        return failed(text, evidence=[n for n, _ in again[:10]], infer_result=numbers)

    def _right(self, judged: int) -> Verdict:
        said = " and ".join(filter(None, (self.status, f"'{self.says}'" if self.says else "")))
        right = listed(f"{name} is {text}" for name, text in self.outputs.items()) or "no outputs"
        what = f"answered right: {right}" if self.status == "OK" else f"refused with {said}"
        return passed(f"{count(judged, 'call')} {what}", infer_result={"judged": judged, "wrong": 0})

    def _findings(self, call: Inferred) -> Iterator[str]:
        """What is wrong with one answered call."""
        if call.error:
            yield call.error
            return
        wanted = 1 if self.answers is None else self.answers
        if len(call.answers) < wanted or (self.answers is not None and len(call.answers) != wanted):
            yield f"{count(len(call.answers), 'answer')} instead of {wanted}"
        inputs = made(call.inputs, call.sizes, call.seed, call.number)
        for index, outputs in enumerate(call.answers):
            where = f"answer {index}: " if len(call.answers) > 1 else ""
            for finding in self._wrong_outputs(outputs, inputs, index):
                yield where + finding

    def _wrong_outputs(
        self, outputs: Mapping[str, Any], inputs: Mapping[str, Tensor], index: int
    ) -> Iterator[str]:
        extra = [name for name in outputs if name not in self.outputs]
        if extra:
            yield f"output {listed(extra)} is not expected"
        for name, text in self.outputs.items():
            if name not in outputs:
                yield f"output {name} is missing{'; there is none at all' if not outputs else ''}"
                continue
            expression = parse_expression(text)
            tolerance = Tolerance(self.tolerance, self.absolute)
            found = difference(kept(outputs[name]), expression, inputs, index, tolerance)
            if found:
                yield f"output {name}{found}"

    def _unrefused(self, call: Inferred) -> Iterator[str]:
        """How a call ended otherwise than with the expected status and text."""
        if call.code != self.status:
            yield f"ended with {call.code}{f' ({call.error})' if call.error else ''} instead of {self.status}"
        elif self.says not in call.error:
            yield f"ended with {call.code} without '{self.says}': {call.error}"


class Wrong(NamedTuple):
    """What is wrong with one call: its record's number, the call, the finding."""

    n: int
    done: RequestDone
    finding: str


def _wrong(wrong: Sequence[Wrong], judged: int) -> Verdict:
    """What is wrong, the same once for all calls of which it is true."""
    by = Counter(done.served_by for done in {one.done.id: one.done for one in wrong}.values())
    alike: dict[str, list[Wrong]] = {}
    for one in wrong:
        alike.setdefault(one.finding, []).append(one)
    told = [f"{finding} ({_first([one.done for one in ones])})" for finding, ones in alike.items()]
    who = listed(f"{number} to {name}" for name, number in by.most_common() if name)
    text = f"{by.total()} of {count(judged, 'call')} wrong{f', {who}' if who else ''}: {sentences(told, 3)}"
    numbers = {"judged": judged, "wrong": by.total(), "by": dict(by)}
    records = list(dict.fromkeys(one.n for one in wrong))
    return failed(text, settled=True, evidence=records[:10], infer_result=numbers)


def _first(requests: Sequence[RequestDone]) -> str:
    first = f"{requests[0].id} at {clock_time(requests[0].ended)}"
    return first if len(requests) == 1 else f"{count(len(requests), 'call')}, first {first}"
