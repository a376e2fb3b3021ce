"""The bodies of the HTTP interface that this gateway defines itself; OpenAI's are in completions.py."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field


def _not_blank(text: str) -> str:
    if not text.strip():
        msg = "must not be empty"
        raise ValueError(msg)
    return text


Text = Annotated[str, AfterValidator(_not_blank)]


class ChatRequest(BaseModel):
    """A question; fields that are not known are ignored."""

    message: Text
    system_message: str | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = 0.7
    max_tokens: Annotated[int | None, Field(gt=0)] = None
    provider: Text | None = None
    """Ask this provider and no other."""


class ChatResponse(BaseModel):
    """An answer."""

    content: str
    provider: str
    model: str
    worker_id: int
    timestamp: str
