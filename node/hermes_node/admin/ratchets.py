"""/crypto/ratchets: where the ratchets of every chat stand; nothing that names an app or opens a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hermes_core.relay.describe import ChatDescription, HopDescription
from hermes_node.chats.driver import ChatDriver
from hermes_proto.v2 import admin_pb2

MAX_SHOWN_CHATS: Final = 1000


@dataclass(frozen=True, slots=True)
class RatchetAnswers:
    chats: ChatDriver
    now: Callable[[], float]

    async def list_ratchets(self) -> admin_pb2.Ratchets:
        now = self.now()
        async with self.chats.turn() as machine:
            descriptions = list(machine.describe())
        shown = [_show_chat(chat, now) for chat in descriptions[:MAX_SHOWN_CHATS]]
        return admin_pb2.Ratchets(chats=shown, total=len(descriptions))


def _show_chat(chat: ChatDescription, now: float) -> admin_pb2.Ratchets.Chat:
    return admin_pb2.Ratchets.Chat(
        chat_ref=chat.chat_id.hex()[:8],
        state=chat.state.name.lower(),
        channels=[_show_side(side, now) for side in chat.sides],
    )


def _show_side(side: HopDescription, now: float) -> admin_pb2.Ratchets.Channel:
    return admin_pb2.Ratchets.Channel(
        kind=side.kind.name.lower(),
        epoch=side.epoch,
        pending_epoch=side.pending_epoch,
        send=admin_pb2.Ratchets.Direction(position=side.send_next, reserved=side.send_reserved),
        recv=admin_pb2.Ratchets.Direction(position=side.recv_next, reserved=side.recv_reserved),
        up=side.up,
        epoch_age_seconds=max(0.0, now - side.epoch_started_at_s),
    )
