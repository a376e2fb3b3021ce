"""Who may write and who may read: bearer tokens, compared in constant time."""

from dataclasses import dataclass

from system.asgi import Scope, header
from system.registry.http import Refused
from system.tokens import is_allowed

READS = frozenset({"GET", "HEAD"})
OPEN = frozenset({"/health", "/ready", "/ui"})
"""Probes carry no token; the page holds nothing and asks for one."""


@dataclass(frozen=True, slots=True)
class Access:
    """Writers may read. Where only writers have a token, it is asked of readers too."""

    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()

    def check(self, scope: Scope) -> None:
        """Refused unless the request shows a token that allows it; probes carry none."""
        if not self.writers or scope["path"] in OPEN:
            return
        allowed = self.writers + self.readers if scope["method"] in READS else self.writers
        shown = header(scope, b"authorization")
        if is_allowed(allowed, shown):
            return
        if is_allowed(self.readers, shown):
            raise Refused(403, "this bearer token may only read")
        raise Refused(401, "a valid bearer token is required", www_authenticate="Bearer")
