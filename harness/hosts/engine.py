"""The container engine, awaited: the Docker SDK in threads of its own, its errors in our words."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from harness.containers import SOCKET
from harness.errors import EnvironmentFailure

if TYPE_CHECKING:
    from docker import APIClient

P = ParamSpec("P")
T = TypeVar("T")

OLDEST_API = (1, 40)
LOST = "the container engine does not answer any more"
_THREADS = 16
_CONNECT_WITHIN = 5.0
ONLY_ASKED_FOR: Mapping[str, str] = {"muster-redis:local": "redis"}
"""Images that are built when a service wants them, and what docker/build.sh calls them."""
_BUILD = Path(__file__).parents[2] / "docker" / "build.sh"
_START = "start one with docker/engine.sh, or use --hosts process"


class Engine:
    """An engine that answers. `api` is the SDK's low-level client, to be used through `call`."""

    def __init__(self, api: APIClient, url: str) -> None:
        self.api = api
        self.url = url
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="engine")

    async def call(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one call of the SDK in a thread; EnvironmentFailure in the engine's words when it fails."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: do(*args, **kwargs))
        except Exception as error:
            raise translated(error) from error

    def watch(
        self, label: str, heard: Callable[[dict[str, Any]], None], lost: Callable[[], None]
    ) -> Callable[[], None]:
        """Call `heard`, in this loop, with every event of containers with the label; returns its end.

        When the engine ends it instead, `lost` is called, once.
        """
        loop = asyncio.get_running_loop()
        stream = self.api.events(decode=True, filters={"type": "container", "label": label})
        wanted = True

        def in_loop(call: Callable[..., None], *arguments: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(call, *arguments)

        def listen() -> None:
            with suppress(Exception):  # however it ends, it has ended
                for event in stream:
                    in_loop(heard, event)
            if wanted:
                in_loop(lost)

        def stop() -> None:
            nonlocal wanted
            wanted = False
            with suppress(Exception):
                stream.close()

        threading.Thread(target=listen, name="engine events", daemon=True).start()
        return stop

    def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.api.close()


async def connect() -> Engine:
    """The engine that DOCKER_HOST names, or this machine's; EnvironmentFailure when none can be used."""
    try:
        import docker
    except ImportError as error:
        msg = "docker hosts need the Docker SDK: pip install 'muster[docker]'"
        raise EnvironmentFailure(msg) from error
    url = os.environ.get("DOCKER_HOST") or SOCKET
    if why := await asyncio.to_thread(unusable, url):
        raise EnvironmentFailure(why)
    try:
        api = await asyncio.to_thread(
            docker.APIClient, base_url=url, version="auto", timeout=60, max_pool_size=2 * _THREADS
        )
    except Exception as error:
        msg = f"the Docker Engine at {url} does not answer as one: {error}"
        raise EnvironmentFailure(msg) from error
    if tuple(map(int, api.api_version.split("."))) < OLDEST_API:
        msg = (
            f"the Docker Engine at {url} is too old (API {api.api_version}; 1.40 of 2019 or newer is needed)"
        )
        raise EnvironmentFailure(msg)
    return Engine(api, url)


def unusable(url: str) -> str:
    """Why the engine at a URL cannot be used, as far as a connection tells; empty when one is accepted."""
    where = urlsplit(url)
    try:
        if where.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(_CONNECT_WITHIN)
                line.connect(where.path)
        elif where.scheme == "tcp":
            socket.create_connection((where.hostname or "", where.port or 2375), _CONNECT_WITHIN).close()
    except PermissionError:
        return (
            f"this user may not use the Docker Engine at {url}: join the group docker, or use --hosts process"
        )
    except OSError as error:
        return f"no Docker Engine answers at {url} ({error.strerror or error}): {_START}"
    return ""


def translated(error: Exception) -> EnvironmentFailure:
    """An error of the SDK in one line."""
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout

    explanation = getattr(error, "explanation", None)
    if explanation:
        return EnvironmentFailure(f"the container engine refused: {explanation}")
    if isinstance(error, (NoConnection, Timeout)):
        return EnvironmentFailure(LOST)
    return EnvironmentFailure(f"the container engine failed: {error}")


async def have_images(engine: Engine, images: set[str], own: set[str]) -> None:
    """Have all images; ours (`own`) are built from their sources where these are, 0.2 s when unchanged."""
    if own and _BUILD.exists():
        build = await asyncio.create_subprocess_exec(
            _BUILD,
            *(name for image, name in ONLY_ASKED_FOR.items() if image in own),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await build.communicate()
        if build.returncode:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            msg = f"the images could not be built (docker/build.sh): {last}"
            raise EnvironmentFailure(msg)
    for image in sorted(images):
        try:
            await engine.call(engine.api.inspect_image, image)
        except EnvironmentFailure:
            await _pull(engine, image)


async def _pull(engine: Engine, image: str) -> None:
    try:
        await engine.call(engine.api.pull, image)
        await engine.call(engine.api.inspect_image, image)
    except EnvironmentFailure as error:
        msg = f"there is no image '{image}', and it cannot be pulled: {error}"
        raise EnvironmentFailure(msg) from error
