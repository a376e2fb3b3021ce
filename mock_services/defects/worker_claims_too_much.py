"""A worker that registers for `multiply`, too, which it does not have.

Must be caught by check `routing`, in step "whatever is asked, only who can do it is named", and by
`availability` before: calls that are sent to it fail.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from mock_services.planting import defective
from system.worker import program, serving
from system.worker.config import WorkerConfig

honest = serving.registered


def boastful(
    config: WorkerConfig, port: int, capabilities: Sequence[Mapping[str, Any]]
) -> AbstractAsyncContextManager[None]:
    """One capability more than there are handlers."""
    return honest(config, port, [*capabilities, {"type": "multiply"}])


PROGRAM = defective(program.PROGRAM, __doc__, {(serving, "registered"): boastful})
