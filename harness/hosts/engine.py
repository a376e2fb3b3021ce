"""The container engine, awaited: the Docker SDK in threads of its own, its errors in our words."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from harness.engine_place import EnginePlace, NoEngine, engine_place
from harness.errors import EnvironmentFailure
from harness.hosts.tunnel import Tunnel

if TYPE_CHECKING:
    from docker.tls import TLSConfig

    from docker import APIClient

P = ParamSpec("P")
T = TypeVar("T")

OLDEST_API = (1, 40)
LOST = "the container engine does not answer any more"
_THREADS = 16
_FINISH_WITHIN = 10.0
ONLY_ASKED_FOR: Mapping[str, str] = {"muster-redis:local": "redis"}
"""Images that are built when a service wants them, and what docker/build.sh calls them."""
OURS = frozenset({"muster-system:local", "muster-sandbox:local", *ONLY_ASKED_FOR})
_BUILD = Path(__file__).parents[2] / "docker" / "build.sh"
_START = "start one with docker/engine.sh, or use --hosts process"
_HINTS: Mapping[str, str] = {
    "no space left on device": "its disk is full: see docker system df, and docker system prune",
    "HTTP request to an HTTPS server": "it wants TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH",
    "WRONG_VERSION_NUMBER": "it does not speak TLS: unset DOCKER_TLS_VERIFY",
    "record layer failure": "it does not speak TLS: unset DOCKER_TLS_VERIFY",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not of the authority in DOCKER_CERT_PATH/ca.pem",
}


class Engine:
    """An engine that answers. `api` is the SDK's low-level client, to be used through `call`.

    `named` is where it is for everybody, `place` for this process: the near end of a tunnel, if there is one.
    """

    def __init__(self, api: APIClient, named: EnginePlace, tunnel: Tunnel | None = None) -> None:
        self.api = api
        self.named = named
        self.url = named.url
        self.place = tunnel.place if tunnel else named
        self._tunnel = tunnel
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="engine")

    async def call(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one call of the SDK in a thread; EnvironmentFailure in the engine's words when it fails.

        Who is cancelled meanwhile waits for its end all the same: what it makes must be there to be removed.
        """
        loop = asyncio.get_running_loop()
        doing = loop.run_in_executor(self._threads, lambda: do(*args, **kwargs))
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait([doing], timeout=_FINISH_WITHIN)
            raise
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
        if self._tunnel is not None:
            self._tunnel.close()


async def connect() -> Engine:
    """The engine that is meant (see `engine_place`); EnvironmentFailure when it cannot be used."""
    try:
        import docker
    except ImportError as error:
        msg = "docker hosts need the Docker SDK: pip install 'muster[docker]'"
        raise EnvironmentFailure(msg) from error
    named, why = await asyncio.to_thread(usable)
    if why:
        raise EnvironmentFailure(why)
    tunnel = await Tunnel.open(named) if named.url.startswith("ssh:") else None
    place = tunnel.place if tunnel else named
    try:
        version = await asyncio.to_thread(_api_version, place)
        api = docker.APIClient(
            base_url=place.url, version=version, timeout=60, max_pool_size=2 * _THREADS, tls=_tls(place)
        )
    except Exception as error:
        if tunnel is not None:
            tunnel.close()
        hint = _hint(str(error)) or _who_asks(named)
        msg = f"the Docker Engine at {named.url} does not answer as one: {error}{hint}"
        raise EnvironmentFailure(msg) from error
    api.trust_env = False  # somebody's REQUESTS_CA_BUNDLE would go before the engine's own certificates
    engine = Engine(api, named, tunnel)
    if tuple(map(int, version.split("."))) < OLDEST_API:
        engine.close()
        msg = (
            f"the Docker Engine at {named.url} is too old (API {version}; 1.40 of 2019 or newer is "
            "needed): update it, or use --hosts process"
        )
        raise EnvironmentFailure(msg)
    return engine


def _api_version(place: EnginePlace) -> str:
    """The newest that the engine speaks; OSError in its own words when it says something else."""
    connection = place.connection()
    try:
        connection.request("GET", "/version")
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise OSError(said[:200].decode(errors="replace").strip())
    return str(json.loads(said)["ApiVersion"])


def usable() -> tuple[EnginePlace, str]:
    """The engine that is meant, and why it cannot be used, as far as connecting tells; empty when it can."""
    try:
        place = engine_place(os.environ)
    except NoEngine as error:
        return EnginePlace(""), str(error)
    try:
        place.tls()
    except OSError as error:
        where = f"certificates for the Docker Engine at {place.url}"
        return place, f"the {where} cannot be used ({place.certificates}: {error}): set DOCKER_CERT_PATH"
    try:
        place.try_it()
    except PermissionError:
        why = "join the group docker, or use --hosts process"
        return place, f"this user may not use the Docker Engine at {place.url}: {why}"
    except OSError as error:
        return place, f"no Docker Engine answers at {place.url} ({error.strerror or error}): {_START}"
    return place, ""


def _tls(place: EnginePlace) -> TLSConfig | bool:
    """The same as `EnginePlace.tls`, in the words of the SDK."""
    if not place.certificates:
        return False
    from docker.tls import TLSConfig

    own, key, ca = (Path(place.certificates) / f"{name}.pem" for name in ("cert", "key", "ca"))
    return TLSConfig(
        client_cert=(str(own), str(key)) if own.exists() else None,
        ca_cert=str(ca) if place.verify else None,
        verify=place.verify,
    )


def _who_asks(place: EnginePlace) -> str:
    """What may be missing where an engine hangs up; what it says of that seldom arrives."""
    if not place.certificates or (Path(place.certificates) / "cert.pem").exists():
        return ""
    return "; it may want to know who asks: put cert.pem and key.pem into DOCKER_CERT_PATH"


def _hint(error: str) -> str:
    return next((f"; {hint}" for words, hint in _HINTS.items() if words in error), "")


def translated(error: Exception) -> EnvironmentFailure:
    """An error of the SDK in one line."""
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout

    explanation = getattr(error, "explanation", None)
    if explanation:
        return EnvironmentFailure(f"the container engine refused: {explanation}{_hint(explanation)}")
    if isinstance(error, (NoConnection, Timeout)):
        return EnvironmentFailure(LOST)
    return EnvironmentFailure(f"the container engine failed: {error}")


async def have_images(engine: Engine, images: set[str]) -> None:
    """Have all images; ours are built from their sources where these are, 0.2 s when unchanged."""
    if images & OURS and _BUILD.exists():
        build = await asyncio.create_subprocess_exec(
            _BUILD,
            *(name for image, name in ONLY_ASKED_FOR.items() if image in images),
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
