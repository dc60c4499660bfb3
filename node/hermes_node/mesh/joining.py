"""Joining through seeds, whichever machine decides who is a member: when, where, and what that makes of this node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from hermes_core.crypto.random import RandomSource, generate_below
from hermes_core.ids import NodeId
from hermes_node.config.addresses import parse_seed
from hermes_node.config.sections import MeshSection
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.dial_tasks import DialTasks
from hermes_node.mesh.interface import DIAL_FAILURES, Dialer, Welcome
from hermes_node.mesh.seed_log import SeedLog
from hermes_node.mesh.seeds import JoinState, SeedNames, SeedOutcomes, SeedTarget
from hermes_node.metrics.labels import OperationResult
from hermes_node.metrics.registry import NodeMetrics

REJOIN_INTERVAL_S: Final = 2.0
JOINS_AT_ONCE: Final = 8
"""A name may stand for hundreds of addresses, and one that welcomes is enough: the others are found by what members tell."""
NEWCOMER_S: Final = 3.0
"""A node that starts asks every seed first whether it meets itself there; a silent one holds it up no longer than this."""
NEXT_ROUND_S: Final = 0.1
"""A newcomer that has others to ask does so as soon as one answered, and asks no name server more often."""


class Membered(Protocol):
    """What is asked of whoever knows the members, and told to it."""

    def is_linked(self, node_id: NodeId) -> bool:
        """Whether there is no need to join through this node."""

    def list_lost(self) -> Iterable[SeedTarget]:
        """Where else somebody may welcome this node: members that seem dead."""

    def take_welcome(self, welcome: Welcome) -> None: ...


class Joining:
    """The owner of what became of each seed. `at_once`: so many are asked at a time."""

    def __init__(
        self,
        own: NodeId,
        settings: MeshSection,
        members: Membered,
        tasks: DialTasks,
        *,
        now: Callable[[], float],
        log: EventLog,
        metrics: NodeMetrics,
        entropy: RandomSource,
        at_once: int = JOINS_AT_ONCE,
    ) -> None:
        self._own = own
        self._settings = settings
        self._members = members
        self._tasks = tasks
        self._now = now
        self._log = log
        self._metrics = metrics
        self._entropy = entropy
        self._at_once = at_once
        seeds = tuple(parse_seed(text, "mesh.seeds") for text in settings.seeds)
        self._names = SeedNames(seeds)
        self._outcomes = SeedOutcomes(own)
        self._told = SeedLog(log, now)
        self._started_at = self._next_at = now()
        self._reported = JoinState.JOINING
        self._asking: set[str] = set()
        self._asked_at: dict[str, float] = {}
        self._searched = self._asked_all = not seeds
        """Searched: nobody is left to ask, as where a name stands for nothing."""
        self._targets: list[SeedTarget] = []
        self._gave_way = False
        self._serving = asyncio.Event()
        if not seeds:
            self._serving.set()

    @property
    def state(self) -> JoinState:
        if not self.serves:
            return JoinState.JOINING
        grace_over = not self._settings.seeds or self._now() - self._started_at >= self._settings.join_grace_s
        self._outcomes.find_alone(asked_all=self._searched, grace_over=grace_over)
        return self._outcomes.state

    @property
    def asked_all(self) -> bool:
        """Each address behind the seeds was asked once: until then this node is new here."""
        return self._asked_all

    @property
    def serves(self) -> bool:
        """Whether others may hear of this run of the node; from then on they do.

        A newcomer that finds another process with its key goes as if it had never been. So it neither links nor serves before
        it has asked every seed, or long enough: what it signed, and any mark of its keystore, would convict the other one.
        """
        over = self._asked_all or self._now() - self._started_at >= NEWCOMER_S
        if over and not self._gave_way:
            self._serving.set()
        return self._serving.is_set()

    async def until_serving(self) -> None:
        await self._serving.wait()

    def give_way(self) -> None:
        """To another process with this node's key. Whoever waits to serve does so for ever: this one ends."""
        self._gave_way = True

    def linked(self) -> None:
        """With another node, whoever dialled: there is a mesh, and this node is in it."""
        self._outcomes.joined = True

    def next_due(self) -> float:
        """When there is something to do or to tell."""
        now, ends = self._now(), [self._started_at + self._settings.join_grace_s]
        if not self._serving.is_set():
            ends.append(self._started_at + NEWCOMER_S)
        return min([self._next_at, *(end for end in ends if end > now)])

    def start(self, now: float, dialer: Dialer) -> None:
        """A round, when it is time for one."""
        if now < self._next_at or self._tasks.closing:
            return
        joined = self._outcomes.joined or not self._settings.seeds
        self._next_at = now + (REJOIN_INTERVAL_S if joined else min(REJOIN_INTERVAL_S, self._settings.heartbeat_interval_s))
        self._tasks.start("seeds", self._join_some(dialer))

    def report(self) -> bool:
        """Log where this node stands when that changed; True when it has become alone by design."""
        state = self.state
        if state is self._reported:
            return False
        self._reported = state
        if state is JoinState.JOINED:
            self._log.info("mesh_joined")
        elif state is JoinState.ALONE:
            self._log.info("mesh_alone")
        return state is JoinState.ALONE

    async def _join_some(self, dialer: Dialer) -> None:
        """Join through seeds whose node is not linked, and where somebody was: a few, whom it has not asked for longest."""
        targets = await self._names.resolve()
        known = {target.address: target for target in targets}
        self._outcomes.keep_only(set(known))
        self._told.resolved(self._names.failures, set(known))
        self._targets = targets
        self._find_asked_all()
        wanted = {target.address: target for target in targets if not self._is_met(target)}
        for lost in self._members.list_lost():
            if lost.address not in known:
                wanted.setdefault(lost.address, lost)
        self._asked_at = {address: at for address, at in self._asked_at.items() if address in wanted}
        for target in self._choose([target for address, target in wanted.items() if address not in self._asking]):
            self._asking.add(target.address)
            self._asked_at[target.address] = self._now()
            self._tasks.start(f"join {target.address}", self._join(target, dialer))

    def _choose(self, targets: list[SeedTarget]) -> list[SeedTarget]:
        free = max(0, self._at_once - len(self._asking))
        if len(targets) <= free:
            return targets
        # In an order of this node's own: of many that start at once not all are to knock at the same few.
        drawn = {target.address: generate_below(1 << 32, self._entropy) for target in targets}
        return sorted(targets, key=lambda target: (self._asked_at.get(target.address, 0.0), drawn[target.address]))[:free]

    def _find_asked_all(self) -> None:
        if not self._asked_all and self._names.all_answered:
            self._searched = all(self._outcomes.asked(target.address) for target in self._targets)
            self._asked_all = self._searched and bool(self._targets)

    def _end_join(self, address: str) -> None:
        """A newcomer goes on at once, with the next ones or as one of the mesh."""
        self._asking.discard(address)
        self._find_asked_all()
        if self.serves:
            return
        left = {target.address for target in self._targets if not self._outcomes.asked(target.address)} - self._asking
        if left:
            self._next_at = min(self._next_at, self._now() + NEXT_ROUND_S)

    def _is_met(self, target: SeedTarget) -> bool:
        node_id = self._outcomes.node_at(target.address)
        return node_id is not None and (node_id == self._own or self._members.is_linked(node_id))

    async def _join(self, target: SeedTarget, dialer: Dialer) -> None:
        try:
            await self._ask(target, dialer)
        finally:
            self._end_join(target.address)

    async def _ask(self, target: SeedTarget, dialer: Dialer) -> None:
        try:
            welcome = await dialer.join(target.address, target.server_name)
            if welcome.update is not None:
                self._members.take_welcome(welcome)
        except DIAL_FAILURES as error:
            self._metrics.mesh.count_join(OperationResult.FAILURE)
            if target.seed:
                self._outcomes.missed(target.address)
                self._told.missed(target, error)
            return
        self._told.met(target.address)
        if target.seed:
            self._outcomes.met(target.address, welcome.node_id)
        if welcome.update is not None:
            self._metrics.mesh.count_join(OperationResult.SUCCESS)
