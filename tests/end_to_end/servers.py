"""Servers that already run: this project's programs at loopback addresses of their own."""

import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from system.testing import Running, running


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A babysitter and its backend, which says that it is `backend-NAME` unless told otherwise."""

    name: str
    port: int
    model: str
    address: str = ""
    answers_as: str = ""
    extra: tuple[str, ...] = ()
    """More options of the babysitter."""


def an_address() -> str:
    """A loopback address that nothing else is likely to use."""
    return f"127.79.{random.randint(1, 250)}.{random.randint(1, 250)}"


@contextmanager
def serving(address: str, workers: Sequence[Worker], *fronts: str) -> Iterator[dict[str, Running]]:
    """A registry (:18000), a router (:8000) and workers; entered when the router uses them all.

    `fronts` are more options of registry and router.
    """
    registry = f"http://{address}:18000"
    with ExitStack() as stack:
        started = {
            "registry": stack.enter_context(running("system", "registry", "--host", address, *fronts)),
            "router": stack.enter_context(
                running("system", "router", "--host", address, "--registry", registry, *fronts)
            ),
        }
        for worker in workers:
            started[worker.name] = stack.enter_context(_babysitter(worker, address, registry, fronts))
        for worker in workers:
            started["router"].wait_for_line(rf"using {worker.name}-server at")
        yield started


def _babysitter(
    worker: Worker, address: str, registry: str, options: Sequence[str]
) -> AbstractContextManager[Running]:
    backend = f"openai --name {worker.answers_as or f'backend-{worker.name}'} --host {{host}} --port {{port}}"
    return running(
        *("system", "babysitter", "--name", worker.name, "--host", worker.address or address),
        *("--port", str(worker.port), "--registry", registry, "--service-type", "command"),
        *("--command", "muster-mock", "--args", f"{backend} --models {worker.model}"),
        *worker.extra,
        *options,
    )
