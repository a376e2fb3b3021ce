"""The console: prompts, `stats`, `reassign`, `quit`, at a terminal with history, or line by line.

It calls the gRPC half as the HTTP half does. End of input is the end of the console, and of its program.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

from rich.console import Console as Screen
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from system.balancer.half import GrpcHalf, Unavailable
from system.proto import load_balancer_pb2 as pb

HISTORY = Path("~/.muster-balancer-history")
PROMPT = "balancer> "
LEAVING = ("quit", "exit", "q")
HELP = "a question for all nodes, or: stats, reassign, help, quit"


class Console:
    """Does what each line says."""

    def __init__(self, half: GrpcHalf, screen: Screen) -> None:
        self._half = half
        self._screen = screen
        self._commands: Mapping[str, Callable[[], Awaitable[None]]] = {
            "stats": self._stats,
            "reassign": self._reassign,
            "help": self._help,
        }

    async def run(self, lines: AsyncIterator[str]) -> None:
        """Until a line says `quit`, or there are no more."""
        async for line in lines:
            said = line.strip()
            if said.lower() in LEAVING:
                return
            if not said:
                continue
            command = self._commands.get(said.lower())
            try:
                await (self._ask(said) if command is None else command())
            except (Unavailable, ValueError) as error:
                self._screen.print(f"❌ {error}", markup=False)

    async def _help(self) -> None:
        self._screen.print(HELP)

    async def _stats(self) -> None:
        fleet = await self._half.fleet()
        table = Table("node", "points", "model", "state", "machine")
        for node in fleet.nodes:
            specs = node.specs
            machine = f"{specs.cpu_cores} cores, {specs.ram_gb} GiB, {specs.gpu_info or 'no graphics card'}"
            state = f"{node.state}: {node.detail}" if node.detail else node.state
            table.add_row(node.client_id, f"{node.score:.1f}", node.model or "none", state, machine)
        self._screen.print(table if fleet.nodes else "no node is connected")

    async def _reassign(self) -> None:
        answer = await self._half.reassign()
        self._screen.print(("🔄 " if answer.success else "❌ ") + answer.message, markup=False)

    async def _ask(self, prompt: str) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn())
        known: dict[str, TaskID] = {}
        with Progress(*columns, console=self._screen, transient=True) as progress:
            async for event in self._half.ask(pb.AskRequest(prompt=prompt)):
                if event.WhichOneof("of") == "result":
                    break
                name, step, done = _step(event)
                if name not in known:
                    known[name] = progress.add_task(name, total=100)
                progress.update(known[name], description=f"{name}: {step}", completed=done)
        self._screen.print(event.result.layout, markup=False, highlight=False)


def _step(event: pb.AskEvent) -> tuple[str, str, float]:
    """A node, what it does, and how far it is."""
    if event.WhichOneof("of") == "progress":
        return event.progress.client_id, event.progress.current_step, event.progress.progress_percentage
    answered = event.answered
    return answered.client_id, answered.reason or answered.outcome, 100


async def typed() -> AsyncIterator[str]:
    """What a person types at this terminal, with history."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.patch_stdout import patch_stdout

    session: PromptSession[str] = PromptSession(history=FileHistory(str(HISTORY.expanduser())))
    with patch_stdout(raw=True):
        while True:
            try:
                yield await session.prompt_async(PROMPT)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return


async def piped() -> AsyncIterator[str]:
    """The lines of standard input, where it is no terminal."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode(errors="replace")


def lines() -> AsyncIterator[str]:
    """What is to be done, from wherever it comes."""
    return typed() if sys.stdin.isatty() else piped()
