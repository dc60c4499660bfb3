"""Probes: who answers neither directly nor through helpers within a period is accused, or at a suspicion's end dead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from hermes_core.ids import NodeId
from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.judge import Judge
from hermes_core.mesh.swim.messages import NONCE_BYTES, Ping, PingReport, PingRequest, Pong
from hermes_core.mesh.swim.output import ProbeEnded, ProbeResult
from hermes_core.mesh.swim.parts import SwimParts
from hermes_core.mesh.swim.roster import SwimMember
from hermes_core.mesh.swim.statements import encode_answer
from hermes_core.mesh.swim.suspicions import Suspicion

_SEQ_WRAP: Final = 1 << 32
_REMEMBERED: Final = 64
"""Probes that failed: an answer that comes late is an answer."""


class ProbeStep(Enum):
    DIRECT = 1
    THROUGH_HELPERS = 2


@dataclass(frozen=True, slots=True)
class PendingProbe:
    """`heard`: helpers that said anything at all, so that this node's own inputs are not what is late.

    `decides`: the suspicion at whose end it began, and which is death when it fails.
    """

    target: NodeId
    step: ProbeStep
    began_at: float
    end_at: float
    decides: Suspicion | None = None
    nonce: bytes = b""
    asked: frozenset[NodeId] = frozenset()
    heard: frozenset[NodeId] = frozenset()


class Prober:
    """The owner of this node's own probes. One for each member at most."""

    __slots__ = ("_failed", "_judge", "_parts", "_pending", "_seq", "_targets")

    def __init__(self, parts: SwimParts, judge: Judge) -> None:
        self._parts = parts
        self._judge = judge
        self._seq = 0
        self._pending: dict[int, PendingProbe] = {}
        self._targets: dict[NodeId, int] = {}
        self._failed: dict[int, NodeId] = {}

    @property
    def period_s(self) -> float:
        return self._parts.params.period_s * self._parts.health.factor

    def __len__(self) -> int:
        return len(self._pending)

    def probe(self, member: SwimMember, now: float, decides: Suspicion | None = None) -> None:
        """Unless one of it is under way."""
        node_id = member.descriptor.node_id
        if node_id in self._targets:
            return
        self._seq = (self._seq + 1) % _SEQ_WRAP
        self._targets[node_id] = self._seq
        pace_s = self._pace_s(member)
        end_at = now + pace_s * self._patience(decides)
        self._pending[self._seq] = PendingProbe(node_id, ProbeStep.DIRECT, now, end_at, decides)
        self._parts.links.send(member.descriptor, Ping(self._seq, facts=self._parts.compose(member)))
        self._parts.timers.schedule(("probe", self._seq), now + self._parts.params.direct_share * pace_s)

    def probe_contested(self, member: SwimMember, now: float) -> None:
        """At once, or sooner than the probe that is under way would end by this node's health."""
        seq, pace_s = self._targets.get(member.descriptor.node_id), self._pace_s(member)
        if seq is None:
            self.probe(member, now)
            return
        probe = self._pending[seq]
        end_at = now + pace_s * self._patience(probe.decides)
        if end_at < probe.end_at:
            self._pending[seq] = replace(probe, end_at=end_at)
            share = self._parts.params.direct_share if probe.step is ProbeStep.DIRECT else self._patience(probe.decides)
            self._parts.timers.schedule(("probe", seq), now + share * pace_s)

    def _pace_s(self, member: SwimMember) -> float:
        """Stretched by this node's health, which may be why nothing is heard; of who bears a contested name something was."""
        return self._parts.params.period_s if member.contested else self.period_s

    def _patience(self, decides: Suspicion | None) -> float:
        """In periods."""
        return self._parts.params.burial_periods if decides else 1.0

    def dial_failed(self, node_id: NodeId, now: float) -> None:
        """Nobody is there: what would wait for the direct answer goes on through others at once."""
        seq = self._targets.get(node_id)
        if seq is not None and self._pending[seq].step is ProbeStep.DIRECT:
            self._parts.timers.schedule(("probe", seq), now)

    def fire(self, seq: int, now: float) -> None:
        """The time of a probe's step is over."""
        probe = self._pending.get(seq)
        if probe is None:
            return
        if probe.step is ProbeStep.DIRECT:
            self._ask_helpers(seq, probe, now)
        elif now < probe.end_at:
            self._parts.timers.schedule(("probe", seq), probe.end_at)
        else:
            self._fail(seq, probe, now)

    def receive_pong(self, sender: NodeId, message: Pong, now: float) -> bool:
        """Whether it answers a probe of this node; late answers do as well."""
        probe = self._pending.get(message.seq)
        if probe is None:
            return self._failed.pop(message.seq, None) == sender
        if probe.target != sender:
            return False
        self._finish(message.seq, probe, ProbeResult.DIRECT, now)
        self._parts.health.change(-1)
        return True

    def receive_report(self, sender: NodeId, message: PingReport, now: float) -> None:
        """A helper's: with the target's signature it counts as the target's own answer.

        Another one is of who bears the target's name by now, with another key: the helper checked nothing and told no lie.
        """
        probe = self._pending.get(message.seq)
        if probe is None or sender not in probe.asked:
            return
        member = self._parts.roster.get(probe.target)
        if message.signature and member is not None:
            own, target = self._parts.own.descriptor, member.descriptor
            body = encode_answer(target.node_id, target.node_key, own.node_id, probe.nonce)
            if self._parts.signatures.verify(target.node_key, body, message.signature):
                self._finish(message.seq, probe, ProbeResult.INDIRECT, now, sender)
                self._judge.answered(member, now)
                return
        self._pending[message.seq] = replace(probe, heard=probe.heard | {sender})

    def answered(self, node_id: NodeId, now: float) -> None:
        """Anything that it says to this node itself ends a probe of it."""
        seq = self._targets.get(node_id)
        if seq is not None:
            self._finish(seq, self._pending[seq], ProbeResult.DIRECT, now)

    def restart(self, now: float) -> None:
        """This process stood still: no answer that is missing says anything."""
        pending = list(self._pending.items())
        for seq, probe in pending:
            self._end(seq, probe)
        for _, probe in pending:
            member = self._parts.roster.find_up(probe.target)
            if member is not None:
                self.probe(member, now, probe.decides)

    def end_suspicion(self, node_id: NodeId, now: float) -> None:
        """Nobody is buried unprobed: at its suspicion's end this node looks itself, now or when fewer are looked at."""
        suspicion = self._parts.suspicions.get(node_id)
        member = self._parts.roster.find_up(node_id)
        if suspicion is None or member is None:
            return
        deadline = suspicion.deadline(self._parts.params, self._parts.roster.size)
        if now < deadline:
            self._parts.timers.schedule(("suspicion", node_id), deadline)
        elif node_id in self._targets or len(self._pending) >= self._parts.params.max_burials:
            self._parts.timers.schedule(("suspicion", node_id), now + self._pace_s(member))
        else:
            self.probe(member, now, suspicion)

    def _ask_helpers(self, seq: int, probe: PendingProbe, now: float) -> None:
        parts = self._parts
        target = parts.roster.get(probe.target)
        helpers = self._pick_helpers(probe.target)
        nonce = b"".join(parts.draw(256).to_bytes(1, "big") for _ in range(NONCE_BYTES))
        for helper in helpers:
            parts.links.send(helper.descriptor, PingRequest(seq, probe.target, nonce, parts.compose(helper)))
        if target is not None and probe.target in parts.links:
            parts.links.send(target.descriptor, Ping(seq))  # once more: the first one may be all that was lost
        asked = frozenset(helper.descriptor.node_id for helper in helpers)
        pace_s = self.period_s if target is None else self._pace_s(target)
        end_at = max(probe.end_at, now + (1 - parts.params.direct_share) * pace_s)
        self._pending[seq] = replace(probe, step=ProbeStep.THROUGH_HELPERS, end_at=end_at, nonce=nonce, asked=asked)
        parts.timers.schedule(("probe", seq), end_at)

    def _pick_helpers(self, target: NodeId) -> list[SwimMember]:
        """Members that are linked, drawn; others where those are too few."""
        parts, count = self._parts, self._parts.params.helpers
        linked = [
            m for name in parts.links if name != target and (m := parts.roster.get(name)) and m.state is MemberState.ALIVE
        ]
        found = self._draw_some(linked, count)
        if len(found) < count:
            others = [m for m in parts.roster if m.state is MemberState.ALIVE and m not in found]
            found += self._draw_some([m for m in others if m.descriptor.node_id != target], count - len(found))
        return found

    def _draw_some(self, among: list[SwimMember], count: int) -> list[SwimMember]:
        rest = list(among)
        return [rest.pop(self._parts.draw(len(rest))) for _ in range(min(count, len(rest)))]

    def _fail(self, seq: int, probe: PendingProbe, now: float) -> None:
        parts = self._parts
        self._finish(seq, probe, ProbeResult.FAILED, now)
        self._failed[seq] = probe.target
        if len(self._failed) > _REMEMBERED:
            del self._failed[next(iter(self._failed))]
        parts.health.change(len(probe.asked - probe.heard) if probe.asked else 1)
        member = parts.roster.find_up(probe.target)
        if member is None:
            return
        if probe.decides is not None and parts.suspicions.get(probe.target) is probe.decides:
            self._judge.bury(member, now)
        else:
            self._judge.accuse(member, now)

    def _finish(self, seq: int, probe: PendingProbe, result: ProbeResult, now: float, helper: NodeId | None = None) -> None:
        self._end(seq, probe)
        self._parts.outlet.report_probe(ProbeEnded(probe.target, result, now - probe.began_at, helper))

    def _end(self, seq: int, probe: PendingProbe) -> None:
        del self._pending[seq]
        del self._targets[probe.target]
        self._parts.timers.cancel(("probe", seq))
