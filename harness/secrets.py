"""Secrets: which values are secret, and how they are kept out of everything a run leaves behind.

A secret comes from an environment variable whose name says so (`{env.API_KEY}`) or from a token file. It is
masked wherever the harness writes, also in its usual disguises (URL- and JSON-escaped, base64). What services
write themselves is masked once they have stopped; a last scan of the run directory then proves it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTH", re.IGNORECASE)
SHORTEST = 6
"""Shorter values are words of everyday text; masking them would hide more than it protects."""
LARGEST = 64 << 20
"""Bytes of a file that are read at once; larger files are masked in pieces that overlap."""


class Recording(Mapping[str, str]):
    """An environment that remembers which variables were asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self._asked.add(name)
        return self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)

    def secrets(self) -> dict[str, str]:
        """Name -> value of what was asked for and is secret by its name."""
        names = sorted(name for name in self._asked if SECRET_NAME.search(name))
        return {name: self._environ[name] for name in names if len(self._environ.get(name, "")) >= SHORTEST}


class Mask:
    """Replaces secrets by `***NAME***`; with no secrets it changes nothing."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        found = {form: f"***{name}***" for name, value in secrets.items() for form in disguises(value)}
        self._forms = dict(sorted(found.items(), key=lambda item: -len(item[0])))

    def text(self, text: str) -> str:
        """The text without secrets."""
        for form, mask in self._forms.items():
            if form in text:
                text = text.replace(form, mask)
        return text

    def scrub(self, folder: Path) -> list[Path]:
        """Mask what is in a folder's files; returns those that still hold a secret."""
        forms = {form.encode(): mask.encode() for form, mask in self._forms.items()}
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        return [path for path in files if forms and not _scrubbed(path, forms)]


def disguises(value: str) -> set[str]:
    """The forms in which a value turns up: plain, URL- and JSON-escaped, in base64 at each alignment."""
    raw = value.encode()
    encoded = {base64.b64encode(raw).decode().rstrip("=")}
    for pad in (1, 2):
        shifted = base64.b64encode(b"\0" * pad + raw).decode().rstrip("=")
        encoded.add(shifted[pad + 1 : len(shifted) - 1])
    forms = {value, quote(value, safe=""), json.dumps(value)[1:-1]} | encoded
    return {form for form in forms if len(form) >= SHORTEST}


def _scrubbed(path: Path, forms: Mapping[bytes, bytes]) -> bool:
    """Whether a file holds no secret, after masking it in place; what cannot be read tells nobody."""
    try:
        if path.stat().st_size > LARGEST:
            return _is_clean(path, forms)
        content = masked = path.read_bytes()
    except OSError:
        return True
    for form, mask in forms.items():
        masked = masked.replace(form, mask)
    if masked == content:
        return True
    try:
        path.write_bytes(masked)
    except OSError:
        return False
    return True


def _is_clean(path: Path, forms: Mapping[bytes, bytes]) -> bool:
    """Whether a large file is free of secrets; it is only looked at, piece by piece."""
    overlap = max(map(len, forms))
    tail = b""
    with path.open("rb") as file:
        while piece := file.read(LARGEST):
            window = tail + piece
            if any(form in window for form in forms):
                return False
            tail = window[-overlap:]
    return True
