"""How nodes stay in the table: by a stream that is their lease, or, the original's nodes, by being probed."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from system.balancer.fleet import Card, Fleet, Lease, Node
from system.balancer.links import Links
from system.balancer.wire import instruction_for, models_of, replaced_by
from system.proto import load_balancer_pb2 as pb

log = logging.getLogger("balancer")

SILENT_AFTER = 4.0
"""Seconds: who reports every second and has not for so long is frozen, or its cable was pulled."""
LOOK_EVERY = 0.5
PROBE_EVERY = 2.0
PROBE_WITHIN = 2.0
PROBES_MISSED = 2
NOT_LISTENING_YET = 15.0
"""Seconds in which a node of the original may begin to listen: it registers before it does."""

Outbox = asyncio.Queue[pb.Instruction | None]


class Leases:
    """Joins and leaves, and tells those whose model has changed."""

    def __init__(self, fleet: Fleet, links: Links) -> None:
        self.fleet = fleet
        self._links = links
        self._outboxes: dict[Node, Outbox] = {}
        self._probers: dict[Node, asyncio.Task[None]] = {}

    def join(self, card: Card, lease: Lease) -> Node:
        """Put a node into the table and give it a model; raises ImpossibleSpecs."""
        before = set(self.fleet.nodes)
        node = self.fleet.join(card, lease, wall=time.time(), now=time.monotonic())
        for replaced in before - set(self.fleet.nodes):
            log.info("%s is replaced by %s at %s", replaced.id, node.id, card.address)
            self._tell(replaced, replaced_by(node, replaced))
            self._let_go(replaced)
        self._settle()
        log.info("✅ Client registered: %s", node.id)
        log.info("   Performance Score: %s", node.score)
        log.info("   Assigned Model: %s", node.model or f"none ({node.assigned.reason})")
        log.info("   Total Clients: %d", len(self.fleet))
        if lease == "probed":
            self._probers[node] = asyncio.create_task(self._probe(node))
        return node

    def leave(self, node: Node, why: str) -> None:
        """Take a node out; nothing happens if it was replaced meanwhile."""
        if not self.fleet.leave(node):
            return
        log.info("❌ Client left: %s (%s); %d remain", node.id, why, len(self.fleet))
        self._let_go(node)
        self._settle()

    def reassign(self) -> list[Node]:
        """Decide about everybody as if nobody had a model, and tell who has another now."""
        for node in self.fleet.nodes:
            node.failed.clear()
        changed = self._settle(afresh=True)
        log.info("🔄 Models reassigned to all clients")
        return changed

    def _settle(self, *, afresh: bool = False) -> list[Node]:
        changed = self.fleet.assign(afresh=afresh)
        for node in changed:
            self._tell(node, instruction_for(node))
        return changed

    def _tell(self, node: Node, instruction: pb.Instruction | None) -> None:
        if (outbox := self._outboxes.get(node)) is not None:
            outbox.put_nowait(instruction)

    def _let_go(self, node: Node) -> None:
        self._tell(node, None)
        if (prober := self._probers.pop(node, None)) is not None:
            prober.cancel()

    @asynccontextmanager
    async def attending(self, card: Card) -> AsyncIterator[tuple[Node, Outbox]]:
        """A node in the table, with what is to be told to it, until the context is left."""
        node = self.join(card, "stream")
        outbox: Outbox = asyncio.Queue()
        self._outboxes[node] = outbox
        outbox.put_nowait(instruction_for(node))
        try:
            yield node, outbox
        finally:
            del self._outboxes[node]
            self.leave(node, "its connection ended")

    def report(self, node: Node, report: pb.Report) -> None:
        """Note what a node says of itself; a model that it cannot get is taken from it."""
        node.seen_at = time.monotonic()
        node.state = report.state if report.state in ("ready", "fetching", "failed") else "ready"  # type: ignore[assignment]
        node.detail = report.detail
        if node.state == "failed" and node.model and node.model not in node.failed:
            log.warning("%s cannot run %s: %s", node.id, node.model, node.detail)
            node.failed[node.model] = node.detail
            self._settle()
        if report.installed:
            self._installed(node, report)

    def _installed(self, node: Node, report: pb.Report) -> None:
        from dataclasses import replace

        installed = models_of(report.installed)
        if installed != node.card.installed:
            node.card = replace(node.card, installed=installed)
            self._settle()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Look after leases until the context is left, which tells all nodes to look for another balancer."""
        looking = asyncio.create_task(self._look_for_the_silent())
        try:
            yield
        finally:
            for node in list(self._outboxes):
                self._tell(node, instruction_for(node, drain=True))
                self._tell(node, None)
            tasks: list[asyncio.Task[Any]] = [looking, *self._probers.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_for_the_silent(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = time.monotonic()
            if now - looked > 2 * LOOK_EVERY:
                # it was the balancer that stood still: what nodes said meanwhile has not been read yet
                for node in self.fleet.nodes:
                    node.seen_at = max(node.seen_at, now - SILENT_AFTER / 2)
            looked = now
            for node in self.fleet.silent(now, SILENT_AFTER):
                self.leave(node, f"silent for {now - node.seen_at:.1f} s")

    async def _probe(self, node: Node) -> None:
        joined, missed = time.monotonic(), 0
        try:
            while True:
                await asyncio.sleep(PROBE_EVERY)
                if await self._links.is_healthy(node.card.address, PROBE_WITHIN):
                    missed, node.seen_at = 0, time.monotonic()
                    joined = -NOT_LISTENING_YET  # it listens: what it misses from now on counts
                elif time.monotonic() - joined > NOT_LISTENING_YET:
                    missed += 1
                if missed >= PROBES_MISSED:
                    break
        finally:
            self._probers.pop(node, None)
        self.leave(node, f"did not answer {missed} health checks")
        with contextlib.suppress(Exception):
            await self._links.drop(node.card.address)
