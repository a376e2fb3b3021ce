"""Bearer tokens from a file: one a line, so that a new one can be added before the old one is removed."""

import hmac
from pathlib import Path

from system.errors import StartupError


def read_tokens(path: Path | None, option: str = "--token-file") -> tuple[str, ...]:
    """The tokens of the file that an option names; none without a file. The first is the one to send."""
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        msg = f"{option} {path}: cannot be read: {error.strerror}"
        raise StartupError(msg) from None
    tokens = tuple(line.strip() for line in lines if line.strip())
    if not tokens:
        msg = f"{option} {path}: holds no token; write one on a line of its own"
        raise StartupError(msg)
    return tokens


def is_allowed(tokens: tuple[str, ...], authorization: bytes | None) -> bool:
    """Whether an Authorization header shows one of the tokens; compared in constant time."""
    scheme, _, shown = (authorization or b"").partition(b" ")
    known = [hmac.compare_digest(shown.strip(), token.encode()) for token in tokens]
    return scheme.lower() == b"bearer" and any(known)
