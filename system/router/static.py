"""Backends from a static services file, for deployments without a registry or beside one."""

from pathlib import Path

import orjson

from system.errors import StartupError
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
