"""Ending processes and having them back, each with its proof: what kill, stop and restart share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from signal import SIGKILL, SIGTERM, Signals
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from harness.errors import CheckFailed, MusterError, NotApplicable
from harness.faults.base import NoReceipt, Receipt
from harness.hosts.base import Process, Target, signals, starts

if TYPE_CHECKING:
    from harness.faults.base import Scene

T = TypeVar("T")

Revive = Literal["supervisor", "harness", "nobody"]

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05


class Ended(NamedTuple):
    """A target whose processes were ended, which they were, and how that was seen."""

    target: Target
    hit: Sequence[Process]
    words: str


End = Callable[["Scene", Target], Awaitable[Ended]]


@asynccontextmanager
async def ended(
    scene: Scene, name: str, end: End, revive: Revive | None, within: float
) -> AsyncIterator[Receipt]:
    """All targets of a name ended at once; on leaving they are back, by whoever revives them.

    `revive` left out: the supervisor brings back a child, the harness a service.
    """
    targets = living(scene, name)
    receipt = Receipt()
    try:
        ends = await at_once(end(scene, target) for target in targets)
        receipt.effect = tuple(each.words for each in ends)
        yield receipt
    except Exception:
        if revive != "nobody":
            await _start_what_is_down(scene, targets)
        raise
    receipt.healed = await revived(scene, ends, revive, within)


def living(scene: Scene, name: str) -> Sequence[Target]:
    """The targets of a name that are up; NoReceipt when none is."""
    targets = [t for t in scene.targets(name) if scene.service(t.service).alive]
    if not targets:
        msg = f"{name} is down already: there is nothing to do this to"
        raise NoReceipt(msg)
    return targets


async def at_once(doings: Iterable[Awaitable[T]]) -> list[T]:
    """Do all of it in parallel and to its end; the first error of muster's own is a missing receipt, unless
    it says that the system under test is at fault.
    """
    results = await asyncio.gather(*doings, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    for error in errors:
        if isinstance(error, MusterError) and not isinstance(error, (NoReceipt, NotApplicable, CheckFailed)):
            raise NoReceipt(str(error)) from error
        raise error
    return [result for result in results if not isinstance(result, BaseException)]


async def killed(scene: Scene, target: Target, within: float) -> Ended:
    """SIGKILL all of a target's processes and see them gone."""
    hosts, clock = signals(scene.hosts), scene.clock
    began = clock.monotonic()
    hit = await hosts.signal(target, SIGKILL)
    await _until_gone(scene, target, hit, SIGKILL, within)
    took = clock.monotonic() - began
    how = "" if target.child else f" ({await scene.service(target.service).exited()})"
    return Ended(target, hit, f"{target}: SIGKILL to {pids(hit)}: gone after {took:.3f} s{how}")


async def stopped(scene: Scene, target: Target, within: float) -> Ended:
    """SIGTERM a target and see it end by itself."""
    hosts, clock = signals(scene.hosts), scene.clock
    hit = await hosts.processes(target)
    began = clock.monotonic()
    if target.child:
        hit = await hosts.signal(target, SIGTERM)
        how = "gone"
    else:
        exit_ = await starts(scene.hosts).stop(target.service, within)
        how = str(exit_)
        if exit_.signal == "SIGKILL":
            msg = f"{target} ignored SIGTERM for {within:g} s and had to be killed; a larger `within` may do"
            raise NoReceipt(msg)
    await _until_gone(scene, target, hit, SIGTERM, within)
    took = clock.monotonic() - began
    return Ended(target, hit, f"{target}: SIGTERM to {pids(hit)}: ended after {took:.3f} s ({how})")


async def _until_gone(
    scene: Scene, target: Target, hit: Sequence[Process], signal: Signals, within: float
) -> None:
    if not hit:
        msg = f"{target} has no live process that {signal.name} could reach"
        raise NoReceipt(msg)
    before = {(process.pid, process.born) for process in hit}

    async def gone() -> bool:
        return before.isdisjoint(identities(await signals(scene.hosts).processes(target)))

    if not await holds(scene, gone, within):
        left = [p for p in await signals(scene.hosts).processes(target) if (p.pid, p.born) in before]
        msg = f"{target} still lives {within:g} s after {signal.name}: {pids(left)}"
        raise NoReceipt(msg)


async def revived(scene: Scene, ends: Sequence[Ended], by: Revive | None, within: float) -> tuple[str, ...]:
    """Have all of them back and ready, in the order their specs ask for; how that was seen, line by line."""
    back = {each.target.service: asyncio.Event() for each in ends}

    async def one(each: Ended) -> str:
        who = by or ("supervisor" if each.target.child else "harness")
        try:
            for other in scene.spec(each.target.service).after:
                if other in back:
                    await back[other].wait()
            async with asyncio.timeout(within):
                return await _REVIVALS[who](scene, each)
        except TimeoutError:
            raise _missed(each.target, who, within) from None
        finally:
            back[each.target.service].set()

    return tuple(await at_once(one(each) for each in ends))


def _missed(target: Target, by: Revive, within: float) -> MusterError:
    """A supervisor that brings nothing back is the system's own failure; of others nothing is known."""
    if by == "supervisor":
        return CheckFailed(f"{target.service} did not bring its child back within {within:g} s")
    return NoReceipt(f"{target} was not back within {within:g} s")


async def _by_harness(scene: Scene, each: Ended) -> str:
    target, began = each.target, scene.clock.monotonic()
    if target.child:
        await starts(scene.hosts).stop(target.service)
    if not scene.service(target.service).alive:
        await starts(scene.hosts).start(target.service)
    by = await scene.until_ready(target)
    new = await _new(scene, each)
    if not new:
        msg = f"{target} was started again, yet no new process of it can be seen"
        raise NoReceipt(msg)
    took = scene.clock.monotonic() - began
    return f"{target}: started again as {pids(new)}, ready after {took:.3f} s ({by})"


async def _by_supervisor(scene: Scene, each: Ended) -> str:
    began, new = scene.clock.monotonic(), await _new(scene, each)
    pause = _FIRST_PAUSE
    while not new:
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        new = await _new(scene, each)
    by = await scene.until_ready(each.target)
    took = scene.clock.monotonic() - began
    return f"{each.target}: started again by its supervisor as {pids(new)}, ready after {took:.3f} s ({by})"


async def _by_nobody(scene: Scene, each: Ended) -> str:
    new = await _new(scene, each)
    return f"{each.target}: {'runs again as ' + pids(new) if new else 'left down, as asked'}"


_REVIVALS: Mapping[str, Callable[[Scene, Ended], Awaitable[str]]] = {
    "harness": _by_harness,
    "supervisor": _by_supervisor,
    "nobody": _by_nobody,
}


async def _new(scene: Scene, each: Ended) -> Sequence[Process]:
    before = identities(each.hit)
    return [p for p in await signals(scene.hosts).processes(each.target) if (p.pid, p.born) not in before]


async def _start_what_is_down(scene: Scene, targets: Sequence[Target]) -> None:
    for target in targets:
        if not scene.service(target.service).alive:
            with suppress(MusterError):
                await starts(scene.hosts).start(target.service)


async def holds(scene: Scene, condition: Callable[[], Awaitable[bool]], within: float) -> bool:
    """Whether a condition comes to hold in time."""
    until = scene.clock.monotonic() + within
    pause = _FIRST_PAUSE
    while not await condition():
        if scene.clock.monotonic() >= until:
            return False
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    return True


def identities(processes: Iterable[Process]) -> set[tuple[int, int]]:
    """Pid and birth of each."""
    return {(process.pid, process.born) for process in processes}


def pids(processes: Sequence[Process]) -> str:
    """`pid 7 (python -m x)`, folders of programs left out, and how many more."""
    if not processes:
        return "no process"
    first = processes[0]
    words = [word.rpartition("/")[2] if word.startswith("/") else word for word in first.command.split()]
    command = " ".join(words)
    command = command if len(command) <= 60 else command[:59] + "…"
    more = f" and {len(processes) - 1} more" if len(processes) > 1 else ""
    return f"pid {first.pid} ({command}){more}"
