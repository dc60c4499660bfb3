"""The parts that decide together, each the owner of its state; who is given them all may ask and tell, and owns none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hermes_core.ids import NodeId
from hermes_core.mesh.lies import LiarNamed, Lie
from hermes_core.mesh.swim.accusers import Accusers
from hermes_core.mesh.swim.budgets import Budgets
from hermes_core.mesh.swim.dissemination import Dissemination
from hermes_core.mesh.swim.health import LocalHealth
from hermes_core.mesh.swim.incarnation import OwnIncarnation
from hermes_core.mesh.swim.links import MemberLinks
from hermes_core.mesh.swim.messages import Alive, Fact
from hermes_core.mesh.swim.output import Outlet
from hermes_core.mesh.swim.params import SwimParams
from hermes_core.mesh.swim.pins import Pins
from hermes_core.mesh.swim.roster import Roster, SwimMember
from hermes_core.mesh.swim.rumours import Rumours
from hermes_core.mesh.swim.statements import Signatures
from hermes_core.mesh.swim.suspicions import Suspicions
from hermes_core.protocol.timers import TimerHeap

TimerKey = tuple[str, NodeId | int]
DrawBelow = Callable[[int], int]
"""A number from 0 up to below the one given, drawn evenly."""


@dataclass(frozen=True, slots=True)
class SwimParts:
    params: SwimParams
    signatures: Signatures
    draw: DrawBelow
    outlet: Outlet
    own: OwnIncarnation
    roster: Roster
    pins: Pins
    rumours: Rumours
    suspicions: Suspicions
    accusers: Accusers
    news: Dissemination
    links: MemberLinks
    health: LocalHealth
    updates: Budgets
    naming: Budgets
    timers: TimerHeap[TimerKey]

    def draw_time(self, least_s: float, most_s: float) -> float:
        return least_s + (most_s - least_s) * self.draw(1 << 20) / (1 << 20)

    def compose(self, member: SwimMember) -> tuple[Fact, ...]:
        """What goes along with a message to this member: first of all what it has to contradict."""
        node_id = member.descriptor.node_id
        suspicion = self.suspicions.get(node_id)
        doubts = (suspicion.accusations if suspicion else member.accusations)[: self.params.confirmations]
        count = self.params.facts_a_probe - len(doubts)
        if not self.news:
            return doubts
        return doubts + self.news.take(count, self.params.transmissions(self.roster.size), to=node_id)

    def announce(self) -> None:
        """This node's descriptor is another one."""
        descriptor = self.own.descriptor
        self.roster.digests.set(descriptor.node_id, descriptor.signature)
        self.news.tell(Alive(descriptor))

    def name_liar(self, node_id: NodeId, lie: Lie, now: float) -> None:
        """Once in a while for each lie of each: who lies without end fills no log."""
        if self.naming.take(NodeId(f"{node_id} {lie.name}"), now):
            self.outlet.report(LiarNamed(node_id, lie))
