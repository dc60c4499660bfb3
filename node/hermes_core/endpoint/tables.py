"""What the parts of the app's chat machine share: its chats, the stream to the home node, timers, collected output."""

from __future__ import annotations

from typing import Final

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.chat import AppChat, Phase
from hermes_core.endpoint.events import AppEvent, ChatEnded, ChatFailed, FrameRefused
from hermes_core.endpoint.output import AppOutput
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, ChannelKind, ChatId, NodeId, Party, app_party, derive_app_id, node_party
from hermes_core.protocol.messages import ChatMessage, CloseReason, Delete
from hermes_core.protocol.timers import TimerHeap
from hermes_core.ratchet.channel import Channel

MAX_REMEMBERED_ENDS: Final = 4096
"""Ended chats whose first offer, sent again, is not taken for a new chat."""


class HomeStream:
    """The stream to a node that proved its identity."""

    __slots__ = ("binding", "node_id", "party", "public_key")

    def __init__(self, node_id: NodeId, public_key: bytes, binding: bytes) -> None:
        self.node_id = node_id
        self.public_key = public_key
        self.binding = binding
        self.party: Party = node_party(node_id, public_key)


class AppTables:
    """State without decisions."""

    def __init__(self, identity: Identity, params: AppParams, random: RandomSource) -> None:
        self.random = random
        self.identity = identity
        self.app_id: AppId = derive_app_id(identity.public_key)
        self.party = app_party(self.app_id)
        self.params = params
        self.chats: dict[ChatId, AppChat] = {}
        self.stream: HomeStream | None = None
        self.timers: TimerHeap[ChatId] = TimerHeap()
        self.acks_due: dict[ChatId, None] = {}
        self.touched: dict[ChatId, None] = {}
        self.ended: dict[ChatId, None] = {}
        self.output = AppOutput()

    def find_chat(self, chat_id: ChatId) -> AppChat | None:
        """A chat whose home is the node this stream goes to: no other node has a say in it."""
        chat = self.chats.get(chat_id)
        return chat if chat is not None and self.is_home(chat) else None

    def is_home(self, chat: AppChat) -> bool:
        return self.stream is not None and self.stream.node_id == chat.node_id

    def build_leg(self, chat_id: ChatId, stream: HomeStream) -> Channel:
        return Channel(
            kind=ChannelKind.LEG,
            chat_id=chat_id,
            identity=self.identity,
            local=self.party,
            peer=stream.party,
            peer_public_key=stream.public_key,
            params=self.params.leg,
            random=self.random,
        )

    def build_end_to_end(self, chat_id: ChatId, peer: AppId) -> Channel:
        return Channel(
            kind=ChannelKind.END_TO_END,
            chat_id=chat_id,
            identity=self.identity,
            local=self.party,
            peer=app_party(peer),
            peer_public_key=None,
            params=self.params.end_to_end,
            random=self.random,
        )

    def send(self, message: ChatMessage) -> None:
        """Queue for the home node; nothing is kept while there is no stream."""
        if self.stream is not None:
            self.output.sends.append(message)

    def report(self, event: AppEvent) -> None:
        self.output.events.append(event)

    def refuse(self, chat_id: ChatId | None, error: ProtocolError) -> None:
        self.report(FrameRefused(chat_id, error.code))

    def end_chat(self, chat: AppChat, reason: CloseReason) -> None:
        """The chat is over here."""
        del self.chats[chat.chat_id]
        self.timers.cancel(chat.chat_id)
        self.acks_due.pop(chat.chat_id, None)
        chat.wipe()
        self.ended[chat.chat_id] = None
        if len(self.ended) > MAX_REMEMBERED_ENDS:
            del self.ended[next(iter(self.ended))]
        self.report(ChatEnded(chat.chat_id, reason))

    def give_up(self, chat: AppChat, reason: CloseReason) -> None:
        """End a chat the node may still hold."""
        if self.is_home(chat):
            self.send(Delete(chat.chat_id))
        self.end_chat(chat, reason)

    def fail_start(self, chat: AppChat, code: ErrorCode, detail: str) -> None:
        """A chat that never came to be."""
        if chat.phase is Phase.STARTING:
            self.report(ChatFailed(chat.chat_id, code, detail))
        self.end_chat(chat, CloseReason.ROUTE_UNAVAILABLE)
