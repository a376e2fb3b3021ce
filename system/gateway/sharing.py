"""The breakers of one process, joined to those of the others."""

import asyncio
import logging
import os
import secrets
import socket
from collections import OrderedDict
from collections.abc import Mapping

from system.breaker import CLOSED, HALF_OPEN, OPEN
from system.gateway.permits import BreakerSettings, BreakerView, Clocks, Permit, Refused, SyncView
from system.gateway.standing import Answer, Standing, Terms
from system.gateway.strategies import STRATEGIES, Tally
from system.gateway.sync import Link
from system.gateway.transitions import Author, Circuit, Moment
from system.gateway.wire import Told

log = logging.getLogger("gateway")

TELL_EVERY = 0.25  # seconds
LONGEST_PROBE = 300.0  # seconds for which one process may keep all others from probing
CLAIM_AGAIN = 1.0  # seconds after a store did not say who has the probe
RESET_WITHIN, RESET_TRIES = 1.0, 5
REMEMBERED = 1000  # processes whose counts may arrive twice
REASONS = {
    CLOSED: "it asked to be left alone",
    OPEN: "its circuit is open",
    HALF_OPEN: "another request probes it",
}


class SharedBreakers:
    """The standings of all providers, and the links over which they are shared."""

    def __init__(self, settings: BreakerSettings, clocks: Clocks) -> None:
        self.links: dict[str, Link] = {}
        self.author = Author(name=f"{socket.gethostname()}:{os.getpid()}", tie=secrets.randbits(48))
        self._settings = settings
        self._clocks = clocks
        strategy = STRATEGIES[settings.strategy]
        terms = Terms(
            recovery=settings.recovery, lease=settings.lease, slow_after=settings.options.slow_after
        )
        self._standings = {
            name: Standing(terms, lambda: strategy(settings.options)) for name in settings.providers
        }
        self._claims: dict[str, asyncio.Task[Permit | Refused]] = {}
        self._probes: dict[str, tuple[Permit, float]] = {}
        self._serial = 0
        self._serials: OrderedDict[int, int] = OrderedDict()

    async def admit(self, provider: str) -> Permit | Refused:
        standing = self._standings[provider]
        answer = standing.ask(self.now())
        if answer is Answer.GO:
            return Permit(self, provider, standing.circuit)
        if answer is Answer.WAIT or provider in self._claims:
            return self._refusal(provider)
        claim = self._claims[provider] = asyncio.create_task(self._claim(provider))
        claim.add_done_callback(lambda _: self._claims.pop(provider))
        try:
            return await asyncio.shield(claim)
        except asyncio.CancelledError:
            claim.add_done_callback(_hand_back)
            raise

    def view(self, provider: str) -> BreakerView:
        standing = self._standings[provider]
        circuit, wait = standing.circuit, standing.circuit.due - self.now()
        return BreakerView(
            provider=provider,
            state=circuit.state,
            failure_count=standing.failures,
            success_count=standing.successes,
            last_failure_time=standing.last_failure,
            last_success_time=standing.last_success,
            opened_at=circuit.opened_at,
            due_at=self._clocks.wall() + wait if wait > 0 else None,
            version=circuit.version,
            changed_by=circuit.author.name,
            cause=circuit.cause,
        )

    async def reset(self, provider: str) -> None:
        """Brought to every store once before others hear of it: what comes after it is not undone by it."""
        standing = self._standings[provider]
        _log(provider, standing.reset(self._moment()))
        for link in self.links.values():
            for _ in range(RESET_TRIES):
                held = await link.put(provider, standing.circuit, claim=False, within=RESET_WITHIN)
                if held is None or held.state is CLOSED:
                    break
                standing.adopt(held)  # the store was ahead: reset what it has
                _log(provider, standing.reset(self._moment()))
        for link in self.links.values():
            link.changed(provider)  # for a store that did not answer, or had an earlier one of these resets

    @property
    def link(self) -> SyncView:
        connected = [name for name, link in self.links.items() if link.connected]
        return SyncView(
            sync_enabled=bool(connected),
            redis_connected="redis" in connected,
            detail=f"shared through: {', '.join(connected)}" if connected else "this process is on its own",
        )

    def succeeded(self, provider: str, epoch: tuple[int, int], seconds: float) -> None:
        self._news(provider, *self._standings[provider].succeeded(epoch, seconds, self._moment()))

    def failed(self, provider: str, epoch: tuple[int, int], kind: str, seconds: float) -> None:
        log.debug("%s failed after %.3f s: %s", provider, seconds, kind)
        self._news(provider, *self._standings[provider].failed(epoch, seconds, self._moment()))

    def abandoned(self, provider: str, epoch: tuple[int, int], rest: float) -> None:
        circuit = self._standings[provider].abandoned(epoch, rest, self._moment())
        self._news(provider, circuit, Tally())

    async def keep(self) -> None:
        """Tell others of good calls, and that a probe is still under way."""
        while True:
            await asyncio.sleep(min(TELL_EVERY, self._settings.lease / 4))
            for provider, standing in self._standings.items():
                self._tell(provider, standing.untold())
            for provider, (permit, began) in list(self._probes.items()):
                standing = self._standings[provider]
                if not permit.open or permit.epoch != standing.circuit.epoch:
                    del self._probes[provider]
                elif self._renewable(standing.circuit, began):
                    self._news(provider, standing.renew(permit.epoch, self.now()), Tally(), quiet=True)

    def hand_back(self) -> None:
        """Probes that end with this process say nothing about their providers."""
        for permit, _ in self._probes.values():
            permit.abandoned()

    def now(self) -> float:
        return self._clocks.monotonic()

    def circuits(self) -> Mapping[str, Circuit]:
        return {name: standing.circuit for name, standing in self._standings.items()}

    def hear(self, provider: str, circuit: Circuit) -> None:
        standing = self._standings.get(provider)
        if standing is None or not standing.adopt(circuit):
            return
        _log(provider, circuit)
        if circuit.author == self.author and circuit.state is HALF_OPEN and provider not in self._claims:
            # A claim of ours was granted when nobody waited for it any more.
            self._news(provider, standing.abandoned(circuit.epoch, 0.0, self._moment()), Tally())

    def hear_told(self, told: Told) -> None:
        standing = self._standings.get(told.provider)
        if standing is None or told.tie == self.author.tie or self._serials.get(told.tie, 0) >= told.serial:
            return
        self._serials[told.tie] = told.serial
        self._serials.move_to_end(told.tie)
        if len(self._serials) > REMEMBERED:
            self._serials.popitem(last=False)
        self._news(told.provider, standing.heard(told.version, told.tally, self._moment()), Tally())

    async def _claim(self, provider: str) -> Permit | Refused:
        """Win the probe at every store that can be asked.

        The one that most processes share comes first: a claim that a near store had granted and a far one
        refused would be handed back, and so end the probe of whoever won.
        """
        standing = self._standings[provider]
        if standing.ask(self.now()) is not Answer.PROBE:
            return self._refusal(provider)  # somebody else's claim was heard of meanwhile
        wanted = standing.to_claim(self._moment())
        for link in reversed(self.links.values()):
            if not link.reachable:
                continue
            held = await link.put(provider, wanted, claim=True, within=self._settings.claim_within)
            if held is None or held.epoch != wanted.epoch:
                if held is None or held.state is not HALF_OPEN:  # else somebody's probe, not to be ended
                    rest = CLAIM_AGAIN if held is None else held.due - self.now()
                    self._news(provider, standing.abandoned(wanted.epoch, rest, self._moment()), Tally())
                return self._refusal(provider)
        standing.adopt(wanted)
        if standing.circuit.epoch != wanted.epoch:
            return self._refusal(provider)
        _log(provider, wanted)
        permit = Permit(self, provider, wanted)
        self._probes[provider] = (permit, self.now())
        return permit

    def _renewable(self, circuit: Circuit, began: float) -> bool:
        now, lease = self.now(), self._settings.lease
        return now - began < LONGEST_PROBE and circuit.due - now < lease / 2

    def _news(self, provider: str, circuit: Circuit | None, tally: Tally, *, quiet: bool = False) -> None:
        """Something was found out here. Who hears that a circuit opened need not count its last failure."""
        if circuit is None:
            self._tell(provider, tally)
            return
        if not quiet:
            _log(provider, circuit, self._standings[provider].why)
        for link in self.links.values():
            link.changed(provider)

    def _tell(self, provider: str, tally: Tally) -> None:
        if tally == Tally() or not self.links:
            return
        self._serial += 1
        told = Told(
            provider=provider,
            version=self._standings[provider].circuit.version,
            tally=tally,
            tie=self.author.tie,
            serial=self._serial,
        )
        for link in self.links.values():
            link.tell(told)

    def _moment(self) -> Moment:
        return Moment(now=self.now(), wall=self._clocks.wall(), author=self.author)

    def _refusal(self, provider: str) -> Refused:
        circuit = self._standings[provider].circuit
        return Refused(
            provider=provider,
            state=circuit.state,
            reason=REASONS[circuit.state],
            retry_after=max(0.0, circuit.due - self.now()),
        )


def _hand_back(claim: "asyncio.Task[Permit | Refused]") -> None:
    """Whoever wanted the probe has left."""
    if not claim.cancelled() and isinstance(permit := claim.result(), Permit):
        permit.abandoned()


def _log(provider: str, circuit: Circuit, why: str = "") -> None:
    level = logging.WARNING if circuit.state is OPEN else logging.INFO
    text = "circuit of %s is %s, version %d, by %s: %s"
    log.log(
        level,
        text,
        provider,
        circuit.state.name,
        circuit.version,
        circuit.author.name,
        why or circuit.cause,
    )
