"""Secrets are kept out of everything a run leaves behind."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.secrets import Mask, Recording

CANARY = 'sk-"canary"/7f3a+9'
SCENARIO = """
version: 1
scenario: a secret goes through
topology:
  hosts:
    one:
      mock:
        command: [sh, -c, 'echo "key $API_KEY"; echo "$0" >&2; exec muster-mock openai --host {host.address} --port 8100', "{env.API_KEY}"]
        env: {API_KEY: "{env.API_KEY}"}
        files: {config.toml: 'key = "{env.API_KEY}"'}
        ports: [8100]
        url: "http://{host.address}:8100"
        speaks: [openai]
steps:
  - name: it is called with the secret
    call: {http: "{mock.url}/health?key={env.API_KEY}", headers: {authorization: "Bearer {env.API_KEY}"}}
    expect: {http: "{mock.url}/health", status: 200, within: 5s}
"""


@pytest.mark.parametrize(
    "disguised",
    [
        pytest.param(CANARY, id="plain"),
        pytest.param(quote(CANARY, safe=""), id="in a URL"),
        pytest.param(json.dumps(CANARY), id="in JSON"),
        *(
            pytest.param(
                base64.b64encode(b"u" * n + b":" + CANARY.encode() + b"!!").decode(), id=f"base64 at {n}"
            )
            for n in range(3)
        ),
    ],
)
def test_a_secret_is_masked_in_its_usual_disguises(disguised: str) -> None:
    """Plain, escaped or encoded, its name stands in its place."""
    text = Mask({"API_KEY": CANARY}).text(f"before {disguised} after")
    assert "***API_KEY***" in text
    assert "canary" not in text
    assert text.startswith("before ")


def test_only_what_was_asked_for_and_is_secret_by_name_counts() -> None:
    """An address is no secret, and neither is a key that the scenario does not use."""
    environ = Recording({"API_KEY": "abcdefgh", "HOST": "10.0.0.5", "OTHER_TOKEN": "ijklmnop"})
    assert environ["API_KEY"]
    assert environ["HOST"]
    assert environ.secrets() == {"API_KEY": "abcdefgh"}


def test_files_are_masked_in_place(tmp_path: Path) -> None:
    """What a service wrote itself is cleaned; the rest stays as it is."""
    (tmp_path / "a.log").write_bytes(b"\xff" + CANARY.encode() + b"\n")
    (tmp_path / "b.log").write_text("nothing\n")
    assert Mask({"API_KEY": CANARY}).scrub(tmp_path) == []
    assert (tmp_path / "a.log").read_bytes() == b"\xff***API_KEY***\n"
    assert (tmp_path / "b.log").read_text() == "nothing\n"


def test_a_secret_that_cannot_be_masked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan names the file that still holds it."""
    (tmp_path / "a.log").write_text(CANARY)

    def refuse(self: Path, _: bytes) -> int:
        raise PermissionError

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert Mask({"API_KEY": CANARY}).scrub(tmp_path) == [tmp_path / "a.log"]


def test_a_canary_goes_through_a_whole_run_and_is_found_nowhere(tmp_path: Path) -> None:
    """Command, environment, file, log, URL, header: not a byte of it is left, on screen or on disk."""
    (tmp_path / "secret.scenario.yaml").write_text(SCENARIO)
    canary = "sk-canary-7f3a9b2c"
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "secret.scenario.yaml", "--hosts", "process"],
        cwd=tmp_path,
        env={**os.environ, "API_KEY": canary},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert canary not in done.stdout + done.stderr
    assert not [path for path, content in kept.items() if canary.encode() in content]
    assert any(b"***API_KEY***" in content for path, content in kept.items() if path.suffix == ".log")
