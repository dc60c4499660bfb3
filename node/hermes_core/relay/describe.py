"""Where a chat stands, without a secret: for /crypto/ratchets and the resume witness."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.ids import ChannelKind, ChatId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.relay.chat import Chat
from hermes_core.relay.hop import Hop


@dataclass(frozen=True, slots=True)
class HopDescription:
    """Positions and epochs of one hop."""

    kind: ChannelKind
    epoch: int
    pending_epoch: int
    send_next: int
    send_reserved: int
    recv_next: int
    recv_reserved: int
    up: bool
    epoch_started_at_s: float


@dataclass(frozen=True, slots=True)
class ChatDescription:
    chat_id: ChatId
    state: ChatState
    sides: tuple[HopDescription, HopDescription]


def describe_chat(chat: Chat) -> ChatDescription:
    first, second = chat.hops.pair
    return ChatDescription(chat.chat_id, chat.state, (_describe_hop(first), _describe_hop(second)))


def _describe_hop(hop: Hop) -> HopDescription:
    channel = hop.channel
    return HopDescription(
        kind=channel.kind,
        epoch=channel.epoch,
        pending_epoch=channel.pending_epoch,
        send_next=channel.send_next,
        send_reserved=channel.send_reserved,
        recv_next=channel.recv_next,
        recv_reserved=channel.recv_reserved,
        up=hop.state.ready,
        epoch_started_at_s=channel.epoch_started_at_s,
    )
