"""Asking a registry for a replica: `search` decides what to ask next, without I/O; `find` asks."""

import http.client
import random
import ssl
from collections.abc import Collection, Generator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import orjson

from system.client.errors import NoMatch, RegistryUnreachable

ASK_AGAIN = 4  # times, where the registry cannot list and may well name another at the next question
WITHIN = 3.0


class Replica(NamedTuple):
    """Who was found."""

    endpoint: str
    replica_id: str | None


class Reply(NamedTuple):
    """What the registry answered."""

    status: int
    document: Any


Search = Generator[str, Reply, Replica]


def search(
    api_server: str,
    capability: Mapping[str, Any],
    failed: Collection[str] = (),
    avoided: Collection[str] = (),
) -> Search:
    """Yields URLs to ask, is sent the replies, returns a replica.

    It is none of the failed endpoints, and none of the avoided ones if there is any other.
    """
    url = api_server.rstrip("/")
    query = urlencode({key: _text(value) for key, value in capability.items()})
    if failed or avoided:
        reply = yield f"{url}/replicas?{query}"
        if reply.status == 200:
            others = _others(reply.document, failed)
            if not others:
                raise NoMatch(dict(capability), url)
            return random.choice([one for one in others if one.endpoint not in avoided] or others)
    for _ in range(ASK_AGAIN if failed else 1):
        reply = yield f"{url}/route?{query}"
        found = _routed(reply, capability, url)
        if found.endpoint not in failed:
            return found
    raise NoMatch(dict(capability), url)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _routed(reply: Reply, capability: Mapping[str, Any], url: str) -> Replica:
    if reply.status == 404:
        raise NoMatch(dict(capability), url)
    document = reply.document
    if reply.status != 200 or not isinstance(document, dict) or not isinstance(document.get("endpoint"), str):
        raise RegistryUnreachable(url, f"it answered {reply.status} {str(document)[:200]}")
    return Replica(document["endpoint"], document.get("replica_id"))


def _others(document: Any, failed: Collection[str]) -> list[Replica]:
    """The replicas of a listing that take calls and have not failed."""
    listed = document.get("replicas", []) if isinstance(document, dict) else []
    return [
        Replica(one["endpoint"], one.get("replica_id"))
        for one in listed
        if one.get("is_healthy", True) and not one.get("draining") and one["endpoint"] not in failed
    ]


def find(searching: Search, token: str | None, within: float) -> Replica:
    """Carry out a search."""
    try:
        url = next(searching)
        while True:
            url = searching.send(_asked(url, token, within))
    except StopIteration as found:
        replica: Replica = found.value
        return replica


async def find_async(searching: Search, token: str | None, within: float) -> Replica:
    """Carry out a search without blocking the loop."""
    from system.http_client import HttpClient, Unreachable

    client = HttpClient(token)
    try:
        url = next(searching)
        while True:
            try:
                answer = await client.request("GET", url, within=within)
            except Unreachable as error:
                raise RegistryUnreachable(_base(url), str(error)) from None
            url = searching.send(Reply(answer.status, answer.json()))
    except StopIteration as found:
        replica: Replica = found.value
        return replica


def _asked(url: str, token: str | None, within: float) -> Reply:
    parts = urlsplit(url)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, within)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        response = connection.getresponse()
        return Reply(response.status, _json(response.read()))
    except (OSError, http.client.HTTPException) as error:
        raise RegistryUnreachable(_base(url), str(error) or type(error).__name__) from None
    finally:
        connection.close()


def _connection(scheme: str, host: str, port: int | None, within: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=within, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=within)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _base(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
