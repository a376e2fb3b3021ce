"""Files the router is told of: static services, callers. Read once, at start; every mistake is named."""

import tomllib
from pathlib import Path

import orjson

from system.errors import StartupError
from system.router.callers import Caller, Callers, read_callers
from system.router.entries import Entry, EntryError, read_static


def load_static(path: Path) -> list[Entry]:
    """The services of a file; raises StartupError with everything that is wrong with it."""
    try:
        entries, complaints = read_static(orjson.loads(path.read_bytes()))
    except OSError as error:
        msg = f"--static-services {path}: cannot be read: {error.strerror}"
        raise StartupError(msg) from None
    except (orjson.JSONDecodeError, EntryError) as error:
        msg = f"--static-services {path}: {error}"
        raise StartupError(msg) from None
    if complaints:
        raise StartupError("\n".join(f"--static-services {path}: {complaint}" for complaint in complaints))
    return entries


def load_callers(path: Path | None, tokens: tuple[str, ...], processes: int = 1) -> Callers | None:
    """The callers of a file, beside those who show one of the tokens; None where anybody may call.

    Each of several processes allows its share of a rate.
    """
    if path is None and not tokens:
        return None
    callers = _callers_of(path, processes) if path else Callers()
    everything = Caller("token-file")
    for token in tokens:
        callers.add(everything, token)
    return callers


def _callers_of(path: Path, processes: int) -> Callers:
    try:
        return read_callers(tomllib.loads(path.read_text(encoding="utf-8")), processes)
    except OSError as error:
        msg = f"--callers {path}: cannot be read: {error.strerror}"
        raise StartupError(msg) from None
    except ValueError as error:
        msg = "\n".join(f"--callers {path}: {line}" for line in str(error).splitlines())
        raise StartupError(msg) from None
