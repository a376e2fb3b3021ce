"""MODULE:ATTR to the worker it names."""

import importlib
import sys
from pathlib import Path

from system.config import did_you_mean
from system.errors import UsageError
from system.worker.worker import Worker


def load_worker(app: str) -> Worker:
    """The worker, also where ATTR is a function that makes it; raises UsageError in one line."""
    module_name, colon, attribute = app.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError([f"{app!r} must be MODULE:ATTR, such as examples.multi_server.worker1:worker"])
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001 - whatever the user's module raises
        msg = f"{app}: cannot import {module_name}: {type(error).__name__}: {error}"
        raise UsageError([" ".join(msg.split())]) from None
    found = getattr(module, attribute, None)
    if found is not None and not isinstance(found, Worker) and callable(found):
        found = found()
    if not isinstance(found, Worker):
        workers = [name for name, value in vars(module).items() if isinstance(value, Worker)]
        hint = did_you_mean(attribute, workers) or (f"; it has {', '.join(workers)}" if workers else "")
        raise UsageError([f"{app}: {module_name} has no worker called {attribute!r}{hint}"])
    return found
