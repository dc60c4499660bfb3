"""What the parts of the node's chat machine share: the chats and their indices, open streams, timers, collected output."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorScope, ProtocolError
from hermes_core.ids import AppId, ChannelKind, ChatId, NodeId, Party, app_party, node_party
from hermes_core.keystore.chat_record import Tombstone
from hermes_core.protocol.messages import ChatMessage, ErrorNotice
from hermes_core.protocol.timers import TimerHeap
from hermes_core.ratchet.channel import Channel
from hermes_core.relay.chat import Chat, Neighbour, Side
from hermes_core.relay.events import MessageRefused, NodeEvent
from hermes_core.relay.output import NodeOutput, ToApp, ToPeer
from hermes_core.relay.params import ChatParams
from hermes_core.relay.throttle import TokenBucket

MAX_THROTTLED_APPS: Final = 10_000
"""Apps whose recent handshakes are remembered; the one longest unseen is forgotten first."""


class AppSession:
    """An app whose stream stands."""

    __slots__ = ("app_id", "binding", "neighbour", "public_key")

    def __init__(self, app_id: AppId, public_key: bytes, binding: bytes) -> None:
        self.app_id = app_id
        self.public_key = public_key
        self.binding = binding
        self.neighbour = Neighbour(app_id, None)


class PeerLink:
    """A node whose stream stands; chats in `resume_queue` have not had our claims yet."""

    __slots__ = ("binding", "neighbour", "node_id", "public_key", "resume_queue")

    def __init__(self, node_id: NodeId, public_key: bytes, binding: bytes) -> None:
        self.node_id = node_id
        self.public_key = public_key
        self.binding = binding
        self.neighbour = Neighbour(None, node_id)
        self.resume_queue: dict[ChatId, None] = {}


class AppThrottle:
    """How often one app may open chats and ask for rekeys."""

    __slots__ = ("handshakes", "rekeys")

    def __init__(self, params: ChatParams, now: float) -> None:
        self.handshakes = TokenBucket(params.max_handshakes_per_app, params.handshake_refill_s, now)
        factor = params.rekey_app_factor
        self.rekeys = TokenBucket(params.rekey_burst * factor, params.rekey_refill_s / factor, now)


class NodeTables:
    """State without decisions. Dicts are used as ordered sets, so that equal inputs give equal outputs."""

    def __init__(self, identity: Identity, node_id: NodeId, params: ChatParams, random: RandomSource) -> None:
        self.random = random
        self.identity = identity
        self.node_id = node_id
        self.party: Party = node_party(node_id, identity.public_key)
        self.params = params
        self.chats: dict[ChatId, Chat] = {}
        self.by_neighbour: dict[Neighbour, dict[ChatId, None]] = {}
        self.sessions: dict[AppId, AppSession] = {}
        self.peers: dict[NodeId, PeerLink] = {}
        self.directory: Mapping[AppId, NodeId] = {}
        self.tombstones: dict[ChatId, Tombstone] = {}
        self.notices: dict[Neighbour, dict[ChatId, None]] = {}
        self.dead_peers: dict[NodeId, float] = {}
        self.waiting: dict[AppId, int] = {}
        self.chat_timers: TimerHeap[ChatId] = TimerHeap()
        self.draining = False
        self.tieline_chats = 0
        self._throttles: OrderedDict[AppId, AppThrottle] = OrderedDict()
        self._touched: dict[ChatId, None] = {}
        self._output = NodeOutput()

    # chats

    def add_chat(self, chat: Chat) -> None:
        self.chats[chat.chat_id] = chat
        for side in chat.sides:
            self.by_neighbour.setdefault(side.neighbour, {})[chat.chat_id] = None
        self.tieline_chats += chat.scope is ChannelKind.TIELINE

    def remove_chat(self, chat: Chat) -> None:
        """Forget the chat, wipe its keys, delete its record."""
        del self.chats[chat.chat_id]
        for side in chat.sides:
            chats = self.by_neighbour[side.neighbour]
            del chats[chat.chat_id]
            if not chats:
                del self.by_neighbour[side.neighbour]
        self.tieline_chats -= chat.scope is ChannelKind.TIELINE
        self.end_handshake(chat)
        self.chat_timers.cancel(chat.chat_id)
        self._touched.pop(chat.chat_id, None)
        if chat.stored:
            self._output.deletes.add(chat.chat_id)
        chat.wipe()

    def chats_of(self, neighbour: Neighbour) -> list[Chat]:
        return [self.chats[chat_id] for chat_id in self.by_neighbour.get(neighbour, ())]

    def build_channel(self, chat_id: ChatId, neighbour: Neighbour, peer_key: bytes) -> Channel:
        """A channel towards a connected neighbour; it has no epoch yet."""
        if neighbour.node_id is not None:
            kind, peer = ChannelKind.TIELINE, node_party(neighbour.node_id, peer_key)
        elif neighbour.app_id is not None:
            kind, peer = ChannelKind.LEG, app_party(neighbour.app_id)
        else:
            raise ValueError("a neighbour is an app or a node")
        return Channel(
            kind=kind,
            chat_id=chat_id,
            identity=self.identity,
            local=self.party,
            peer=peer,
            peer_public_key=peer_key,
            params=self.params.channel,
            random=self.random,
        )

    def count_waiting(self, chat: Chat, by: int) -> None:
        """Count a first handshake for both its apps, so that neither can be made to hold more than its share."""
        for app_id in chat.app_ids:
            count = self.waiting.get(app_id, 0) + by
            if count:
                self.waiting[app_id] = count
            else:
                self.waiting.pop(app_id, None)

    def end_handshake(self, chat: Chat) -> None:
        if chat.handshake is not None and chat.handshake.first:
            self.count_waiting(chat, -1)
        chat.handshake = None

    def throttle_of(self, app_id: AppId, now: float) -> AppThrottle:
        throttle = self._throttles.get(app_id)
        if throttle is None:
            throttle = self._throttles[app_id] = AppThrottle(self.params, now)
            if len(self._throttles) > MAX_THROTTLED_APPS:
                self._throttles.popitem(last=False)
        self._throttles.move_to_end(app_id)
        return throttle

    # streams

    def is_connected(self, neighbour: Neighbour) -> bool:
        if neighbour.node_id is not None:
            return neighbour.node_id in self.peers
        return neighbour.app_id in self.sessions

    def binding_of(self, neighbour: Neighbour) -> bytes | None:
        if neighbour.node_id is not None:
            link = self.peers.get(neighbour.node_id)
            return None if link is None else link.binding
        session = self.sessions.get(neighbour.app_id) if neighbour.app_id is not None else None
        return None if session is None else session.binding

    # output

    def touch(self, chat: Chat) -> None:
        """Something of this chat may have to be stored."""
        self._touched[chat.chat_id] = None

    def mark_changed(self, chat: Chat) -> None:
        """The chat's record differs from what is stored."""
        chat.changed = True
        self._touched[chat.chat_id] = None

    def send(self, neighbour: Neighbour, message: ChatMessage) -> None:
        """Queue for a connected neighbour; to nobody when it is away."""
        if neighbour.node_id is not None:
            if neighbour.node_id in self.peers:
                self._output.sends.append(ToPeer(neighbour.node_id, message))
        elif neighbour.app_id is not None and neighbour.app_id in self.sessions:
            self._output.sends.append(ToApp(neighbour.app_id, message))

    def drop_sends(self, neighbour: Neighbour) -> None:
        """A stream is gone: what was not collected for it is void, and must not reach the next one."""
        void = (neighbour.app_id, neighbour.node_id)
        self._output.sends = [
            send
            for send in self._output.sends
            if ((send.app_id, None) if isinstance(send, ToApp) else (None, send.node_id)) != void
        ]

    def send_to_side(self, side: Side, message: ChatMessage) -> None:
        self.send(side.neighbour, message)

    def refuse(self, neighbour: Neighbour, chat_id: ChatId | None, error: ProtocolError) -> None:
        """Answer with an error; what it ends was decided before."""
        self.report(MessageRefused(chat_id, neighbour.kind, error.code, error.detail))
        self.send(neighbour, ErrorNotice(error.code, error.scope, chat_id, error.detail, error.retry_after_ms))

    def refuse_frame(self, neighbour: Neighbour, chat_id: ChatId | None, error: ProtocolError) -> None:
        """Answer a frame that was dropped: it ends nothing, whatever the code's usual scope."""
        self.refuse(
            neighbour,
            chat_id,
            ProtocolError(error.code, error.detail, scope=ErrorScope.FRAME, retry_after_ms=error.retry_after_ms),
        )

    def report(self, event: NodeEvent) -> None:
        self._output.events.append(event)

    @property
    def output(self) -> NodeOutput:
        """What was collected since the last `take_output`."""
        return self._output

    def take_output(self) -> NodeOutput:
        output, self._output = self._output, NodeOutput()
        for chat_id in self._touched:
            chat = self.chats[chat_id]
            if chat.stored and chat.dirty:
                output.puts[chat_id] = chat.build_record()
                output.deletes.discard(chat_id)
        self._touched.clear()
        return output
