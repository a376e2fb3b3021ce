"""What a gateway can be told, by flags, a file or the environment; keys never come by flags."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from system.component import ComponentConfig
from system.config import AlsoVariable, did_you_mean
from system.config_values import Duration, Port, Unfit, read_duration
from system.errors import StartupError, UsageError
from system.gateway.breakers import RedisSettings, SyncSettings
from system.gateway.hiding import remember
from system.gateway.providers import PROVIDERS, ProviderSettings
from system.gateway.strategies import STRATEGIES


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig(ComponentConfig):
    """What a gateway can be told."""

    port: Annotated[Port, "the port to listen on"] = 8000
    workers: Annotated[int, "processes that share the port"] = 1
    openai_model: Annotated[str, "the model asked of OpenAI", AlsoVariable("OPENAI_MODEL")] = "gpt-4o-mini"
    openai_base_url: Annotated[
        str | None, "where OpenAI's API is reached, /v1 included", AlsoVariable("OPENAI_BASE_URL")
    ] = None
    openai_key_file: Annotated[
        Path | None,
        "file that holds OpenAI's key, instead of OPENAI_API_KEY",
        AlsoVariable("OPENAI_API_KEY_FILE"),
    ] = None
    openai_priority: Annotated[int, "when OpenAI is asked: the lowest number comes first"] = 1
    anthropic_model: Annotated[str, "the model asked of Anthropic", AlsoVariable("ANTHROPIC_MODEL")] = (
        "claude-3-5-haiku-20241022"
    )
    anthropic_base_url: Annotated[
        str | None, "where Anthropic's API is reached", AlsoVariable("ANTHROPIC_BASE_URL")
    ] = None
    anthropic_key_file: Annotated[
        Path | None,
        "file that holds Anthropic's key, instead of ANTHROPIC_API_KEY",
        AlsoVariable("ANTHROPIC_API_KEY_FILE"),
    ] = None
    anthropic_priority: Annotated[int, "when Anthropic is asked"] = 2
    providers: Annotated[Path | None, "file with more providers, or more about these (TOML)"] = None
    timeout: Annotated[Duration, "how long a provider may take to answer, and pause in a stream"] = 30.0
    retries: Annotated[int, "how often the same provider is asked again before another one is"] = 0
    strategy: Annotated[str, "what opens a provider's circuit: " + ", ".join(STRATEGIES)] = "consecutive"
    threshold: Annotated[int, "failures in a row that open it"] = 5
    failure_share: Annotated[float, "share of failures that opens it"] = 0.5
    slow_share: Annotated[float, "share of slow calls that opens it"] = 0.5
    slow_after: Annotated[Duration, "from when on a call is slow"] = 30.0
    window: Annotated[Duration, "the time that shares are taken over"] = 60.0
    min_volume: Annotated[int, "calls in it below which a share says nothing"] = 10
    recovery: Annotated[Duration, "how long a circuit stays open before one request probes the provider"] = (
        60.0
    )
    redis: Annotated[
        str, "what the processes of all machines share: a redis:// or rediss:// URL, or none"
    ] = ""
    redis_host: Annotated[str, "where Redis is, without --redis", AlsoVariable("REDIS_HOST")] = "localhost"
    redis_port: Annotated[Port, "its port", AlsoVariable("REDIS_PORT")] = 6379
    redis_db: Annotated[int, "the number of its database", AlsoVariable("REDIS_DB")] = 0
    redis_password_file: Annotated[
        Path | None,
        "file that holds its password, instead of REDIS_PASSWORD",
        AlsoVariable("REDIS_PASSWORD_FILE"),
    ] = None
    group: Annotated[
        str, "processes of this machine that name the same group share what they know, also without Redis"
    ] = ""
    callers: Annotated[Path | None, "file with callers: tokens, the models each may use, rates (TOML)"] = None
    max_body: Annotated[int, "the largest request body, in bytes"] = 16 * 1024 * 1024
    log_format: Annotated[Literal["text", "json"], "lines for people, or JSON"] = "text"


NO_KEYS = "no provider is configured: set OPENAI_API_KEY or ANTHROPIC_API_KEY, or both, or use --providers"


def read_providers(config: GatewayConfig, environ: Mapping[str, str]) -> list[ProviderSettings]:
    """Who can be asked, by priority; raises UsageError where there is nobody, or a mistake."""
    found: dict[str, ProviderSettings] = {}
    for kind in ("openai", "anthropic"):
        key = read_key(getattr(config, f"{kind}_key_file"), environ.get(f"{kind.upper()}_API_KEY"))
        if key:
            found[kind] = ProviderSettings(
                kind=kind,
                model=getattr(config, f"{kind}_model"),
                api_key=key,
                priority=getattr(config, f"{kind}_priority"),
                base_url=getattr(config, f"{kind}_base_url"),
                timeout=config.timeout,
                retries=config.retries,
            )
    if config.providers is not None:
        found |= _from_file(config, found, environ)
    if not found:
        raise UsageError([NO_KEYS])
    remember(*(settings.api_key for settings in found.values()))
    return by_priority(list(found.values()))


def by_priority(providers: list[ProviderSettings]) -> list[ProviderSettings]:
    """The providers in the order in which they are asked; raises UsageError where that is not one order."""
    mistakes = []
    taken: dict[int, str] = {}
    for one in providers:
        if one.priority in taken:
            mistakes.append(
                f"{taken[one.priority]} and {one.name} both have priority {one.priority}: give each its own"
            )
        taken[one.priority] = one.name
    names = [one.name for one in providers]
    mistakes += [f"two providers are called {name}" for name in {*names} if names.count(name) > 1]
    if mistakes:
        raise UsageError(mistakes)
    return sorted(providers, key=lambda one: one.priority)


def read_key(path: Path | None, given: str | None) -> str:
    """A key from a file, or else as given; surrounding blanks are no part of it."""
    if path is None:
        return (given or "").strip()
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"key file {path}: cannot be read: {getattr(error, 'strerror', None) or 'not text'}"
        raise StartupError(msg) from None
    if not key:
        msg = f"key file {path}: is empty"
        raise StartupError(msg)
    return key


def read_sync(config: GatewayConfig, environ: Mapping[str, str]) -> SyncSettings:
    """With whom what is known about providers is shared."""
    if config.redis == "none":
        return SyncSettings(group=config.group or None)
    password = read_key(config.redis_password_file, environ.get("REDIS_PASSWORD")) or None
    url = config.redis or f"redis://{config.redis_host}:{config.redis_port}/{config.redis_db}"
    remember(password, urlsplit(url).password)
    return SyncSettings(redis=RedisSettings(url=url, password=password), group=config.group or None)


_KEYS = ("kind", "model", "priority", "base_url", "timeout", "retries", "key_file", "key_variable")


def _from_file(
    config: GatewayConfig, known: Mapping[str, ProviderSettings], environ: Mapping[str, str]
) -> dict[str, ProviderSettings]:
    path = config.providers
    assert path is not None
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"--providers {path}: cannot be read: {error.strerror}"
        raise StartupError(msg) from None
    except ValueError as error:
        raise UsageError([f"--providers {path}: not valid TOML: {error}"]) from None
    found: dict[str, ProviderSettings] = {}
    mistakes: list[str] = []
    for name, table in document.items():
        try:
            found[name] = _read_table(name, table, known.get(name), config, environ)
        except ValueError as error:
            mistakes.append(f"--providers {path}: {name}: {error}")
    if mistakes:
        raise UsageError(mistakes)
    return found


def _read_table(
    name: str,
    table: Any,
    known: ProviderSettings | None,
    config: GatewayConfig,
    environ: Mapping[str, str],
) -> ProviderSettings:
    """One provider of the file; what it does not say stays as it was known, or as the flags say."""
    if not isinstance(table, Mapping):
        msg = "must be a table"
        raise ValueError(msg)  # noqa: TRY004 - the file is mistaken
    for key in table:
        if key not in _KEYS:
            msg = f"unknown key {key}{did_you_mean(key, list(_KEYS))}; known are {', '.join(_KEYS)}"
            raise ValueError(msg)
    kind = _text(table, "kind") or (known.kind if known else name)
    if kind not in PROVIDERS:
        msg = f"unknown kind {kind!r}{did_you_mean(kind, list(PROVIDERS))}; known are {', '.join(PROVIDERS)}"
        raise ValueError(msg)
    start = known or ProviderSettings(
        kind=kind,
        name=name,
        model=_needed(table, "model"),
        priority=_whole(table, "priority", None),
        timeout=config.timeout,
        retries=config.retries,
    )
    variable = _text(table, "key_variable")
    file = _text(table, "key_file")
    settings = replace(
        start,
        model=_text(table, "model") or start.model,
        priority=_whole(table, "priority", start.priority),
        base_url=_text(table, "base_url") or start.base_url,
        retries=_whole(table, "retries", start.retries),
        timeout=_seconds(table.get("timeout", start.timeout)),
        api_key=read_key(Path(file) if file else None, environ.get(variable) if variable else start.api_key),
    )
    if kind == "compatible" and not settings.base_url:
        msg = "needs base_url, such as http://10.0.0.5:8000/v1"
        raise ValueError(msg)
    if kind != "compatible" and not settings.api_key:
        msg = f"needs a key: {f'set {variable}' if variable else 'give key_file or key_variable'}"
        raise ValueError(msg)
    return settings


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        msg = f"{key} must be text in quotes"
        raise ValueError(msg)  # noqa: TRY004 - the file is mistaken
    return value


def _needed(table: Mapping[str, Any], key: str) -> str:
    value = _text(table, key)
    if not value:
        msg = f"needs {key}"
        raise ValueError(msg)
    return value


def _whole(table: Mapping[str, Any], key: str, default: int | None) -> int:
    value = table.get(key, default)
    if value is None:
        msg = f"needs {key}"
        raise ValueError(msg)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        msg = f"{key} must be a whole number, 0 or above"
        raise ValueError(msg)
    return value


def _seconds(value: Any) -> float:
    try:
        return read_duration(value)
    except Unfit as error:
        msg = f"timeout must be {error}"
        raise ValueError(msg) from None


def check(config: GatewayConfig) -> None:
    """Raise UsageError with everything that is out of its range."""
    wrong = {
        f"--strategy: {config.strategy!r} must be one of {', '.join(STRATEGIES)}": config.strategy
        not in STRATEGIES,
        f"--workers: {config.workers} must be a number from 1 to 64": not 1 <= config.workers <= 64,
        f"--threshold: {config.threshold} must be 1 or above": config.threshold < 1,
        f"--retries: {config.retries} must be from 0 to 10": not 0 <= config.retries <= 10,
        f"--timeout: {config.timeout:g} must be above 0": config.timeout <= 0,
        f"--recovery: {config.recovery:g} must be above 0": config.recovery <= 0,
        "--failure-share and --slow-share must be from 0 to 1": not (
            0 < config.failure_share <= 1 and 0 < config.slow_share <= 1
        ),
        "--redis must be a redis:// or rediss:// URL, or none": not (
            config.redis in ("", "none")
            or config.redis.startswith(("redis://", "rediss://", "redis+cluster://", "rediss+cluster://"))
        ),
    }
    if mistakes := [sentence for sentence, holds in wrong.items() if holds]:
        raise UsageError(mistakes)
