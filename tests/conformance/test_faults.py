"""What every fault promises, whichever it is, on hosts in memory."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from harness.clock import SystemClock
from harness.errors import NotApplicable
from harness.faults import FAULTS
from harness.faults.base import Fault, NoReceipt, Receipt
from harness.hosts import base
from harness.hosts.attached import AttachedHosts
from harness.hosts.base import Target
from harness.testing import FakeHosts, FakeScene, service_spec, topology_of, workspace_in

SPECS = (
    service_spec("registry"),
    service_spec("babysitter", child="backend"),
    service_spec("other", "server2"),
)
ENDED_IN_MEMORY = ("kill", "pause", "restart", "stop")
TARGETS = ("registry", "babysitter.backend", "server1")

each_fault = pytest.mark.parametrize("name", list(FAULTS))
in_memory = pytest.mark.parametrize("name", [name for name in FAULTS if name in ENDED_IN_MEMORY])
each_target = pytest.mark.parametrize("target", TARGETS)


def fault(name: str, target: str, **options: Any) -> Fault:
    return FAULTS[name](target, **options)  # type: ignore[call-arg]


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[FakeScene]:
    async with AsyncExitStack() as stack:
        hosts = await stack.enter_async_context(FakeHosts.open(topology_of(*SPECS), workspace_in(folder)))
        services = [await stack.enter_async_context(hosts.service(spec)) for spec in SPECS]
        yield FakeScene(hosts, SystemClock(), services, ready=lambda _: None)


@in_memory
@each_target
def test_it_is_proven_and_proven_healed(name: str, target: str, tmp_path: Path) -> None:
    """Inside, the receipt has a line per thing hit; after leaving, one per thing healed; others are untouched."""

    async def main() -> Receipt:
        async with stage(tmp_path) as scene:
            other = await scene.hosts.processes(Target(service="other"))  # type: ignore[attr-defined]
            async with fault(name, target).inject(scene) as receipt:
                assert len(receipt.effect) >= len(scene.targets(target))
                assert not receipt.healed
            assert other == await scene.hosts.processes(Target(service="other"))  # type: ignore[attr-defined]
            assert all(scene.service(spec.name).alive for spec in SPECS)
            return receipt

    receipt = asyncio.run(main())
    assert receipt.healed
    assert all("pid" in line for line in receipt.effect)


@in_memory
@each_target
def test_hosts_that_do_nothing_yield_no_receipt(name: str, target: str, tmp_path: Path) -> None:
    """With tools that do nothing every fault ends in NoReceipt, before anything inside it runs."""

    async def main() -> None:
        async with stage(tmp_path) as scene:
            scene.hosts.deaf = True  # type: ignore[attr-defined]
            try:
                async with fault(name, target, within=0.02).inject(scene):
                    raise AssertionError
            finally:
                scene.hosts.deaf = False  # type: ignore[attr-defined]

    with pytest.raises(NoReceipt):
        asyncio.run(main())


@each_fault
def test_on_hosts_without_the_ability_it_is_not_applicable(name: str, tmp_path: Path) -> None:
    """Attached hosts cannot do it: NotApplicable with their reason, nothing hangs."""

    async def main() -> None:
        async with (
            AttachedHosts.open(topology_of(*SPECS), workspace_in(tmp_path)) as hosts,
            AsyncExitStack() as stack,
        ):
            services = [await stack.enter_async_context(hosts.service(spec)) for spec in SPECS]
            scene = FakeScene(hosts, SystemClock(), services, ready=lambda _: None)
            async with fault(name, "server1").inject(scene):
                raise AssertionError

    with pytest.raises(NotApplicable, match="attached servers are only observed"):
        asyncio.run(main())


@each_fault
def test_its_first_option_is_its_target(name: str) -> None:
    """`fault: {kill: router}` reads the same for every fault."""
    first = fields(FAULTS[name])[0]  # type: ignore[arg-type]
    assert first.name == "target"
    assert str in getattr(get_type_hints(FAULTS[name])["target"], "__mro__", (str,))
    assert FAULTS[name]("x").target == "x"  # type: ignore[call-arg]


@each_fault
def test_it_needs_an_ability_that_exists(name: str) -> None:
    """`needs` names a protocol of hosts.base, so that a plan can tell what is not applicable."""
    assert hasattr(base, FAULTS[name]("x").needs)  # type: ignore[call-arg]


@each_fault
def test_its_docstring_documents_it_with_an_example(name: str) -> None:
    """The docstring says what it does, how it is proven, and shows YAML that uses it."""
    text = inspect.getdoc(FAULTS[name]) or ""
    assert "Proof:" in text
    example = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert name in example[0]["fault"]
    assert {"name", "fault"} <= set(example[0])
