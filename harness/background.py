"""A run on a thread and loop of its own, so that pytest can wait for one step after the other."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from harness.events import StepJudged
from harness.runner import run

if TYPE_CHECKING:
    from harness.history import Record
    from harness.model import Scenario
    from harness.settings import RunSettings


class BackgroundRun:
    """Starts on creation; `verdict` waits for a step, `stop` interrupts; both from any thread."""

    def __init__(self, scenario: Scenario, settings: RunSettings, step_ids: list[str]) -> None:
        self._scenario = scenario
        self._settings = settings
        self._verdicts: dict[str, Future[StepJudged]] = {step: Future() for step in step_ids}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"muster {scenario.id}", daemon=True)
        self._thread.start()
        self._ready.wait()

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            try:
                runner.run(self._main())
            except asyncio.CancelledError:
                self._give_up(KeyboardInterrupt("the run was interrupted"))
            except BaseException as error:  # noqa: BLE001  # handed to whoever waits, on the other thread
                self._give_up(error)
            finally:
                self._ready.set()

    async def _main(self) -> None:
        self._task = asyncio.current_task()
        self._ready.set()
        await run(self._scenario, self._settings, listen=self._hear)
        self._give_up(AssertionError("the run ended without a verdict for this step"))

    def _hear(self, record: Record) -> None:
        if isinstance(record.event, StepJudged) and record.step in self._verdicts:
            self._verdicts[record.step].set_result(record.event)

    def _give_up(self, error: BaseException) -> None:
        for future in self._verdicts.values():
            if not future.done():
                future.set_exception(error)

    @property
    def stands(self) -> bool:
        """Whether all is judged and the deployment is kept."""
        return self._settings.keep and all(future.done() for future in self._verdicts.values())

    def verdict(self, step: str) -> StepJudged:
        """Wait until a step is judged; raises what ended the run if it never will be."""
        return self._verdicts[step].result()

    def stop(self) -> None:
        """Wait for the run's end; a run whose last step is not judged yet is interrupted first."""
        if not all(future.done() for future in self._verdicts.values()):
            self.interrupt()
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self.interrupt()
            self._thread.join()

    def interrupt(self) -> None:
        """Cancel the run: it tears down and writes its result."""
        if self._loop is not None and self._task is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
