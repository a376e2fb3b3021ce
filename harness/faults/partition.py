"""A pulled cable: no packet goes from one group of hosts to another, nor back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from harness.errors import EnvironmentFailure, NotApplicable
from harness.faults.base import NoReceipt, Receipt
from harness.faults.lives import holds
from harness.hosts.base import shapes_network
from harness.options import HostName
from harness.quantities import Duration

if TYPE_CHECKING:
    from harness.faults.base import Scene
    from harness.hosts.base import ShapesNetwork

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Partition:
    """Cuts a host off from all others, from some of them, or a group of hosts from the rest.

    Open connections are cut too; the harness itself still reaches every host. Proof: connections that are
    tried in both directions fail, the counters of dropped packets move, and all other pairs of hosts still
    reach each other. At its end that is looked at again, then the cable is plugged in and seen to work.

    ```yaml
    - name: server 2 loses its cable
      fault: {partition: server2}
      steps:
        - name: its services are forgotten
          expect: {unregistered: [babysitter-c-server, babysitter-d-server], within: 8s}
    ```
    """

    needs: ClassVar[str] = "ShapesNetwork"

    target: HostName
    """The host to cut off."""
    _: KW_ONLY
    together_with: Annotated[tuple[HostName, ...], Field(alias="with")] = ()
    """Hosts that are cut off together with it, and still reach it."""
    apart_from: Annotated[tuple[HostName, ...], Field(alias="from")] = ()
    """Only from these hosts; from all others when left out."""
    within: Duration = 5.0
    """How long cutting, and plugging in again, may take."""

    @asynccontextmanager
    async def inject(self, scene: Scene) -> AsyncIterator[Receipt]:
        network = shapes_network(scene.hosts)
        hosts = list(scene.hosts.addresses)
        one = [self.target, *self.together_with]
        other = list(self.apart_from) or [host for host in hosts if host not in one]
        if not other:
            msg = f"there is no host that {' and '.join(one)} could be cut off from"
            raise NotApplicable(msg)
        line = _Line(scene, network, hosts, one, other, self.within)
        receipt = Receipt()
        try:
            await line.is_whole("before the cable is pulled")
            receipt.effect = await line.cut()
            yield receipt
            await line.is_cut("at the end of the fault")
        finally:
            await line.mend()
        receipt.healed = await line.healed()


class _Line:
    """What is between two groups of hosts, and its proofs."""

    def __init__(
        self,
        scene: Scene,
        network: ShapesNetwork,
        hosts: Sequence[str],
        one: Sequence[str],
        other: Sequence[str],
        within: float,
    ) -> None:
        self.scene = scene
        self.network = network
        self.one, self.other = one, other
        self.within = within
        self.crossing = [*product(one, other), *product(other, one)]
        inside = [pair for pair in combinations(hosts, 2) if pair not in self.crossing]
        self.untouched = [*inside, *((b, a) for a, b in inside)]
        self.done = False
        self.alone = True

    async def cut(self) -> tuple[str, ...]:
        """Cut it, with the receipt."""
        began = self.scene.clock.monotonic()
        self.alone = not any(self.network.apart(*pair) for pair in self.crossing)
        self.done = True
        await self.network.cut(self.one, self.other)
        lines = await self.is_cut("after it was cut")
        took = self.scene.clock.monotonic() - began
        first = f"{' and '.join(self.one)} cut off from {', '.join(self.other)} after {took:.3f} s"
        return (first, *lines)

    async def is_cut(self, when: str) -> tuple[str, ...]:
        """Prove that nothing gets through where it should not, and everything where it should."""
        before = await self._dropped()
        await self._wait(self.crossing, when, through=False)
        untouched = self._not_apart(self.untouched)
        await self._wait(untouched, when, through=True)
        for host in {*self.one, *self.other}:
            if not await self.network.within_reach(host):
                msg = f"the harness does not reach {host} {when}: its own way in was cut"
                raise NoReceipt(msg)
        coming, going = (now - then for now, then in zip(await self._dropped(), before, strict=True))
        if self.alone and not (coming and going):
            msg = f"no packet was dropped {when} ({coming} coming in, {going} going out): cut elsewhere"
            raise NoReceipt(msg)
        return (
            f"0 of {len(self.crossing)} probes through, packets dropped: {coming} coming in, {going} out",
            f"{len(untouched)} of {len(untouched)} other pairs reach each other",
        )

    async def is_whole(self, when: str) -> None:
        """Prove that everything gets through that no other fault cuts."""
        await self._wait(self._not_apart(self.crossing), when, through=True)

    async def mend(self) -> None:
        """Undo what `cut` did."""
        if self.done:
            await self.network.mend(self.one, self.other)

    async def healed(self) -> tuple[str, ...]:
        """Prove that it is whole again."""
        began = self.scene.clock.monotonic()
        open_again = self._not_apart(self.crossing)
        await self.is_whole("after the cable was plugged in again")
        took = self.scene.clock.monotonic() - began
        return (f"{len(open_again)} of {len(self.crossing)} probes through after {took:.3f} s",)

    def _not_apart(self, pairs: Iterable[Pair]) -> list[Pair]:
        return [pair for pair in pairs if not self.network.apart(*pair)]

    async def _dropped(self) -> tuple[int, int]:
        counts = await asyncio.gather(*(self.network.dropped(host) for host in self.one))
        return sum(coming for coming, _ in counts), sum(going for _, going in counts)

    async def _wait(self, pairs: Sequence[Pair], when: str, *, through: bool) -> None:
        wrong: list[Pair] = []

        async def as_it_should() -> bool:
            wrong[:] = [pair for pair, reached in await self._probe(pairs) if reached != through]
            return not wrong

        if not await holds(self.scene, as_it_should, self.within):
            words = "cannot reach" if through else "still reaches"
            msg = f"{wrong[0][0]} {words} {wrong[0][1]} {when} ({len(wrong)} of {len(pairs)} pairs)"
            raise NoReceipt(msg)

    async def _probe(self, pairs: Sequence[Pair]) -> list[tuple[Pair, bool]]:
        found: list[tuple[Pair, bool]] = []

        async def from_host(host: str, others: list[str]) -> None:
            reached = await self.network.reaches(host, others)
            found.extend(((host, other), reached[other]) for other in others)

        froms = {host: [b for a, b in pairs if a == host] for host, _ in pairs}
        try:
            await asyncio.gather(*(from_host(host, others) for host, others in froms.items()))
        except EnvironmentFailure as error:
            raise NoReceipt(str(error)) from error
        return found
