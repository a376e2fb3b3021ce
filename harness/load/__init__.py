"""Recorded client traffic."""

from __future__ import annotations

from harness.kinds import Kinds
from harness.load.base import Load

LOADS: Kinds[Load] = Kinds(
    "load",
    {
        "ask": "harness.load.ask:Ask",
        "chat": "harness.load.chat:Chat",
        "http": "harness.load.http:Http",
        "infer": "harness.load.infer:Infer",
        "route": "harness.load.route:Route",
    },
)

__getattr__ = LOADS.attribute
