"""Prometheus text from plain numbers: a component keeps its own counts, this writes them down."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """One metric family: a name, what it counts, and a value per set of labels."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    values: Mapping[tuple[tuple[str, str], ...], float]


def single(name: str, kind: Literal["counter", "gauge"], about: str, value: float) -> Metric:
    """A metric without labels."""
    return Metric(name, kind, about, {(): value})


def exposition(metrics: Iterable[Metric]) -> bytes:
    """The text that a `/metrics` endpoint answers."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [f"{metric.name}{_labels(labels)} {value}" for labels, value in metric.values.items()]
    return ("\n".join(lines) + "\n").encode()


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
    return f"{{{inside}}}" if inside else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
