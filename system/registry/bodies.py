"""What callers send, checked: each body is a model whose fields are also its documentation at /docs."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LONGEST_ID = 256
LONGEST_LINE = 2_048


def _path_segment(text: str) -> str:
    """An id is part of a URL's path, so it must be able to be one segment of it."""
    if text in {"", ".", ".."} or "/" in text or "\\" in text or not text.isprintable():
        msg = "must be fit to be part of a path: not empty, no slash, no control character, not . or .."
        raise ValueError(msg)
    return text


def fit_for_one_line(text: str) -> bool:
    """Whether a text can stand in a log line."""
    return bool(text.strip()) and text.isprintable() and len(text) <= LONGEST_LINE


def _one_line(text: str) -> str:
    if not fit_for_one_line(text):
        msg = "must not be empty and must not hold control characters"
        raise ValueError(msg)
    return text


Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID), AfterValidator(_path_segment)]
Line = Annotated[str, Field(min_length=1, max_length=LONGEST_LINE), AfterValidator(_one_line)]
PortNumber = Annotated[int, Field(strict=True, ge=1, le=65_535)]
Ttl = Annotated[float, Field(strict=True, gt=0.05, le=86_400, allow_inf_nan=False)]
Weight = Annotated[float, Field(strict=True, ge=0, le=1_000_000, allow_inf_nan=False)]
Metadata = dict[str, Any]


class Body(BaseModel):
    """Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")


class ServiceBody(Body):
    """`POST /services`: a service that will send heartbeats."""

    name: Id
    host: Line
    port: PortNumber
    hostname: Line
    url: Line
    status: Line
    metadata: Metadata = {}
    weight: Weight | None = None
    ttl: Ttl | None = Field(None, description="Seconds without a heartbeat after which the entry is removed.")


class ServiceChange(Body):
    """`PUT /services/{name}`: what is given is replaced, the rest stays."""

    host: Line | None = None
    port: PortNumber | None = None
    hostname: Line | None = None
    url: Line | None = None
    status: Line | None = None
    metadata: Metadata | None = None
    weight: Weight | None = None
    ttl: Ttl | None = None
    lease_id: str | None = None


class Heartbeat(Body):
    """`POST /services/{name}/heartbeat`: all of it may be left out."""

    status: Line | None = None
    lease_id: str | None = None


class ReplicaBody(Body):
    """`POST /register`: a replica whose connection is its lease."""

    replica_id: Id
    endpoint: Line
    capabilities: list[dict[str, Any]]
    metadata: Metadata = {}
    weight: Weight | None = None
    ttl: Ttl | None = Field(None, description="Seconds without a renewal after which the entry is removed.")
