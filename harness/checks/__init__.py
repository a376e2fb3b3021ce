"""Checks: pure functions of a recorded history."""

from __future__ import annotations

from harness.checks.base import Check
from harness.kinds import Kinds

CHECKS: Kinds[Check] = Kinds(
    "check",
    {
        "affinity": "harness.checks.affinity:Affinity",
        "answer": "harness.checks.answer:Answer",
        "assigned": "harness.checks.assigned:Assigned",
        "availability": "harness.checks.availability:Availability",
        "circuits": "harness.checks.circuits:Circuits",
        "distribution": "harness.checks.distribution:Distribution",
        "healthy": "harness.checks.healthy:Healthy",
        "http": "harness.checks.http:Http",
        "infer_result": "harness.checks.infer_result:InferResult",
        "latency": "harness.checks.latency:Latency",
        "logs": "harness.checks.logs:Logs",
        "models": "harness.checks.models:Models",
        "moved": "harness.checks.moved:Moved",
        "no_ghosts": "harness.checks.no_ghosts:NoGhosts",
        "registered": "harness.checks.registered:Registered",
        "right_model": "harness.checks.right_model:RightModel",
        "routing": "harness.checks.routing:Routing",
        "scores": "harness.checks.scores:Scores",
        "served_by": "harness.checks.served_by:ServedBy",
        "streamed": "harness.checks.streamed:Streamed",
        "unregistered": "harness.checks.unregistered:Unregistered",
    },
)

__getattr__ = CHECKS.attribute
