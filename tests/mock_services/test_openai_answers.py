"""OpenAI's shapes: requests that are refused, and answers made."""

import base64
import math
import struct
from typing import Any

import pytest

from mock_services import openai_answers as answers
from mock_services.fields import BadRequest

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
ANSWER = answers.Answer("id-1", 1, "m", ("Hello", " you"), "stop", 3)


@pytest.mark.parametrize(
    ("document", "param", "status"),
    [
        ([], None, 400),
        ({**CHAT, "model": 5}, "model", 400),
        ({"messages": CHAT["messages"]}, "model", 400),
        ({**CHAT, "model": "other"}, "model", 404),
        ({"model": "m"}, "messages", 400),
        ({**CHAT, "messages": []}, "messages", 400),
        ({**CHAT, "messages": ["hi"]}, "messages", 400),
        ({**CHAT, "messages": [{"role": "user", "content": 5}]}, "messages", 400),
        ({**CHAT, "stream": "yes"}, "stream", 400),
        ({**CHAT, "max_tokens": 0}, "max_tokens", 400),
        ({**CHAT, "max_tokens": True}, "max_tokens", 400),
        ({**CHAT, "temperature": 3}, "temperature", 400),
    ],
)
def test_a_mistaken_request_names_its_field(document: Any, param: str | None, status: int) -> None:
    """A request with a wrong field is refused with that field's name, an unknown model with 404."""
    with pytest.raises(BadRequest) as refused:
        answers.check(document, answers.CHAT_FIELDS, ("m",))

    assert (refused.value.param, refused.value.status) == (param, status)


def test_an_unknown_model_is_told_which_models_there_are() -> None:
    """The refusal of an unknown model lists those the service has."""
    with pytest.raises(BadRequest, match="this service has m, n"):
        answers.check({**CHAT, "model": "x"}, answers.CHAT_FIELDS, ("m", "n"))


def test_a_stream_adds_up_to_the_plain_answer() -> None:
    """The contents of all chunks joined are the content of the plain answer; the last one says why it ends."""
    chunks = [chunk["choices"][0] for chunk in answers.chat_chunks(ANSWER, usage=False)]

    text = "".join(chunk["delta"].get("content", "") for chunk in chunks)
    assert text == answers.chat_body(ANSWER)["choices"][0]["message"]["content"] == "Hello you"
    assert [chunk["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]


def test_usage_comes_last_when_asked_for() -> None:
    """With include_usage the last chunk has no choices and the counts."""
    last = list(answers.chat_chunks(ANSWER, usage=True))[-1]

    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize(("limit", "words", "reason"), [(None, 3, "stop"), (3, 3, "stop"), (2, 2, "length")])
def test_a_token_limit_cuts_the_text(limit: int | None, words: int, reason: str) -> None:
    """A text longer than max_tokens is cut, and says so."""
    assert answers.limited(("a", " b", " c"), {"max_tokens": limit})[1] == reason
    assert len(answers.limited(("a", " b", " c"), {"max_tokens": limit})[0]) == words


@pytest.mark.parametrize(("given", "vectors"), [("a", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1], [2]], 2)])
def test_each_input_gets_a_vector(given: Any, vectors: int) -> None:
    """A text, a list of texts, token ids and lists of them are told apart."""
    data = answers.embeddings_body({"model": "m", "input": given})["data"]

    assert [item["index"] for item in data] == list(range(vectors))


def test_the_same_text_has_the_same_unit_vector_in_both_encodings() -> None:
    """Vectors are deterministic, of length one, and base64 holds the same numbers as 32-bit floats."""
    request = {"model": "m", "input": "a text", "dimensions": 16}
    plain = answers.embeddings_body(request)["data"][0]["embedding"]
    packed = answers.embeddings_body({**request, "encoding_format": "base64"})["data"][0]["embedding"]

    assert len(plain) == 16
    assert math.isclose(math.hypot(*plain), 1.0)
    assert struct.unpack("<16f", base64.b64decode(packed)) == pytest.approx(plain, rel=1e-6)
