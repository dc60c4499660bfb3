"""The end of a chat at its app: what a node says that is one, what its nodes are told of it, and that nothing is left."""

from __future__ import annotations

from typing import Final

from hermes_core.endpoint.channels import ChannelPair
from hermes_core.endpoint.context import ChatContext
from hermes_core.endpoint.handshake import Handshake
from hermes_core.endpoint.hop import Hop, HopState
from hermes_core.endpoint.moving import Moving
from hermes_core.endpoint.transfer import Transfer
from hermes_core.protocol.messages import DELETES, Closed, CloseReason, Delete
from hermes_core.ratchet.end_proof import EndProof

FAILED: Final = frozenset({CloseReason.RATCHET_FAILED, CloseReason.STATE_LOST})
"""What the other app hears as a failure."""


class Ending:
    """Owns whether the chat is over. The other parts are asked how it stands, and emptied at its end."""

    __slots__ = ("_channels", "_context", "_handshake", "_hop", "_moving", "_transfer", "over")

    def __init__(
        self, context: ChatContext, channels: ChannelPair, handshake: Handshake, hop: Hop, transfer: Transfer, moving: Moving
    ) -> None:
        self._context = context
        self._channels = channels
        self._handshake = handshake
        self._hop = hop
        self._transfer = transfer
        self._moving = moving
        self.over = False

    def judge(self, closed: Closed) -> CloseReason | None:
        """How the chat ended, as its owner hears it; None when what the node says is no end of it.

        Nobody but an app says that it deleted the chat, nobody but its home that it was idle for too long.
        """
        reason = closed.reason
        if self._handshake.active and reason in DELETES:
            return self._judge_delete(closed.proofs)
        if self._handshake.answered:
            if reason is CloseReason.EXPIRED and self._channels.leg.peer != self._hop.home.party:
                return None
            if not closed.final and (self._handshake.active or reason is CloseReason.NODE_SHUTDOWN):
                return None  # before that it may be open at the other app, unless its home knows that it is not
        if reason is not CloseReason.RATCHET_FAILED:
            return reason
        if self._transfer.claims.unshared:
            return CloseReason.STATE_LOST
        never_was = not self._handshake.active and self._moving.number > 0  # it asked after a chat that never came to be
        return CloseReason.ROUTE_UNAVAILABLE if never_was else reason

    def _judge_delete(self, proofs: tuple[EndProof, ...]) -> CloseReason | None:
        """The other app's word; ours, which a store that was put back has forgotten; or one that nobody here can tell."""
        end_to_end = self._channels.end_to_end
        if end_to_end.is_end(proofs):
            return CloseReason.DELETED_BY_PEER
        if end_to_end.is_own_end(proofs):
            return CloseReason.DELETED
        return CloseReason.STATE_LOST if end_to_end.is_unshared_end(proofs) else None

    def give_up(self, reason: CloseReason) -> None:
        """End a chat the node may still hold."""
        failed = reason in FAILED
        delete = Delete(self._channels.chat_id, failed, () if failed else self._channels.end_to_end.prove_end())
        if self._hop.state is not HopState.AWAY:
            self._context.effects.send(delete)
        self.close(reason, delete)

    def close(self, reason: CloseReason, delete: Delete | None = None) -> None:
        """The chat is over here: zero every key and forget every message. `delete`: what its nodes are told, now and later."""
        try:
            self._context.effects.end(self._channels.chat_id, reason, delete)
        finally:
            self.forget()

    def forget(self) -> None:
        """Zero every key and forget every message, whatever becomes of one of them; more than once if need be."""
        self.over = True
        try:
            self._channels.wipe()
        finally:
            try:
                self._moving.wipe()
            finally:
                self._transfer.clear()
