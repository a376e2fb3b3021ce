"""A large request body on its way through: on disk, not in memory, so that it can be sent again."""

import tempfile
from typing import IO

from system.router.scan import Scanner

PIECE = 131_072  # bytes read back at a time


class Spool:
    """Bytes in a file without a name; its end is the end of the file."""

    def __init__(self) -> None:
        self.size = 0
        self.scanner = Scanner(("model", "prompt_cache_key"))
        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - lives as long as the request

    def __len__(self) -> int:
        return self.size

    def add(self, data: bytes) -> None:
        """Raises scan.NotAnObject, or OSError where there is no room."""
        self.scanner.feed(data)
        self._file.write(data)
        self.size += len(data)

    def piece(self, start: int) -> bytes:
        """The next bytes from there; none at the end."""
        self._file.seek(start)
        return self._file.read(PIECE)

    def close(self) -> None:
        self._file.close()
