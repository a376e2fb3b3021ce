"""What adds up over the processes of a router: values and histograms, by metric and labels. Pure."""

from collections.abc import Sequence
from typing import Any

Labels = tuple[tuple[str, str], ...]


class Sums:
    """What adds up: values by metric and labels, histograms likewise."""

    def __init__(
        self, values: dict[str, dict[Labels, float]], histograms: dict[str, dict[Labels, list[float]]]
    ) -> None:
        self.values = values
        self.histograms = histograms

    def get(self, name: str, labels: Labels) -> float:
        return self.values.get(name, {}).get(labels, 0)

    def as_json(self) -> list[Any]:
        return [
            {name: list(of.items()) for name, of in self.values.items()},
            {name: list(of.items()) for name, of in self.histograms.items()},
        ]

    @staticmethod
    def from_json(document: list[Any]) -> "Sums":
        values, histograms = ({name: _labelled(rows) for name, rows in part.items()} for part in document)
        return Sums(values, histograms)


def _labelled(rows: list[Any]) -> dict[Labels, Any]:
    return {tuple((key, value) for key, value in labels): number for labels, number in rows}


def add(all_of: Sequence[Sums]) -> Sums:
    """One sum of several."""
    first, *others = all_of
    if not others:
        return first
    values: dict[str, dict[Labels, float]] = {}
    histograms: dict[str, dict[Labels, list[float]]] = {}
    for one in all_of:
        for name, by_labels in one.values.items():
            into = values.setdefault(name, {})
            for labels, number in by_labels.items():
                into[labels] = into.get(labels, 0) + number
        for name, buckets_by_labels in one.histograms.items():
            target = histograms.setdefault(name, {})
            for labels, buckets in buckets_by_labels.items():
                before = target.get(labels) or [0.0] * len(buckets)
                target[labels] = [a + b for a, b in zip(before, buckets, strict=True)]
    return Sums(values, histograms)
