"""Several answers to one, and how it is laid out."""

import asyncio

import pytest

from system.balancer.aggregation import aggregation_of
from system.balancer.aggregation.combining import Answered, Combined
from system.balancer.asking import NodeAnswer, NodeFailed
from system.balancer.layout import laid_out


def answer(
    node: str, text: str, score: float, seconds: float = 1.0, model: str = "llama3.2:3b"
) -> NodeAnswer:
    return NodeAnswer(
        node=node, model=model, parameters="3B", score=score, outcome="answered", text=text, seconds=seconds
    )


ANSWERS = (answer("a", "Lyon", 90), answer("b", "Paris!", 50), answer("c", "paris", 70))


def combined(
    name: str, summary: str = "Paris, surely", *, answers: tuple[NodeAnswer, ...] = ANSWERS
) -> Combined:
    async def summarizer(prompt: str) -> tuple[str, str]:
        assert all(one.text in prompt for one in answers)
        if summary == "!":
            msg = "gone"
            raise NodeFailed(msg)
        return summary, "gemma3:1b"

    given = Answered(prompt="capital?", answers=answers, summarizer=summarizer)
    return asyncio.run(_run(name, given))


async def _run(name: str, given: Answered) -> Combined:
    return await aggregation_of(name)(given)


def test_majority_is_what_most_say_in_the_words_of_the_strongest_of_them() -> None:
    """Spelling and punctuation do not split a vote."""
    assert combined("majority") == Combined(text="paris", method="Majority (2 of 3)")


def test_a_tie_goes_to_the_stronger_node() -> None:
    """Not to who answered first."""
    assert combined("majority", answers=ANSWERS[1::-1]).text == "Lyon"


def test_best_and_concat() -> None:
    """One unchanged; all of them, the strongest first."""
    assert combined("best") == Combined(text="Lyon", method="Best Client")
    assert combined("concat").text.split("\n") == [
        "a (llama3.2:3b):", "Lyon", "", "c (llama3.2:3b):", "paris", "", "b (llama3.2:3b):", "Paris!",
    ]  # fmt: skip


@pytest.mark.parametrize("summary", ["!", "  "])
def test_without_a_summary_the_strongest_answer_stands(summary: str) -> None:
    """A model that is gone, or has nothing to say."""
    assert combined("synthesize", summary) == Combined(text="Lyon", method="Best Client")


def test_a_summary_is_by_its_model() -> None:
    """A single answer needs none."""
    assert combined("synthesize") == Combined(text="Paris, surely", method="gemma3:1b")
    assert combined("synthesize", "!", answers=ANSWERS[:1]).text == "Lyon"


def test_the_layout_is_the_one_that_interfaces_split() -> None:
    """The answer before the marker, models with their nodes and times behind it."""
    text = laid_out(
        Combined(text="Paris", method="gemma3:1b"),
        [answer("a", "x", 90, 1.25), answer("b", "x", 50, 0.75), answer("c", "x", 9, 3.0, "llama3.2:1b")],
    )
    before, _, details = text.partition("PROCESSING_DETAILS_START")
    assert before == "Paris\n\n"
    assert details.split("\n") == [
        "", "", "📊 System Performance", "", "Models Used: 2", "Active Clients: 3", "Summary Method: gemma3:1b", "",
        "🤖 Model Performance:", "", "  • llama3.2:3b (3B)", "    Clients: 2 | Avg Time: 1.0s", "    └─ a: 1.2s",
        "    └─ b: 0.8s", "", "  • llama3.2:1b (3B)", "    Clients: 1 | Avg Time: 3.0s", "    └─ c: 3.0s", "",
        "⏱️  Total Processing: 5.0s | Per Client: 1.7s", "",
        "✅ Distributed AI processing completed successfully",
    ]  # fmt: skip
