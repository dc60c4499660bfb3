"""One real machine with real signatures, and others of which only keys and words exist: what each rule is tested on."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

from hermes_core.crypto.signing import Identity
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.lies import LiarNamed, Lie
from hermes_core.mesh.messages import MemberState, NodeDescriptor
from hermes_core.mesh.swim.machine import Swim
from hermes_core.mesh.swim.messages import Accusation, Fact, Ping, Pong, SignedDeparture, SwimMessage
from hermes_core.mesh.swim.output import SwimOutput
from hermes_core.mesh.swim.params import SwimParams
from hermes_core.mesh.swim.statements import IdentitySignatures, encode_accusation, encode_departure

T = TypeVar("T")
PARAMS = SwimParams()


class Other:
    """A member that the test speaks for."""

    def __init__(self, name: str, incarnation: int = 1, address: str = "") -> None:
        self.name = NodeId(name)
        self.identity = Identity.generate()
        self.address = address or f"{name}:7443"
        self.descriptor = self.describe(incarnation)

    def describe(self, incarnation: int, address: str = "") -> NodeDescriptor:
        address = address or self.address
        return sign_descriptor(self.identity, node_id=self.name, address=address, incarnation=incarnation, version="0")

    def accuse(self, subject: NodeDescriptor, *, incarnation: int | None = None, accuser_incarnation: int = 1) -> Accusation:
        accused = subject.incarnation if incarnation is None else incarnation
        fields = (subject.node_id, subject.node_key, accused, self.name, self.descriptor.node_key, accuser_incarnation)
        return Accusation(*fields, self.identity.sign(encode_accusation(*fields)))

    def depart(self) -> SignedDeparture:
        d = self.descriptor
        signature = self.identity.sign(encode_departure(d.node_id, d.node_key, d.incarnation))
        return SignedDeparture(d.node_id, d.node_key, d.incarnation, signature)


class Bench:
    """`n` is the machine; `met` others are linked with it and old enough here to be blamed."""

    def __init__(self, met: int = 3, params: SwimParams = PARAMS, seed: int = 1) -> None:
        self.now = 0.0
        self.me = Other("me", incarnation=5)
        signatures = IdentitySignatures(self.me.identity)
        self.n = Swim(self.me.descriptor, signatures, Random(seed).randrange, params, self.now, boot=0.0)
        self.others = [Other(f"other-{index}") for index in range(met)]
        self.output = SwimOutput()
        for other in self.others:
            self.link(other)
        self.silent: set[NodeId] = set()

    def link(self, other: Other, descriptor: NodeDescriptor | None = None) -> bool:
        linked = self.n.link_up(descriptor or other.descriptor, self.now)
        self.take()
        return linked

    def hear(self, sender: Other, *facts: Fact) -> None:
        self.receive(sender, Ping(7, facts=facts))

    def receive(self, sender: Other, message: SwimMessage) -> None:
        self.n.receive(sender.name, message, self.now)
        self.take()

    def take(self) -> None:
        """Whatever the machine wants is kept for the test to look at."""
        self._keep(self.n.take_output())

    def tick(self, until: float, each: Callable[[SwimOutput], None] = lambda _output: None) -> None:
        """Let time pass, timer by timer; `each` answers what leaves."""
        while (due := self.n.next_timer()) <= until:
            self.now = max(self.now, due)
            self.n.handle_timer(self.now, self.now)
            output = self.n.take_output()
            self._keep(output)
            each(output)
        self.now = until

    def answer_all(self, output: SwimOutput) -> None:
        """As members do that live: every probe of one that is not `silent` is answered."""
        names = {other.name: other for other in self.others}
        for descriptor in output.dials:
            if descriptor.node_id in self.silent or descriptor.node_id not in names:
                self.n.dial_failed(descriptor.node_id, self.now)
            else:
                self.n.link_up(descriptor, self.now)
        for send in output.sends:
            if isinstance(send.message, Ping) and send.node_id not in self.silent:
                self.n.receive(send.node_id, Pong(send.message.seq), self.now)
        more = self.n.take_output()
        self._keep(more)
        if more.sends or more.dials:
            self.answer_all(more)

    def state(self, other: Other) -> MemberState | None:
        member = self.n.roster.get(other.name)
        return None if member is None else member.state

    def events(self, kind: type[T]) -> list[T]:
        return [event for event in self.output.events if isinstance(event, kind)]

    def messages(self, kind: type[T], to: Other | None = None) -> list[T]:
        return [s.message for s in self.output.sends if isinstance(s.message, kind) and to in (None, self._named(s.node_id))]

    def lies(self) -> list[tuple[NodeId, Lie]]:
        return [(event.node_id, event.lie) for event in self.events(LiarNamed)]

    def clear(self) -> None:
        self.output = SwimOutput()

    def clear_sends(self) -> None:
        """What was answered is not answered again."""
        self.output.sends.clear()
        self.output.dials.clear()

    def _named(self, node_id: NodeId) -> Other | None:
        return next((other for other in self.others if other.name == node_id), None)

    def _keep(self, output: SwimOutput) -> None:
        self.output.sends += output.sends
        self.output.dials += output.dials
        self.output.hangups += output.hangups
        self.output.events += output.events
        self.output.probes += output.probes
