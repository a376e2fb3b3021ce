"""Server-sent events from bytes, as a registry's watch sends them. No I/O."""

from typing import NamedTuple

LARGEST_EVENT = 64 * 1024 * 1024


class Event(NamedTuple):
    """One event."""

    name: str
    id: str
    data: bytes


class EventReader:
    """Reads events however their bytes arrive; raises ValueError for one that does not end."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Event]:
        *blocks, self._rest = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n\n")
        if len(self._rest) > LARGEST_EVENT:
            msg = f"an event of more than {LARGEST_EVENT} bytes"
            raise ValueError(msg)
        return [_read(block) for block in blocks if block]


def _read(block: bytes) -> Event:
    name, ident, data = "message", "", []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode()
        elif field == b"id":
            ident = value.decode()
        elif field == b"data":
            data.append(value)
    return Event(name, ident, b"\n".join(data))
