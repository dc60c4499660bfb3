"""Joining through seeds, whichever machine decides who is a member: when, where, and what that makes of this node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from hermes_core.ids import NodeId
from hermes_node.config.addresses import parse_seed
from hermes_node.config.sections import MeshSection
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.dial_tasks import DialTasks
from hermes_node.mesh.interface import DIAL_FAILURES, Dialer, Welcome
from hermes_node.mesh.seeds import JoinState, SeedOutcomes, SeedTarget, resolve_seeds
from hermes_node.metrics.labels import OperationResult
from hermes_node.metrics.registry import NodeMetrics

REJOIN_INTERVAL_S: Final = 2.0


class Membered(Protocol):
    """What is asked of whoever knows the members, and told to it."""

    def is_linked(self, node_id: NodeId) -> bool:
        """Whether there is no need to join through this node."""

    def list_lost(self) -> Iterable[SeedTarget]:
        """Where else somebody may welcome this node: members that seem dead."""

    def take_welcome(self, welcome: Welcome) -> None: ...


class Joining:
    """The owner of what became of each seed. `at_once`: seeds that are asked in one round, where they may be many."""

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
        at_once: int | None = None,
    ) -> None:
        self._own = own
        self._settings = settings
        self._members = members
        self._tasks = tasks
        self._now = now
        self._log = log
        self._metrics = metrics
        self._at_once = at_once
        self._seeds = tuple(parse_seed(text, "mesh.seeds") for text in settings.seeds)
        self._outcomes = SeedOutcomes(own)
        self._started_at = self._next_at = now()
        self._reported = JoinState.JOINING
        self._asked = 0
        self._asked_all = False

    def state(self, *, any_member: bool) -> JoinState:
        grace_over = self._now() - self._started_at >= self._settings.join_grace_s
        return self._outcomes.state(grace_over=grace_over or not self._seeds, any_member=any_member)

    @property
    def asked_all(self) -> bool:
        """Each address behind the seeds was asked once: until then this node is new here."""
        return self._asked_all or not self._seeds

    def next_due(self) -> float:
        """When there is something to do or to tell."""
        grace_over = self._started_at + self._settings.join_grace_s
        return min(self._next_at, grace_over) if grace_over > self._now() else self._next_at

    def start(self, now: float, dialer: Dialer) -> None:
        """A round, when it is time for one."""
        if now < self._next_at or self._tasks.closing:
            return
        joined = self._outcomes.joined or not self._seeds
        self._next_at = now + (REJOIN_INTERVAL_S if joined else min(REJOIN_INTERVAL_S, self._settings.heartbeat_interval_s))
        self._tasks.start("seeds", self._join_all(dialer))

    def report(self, state: JoinState) -> bool:
        """Log it when it changed; True when this node has become alone by design."""
        if state is self._reported:
            return False
        self._reported = state
        if state is JoinState.JOINED:
            self._log.info("mesh_joined")
        elif state is JoinState.ALONE:
            self._log.info("mesh_alone")
        return state is JoinState.ALONE

    async def _join_all(self, dialer: Dialer) -> None:
        """Join through every seed whose node is not linked, and where somebody was."""
        targets = await resolve_seeds(self._seeds)
        known = {target.address for target in targets}
        self._outcomes.keep_only(known)
        self._asked_all = self._asked_all or (bool(targets) and all(self._outcomes.asked(target.address) for target in targets))
        unmet = [target for target in targets if not self._is_met(target)]
        if self._at_once is not None:  # others each time: the first ones may be those that nobody answers at
            self._asked = (self._asked + self._at_once) % max(1, len(unmet))
            unmet = (unmet[self._asked :] + unmet[: self._asked])[: self._at_once]
        for target in unmet:
            self._tasks.start(f"join {target.address}", self._join(target, dialer))
        for target in self._members.list_lost():
            if target.address not in known:
                self._tasks.start(f"join {target.address}", self._join(target, dialer))

    def _is_met(self, target: SeedTarget) -> bool:
        node_id = self._outcomes.node_at(target.address)
        return node_id is not None and (node_id == self._own or self._members.is_linked(node_id))

    async def _join(self, target: SeedTarget, dialer: Dialer) -> None:
        try:
            welcome = await dialer.join(target.address, target.server_name)
            if welcome.update is not None:
                self._members.take_welcome(welcome)
        except DIAL_FAILURES as error:
            self._metrics.mesh.count_join(OperationResult.FAILURE)
            if self._outcomes.missed(target.address):
                self._log.info("mesh_seed_failed", seed=target.address, reason=str(error) or type(error).__name__)
            return
        self._outcomes.met(target.address, welcome.node_id)
        if welcome.update is not None:
            self._metrics.mesh.count_join(OperationResult.SUCCESS)
