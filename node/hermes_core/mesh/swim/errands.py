"""What this node does for the probes of others: answers for itself, and asks a member that they cannot reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_core.ids import NodeId
from hermes_core.mesh.swim.budgets import Budgets
from hermes_core.mesh.swim.messages import Ping, PingReport, PingRequest, Pong
from hermes_core.mesh.swim.parts import SwimParts
from hermes_core.mesh.swim.roster import SwimMember
from hermes_core.mesh.swim.statements import encode_answer

_OWN_SEQS: Final = 1 << 32
"""From here on: this node's own probes count below."""


@dataclass(frozen=True, slots=True)
class Errand:
    asker: NodeId
    seq: int
    target: NodeId


class Errands:
    """The owner of questions under way for others; each member has a budget of them, and one of signed answers."""

    __slots__ = ("_answers", "_parts", "_pending", "_requests", "_seq")

    def __init__(self, parts: SwimParts) -> None:
        burst, period_s = parts.params.requests_a_sender, parts.params.period_s
        self._parts = parts
        self._seq = _OWN_SEQS
        self._pending: dict[int, Errand] = {}
        self._requests = Budgets(burst, period_s)
        self._answers = Budgets(burst, period_s / 4)

    @property
    def refused_requests(self) -> int:
        """Indirect probes that were asked of this node beyond its budget for their asker."""
        return self._requests.refused

    @property
    def refused_answers(self) -> int:
        return self._answers.refused

    def __len__(self) -> int:
        return len(self._pending)

    def answer(self, sender: SwimMember, ping: Ping, now: float) -> None:
        """A signature is made for those alone who bring a nonce, and not more often than their budget allows."""
        parts, own, name = self._parts, self._parts.own.descriptor, sender.descriptor.node_id
        signature = b""
        if ping.nonce:
            if not self._answers.take(name, now):
                return
            signature = parts.signatures.sign(encode_answer(own.node_id, own.node_key, ping.asker, ping.nonce))
        parts.links.send(sender.descriptor, Pong(ping.seq, signature, parts.compose(sender)))

    def take(self, sender: SwimMember, request: PingRequest, now: float) -> None:
        """Ask the target; say so when that leads nowhere."""
        parts, name = self._parts, sender.descriptor.node_id
        target = parts.roster.find_up(request.target)
        if not self._requests.take(name, now):
            return
        if target is None or not (request.target in parts.links or parts.links.can_dial(target.descriptor.address, now)):
            parts.links.send(sender.descriptor, PingReport(request.seq))
            return
        self._seq += 1
        self._pending[self._seq] = Errand(name, request.seq, request.target)
        parts.links.send(target.descriptor, Ping(self._seq, request.nonce, name, parts.compose(target)))
        parts.timers.schedule(("errand", self._seq), now + parts.params.nack_share * parts.params.period_s)

    def receive_pong(self, sender: NodeId, message: Pong) -> bool:
        """The target's answer goes back as it is: who asked checks it."""
        errand = self._pending.get(message.seq)
        if errand is None or errand.target != sender:
            return False
        self._report(message.seq, errand, message.signature)
        return True

    def dial_failed(self, node_id: NodeId) -> None:
        for seq, errand in [(seq, errand) for seq, errand in self._pending.items() if errand.target == node_id]:
            self._report(seq, errand, b"")

    def fire(self, seq: int, now: float) -> None:
        """No answer yet: say that this node at least is well. The answer may still come, for a period."""
        errand = self._pending.get(seq)
        if errand is None:
            return
        asker = self._parts.roster.get(errand.asker)
        if asker is not None and errand.asker in self._parts.links:
            self._parts.links.send(asker.descriptor, PingReport(errand.seq))
        self._parts.timers.schedule(("lapse", seq), now + self._parts.params.period_s)

    def lapse(self, seq: int) -> None:
        self._pending.pop(seq, None)

    def tidy(self, now: float) -> None:
        self._requests.tidy(now)
        self._answers.tidy(now)

    def _report(self, seq: int, errand: Errand, signature: bytes) -> None:
        del self._pending[seq]
        self._parts.timers.cancel(("errand", seq))
        self._parts.timers.cancel(("lapse", seq))
        asker = self._parts.roster.get(errand.asker)
        if asker is not None and errand.asker in self._parts.links:
            self._parts.links.send(asker.descriptor, PingReport(errand.seq, signature))
