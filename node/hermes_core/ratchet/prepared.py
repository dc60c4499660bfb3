"""What was checked of a handshake and has changed nothing yet: an offer that may be answered, an epoch that may be used.

Whoever has two channels to move checks both, and adopts both only then: no message moves one of them alone.
"""

from __future__ import annotations

from hermes_core.handshake.exchange import CheckedOffer
from hermes_core.handshake.statement import KeyStatement
from hermes_core.handshake.transcript import HandshakeContext
from hermes_core.ratchet.epoch import Epoch
from hermes_core.values import dataclass


@dataclass(frozen=True, slots=True)
class VerifiedOffer:
    """The peer's offer, as authentic as it was for `context`; `checked`: what it signed, and our pick. It holds no secret."""

    context: HandshakeContext
    statement: KeyStatement
    checked: CheckedOffer
    peer_public_key: bytes


@dataclass(slots=True, eq=False)
class PreparedEpoch:
    """A new epoch with all its keys that its channel does not hold yet: adopt it, or wipe it.

    `tag` is our confirmation of it, `ephemerals` are those of offer and answer.
    """

    epoch: Epoch
    tag: bytes
    peer_public_key: bytes
    ephemerals: tuple[bytes, bytes]

    def wipe(self) -> None:
        self.epoch.wipe()


@dataclass(slots=True, eq=False)
class PreparedAnswer(PreparedEpoch):
    """The responder's; `answer` may leave once the epoch is pending and durable."""

    answer: KeyStatement
