"""Test functions with a deployment: from a pytest request to a live run, and an async test onto its loop."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.collecting import invocation_of, shared_run_directory
from harness.errors import EnvironmentFailure, NotApplicable
from harness.live import LiveRun
from harness.topology import load_topology
from harness.verdict import Status

if TYPE_CHECKING:
    from harness.settings import RunSettings


def live_run_of(request: pytest.FixtureRequest) -> tuple[LiveRun, Path]:
    """The run for a test, and the folder that its topology's relative paths start from."""
    marker = request.node.get_closest_marker("topology")
    if marker is None or len(marker.args) != 1:
        msg = 'a test with a `deployment` needs @pytest.mark.topology("FILE"), FILE beside the test'
        raise pytest.UsageError(msg)
    file = request.path.parent / marker.args[0]
    topology = load_topology(file, os.environ)
    settings = _settings(request.config)
    line = int(request.node.location[1] or 0) + 1
    return LiveRun(request.node.name, request.path, line, topology, settings), file.parent


def _settings(config: pytest.Config) -> RunSettings:
    return invocation_of(config).settings(base=shared_run_directory(config), again='pytest "{nodeid}"')


def perform(run: LiveRun, function: pytest.Function) -> None:
    """Call the test; an async one runs on the deployment's loop."""
    arguments = {name: function.funcargs[name] for name in inspect.signature(function.obj).parameters}
    if not inspect.iscoroutinefunction(function.obj):
        msg = f"{function.name} has a deployment, so it must be `async def`"
        raise pytest.UsageError(msg)
    try:
        run.perform(function.obj(**arguments))
    except NotApplicable as error:
        pytest.skip(str(error))
    except EnvironmentFailure:
        function.muster_status = Status.UNKNOWN.value  # type: ignore[attr-defined]
        raise
