"""A babysitter's file and flags: what is accepted, and how mistakes are named."""

from pathlib import Path
from typing import Any

import pytest

from system.babysitter.config import BabysitterConfig
from system.config import read_config
from system.errors import UsageError

FILE = """
name = "babysitter-a"
host = "10.0.0.5"
port = 8100
registry_url = "http://10.0.0.1:18000"
router_url = "http://10.0.0.1:8000"

[babysitter]
max_restarts = 5
restart_delay = 2
heartbeat_interval = 30

[backend]
type = "command"
command = "serve"
args = ["--models", "a,b", "--flag=x y"]
work_dir = "/app"
env = { A = "1" }

[metadata]
cache_type = "paged"
static = true
"""


def read(argv: list[str], environ: dict[str, str] | None = None) -> BabysitterConfig:
    return read_config("muster-system babysitter", "about", BabysitterConfig, argv, environ or {})


def test_a_contract_file_is_read_whole(tmp_path: Path) -> None:
    """Every key of the contract's file has its place; list items are words, however they look."""
    path = tmp_path / "a.toml"
    path.write_text(FILE)

    config = read(["--config-file", str(path)])
    assert (config.service_name, config.backend_name, config.port) == (
        "babysitter-a",
        "babysitter-a-server",
        8100,
    )
    assert (config.max_restarts, config.restart_delay, config.heartbeat_interval) == (5, 2.0, 30.0)
    assert config.args == ("--models", "a,b", "--flag=x y")
    assert (config.work_dir, config.env) == (Path("/app"), {"A": "1"})
    assert config.metadata == {"cache_type": "paged", "static": True}
    assert config.registry_url == ("http://10.0.0.1:18000",)


def test_flags_win_over_variables_over_the_file(tmp_path: Path) -> None:
    """A flag beats the environment, which beats the file."""
    path = tmp_path / "a.toml"
    path.write_text(FILE)
    environ = {
        "MUSTER_BABYSITTER_CONFIG": str(path),
        "MUSTER_BABYSITTER_NAME": "env",
        "MUSTER_BABYSITTER_HOST": "h",
    }

    config = read(["--name", "flag"], environ)
    assert (config.name, config.host, config.port) == ("flag", "h", 8100)


def test_all_mistakes_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    """Unknown keys come with a suggestion, wrong values with what is expected."""
    path = tmp_path / "bad.toml"
    path.write_text(
        'port = "x"\n[babysitter]\nmax_restart = 3\nttl = "soon"\n[backend]\ntype = "vlm"\nargs = "a \'b"\n'
    )
    with pytest.raises(UsageError) as refused:
        read(["--config", str(path)])

    assert sorted(refused.value.mistakes) == sorted(
        [
            f"{path}: unknown key babysitter.max_restart; did you mean babysitter.max_restarts?",
            f"{path}: port: 'x' must be a port from 0 to 65535",
            f"{path}: babysitter.ttl: 'soon' must be a duration such as 5s, 500ms or 2m",
            f"{path}: backend.type: 'vlm' must be one of command, mock, vllm, infinilm, infinilm-rust",
            f'{path}: backend.args: "a \'b" must be arguments with their quotes closed (No closing quotation)',
        ]
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"port": 65535}, "--port 65535"),
        ({"port": 0}, "--port 0"),
        ({"ttl": 1.5}, "--ttl must be at least twice --heartbeat-interval"),
        ({"registry_url": ("10.0.0.1:18000",)}, "--registry-url 10.0.0.1:18000: must be a URL such as"),
    ],
)
def test_values_that_do_not_go_together_are_refused(values: dict[str, Any], words: str) -> None:
    """What no single value shows is checked before anything starts."""
    with pytest.raises(UsageError, match="^" + words):
        BabysitterConfig(**{"port": 8100, **values}).check()


def test_the_ttl_is_four_heartbeats_unless_given() -> None:
    """One heartbeat a second gives 4 s; a file with the old 30 s keeps the old 120 s."""
    times = [
        BabysitterConfig(port=8100, heartbeat_interval=interval).time_to_live for interval in (1.0, 30.0)
    ]

    assert times == [4.0, 120.0]
    assert BabysitterConfig(port=8100, ttl=7.0).time_to_live == 7.0
