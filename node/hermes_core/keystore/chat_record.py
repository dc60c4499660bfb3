"""ChatRecord: everything a node keeps of one chat, sealed in its keystore; it holds no end-to-end secret."""

from __future__ import annotations

from enum import IntEnum

from hermes_core.handshake.move import SignedMove
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.protocol.messages import CloseReason
from hermes_core.ratchet.end_proof import EndProof
from hermes_core.ratchet.state import ChannelSnapshot, wipe_channel
from hermes_core.values import dataclass


class ChatState(IntEnum):
    """Where a chat stands on this node."""

    PENDING = 1  # handshake under way; not confirmed yet
    ACTIVE = 2
    QUARANTINED = 3  # rollback seen: nothing flows until it is rekeyed or deleted


@dataclass(slots=True)
class ChatRecord:
    """Two sides: [0] towards the initiating app, [1] towards the other. A side's node is None when the app is at home here.

    `acked` is, per side, the highest seq acknowledged by that side's app. Times are whole seconds since the Unix epoch.
    """

    chat_id: ChatId
    state: ChatState
    app_ids: tuple[AppId, AppId]
    app_keys: tuple[bytes, bytes]
    side_nodes: tuple[NodeId | None, NodeId | None]
    sides: tuple[ChannelSnapshot, ChannelSnapshot]
    end_to_end_epoch: int
    acked: tuple[int, int]
    messages_in_epoch: int
    created_at_s: int
    last_active_at_s: int
    moves: tuple[SignedMove | None, SignedMove | None] = (None, None)
    """Of each side's app, the highest that was seen."""

    def wipe(self) -> None:
        """Wipe every secret of both sides."""
        for side in self.sides:
            wipe_channel(side)


@dataclass(frozen=True, slots=True)
class Notice:
    """A `Closed` that its receiver has not acknowledged: for an app (`node_id` None) or for a node (`app_id` None)."""

    app_id: AppId | None
    node_id: NodeId | None
    reason: CloseReason


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of an ended chat until everybody knows: one or two notices, no secret. Time in whole Unix seconds.

    `app_ids` are those of the chat, so that a move of it gets its end; None when an older Hermes wrote it.
    """

    chat_id: ChatId
    notices: tuple[Notice, ...]
    created_at_s: int
    app_ids: tuple[AppId, AppId] | None = None
    proofs: tuple[EndProof, ...] = ()
    """Of the app that deleted it; only beside both ids."""
