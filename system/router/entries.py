"""A service as the router knows it, read from a registry's answer or a static services file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A registered service that speaks the OpenAI API."""

    name: str
    host: str
    port: int
    scheme: str = "http"
    models: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1
    registered: str = ""
    """Changes when the service registers anew: evidence that it lives."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def babysitter_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port + 1}"


class EntryError(ValueError):
    """What is wrong with one service; the others of the same answer are used."""


def read_entry(service: Any, *, default_name: str = "") -> Entry:
    """One service object of the registry's `/services` dialect; raises EntryError in words."""
    if not isinstance(service, Mapping):
        msg = f"a service must be an object, not {service!r}"
        raise EntryError(msg)
    name = service.get("name", default_name)
    if not isinstance(name, str) or not name:
        msg = "a service has no name"
        raise EntryError(msg)
    scheme, host, port = _address(name, service)
    metadata = {} if service.get("metadata") is None else service["metadata"]
    if not isinstance(metadata, Mapping):
        msg = f"service '{name}': metadata must be an object"
        raise EntryError(msg)
    return Entry(
        name=name,
        host=host,
        port=port,
        scheme=scheme,
        models=_models(metadata),
        metadata=metadata,
        weight=_weight(name, service.get("weight", metadata.get("weight", 1))),
        registered=str(service.get("timestamp", "")),
    )


def _address(name: str, service: Mapping[str, Any]) -> tuple[str, str, int]:
    host, port, scheme = service.get("host"), service.get("port"), "http"
    if isinstance(service.get("url"), str) and "://" in service["url"]:
        try:
            url = urlsplit(service["url"])
            scheme, host, port = url.scheme, url.hostname or host, url.port or port
        except ValueError:
            pass  # host and port say it as well
    if scheme not in ("http", "https"):
        msg = f"service '{name}': its url must be http or https, not {scheme}"
        raise EntryError(msg)
    if not isinstance(host, str) or not host or any(mark <= " " for mark in host):
        msg = f"service '{name}': has no usable host"
        raise EntryError(msg)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        msg = f"service '{name}': port must be a number from 1 to 65535, not {port!r}"
        raise EntryError(msg)
    return scheme, host, port


def _models(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    listed = metadata.get("models")
    if not isinstance(listed, list):
        objects = metadata.get("models_list")
        listed = (
            [one.get("id") for one in objects if isinstance(one, Mapping)]
            if isinstance(objects, list)
            else []
        )
    return tuple(dict.fromkeys(model for model in listed if isinstance(model, str) and model))


def _weight(name: str, weight: Any) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1_000_000:
        msg = f"service '{name}': weight must be a number from 0 to 1000000, not {weight!r}"
        raise EntryError(msg)
    return weight


def read_registry(document: Any) -> tuple[list[Entry], list[str]]:
    """The OpenAI services of a registry's answer, and what was wrong with others."""
    services = document.get("services") if isinstance(document, Mapping) else None
    if not isinstance(services, list):
        msg = "the registry's answer has no list `services`"
        raise EntryError(msg)
    return _read_all(service for service in services if serves_openai(service))


def serves_openai(service: Any) -> bool:
    """Whether a registry says that clients may be sent to this service."""
    if not isinstance(service, Mapping) or service.get("is_healthy") is False:
        return False
    metadata = service.get("metadata")
    return isinstance(metadata, Mapping) and metadata.get("type") == "openai-api"


def read_static(document: Any) -> tuple[list[Entry], list[str]]:
    """The services of a static services file: a list, or a list under `services`."""
    if isinstance(document, Mapping) and isinstance(document.get("static_services"), Mapping):
        document = document["static_services"]
    services = document.get("services") if isinstance(document, Mapping) else document
    if not isinstance(services, list):
        msg = 'expected a list of services, or {"services": [...]}'
        raise EntryError(msg)
    return _read_all(services)


def _read_all(services: Iterable[Any]) -> tuple[list[Entry], list[str]]:
    entries: list[Entry] = []
    complaints: list[str] = []
    for number, service in enumerate(services, 1):
        try:
            entries.append(read_entry(service, default_name=f"service_{number}"))
        except EntryError as error:
            complaints.append(str(error))
    return entries, complaints
