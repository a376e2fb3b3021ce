"""Check `infer_result`: right answers pass, and each way of being wrong is named."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from harness.checks.infer_result import InferResult
from harness.events import Inferred
from harness.evidence import Facts
from harness.tensor_recipes import made
from harness.tensors import Tensor, keep
from harness.verdict import Status, Verdict
from tests.harness.checks.story import Story

RECIPES = {"a": "INT32[4] 1..9", "b": "INT32[4] 1..9"}
FRACTIONS = {"x": "FP32[4] 1..9"}


class Called(Story):
    """A story of inference calls; each answers `outputs`."""

    def called(
        self,
        *outputs: Mapping[str, Tensor],
        inputs: Mapping[str, str] = RECIPES,
        code: str = "OK",
        error: str = "",
        tries: Sequence[str] = (),
        by: str = "w1",
        model: str = "m",
    ) -> "Called":
        number = sum(isinstance(record.event, Inferred) for record in self.records)
        event = Inferred(
            load="load-1",
            id=f"mu-load-1-{number:06d}",
            code=code,
            number=number,
            seed=1,
            inputs=inputs,
            answers=tuple({name: keep(tensor) for name, tensor in one.items()} for one in outputs),
            error=error,
            tries=tuple(tries),
        )
        self.add(number + 0.5, event)
        outcome = "ok" if code == "OK" and not error else "error"
        self.request(number + 1.0, by, model, outcome=outcome, error=error, status=None)
        return self


def inputs_of(number: int = 0, recipes: Mapping[str, str] = RECIPES) -> dict[str, Any]:
    return {name: tensor.array for name, tensor in made(recipes, {}, 1, number).items()}


def product(number: int = 0, datatype: str = "INT32", wrong: int = 0) -> dict[str, Tensor]:
    """The right answer to call `number`, its element 2 off by `wrong`."""
    inputs = inputs_of(number)
    array = inputs["a"] * inputs["b"]
    array[2] += wrong
    return {"product": Tensor(datatype, array)}


def verdict_of(story: Story, check: InferResult | None = None, load: str = "") -> Verdict:
    return (check or InferResult({"product": "INT32(a * b)"})).judge(story.evidence(load=load))


def test_right_answers_pass_and_are_counted() -> None:
    """With what they are."""
    verdict = verdict_of(Called(Facts()).called(product(0)).called(product(1)))
    assert verdict.status is Status.PASS
    assert verdict.message == "2 calls answered right: product is INT32(a * b)"
    assert verdict.numbers["infer_result"] == {"judged": 2, "wrong": 0}


def test_one_wrong_element_is_named() -> None:
    """Call, worker, tensor, index, got, wanted, and the inputs at that place."""
    verdict = verdict_of(Called(Facts()).called(product(0)).called(product(1, wrong=1), by="w2"))
    inputs = inputs_of(1)
    a, b = int(inputs["a"][2]), int(inputs["b"][2])
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        f"1 of 2 calls wrong, 1 to w2: output product[2] is {a * b + 1}, wanted {a * b} = INT32(a * b) "
        f"with a {a}, b {b} (mu-load-1-000001 at 00:02.000)"
    )
    assert verdict.numbers["infer_result"] == {"judged": 2, "wrong": 1, "by": {"w2": 1}}
    assert verdict.evidence == (3,)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([product(datatype="INT64")], "output product is INT64, wanted INT32"),
        ([{}], "output product is missing; there is none at all"),
        ([], "0 answers instead of 1"),
        ([{"other": product()["product"]}], "output other is not expected"),
        ([{"other": product()["product"]}], "output product is missing"),
        ([product() | {"more": product()["product"]}], "output more is not expected"),
        ([{"product": Tensor("INT32", np.zeros((2, 2), np.int32))}], "has shape [2, 2], wanted [4]"),
        ([{"product": Tensor("INT32", np.zeros(4, np.int32))}], "one of 4 wrong among 4"),
    ],
)
def test_an_answer_of_another_form_is_named(answers: list[dict[str, Tensor]], says: str) -> None:
    """Datatype, outputs, shape, and how much is wrong."""
    verdict = verdict_of(Called(Facts()).called(*answers))
    assert (verdict.status, says in verdict.message) == (Status.FAIL, True), verdict.message


def test_texts_where_numbers_are_wanted_are_named() -> None:
    """Also where no datatype is stated."""
    texts = np.array([b"1", b"2", b"3", b"4"], object)
    verdict = verdict_of(
        Called(Facts()).called({"product": Tensor("BYTES", texts)}), InferResult({"product": "a * b"})
    )
    assert "is BYTES, wanted numbers" in verdict.message


def test_an_ok_that_could_not_be_read_is_wrong() -> None:
    """A worker that answers rubbish with OK did answer."""
    verdict = verdict_of(Called(Facts()).called(error="output y: 3 bytes of raw contents"))
    assert (verdict.status, "3 bytes of raw" in verdict.message) == (Status.FAIL, True)


def test_the_same_mistake_is_told_once() -> None:
    """With the number of calls."""
    story = Called(Facts())
    for _ in range(5):
        story.called({})
    assert "is missing; there is none at all (5 calls, first mu-load-1-000000" in verdict_of(story).message


def fraction(by: float) -> Called:
    """One call with the square root of its input, each element too large by a share."""
    right = np.sqrt(inputs_of(0, FRACTIONS)["x"].astype(np.float64))
    answer = {"y": Tensor("FP32", (right * (1 + by)).astype(np.float32))}
    return Called(Facts()).called(answer, inputs=FRACTIONS)


@pytest.mark.parametrize(
    ("by", "options", "status"),
    [
        (0.0, {}, Status.PASS),
        (2e-7, {}, Status.PASS),
        (1e-6, {}, Status.FAIL),
        (1e-6, {"tolerance": {"FP32": 1e-5}}, Status.PASS),
        (1e-4, {"tolerance": {"FP32": 1e-5}}, Status.FAIL),
        (1e-6, {"tolerance": {"FP64": 1e-5}}, Status.FAIL),
        (1e-4, {"absolute": 1e-2}, Status.PASS),
    ],
)
def test_fractions_may_be_off_by_as_much_as_is_stated(by: float, options: Any, status: Status) -> None:
    """Four times the datatype's precision, unless something else is stated for it."""
    assert verdict_of(fraction(by), InferResult({"y": "FP32(sqrt(x))"}, **options)).status is status


def test_what_is_no_number_is_compared_as_such() -> None:
    """NaN is right where NaN is wanted, and infinities have a sign."""
    array = np.array([np.nan, np.inf, -np.inf, np.inf], np.float32)
    right = "FP32(concat(0 * (x / 0), x / 0, -x / 0, x * 1e39))"
    inputs = {"x": "FP64[1] 1..1"}
    story = Called(Facts()).called({"y": Tensor("FP32", array)}, inputs=inputs)
    assert verdict_of(story, InferResult({"y": right})).status is Status.PASS
    wrong = right.replace("-x / 0", "x / 0")
    assert "y[2] is -inf, wanted inf" in verdict_of(story, InferResult({"y": wrong})).message


def test_of_a_large_answer_the_digest_is_compared() -> None:
    """A wrong element that the history does not keep is found all the same."""
    recipes = {"a": "INT32[5000] 1..9", "b": "INT32[5000] 1..9"}
    inputs = inputs_of(0, recipes)
    array = inputs["a"] * inputs["b"]
    right = Called(Facts()).called({"product": Tensor("INT32", array)}, inputs=recipes)
    assert verdict_of(right).status is Status.PASS
    array[1] += 1
    wrong = verdict_of(Called(Facts()).called({"product": Tensor("INT32", array)}, inputs=recipes))
    assert (wrong.status, "does not keep" in wrong.message) == (Status.FAIL, True)


def test_every_answer_of_a_stream_is_judged() -> None:
    """By its number, and how many there are."""
    a = inputs_of()["a"]
    answers = [{"y": Tensor("INT32", a + n)} for n in range(3)]
    check = InferResult({"y": "INT32(a + index)"}, answers=3)
    assert verdict_of(Called(Facts()).called(*answers), check).status is Status.PASS
    assert "2 answers instead of 3" in verdict_of(Called(Facts()).called(*answers[:2]), check).message
    swapped = verdict_of(Called(Facts()).called(answers[0], answers[2], answers[1]), check)
    assert "answer 1: output y[0]" in swapped.message


def test_failed_calls_are_not_judged() -> None:
    """`availability` does that; alone, they are no grounds for a pass."""
    failed = Called(Facts()).called(code="UNAVAILABLE", error="gone")
    assert verdict_of(failed).status is Status.UNKNOWN
    assert "none of 1 call was answered: mu-load-1-000000" in verdict_of(failed).message
    assert verdict_of(failed.called(product(1))).status is Status.PASS


def test_calls_of_one_model_can_be_judged_alone() -> None:
    """A check on a whole run meets other loads, too."""
    story = Called(Facts()).called(product()).called({}, model="other")
    assert verdict_of(story).status is Status.FAIL
    assert verdict_of(story, InferResult({"product": "a * b"}, model="m")).status is Status.PASS
    assert verdict_of(story, InferResult({"product": "a * b"}, model="nobody")).status is Status.UNKNOWN


def test_nothing_sent_is_unknown() -> None:
    """Neither calls, nor calls of another load."""
    assert verdict_of(Called(Facts())).status is Status.UNKNOWN
    assert verdict_of(Called(Facts()).called(product()), load="load-2").status is Status.UNKNOWN


def test_an_expected_refusal_passes_with_its_text() -> None:
    """And an OK, another status, or another text is wrong."""
    check = InferResult({}, status="INVALID_ARGUMENT", says="'b'")
    refused = Called(Facts()).called(code="INVALID_ARGUMENT", error="input 'b' is missing")
    assert verdict_of(refused, check).message == "1 call refused with INVALID_ARGUMENT and ''b''"
    for other, says in (
        (Called(Facts()).called({}), "ended with OK instead of INVALID_ARGUMENT"),
        (Called(Facts()).called(code="INTERNAL", error="x"), "ended with INTERNAL (x) instead of"),
        (Called(Facts()).called(code="INVALID_ARGUMENT", error="x"), "without ''b'': x"),
    ):
        verdict = verdict_of(other, check)
        assert (verdict.status, says in verdict.message) == (Status.FAIL, True), verdict.message


def test_calls_that_were_sent_again_can_be_limited() -> None:
    """By their share; who failed first is named."""
    story = Called(Facts()).called(product(0), tries=["w9 at h:1 answered UNAVAILABLE: gone"])
    story.called(product(1))
    assert verdict_of(story).status is Status.PASS
    limited = InferResult({"product": "INT32(a * b)"}, repeated=0.5)
    assert verdict_of(story, limited).status is Status.PASS
    verdict = verdict_of(story, InferResult({"product": "INT32(a * b)"}, repeated=0.1))
    assert verdict.status is Status.FAIL
    assert "1 of 2 calls had to be sent again, at most 10 % are allowed" in verdict.message
    assert "w9 at h:1" in verdict.message


def test_an_expression_without_value_is_unknown() -> None:
    """Nobody is blamed for what the scenario got wrong."""
    verdict = verdict_of(Called(Facts()).called(product()), InferResult({"product": "a // 0"}))
    assert (verdict.status, "nobody knows what is right" in verdict.message) == (Status.UNKNOWN, True)


def test_inputs_that_the_load_lacks_are_told_before_the_start() -> None:
    """With the nearest name; `index` is always there."""
    check = InferResult({"y": "alpha + beta + index"})
    (mistake,) = check.lint(Facts(), {"inputs": {"alpha": "INT32", "betta": "INT32"}})
    assert mistake == "y: the load has no input 'beta'. Did you mean 'betta'?"
    assert check.lint(Facts(), {}) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tolerance": {"INT32": 0.1}}, "INT32 is no datatype of fractions"),
        ({"status": "INVALID"}, "there is no INVALID. Did you mean 'INVALID_ARGUMENT'"),
        ({"status": "INTERNAL"}, "a call that ends with INTERNAL has no outputs"),
    ],
)
def test_mistaken_options_are_refused(options: Any, says: str) -> None:
    """What would never be judged is a mistake."""
    with pytest.raises(ValueError, match=says):
        InferResult({"y": "a"}, **options)
