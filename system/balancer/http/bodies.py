"""What requests may say."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LARGEST_TEXT = 1_000_000
LARGEST_DOCUMENT = 20_000_000
LARGEST_IMAGE = 20_000_000
MOST_IMAGES = 16

Text = Annotated[str, Field(min_length=1, max_length=LARGEST_TEXT)]
Title = Annotated[str, Field(min_length=1, max_length=500)]
Image = Annotated[str, Field(max_length=LARGEST_IMAGE)]


class Body(BaseModel):
    """A JSON object; what it says beside its fields is left alone."""

    model_config = ConfigDict(extra="ignore")


class AskBody(Body):
    """A question. Beyond the original's fields: how it is asked, and whether the answer streams."""

    prompt: Text
    session_id: str | None = None
    use_rag: bool = False
    images: Annotated[list[Image], Field(max_length=MOST_IMAGES)] = []
    plan: Literal["", "all", "first", "quorum", "best"] = ""
    count: Annotated[int, Field(ge=0, le=10_000)] = 0
    aggregation: Literal["", "synthesize", "majority", "concat", "best"] = ""
    deadline: Annotated[float, Field(ge=0, le=3600)] = 0.0
    stream: bool = False

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if self.plan in ("quorum", "best") and not self.count:
            msg = f"plan {self.plan} needs a count of 1 or more"
            raise ValueError(msg)
        return self


class DocumentBody(Body):
    """A document to be found later."""

    content: Annotated[str, Field(min_length=1, max_length=LARGEST_DOCUMENT)]
    title: Title = "Untitled"
    metadata: dict[str, Any] = {}


class SearchBody(Body):
    """A search; `metadata` must all be so in a document that is found."""

    query: Text
    top_k: Annotated[int, Field(ge=1, le=100)] = 3
    metadata: dict[str, str | int | float | bool] = {}


class SessionBody(Body):
    """A new chat."""

    title: Title = "New Chat"


class TitleBody(Body):
    """A chat's new title."""

    title: Title
