"""What a gateway can be told: mistakes are named before it starts, keys come from the environment or files."""

import subprocess
import sys
from pathlib import Path

import pytest

from system.config import read_config
from system.errors import ComponentError, StartupError, UsageError
from system.gateway.providers import ProviderSettings
from system.gateway.settings import GatewayConfig, by_priority, check, read_providers
from tests.system.gateway.front import without_keys

KEYS = {"OPENAI_API_KEY": "sk-one", "ANTHROPIC_API_KEY": "sk-two"}


def config(*argv: str, **environ: str) -> GatewayConfig:
    return read_config("gateway", "", GatewayConfig, list(argv), environ)


def names(providers: list[ProviderSettings]) -> list[str]:
    return [one.name for one in providers]


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "system", "gateway", "--port", "0"],
        ["-m", "system", "gateway", "--port", "0", "--workers", "4"],
        ["-m", "uvicorn", "system.gateway.app:app", "--port", "0"],
    ],
)
def test_without_a_key_one_line_says_what_to_set(command: list[str]) -> None:
    """Exit code 2 and one line with both variables; nothing is started. The same under uvicorn."""
    done = subprocess.run(
        [sys.executable, *command],
        env=without_keys(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "OPENAI_API_KEY" in done.stderr
    assert "ANTHROPIC_API_KEY" in done.stderr


def test_uvicorns_workers_are_not_started_for_ever() -> None:
    """Where every worker would fail, uvicorn's parent ends instead of starting another and another."""
    command = ["-m", "uvicorn", "system.gateway.app:app", "--port", "0", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, *command],
        env=without_keys(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "failed to start, stopping the parent process" in done.stderr
    assert "set OPENAI_API_KEY or ANTHROPIC_API_KEY" in done.stderr


def test_keys_of_the_environment_are_providers() -> None:
    """One key, one provider; both, and OpenAI comes first; the documented models."""
    assert names(read_providers(config(), {"ANTHROPIC_API_KEY": "k"})) == ["anthropic"]
    both = read_providers(config(), KEYS)
    assert [(one.name, one.model, one.priority) for one in both] == [
        ("openai", "gpt-4o-mini", 1),
        ("anthropic", "claude-3-5-haiku-20241022", 2),
    ]


def test_priorities_decide_the_order() -> None:
    """The lowest number comes first; two of the same are a mistake."""
    assert names(read_providers(config("--openai-priority", "3"), KEYS)) == ["anthropic", "openai"]
    with pytest.raises(UsageError, match="both have priority 2"):
        read_providers(config("--openai-priority", "2"), KEYS)


def test_variables_of_others_are_understood() -> None:
    """The seed's names work, ours win over them, flags win over both; what Kubernetes sets is no port."""
    told = config(REDIS_HOST="redis-service", REDIS_PORT="6380", REDIS_DB="2", OPENAI_BASE_URL="http://a/v1")
    assert (told.redis_host, told.redis_port, told.redis_db) == ("redis-service", 6380, 2)
    assert told.openai_base_url == "http://a/v1"
    assert config(REDIS_HOST="a", MUSTER_GATEWAY_REDIS_HOST="b").redis_host == "b"
    assert config("--redis-host", "c", REDIS_HOST="a").redis_host == "c"
    assert config(REDIS_PORT="tcp://10.0.0.1:6379").redis_port == 6379


def test_a_key_may_be_in_a_file(tmp_path: Path) -> None:
    """Blanks around it do not count; a missing or empty file is told by its path."""
    file = tmp_path / "key"
    file.write_text(" sk-of-a-file \n")
    found = read_providers(config("--openai-key-file", str(file)), {})
    assert found[0].api_key == "sk-of-a-file"
    file.write_text("\n")
    with pytest.raises(StartupError, match="key: is empty"):
        read_providers(config("--openai-key-file", str(file)), {})
    with pytest.raises(StartupError, match="No such file"):
        read_providers(config("--openai-key-file", str(tmp_path / "none")), {})


def test_a_key_shows_in_no_representation() -> None:
    """Whoever prints settings prints no key."""
    assert "sk-one" not in repr(read_providers(config(), KEYS))


PROVIDERS = """
[openai]
priority = 5
timeout = "5s"

[local]
kind = "compatible"
model = "llama"
base_url = "http://10.0.0.5:8000/v1"
priority = 1
retries = 2

[spare]
kind = "openai"
model = "gpt-4o"
priority = 9
key_variable = "SPARE_KEY"
"""


def test_a_file_adds_providers_and_changes_known_ones(tmp_path: Path) -> None:
    """What a table does not say stays as it was."""
    file = tmp_path / "providers.toml"
    file.write_text(PROVIDERS)
    found = read_providers(config("--providers", str(file)), {**KEYS, "SPARE_KEY": "sk-spare"})
    assert [(one.name, one.kind, one.model, one.priority) for one in found] == [
        ("local", "compatible", "llama", 1),
        ("anthropic", "anthropic", "claude-3-5-haiku-20241022", 2),
        ("openai", "openai", "gpt-4o-mini", 5),
        ("spare", "openai", "gpt-4o", 9),
    ]
    assert [one.timeout for one in found] == [30, 30, 5, 30]
    assert [one.retries for one in found] == [2, 0, 0, 0]
    assert found[3].api_key == "sk-spare"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("x =", "not valid TOML"),
        ("x = 1", "x: must be a table"),
        ('[x]\nkind = "compatibel"', "did you mean compatible"),
        ('[x]\nkind = "compatible"', "needs model"),
        ('[x]\nkind = "compatible"\nmodel = "m"', "needs priority"),
        ('[x]\nkind = "compatible"\nmodel = "m"\npriority = 1', "needs base_url"),
        ('[x]\nkind = "openai"\nmodel = "m"\npriority = 1', "needs a key"),
        ('[x]\nkind = "openai"\nmodel = "m"\npriority = 1\nkey_variable = "NOT_SET"', "set NOT_SET"),
        ('[x]\nkind = "openai"\nmodel = "m"\npriority = "first"', "priority must be a whole number"),
        ('[x]\nkind = "openai"\nmodel = "m"\npriority = 1\ntimeout = "long"', "timeout must be a duration"),
        ('[x]\nmodle = "m"', "did you mean model"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, mistake: str) -> None:
    """With the file, the table and what would be right."""
    file = tmp_path / "providers.toml"
    file.write_text(text)
    with pytest.raises(ComponentError, match=mistake) as caught:
        read_providers(config("--providers", str(file)), {})
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--threshold", "0"),
        ("--timeout", "0"),
        ("--recovery", "0s"),
        ("--retries", "11"),
        ("--workers", "0"),
        ("--strategy", "luck"),
        ("--failure-share", "1.5"),
        ("--redis", "localhost:6379"),
    ],
)
def test_a_value_out_of_range_is_named(option: str, value: str) -> None:
    """The mistake starts with the option."""
    with pytest.raises(UsageError, match=f"{option}\\b"):
        check(config(option, value))


def test_two_providers_of_one_name_are_a_mistake() -> None:
    """A library's user can do that; a file or the environment cannot."""
    one = ProviderSettings(kind="openai", model="m", priority=1)
    two = ProviderSettings(kind="openai", model="m", priority=2)
    with pytest.raises(UsageError, match="two providers are called openai"):
        by_priority([one, two])
