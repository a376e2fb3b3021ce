"""The container that holds a simulated host, and the harness's line to the agent in it."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness import processes
from harness.errors import EnvironmentFailure
from harness.hosts import agents, sandbox_agent
from harness.hosts.attachment import OUTPUT, Attachment

if TYPE_CHECKING:
    from harness.hosts.engine import Engine

IMAGE = os.environ.get("MUSTER_SANDBOX_IMAGE", "muster-sandbox:local")
_ANSWER_WITHIN = 20.0


class Sandbox:
    """A simulated host: one address, one port space, one set of processes, until it is closed."""

    def __init__(self, engine: Engine, host: str, address: str, container: str) -> None:
        self.host = host
        self.address = address
        self.container = container
        self._engine = engine
        self._ids = itertools.count(1)
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._line: Attachment | None = None

    @classmethod
    async def create(
        cls, engine: Engine, host: str, *, name: str, network: str, address: str, labels: Mapping[str, str]
    ) -> Sandbox:
        """Create the container; it holds nothing until it is started."""
        api = engine.api
        made = await engine.call(
            api.create_container,
            IMAGE,
            list(agents.COMMAND),
            environment=agents.environment(processes, sandbox_agent),
            name=name,
            hostname=host,
            labels=dict(labels),
            stdin_open=True,
            networking_config=place_in(api, network, address, host),
            host_config=api.create_host_config(network_mode=network, cap_add=["NET_ADMIN", "SYS_PTRACE"]),
        )
        return cls(engine, host, address, made["Id"])

    async def start(self) -> None:
        """Start it, and hear from its agent."""
        api = self._engine.api
        line = self._line = await Attachment.open(self._engine, self.container)
        self._reading = asyncio.create_task(self._read(line), name=f"agent of {self.host}")
        await self._engine.call(api.start, self.container)
        await self.ask("hello")

    async def ask(self, do: str, **options: Any) -> Any:
        """Have the agent do something; EnvironmentFailure when it cannot."""
        if self._line is None or self._reading is None or self._reading.done():
            msg = f"the sandbox of {self.host} is gone"
            raise EnvironmentFailure(msg)
        number = next(self._ids)
        answer = self._open[number] = asyncio.get_running_loop().create_future()
        self._line.write(json.dumps({"id": number, "do": do, "with": options}).encode() + b"\n")
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                return await answer
        except TimeoutError:
            msg = f"the sandbox of {self.host} did not answer within {_ANSWER_WITHIN:g} s"
            raise EnvironmentFailure(msg) from None
        finally:
            del self._open[number]

    async def close(self) -> None:
        """Hang up; the container is removed by whoever removes the deployment's."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._line is not None:
            self._line.close()

    async def _read(self, line: Attachment) -> None:
        said, errors = b"", b""
        async for stream, chunk in line.chunks():
            if stream == OUTPUT:
                *lines, said = (said + chunk).split(b"\n")
                for each in lines:
                    self._answered(json.loads(each))
            else:
                errors = (errors + chunk)[-2000:]
        why = errors.decode(errors="replace").strip().rpartition("\n")[2] or "it was removed or killed"
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(EnvironmentFailure(f"the sandbox of {self.host} ended: {why}"))

    def _answered(self, said: Mapping[str, Any]) -> None:
        answer = self._open.get(said["id"])
        if answer is None or answer.done():
            return
        if "error" in said:
            answer.set_exception(EnvironmentFailure(f"in the sandbox of {self.host}: {said['error']}"))
        else:
            answer.set_result(said["is"])


def place_in(api: Any, network: str, address: str, name: str) -> Any:
    """A container's place in a network: its address, and what others call it."""
    return api.create_networking_config(
        {network: api.create_endpoint_config(ipv4_address=address, aliases=[name])}
    )


def tar_of(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A tar file of these contents and modes, by path."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
