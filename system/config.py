"""A component's configuration: a frozen dataclass whose fields are its flags, TOML keys and variables.

`port: Annotated[Port, "the port to listen on"] = 18000` gives `--port`, the key `port`, the variable
`MUSTER_<NAME>_PORT`, the default and the help. A flag wins over the environment, that over the file, and that
over the default. Marks inside Annotated: a plain string is the help, the others are below.
"""

import argparse
import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from system.config_values import Shape, Unfit, shape_of
from system.errors import UsageError

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Positional:
    """Marks a field that is given without a flag (`system worker MODULE:ATTR`)."""


@dataclass(frozen=True, slots=True)
class InFile:
    """Marks where the file has a field whose key is not its name: `InFile("babysitter.max_restarts")`."""

    key: str


@dataclass(frozen=True, slots=True)
class AlsoFlag:
    """Marks a second name of a field's flag: `AlsoFlag("--config-file")`."""

    flag: str


@dataclass(frozen=True, slots=True)
class AlsoVariable:
    """Marks a variable that others have named: `AlsoVariable("REDIS_HOST")`. Ours wins over it."""

    variable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One field, as the command line, the file and the environment see it."""

    name: str
    key: str
    flags: tuple[str, ...]
    variables: tuple[str, ...]
    """Those that others have named."""
    positional: bool
    help: str
    shape: Shape
    default: Any

    @property
    def required(self) -> bool:
        return self.default is MISSING


def settings_of(config: type[Any]) -> list[Setting]:
    """The settings of a configuration class, in the order of its fields."""
    hints = get_type_hints(config, include_extras=True)
    return [_setting(field.name, hints[field.name], _default(field)) for field in fields(config)]


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _setting(name: str, hint: Any, default: Any) -> Setting:
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    also = tuple(mark.flag for mark in marks if isinstance(mark, AlsoFlag))
    return Setting(
        name=name,
        key=next((mark.key for mark in marks if isinstance(mark, InFile)), name),
        flags=("--" + name.replace("_", "-"), *also),
        variables=tuple(mark.variable for mark in marks if isinstance(mark, AlsoVariable)),
        positional=any(isinstance(mark, Positional) for mark in marks),
        help=next((mark for mark in marks if isinstance(mark, str)), ""),
        shape=shape_of(hint),
        default=default,
    )


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint to append to "unknown ...", or nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def read_config(prog: str, about: str, config: type[C], argv: list[str], environ: Mapping[str, str]) -> C:
    """The configuration of a component; raises UsageError with every mistake, one line each."""
    settings = settings_of(config)
    mistakes: list[str] = []
    given = _from_flags(prog, about, settings, argv, mistakes)
    variables = _from_environment(prog.rsplit(maxsplit=1)[-1], settings, environ)
    path = given.get("config") or variables.get("config")
    keys = _from_file(Path(str(path[1])).expanduser(), settings, mistakes) if path else {}
    values: dict[str, Any] = {}
    for setting in settings:
        source = next(
            (layer[setting.name] for layer in (given, variables, keys) if setting.name in layer), None
        )
        if source is not None:
            _read_value(setting, *source, values, mistakes)
        elif setting.required:
            mistakes.append(f"{_shown(setting)} is required: {setting.help}")
    if mistakes:
        raise UsageError(mistakes)
    return config(**values)


def _shown(setting: Setting) -> str:
    return setting.name.upper() if setting.positional else setting.flags[0]


def _read_value(setting: Setting, where: str, raw: Any, values: dict[str, Any], mistakes: list[str]) -> None:
    try:
        values[setting.name] = setting.shape.read(raw)
    except Unfit as error:
        mistakes.append(f"{where}: {raw!r} must be {error}")


class _Parser(argparse.ArgumentParser):
    """argparse that hands its complaint to us instead of printing a page and leaving."""

    def error(self, message: str) -> NoReturn:
        raise UsageError([message])


def _parser(prog: str, about: str, settings: list[Setting]) -> _Parser:
    parser = _Parser(prog=prog, description=about, allow_abbrev=False)
    for setting in settings:
        default = "" if setting.default in (MISSING, None, (), "", {}) else f" (default {setting.default})"
        options: dict[str, Any] = {
            "help": (setting.help + default).replace("%", "%%"),
            "default": argparse.SUPPRESS,
        }
        if setting.shape.switch:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["metavar"] = setting.name.upper() if setting.positional else setting.shape.metavar
        if setting.shape.listed:
            options["action"] = "append"
        if setting.positional:
            options["nargs"] = "?"
        parser.add_argument(*([setting.name] if setting.positional else setting.flags), **options)
    return parser


def _from_flags(
    prog: str, about: str, settings: list[Setting], argv: list[str], mistakes: list[str]
) -> dict[str, tuple[str, Any]]:
    parser = _parser(prog, about, settings)
    found, unknown = parser.parse_known_args(argv)
    flags = [flag for setting in settings for flag in setting.flags]
    for word in unknown:
        if word.startswith("--"):
            name = word.partition("=")[0]
            mistakes.append(f"unknown option {name}{did_you_mean(name, flags)}")
    if unknown and not mistakes:
        mistakes.append(f"unexpected argument {unknown[0]!r}")
    shown = {setting.name: _shown(setting) for setting in settings}
    shapes = {setting.name: setting.shape for setting in settings}
    return {name: (shown[name], _joined(shapes[name], raw)) for name, raw in vars(found).items()}


def _joined(shape: Shape, raw: Any) -> Any:
    """A repeated flag whose values may each be a comma separated list."""
    return ",".join(raw) if shape.listed and shape.metavar != "KEY=VALUE" else raw


def _from_environment(
    program: str, settings: list[Setting], environ: Mapping[str, str]
) -> dict[str, tuple[str, Any]]:
    names = {variable: setting.name for setting in settings for variable in setting.variables}
    names |= {
        f"MUSTER_{program}_{setting.name}".upper().replace("-", "_"): setting.name for setting in settings
    }
    found = {name: (variable, environ[variable]) for variable, name in names.items() if environ.get(variable)}
    # Kubernetes gives every pod MUSTER_REGISTRY_PORT=tcp://... for a service called muster-registry.
    return {name: given for name, given in found.items() if not given[1].startswith("tcp://")}


def _from_file(path: Path, settings: list[Setting], mistakes: list[str]) -> dict[str, tuple[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        mistakes.append(f"--config {path}: cannot be read: {error.strerror}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"--config {path}: not valid TOML: {error}")
        return {}
    by_key = {setting.key: setting.name for setting in settings if setting.name != "config"}
    found: dict[str, tuple[str, Any]] = {}
    for key, value in _leaves(document, by_key):
        if key in by_key:
            found[by_key[key]] = (f"{path}: {key}", value)
        else:
            mistakes.append(f"{path}: unknown key {key}{did_you_mean(key, list(by_key))}")
    return found


def _leaves(
    table: Mapping[str, Any], known: Mapping[str, str], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Keys with their tables' names before them; a key that is known keeps its table whole."""
    for name, value in table.items():
        key = prefix + name
        if isinstance(value, dict) and key not in known:
            yield from _leaves(value, known, key + ".")
        else:
            yield key, value
