"""`GET /watch`: the whole table, then every change in order. Whoever is too slow is cut off, not waited for.

Each watcher has a place in the shared journal and no queue of its own, so what it costs does not depend on
how far it is behind. When the journal has moved past that place, or a write takes too long, the stream ends;
the watcher comes back with `Last-Event-ID` and is told the changes since, or that a new snapshot follows.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import orjson

from system.asgi import Receive, Scope, Send
from system.registry.context import Context
from system.registry.http import Refused, Request, Routes, Streamed
from system.registry.journal import framed
from system.registry.peers import ABORT
from system.registry.streams import MEDIA
from system.registry.views import as_service

BOOKMARK_EVERY = 5.0
SLOWEST_WRITE = 10.0
CHANGES_AT_ONCE = 64
PIECE = 64 * 1024

HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class Watch:
    """The handler, and the latest snapshot for all who ask before the next change."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._live = context.live
        self._journal = context.journal
        self._snapshot: tuple[str, bytes] = ("", b"")

    def add_to(self, routes: Routes) -> None:
        routes.add("GET", "/watch", self.watch, headers={"last-event-id": ()}, query=("since",), media=MEDIA)

    async def watch(self, request: Request) -> Streamed:
        """A snapshot, then every change in order; resumes after `Last-Event-ID`. Server-sent events."""
        if request.scope["method"] == "HEAD":
            raise Refused(405, "a watch has no end, so it has no head either", allow="GET")
        shown = request.header(b"last-event-id") or request.query().get("since")

        async def follow(receive: Receive, send: Send) -> None:
            await self._follow(Watcher(request.scope, receive, send, self._context), shown)

        return follow

    async def _follow(self, watcher: "Watcher", shown: str | None) -> None:
        self._live.now()
        revision = self._journal.revision_of(shown) if shown else None
        with contextlib.suppress(TooSlow):
            async with watcher.present():
                if revision is None:
                    revision = self._journal.revision
                    await watcher.write(self._introduction(shown))
                await watcher.follow(revision)

    def _introduction(self, shown: str | None) -> bytes:
        if self._snapshot[0] != self._journal.position():
            self._snapshot = (self._journal.position(), self._take_snapshot())
        if shown is None:
            return self._snapshot[1]
        why = {"reason": f"what followed {shown[:64]} is not known any more; a snapshot follows"}
        return framed("reset", orjson.dumps(why), self._journal.position()) + self._snapshot[1]

    def _take_snapshot(self) -> bytes:
        now, wall = self._live.now(), time.time()
        table = self._live.table
        views = [
            as_service(entry, table.leases.held(entry.id), now, wall) for entry in table.entries.values()
        ]
        document = {"revision": self._journal.revision, "services": views}
        return framed(
            "snapshot", orjson.dumps(document, option=orjson.OPT_SORT_KEYS), self._journal.position()
        )


class TooSlow(Exception):
    """The watcher does not read as fast as it is written to."""


class Watcher:
    """One open watch."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, context: Context) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._context = context
        self._journal = context.journal
        self._wake = asyncio.Event()
        self._gone = False

    @contextlib.asynccontextmanager
    async def present(self) -> AsyncIterator[None]:
        """Woken by changes, and by its own end."""
        await self._send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        leaving = asyncio.create_task(self._leave())
        self._context.watchers.add(self._wake)
        try:
            yield
        finally:
            self._context.watchers.discard(self._wake)
            leaving.cancel()

    async def follow(self, revision: int) -> None:
        """Every change after a revision, for as long as the watcher is there."""
        while not self._gone:
            changes = self._journal.after(revision, CHANGES_AT_ONCE)
            if changes is None or self._context.draining:
                await self._end("draining" if self._context.draining else "too slow: the changes are gone")
                return
            if changes:
                revision += len(changes)
                await self.write(b"".join(changes))
            elif not await self._woken():
                await self.write(framed("bookmark", b'{"revision":%d}' % revision, self._journal.position()))

    async def write(self, data: bytes) -> None:
        """Hand over in pieces: what waits in memory is one piece, not the table."""
        try:
            for piece in _pieces(data):
                async with asyncio.timeout(SLOWEST_WRITE):
                    await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            self._context.cut_off += 1
            self._scope["state"][ABORT]()
            while not self._gone:
                await self._woken()
            raise TooSlow from None

    async def _woken(self) -> bool:
        """Whether something happened before a bookmark was due."""
        try:
            async with asyncio.timeout(BOOKMARK_EVERY):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _leave(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._wake.set()

    async def _end(self, reason: str) -> None:
        self._context.cut_off += not self._context.draining
        await self.write(framed("end", orjson.dumps({"reason": reason}), self._journal.position()))
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))
