"""Policies: which of a model's backends gets a request. One file each; only this table knows their names.

A policy is made once per model and keeps its own state, bounded. `pick` is given at least one backend, all
of them usable, in an order that is stable while membership is. Randomness comes in; no clock, no I/O.
"""

from collections.abc import Callable

from system.router.policies.base import Options, Policy
from system.router.policies.cache_type import CacheType
from system.router.policies.least_outstanding import LeastOutstanding
from system.router.policies.prefix import Prefix
from system.router.policies.random_choice import RandomChoice
from system.router.policies.round_robin import RoundRobin
from system.router.policies.session import Session
from system.router.policies.two_choices import TwoChoices
from system.router.policies.weighted import Weighted

POLICIES: dict[str, Callable[[Options], Policy]] = {
    "least-outstanding": LeastOutstanding,
    "round-robin": RoundRobin,
    "weighted": Weighted,
    "random": RandomChoice,
    "two-choices": TwoChoices,
    "session": Session,
    "cache-type": CacheType,
    "prefix": Prefix,
}

__all__ = ["POLICIES", "Options", "Policy"]
