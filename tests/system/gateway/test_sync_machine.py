"""What only a machine's folder does to processes that share: it is left behind, taken, cut off in mid-word."""

import asyncio
import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from system.gateway.breakers import BreakerSettings, Refused, SyncSettings, opened
from tests.system.gateway.together import P, all_are, fail, together, until


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: it becomes a socket's address."""
    made = Path(tempfile.mkdtemp(prefix="gw"))
    yield made
    shutil.rmtree(made)


def play(scenario: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(limited())


def test_groups_do_not_hear_each_other(folder: Path) -> None:
    """Gateways that know nothing of each other may have providers of the same name."""

    async def scenario() -> None:
        mine, yours = SyncSettings(group="a", folder=folder), SyncSettings(group="b", folder=folder)
        async with together(2, mine) as (one, other), together(2, yours) as (third, fourth):
            await fail(one, 5)
            await all_are("OPEN", one, other)
            await fail(third)
            await until(lambda: fourth.view(P).failure_count == 1)
            assert third.view(P).state.name == fourth.view(P).state.name == "CLOSED"

    play(scenario())


def test_nothing_is_left_behind(folder: Path) -> None:
    """Neither by who leaves, nor, when the next one comes, by who was killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(str(folder / "0123.1.2"))
    for name in ("0123.circuits", "0123.1.2"):
        (folder / name).touch()
        os.utime(folder / name, (1, 1))

    async def scenario() -> None:
        async with together(2, SyncSettings(group="a", folder=folder)) as (one, _):
            await fail(one, 5)
            assert {path.name.partition(".")[0] for path in folder.iterdir()} != set()
            assert not list(folder.glob("0123*"))

    play(scenario())
    assert list(folder.iterdir()) == []


def test_who_comes_when_all_others_have_gone_begins_afresh(folder: Path) -> None:
    """What the killed had known is not known to be so any more."""
    sync = SyncSettings(group="a", folder=folder)

    async def scenario() -> None:
        async with together(2, sync) as (one, other):
            await fail(one, 5)
            await all_are("OPEN", one, other)
            left = next(folder.glob("*.circuits")).read_text()
        file = folder / f"{(await _group(sync))}.circuits"
        file.write_text(left)
        async with opened(BreakerSettings(providers=(P,), sync=sync)) as fresh:
            assert fresh.view(P).state.name == "CLOSED"

    play(scenario())


async def _group(sync: SyncSettings) -> str:
    assert sync.folder is not None
    async with opened(BreakerSettings(providers=(P,), sync=sync)):
        return next(path.name for path in sync.folder.iterdir()).partition(".")[0]


def test_a_word_that_was_cut_off_is_written_again(folder: Path) -> None:
    """Its writer was killed: whoever knows better brings it."""

    async def scenario() -> None:
        async with together(2, SyncSettings(group="a", folder=folder)) as (one, other):
            await fail(one, 5)
            await all_are("OPEN", one, other)
            file = next(folder.glob("*.circuits"))
            file.write_text('{"openai": {"sta')
            await until(lambda: '"state": "OPEN"' in file.read_text())
            assert other.view(P).version == 1

    play(scenario())


def test_who_holds_the_file_too_long_stops_nobody(folder: Path) -> None:
    """Circuits open here at once and elsewhere when it is free again; until then nobody gets a probe."""

    async def scenario() -> None:
        async with together(2, SyncSettings(group="a", folder=folder), recovery=0.1) as (one, other):
            descriptor = os.open(next(folder.glob("*.circuits")), os.O_RDWR)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            await fail(one, 5)
            assert one.view(P).state.name == "OPEN"
            await until(lambda: one.view(P).due_at is None)
            assert isinstance(await one.admit(P), Refused)
            os.close(descriptor)
            await all_are("OPEN", one, other)

    play(scenario())


def test_a_folder_that_others_may_write_to_is_not_trusted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is shared there, and the log says why."""
    folder.chmod(0o777)

    async def scenario() -> None:
        settings = BreakerSettings(providers=(P,), sync=SyncSettings(group="a", folder=folder))
        async with opened(settings) as one, opened(settings) as other:
            await fail(one, 5)
            assert other.view(P).state.name == "CLOSED"
            assert not one.link.sync_enabled

    play(scenario())
    assert "nothing is shared on this machine" in caplog.text
    assert "others may write there" in caplog.text
