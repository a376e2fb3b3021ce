"""A worker that ends at once when it is told to, whatever it is computing.

Must be caught by check `availability`, in step "calls that a worker has begun".
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from mock_services.planting import defective
from system.component import ComponentConfig
from system.worker import program, serving

patient: Any = vars(serving)["grpc_server"]


def impatient(*given: Any, **named: Any) -> AbstractAsyncContextManager[tuple[int, Any]]:
    """No time to finish, whatever the configuration says."""
    hasty = [replace(one, drain=0.0) if isinstance(one, ComponentConfig) else one for one in given]
    server: AbstractAsyncContextManager[tuple[int, Any]] = patient(*hasty, **named)
    return server


PROGRAM = defective(program.PROGRAM, __doc__, {(serving, "grpc_server"): impatient})
