"""Which engine is meant: by DOCKER_HOST, by a context, or this machine's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from harness.engine_place import LOCAL, EnginePlace, NoEngine, engine_place


def with_context(folder: Path, name: str, *, tls: bool = False, **endpoint: Any) -> None:
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / key / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    if tls:
        (folder / "contexts" / "tls" / key / "docker").mkdir(parents=True)


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, LOCAL),
        ({"DOCKER_CONTEXT": "default"}, LOCAL),
        ({"DOCKER_HOST": "unix:///x.sock", "DOCKER_CONTEXT": "far"}, EnginePlace("unix:///x.sock")),
        ({"DOCKER_HOST": "unix:///x.sock", "DOCKER_TLS_VERIFY": "1"}, EnginePlace("unix:///x.sock")),
        ({"DOCKER_HOST": "tcp://a:1"}, EnginePlace("tcp://a:1")),
        (
            {"DOCKER_HOST": "tcp://a", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c"},
            EnginePlace("tcp://a", "/c"),
        ),
        (
            {"DOCKER_HOST": "tcp://a", "DOCKER_TLS": "1", "DOCKER_CERT_PATH": "/c"},
            EnginePlace("tcp://a", "/c", verify=False),
        ),
        ({"DOCKER_CONTEXT": "far"}, EnginePlace("ssh://me@far")),
    ],
)
def test_what_is_configured_is_what_is_meant(
    tmp_path: Path, environ: dict[str, str], place: EnginePlace
) -> None:
    """DOCKER_HOST goes before a context; TLS is for tcp only."""
    with_context(tmp_path, "far", Host="ssh://me@far")
    assert engine_place({"DOCKER_CONFIG": str(tmp_path), **environ}) == place


def test_the_context_in_use_and_its_certificates(tmp_path: Path) -> None:
    """`docker context use` counts, and what came with the context is used to speak to it."""
    with_context(tmp_path, "lab", tls=True, Host="tcp://lab:2376", SkipTLSVerify=True)
    (tmp_path / "config.json").write_text('{"currentContext": "lab"}')
    place = engine_place({"DOCKER_CONFIG": str(tmp_path)})
    assert (place.url, place.verify) == ("tcp://lab:2376", False)
    assert place.certificates.endswith("/docker")
    assert place.address == ("lab", 2376)


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        (
            {"DOCKER_CONTEXT": "nowhere"},
            "there is no Docker context 'nowhere' in .*: see `docker context ls`",
        ),
        ({"DOCKER_HOST": "npipe:////./pipe/x"}, "is no URL of an engine: unix://, tcp:// and ssh:// are"),
        ({"DOCKER_HOST": "10.0.0.1:2375"}, "is no URL of an engine"),
    ],
)
def test_what_cannot_be_an_engine_is_told(tmp_path: Path, environ: dict[str, str], why: str) -> None:
    """A context that is not there, and what is no URL, in words."""
    with pytest.raises(NoEngine, match=why):
        engine_place({"DOCKER_CONFIG": str(tmp_path), **environ})


def test_how_ssh_is_called() -> None:
    """User and port come from the URL; what is no host name cannot become an option."""
    assert EnginePlace("ssh://me@far:2200").ssh()[-4:] == ["-p", "2200", "--", "me@far"]
    assert EnginePlace("ssh://far/run/d.sock").socket_path == "/run/d.sock"
    assert EnginePlace("ssh://far").socket_path == "/var/run/docker.sock"
