"""What a deployment owns in a container engine, found by its label and removed. Standard library only.

The reaper uses it, so it speaks to the engine by itself, without the SDK.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from harness.journal import boot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.engine_place import EnginePlace

LABEL = "muster.deployment"
RUN_LABEL = "muster.run"
MACHINE = "muster.machine"


def machine() -> str:
    """Who uses an engine: host, boot and network namespace, which is as far as leases on names reach."""
    try:
        network = os.readlink("/proc/self/ns/net")  # noqa: PTH115  # pathlib is slow to import
    except OSError:
        network = ""
    return f"{socket.gethostname()}/{boot()}/{network}"


def can_tell(label: str, here: str) -> bool:
    """Whether a run labelled with a `machine()` is known here to be dead when nobody holds its name here.

    It is where names are held in the same namespace, and where the machine was started again since.
    """
    host, started, network = [*label.split("/"), "", ""][:3]
    own_host, own_started, own_network = here.split("/")
    return host == own_host and (started != own_started or network == own_network)


class Containers:
    """The containers, networks and volumes of one deployment; of all, where `deployment` is empty."""

    def __init__(self, engine: EnginePlace, deployment: str) -> None:
        self._engine = engine
        self._label = f"{LABEL}={deployment}" if deployment else LABEL
        self._found: list[tuple[str, str]] = []

    def find(self) -> Sequence[str]:
        """What is there, in words; an engine that does not answer counts as something that is there."""
        try:
            found = list(self._list())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._found = []
            return [f"whatever the engine at {self._engine.url} holds, which does not answer ({error})"]
        self._found = [(path, words) for path, words, _ in found]
        return [words for _, words in self._found]

    def deployments(self) -> dict[str, dict[str, str]]:
        """The deployments anything is there of, with its labels. OSError: the engine does not answer."""
        return {labels[LABEL]: labels for _, _, labels in self._list()}

    def remove(self) -> None:
        """Remove what `find` found, containers first: networks in use cannot be removed."""
        for path, _ in self._found:
            try:
                self._ask("DELETE", path)
            except (OSError, http.client.HTTPException):
                return

    def _list(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        only = "filters=" + quote(json.dumps({"label": [self._label]}))
        for each in self._ask("GET", f"/containers/json?all=1&{only}"):
            name = each["Names"][0].lstrip("/") if each["Names"] else each["Id"][:12]
            yield f"/containers/{each['Id']}?force=1&v=1", f"container {name}", each["Labels"]
        for each in self._ask("GET", f"/networks?{only}"):
            yield f"/networks/{each['Id']}", f"network {each['Name']}", each["Labels"]
        for each in self._ask("GET", f"/volumes?{only}")["Volumes"] or ():
            yield f"/volumes/{each['Name']}?force=1", f"volume {each['Name']}", each["Labels"]

    def _ask(self, method: str, path: str) -> Any:
        connection = self._engine.connection()
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if method == "GET" and answer.status != 200:
            msg = f"{answer.status} {body[:200].decode(errors='replace')}"
            raise OSError(msg)
        return json.loads(body) if method == "GET" else None
