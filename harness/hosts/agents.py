"""Programs that travel: the sources of modules, run in a container whose image does not have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_LOADER = """
import json, os, sys, types
for name, source in json.loads(os.environ.pop("MUSTER_AGENT")).items():
    package, _, own = name.rpartition(".")
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    if package:
        setattr(sys.modules[package], own, module)
    exec(compile(source, name, "exec"), module.__dict__)
module.main()
"""
"""An image without the agent in it need not be made anew when that changes."""
COMMAND: Sequence[str] = ("python3", "-S", "-u", "-c", _LOADER)


def environment(*modules: ModuleType) -> dict[str, str]:
    """What `COMMAND` finds its modules in: in the order of their imports, the last has `main`."""
    own = {"harness": "", "harness.hosts": ""}
    sources = own | {m.__name__: Path(m.__file__ or "").read_text("utf-8") for m in modules}
    return {"MUSTER_AGENT": json.dumps(sources)}
