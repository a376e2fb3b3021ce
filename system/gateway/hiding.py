"""Keys and passwords are known here, so that whatever is written or answered can be kept free of them."""

_SHORTEST = 6  # characters: hiding anything shorter would tear holes into ordinary words
_known: set[str] = set()

HIDDEN = "***"


def remember(*secrets: str | None) -> None:
    """From now on these are hidden from every log line and answer."""
    _known.update(secret for secret in secrets if secret and len(secret) >= _SHORTEST)


def hide(text: str, *more: str) -> str:
    """The text with every secret in it replaced."""
    for secret in sorted({*_known, *(one for one in more if len(one) >= _SHORTEST)}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def hide_bytes(data: bytes) -> bytes:
    """The same for what is passed on as it came."""
    for secret in _known:
        data = data.replace(secret.encode(), HIDDEN.encode())
    return data
