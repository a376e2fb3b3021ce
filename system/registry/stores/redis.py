"""A table shared through Redis 7: `redis://`, `rediss://`, with a password in the URL, and clusters.

Requests never wait for it. What happens here is written as soon as Redis takes it; what happens elsewhere is
read as it comes. While Redis is away the registry serves what it knows, and brings itself in line afterwards.
"""

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from system.errors import StartupError
from system.registry.context import Context
from system.registry.shared import Shared, Word
from system.registry.stores.scripts import FIELDS, KEYS, LOAD, WRITE
from system.urls import without_secrets

log = logging.getLogger("registry")

SPACE = "{muster-registry}"
ALIVE = 3.0  # seconds after which a process that says nothing has ended, as far as the others are concerned
PULSE = 1.0
SETTLED = 5.0  # seconds after which everybody else has found Redis again, too
PATIENCE = 2.0  # seconds for an answer
SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
AT_ONCE = 500


@asynccontextmanager
async def through_redis(url: str, context: Context) -> AsyncIterator[None]:
    """Share the registry's table for as long as the context lasts; what is left to say is said at the end."""
    store = RedisStore(url, context)
    running = asyncio.create_task(store.run())
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await store.leave()


class Overtaken(Exception):
    """Others take this process for dead, or it has missed words: it must load everything again."""


class RedisStore:
    """The words between this process and Redis."""

    def __init__(self, url: str, context: Context) -> None:
        self._context = context
        self._client: Any = _client(url)
        self._wake = asyncio.Event()
        self._keys = [f"{SPACE}:{name}" for name in KEYS]
        self._shared = Shared(context.live.table, secrets.token_hex(6), self._wake.set)
        self._me = f"{SPACE}:member:{self._shared.member}"
        self._loaded = False
        self._epoch = b""
        self._count = 0
        self._since = 0.0
        context.share(self._shared)

    async def run(self) -> None:
        """Connect, load, and pass words on; over and over, whatever ends it."""
        pause = SHORTEST_PAUSE
        while True:
            # A task for each time: one in which a group of tasks has failed takes, under Python 3.11.2, every
            # later timeout in it for its own end.
            sharing = asyncio.create_task(self._share())
            try:
                await asyncio.wait([sharing])
            finally:
                sharing.cancel()
                await asyncio.wait([sharing])
            if sharing.cancelled():
                self._lost(TimeoutError("no answer"))
            elif (mistake := sharing.exception()) is not None:
                log.error("sharing the table failed, and is tried again", exc_info=mistake)
                self._lost(mistake)
            pause = SHORTEST_PAUSE if self._loaded else min(2 * pause, LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))

    async def _share(self) -> None:
        """Until Redis is lost; raises only what nobody thought of."""
        from redis.exceptions import RedisError

        self._loaded = False
        try:
            latest = await self._load()
            self._loaded = True
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(latest))
                group.create_task(self._write())
                group.create_task(self._pulse())
        except* (RedisError, OSError, TimeoutError, Overtaken) as errors:
            self._lost(errors.exceptions[0])

    async def leave(self) -> None:
        """The last words, and that there will be no more."""
        from redis.exceptions import RedisError

        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                if self._context.store_connected:
                    await self._send(self._shared.take())
                    await self._client.delete(self._me)
                await self._client.aclose()

    def _lost(self, error: BaseException) -> None:
        if self._context.store_connected is not False:
            log.warning("Redis is not there: serving what is known, and looking for it (%s)", error)
        self._context.store_connected = False

    async def _load(self) -> str:
        """Take over what Redis has; returns where the words go on."""
        mark = secrets.token_hex(6)
        await self._client.set(self._me, "1", px=int(1000 * ALIVE))
        found = await self._eval(LOAD, mark.encode())
        epoch, latest, count, *tables = found
        entries, leases, keepers = (dict(zip(table[::2], table[1::2], strict=True)) for table in tables)
        words = [_put(name, leases[name], keepers.get(name, b""), entries[name]) for name in entries]
        emptied = bool(self._epoch) and epoch != self._epoch
        self._epoch, self._count = epoch, int(count)
        for done, _ in enumerate(self._shared.load(words, self._context.live.now(), emptied=emptied)):
            if done % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        self._context.live.armed()
        log.info("Redis is there: %d entries are shared", len(entries))
        self._context.store_connected = True
        self._since = self._context.live.clock()
        self._wake.set()  # for what could not be sent before
        return str(latest.decode())

    async def _read(self, latest: str) -> None:
        words = self._keys[3]
        while True:
            found = await self._client.xread({words: latest}, count=AT_ONCE, block=int(1000 * PULSE))
            for _, rows in found or ():
                for position, fields in rows:
                    latest = position.decode()
                    self._hear(fields)
            self._context.live.armed()

    def _hear(self, fields: dict[bytes, bytes]) -> None:
        self._count += 1
        if int(fields[b"n"]) != self._count:
            msg = "words were missed"
            raise Overtaken(msg)
        word = Word(
            kind=fields[b"kind"].decode(),  # type: ignore[arg-type]
            id=fields[b"id"].decode(),
            lease_id=fields[b"lease"].decode(),
            keeper=fields[b"keeper"].decode(),
            record=fields[b"record"],
            reason=fields[b"reason"].decode(),  # type: ignore[arg-type]
        )
        self._shared.listen(word, fields[b"sender"].decode(), self._context.live.now())

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            words = self._shared.take()
            for start in range(0, len(words), AT_ONCE):
                try:
                    await self._send(words[start : start + AT_ONCE])
                except BaseException:
                    self._shared.give_back(words[start:])
                    raise

    async def _send(self, words: list[Word]) -> None:
        if not words:
            return
        parts = [part for word in words for part in _parts(word)]
        answers = await self._eval(WRITE, self._shared.member.encode(), *parts)
        for word, answer in zip(words, answers, strict=True):
            if answer != 1:
                owner, keeper, record = answer
                known = _put(word.id.encode(), owner, keeper, record) if owner else None
                self._shared.correct(word, known, self._context.live.now())
        self._context.live.armed()

    async def _pulse(self) -> None:
        """Say that this process lives, and see who does not any more."""
        while True:
            await asyncio.sleep(PULSE)
            if await self._client.set(self._me, "1", px=int(1000 * ALIVE), get=True) is None:
                msg = "others took this process for dead"
                raise Overtaken(msg)
            if self._context.live.clock() - self._since < SETTLED:
                continue
            others = set(self._shared.keepers.values()) - {self._shared.member}
            gone = {other for other in others if not await self._client.exists(f"{SPACE}:member:{other}")}
            self._shared.gone(gone, self._context.live.now())
            self._context.live.armed()

    async def _eval(self, script: str, *arguments: bytes) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self._client.eval(script, len(self._keys), *self._keys, *arguments)


def _client(url: str) -> Any:
    try:
        from redis.asyncio import Redis, RedisCluster
    except ImportError:
        msg = "--store redis://...: the package `redis` is not installed: pip install 'muster[redis]'"
        raise StartupError(msg) from None
    made: Any = RedisCluster if "+cluster://" in url else Redis
    try:
        return made.from_url(
            url.replace("+cluster://", "://"),
            protocol=2,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
        )
    except ValueError:  # its words may hold a part of the password
        msg = f"--store {without_secrets(url)}: not an URL of Redis, such as redis://:PASSWORD@HOST:6379/0"
        raise StartupError(msg) from None


def _put(name: bytes, lease: bytes, keeper: bytes, record: bytes) -> Word:
    return Word(kind="put", id=name.decode(), lease_id=lease.decode(), keeper=keeper.decode(), record=record)


def _parts(word: Word) -> list[bytes]:
    parts: list[str | bytes] = [word.kind, word.id, word.lease_id, word.keeper, word.record, word.reason]
    assert len(parts) == FIELDS, "as many as the script takes"
    return [part if isinstance(part, bytes) else part.encode() for part in parts]
