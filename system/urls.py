"""URLs as they may be shown: without what is secret in them."""

import re

_SECRET = re.compile(r"://\S*@")


def without_secrets(url: str) -> str:
    """The URL with `***` for user and password, also where it is so mistaken that nobody can parse it."""
    return _SECRET.sub("://***@", url)
