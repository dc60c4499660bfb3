"""One chat as its app holds it: the end-to-end channel, the leg to the home node, what is on its way in both directions."""

from __future__ import annotations

from enum import IntEnum

from hermes_core.endpoint.delivery import Incoming, Outgoing
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.protocol.messages import Answer
from hermes_core.ratchet.channel import Channel


class Phase(IntEnum):
    """Where a chat stands in its first handshake."""

    STARTING = 1  # we offered
    OFFERED = 2  # the other app offered; ours has not decided
    ACCEPTED = 3  # we answered, and wait for the confirmation
    ACTIVE = 4


class RekeyWish(IntEnum):
    """Who wants a rekey that has not come through yet."""

    NOBODY = 0
    OWNER = 1  # the app: a refusal is reported and ends the wish
    NODE = 2  # REKEY_REQUIRED or ROLLBACK_DETECTED: tried until it succeeds


class AppChat:
    """State of one chat; router.py and its parts decide.

    `leg_ready`: resumed (or made) on this stream. `path_up`: the other app is reachable. `quarantined`: a rollback was seen,
    only a rekey helps. `proven_epoch`: the latest end-to-end epoch in which the peer showed that it has our confirmation.
    """

    __slots__ = (
        "ack_due",
        "answer",
        "chat_id",
        "end_to_end",
        "incoming",
        "leg",
        "leg_ready",
        "node_id",
        "offered_at",
        "outgoing",
        "path_up",
        "peer",
        "phase",
        "proven_epoch",
        "quarantined",
        "rekey_retry_at",
        "rekey_wait_s",
        "rekey_wish",
        "resume_sent_at",
        "retransmit_at",
        "retransmit_wait_s",
        "started_at",
    )

    def __init__(
        self, chat_id: ChatId, peer: AppId, node_id: NodeId, *, end_to_end: Channel, leg: Channel, phase: Phase, now: float
    ) -> None:
        self.chat_id = chat_id
        self.peer = peer
        self.node_id = node_id
        self.end_to_end = end_to_end
        self.leg = leg
        self.phase = phase
        self.started_at = now
        self.answer: Answer | None = None
        self.leg_ready = False
        self.path_up = False
        self.quarantined = False
        self.proven_epoch = 0
        self.outgoing = Outgoing()
        self.incoming = Incoming()
        self.ack_due = False
        self.offered_at: float | None = None
        self.rekey_wish = RekeyWish.NOBODY
        self.rekey_retry_at: float | None = None
        self.rekey_wait_s = 0.0
        self.resume_sent_at: float | None = None
        self.retransmit_at: float | None = None
        self.retransmit_wait_s = 0.0

    @property
    def can_send(self) -> bool:
        return self.phase is Phase.ACTIVE and self.leg_ready and self.path_up

    @property
    def unproven(self) -> bool:
        """Our confirmation of the end-to-end epoch may not have arrived."""
        return self.proven_epoch < self.end_to_end.epoch and self.end_to_end.confirm_tag() is not None

    def wipe(self) -> None:
        """Zero every key and forget every message."""
        self.end_to_end.wipe()
        self.leg.wipe()
        self.outgoing.clear()
        self.incoming.clear()
        self.answer = None
