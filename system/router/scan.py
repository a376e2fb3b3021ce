"""Finds members of a JSON object without holding it: for bodies too large to be parsed as a whole. No I/O.

Reads pieces of any size. The last member of a name counts, as it does for parsers. What lies deeper is only
checked for balance: whether it is valid JSON is for the backend to say.
"""

import re
from collections.abc import Collection

import orjson

LONGEST = 65_536  # bytes of a name or value that is looked at

_IN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_SIGN = re.compile(rb'["{}\[\],:]')
_BLANK = b" \t\r\n"


class NotAnObject(ValueError):
    """The bytes are no JSON object; the text says where that shows."""


class Scanner:
    """Collects the strings that are values of certain members of the outermost object."""

    def __init__(self, names: Collection[str]) -> None:
        self.found: dict[str, str | None] = {}
        """By name: the text of its last value, or None where that is no string."""
        self._names = frozenset(names)
        self._depth = 0
        self._began = self._over = False
        self._text: bytearray | None = None  # the string that is being read
        self._skip = False  # the next byte is escaped
        self._name: str | None = None  # the wanted member whose value comes next
        self._last = bytearray()  # the string before, perhaps a name

    def feed(self, data: bytes) -> None:
        """Read on; raises NotAnObject."""
        at = 0 if self._began else self._begin(data)
        if self._skip and at < len(data):
            self._take(data[:1])
            self._skip, at = False, 1
        while at < len(data):
            if self._text is not None:
                at = self._string(data, at)
                continue
            sign = _SIGN.search(data, at)
            if sign is None:
                return
            at = sign.end()
            self._sign(sign[0])

    def end(self) -> None:
        """There is no more; raises NotAnObject unless the object is whole."""
        if not self._began or self._depth or self._text is not None:
            msg = "it ends before it is complete"
            raise NotAnObject(msg)

    def _begin(self, data: bytes) -> int:
        stripped = data.lstrip(_BLANK)
        if stripped and not stripped.startswith(b"{"):
            msg = "it does not begin with {"
            raise NotAnObject(msg)
        self._began = bool(stripped)
        return len(data) - len(stripped)

    def _string(self, data: bytes, at: int) -> int:
        match = _IN_STRING.match(data, at)
        assert match is not None
        self._take(match[0])
        end = match.end()
        if end == len(data):
            return end
        if data[end : end + 1] == b"\\":  # the very last byte
            self._take(b"\\")
            self._skip = True
            return end + 1
        self._ended()
        return end + 1

    def _take(self, data: bytes) -> None:
        if self._text is not None and self._depth == 1 and len(self._text) <= LONGEST:
            self._text += data

    def _ended(self) -> None:
        text, self._text = self._text, None
        if self._depth != 1 or text is None:
            return
        if self._name is not None:
            self.found[self._name] = self._read(text)
            self._name = None
        else:
            self._last = text

    def _sign(self, sign: bytes) -> None:
        if self._over:
            msg = "something follows the object"
            raise NotAnObject(msg)
        if sign == b'"':
            self._text = bytearray()
        elif sign == b":" and self._depth == 1:
            name = self._read(self._last)
            self._name = name if name in self._names else None
            if self._name is not None:
                self.found[self._name] = None
        elif sign == b"," and self._depth == 1:
            self._name = None
        elif sign in b"{[":
            self._depth += 1
            self._last = bytearray()
        elif sign in b"}]":
            self._depth -= 1
            if self._depth < 0:
                msg = "it closes what it did not open"
                raise NotAnObject(msg)
            self._over = self._depth == 0
            self._name = None if self._depth == 1 else self._name

    @staticmethod
    def _read(text: bytearray) -> str | None:
        if len(text) > LONGEST:
            return None
        try:
            value = orjson.loads(b'"' + text + b'"')
        except orjson.JSONDecodeError:
            return None
        return value if isinstance(value, str) else None
