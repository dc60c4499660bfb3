"""A hop that is about to take another's place in a chat: its keys are agreed on, while the old hop stands as it is."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.handshake.move import SignedMove
from hermes_core.ratchet.channel import Channel
from hermes_core.relay.neighbour import Link


@dataclass(slots=True)
class Candidate:
    """For hop `index`, over `link` alone: with that stream it is void. `offered`: we offered its epoch, or else answered."""

    index: int
    link: Link
    channel: Channel
    move: SignedMove
    since: float
    offered: bool
