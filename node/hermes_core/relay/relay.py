"""Relay: a node's streams and chats as one machine under one clock; what the shell drives."""

from __future__ import annotations

from hermes_core.crypto.mlkem import ML_KEM_768, Kem
from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.ids import NodeId
from hermes_core.relay.output import NodeOutput
from hermes_core.relay.own_marks import OwnMarks
from hermes_core.relay.params import ChatParams, SessionParams
from hermes_core.relay.router import NodeChats
from hermes_core.relay.sessions import Sessions


class Relay:
    """Inputs go to `sessions` (what streams bring) and `chats` (what the operator asks), one pass at a time:

    `begin_pass`, the inputs that wait, `handle_timer` when `next_timer` has come, `take_output`.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        node_id: NodeId,
        chats: ChatParams,
        sessions: SessionParams,
        marks: OwnMarks,
        random: RandomSource,
        kem: Kem = ML_KEM_768,
        renewals: bytes = b"",
    ) -> None:
        self.chats = NodeChats(identity=identity, node_id=node_id, params=chats, random=random, kem=kem)
        self.sessions = Sessions(
            self.chats,
            identity=identity,
            node_id=node_id,
            params=sessions,
            marks=marks,
            random=random,
            renewals=renewals,
        )

    def begin_pass(self, now: float) -> None:
        """The time of the inputs that follow."""
        self.chats.effects.begin_pass(now)

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do; None: not before the next input. Ask once output was taken."""
        times = (self.chats.next_timer(), self.sessions.next_timer())
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due. Call it after the inputs that wait: what they bring may be what a timer waits for."""
        self.chats.handle_timer(now)
        self.sessions.handle_timer(now)

    def take_output(self, *, busy: bool = False) -> NodeOutput:
        """As `NodeChats.take_output`."""
        return self.chats.take_output(busy=busy)
