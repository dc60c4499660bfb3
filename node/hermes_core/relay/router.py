"""NodeChats: every chat of a node as one machine without IO; messages and time go in, puts, sends and events come out.

docs/reference/protocol.md says what flows. Each part of the work has its file: admission and handshakes (open, rekey), relay
(frames), resume (new streams, rollback), paths (who hears what is reachable), lifetime (what lasts too long), closing (ends).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, NodeId
from hermes_core.keystore.chat_record import ChatRecord, Tombstone
from hermes_core.protocol.messages import (
    Answer,
    ChatMessage,
    Closed,
    ClosedAck,
    CloseReason,
    Confirm,
    Delete,
    ErrorNotice,
    Offer,
    PathState,
    Reject,
    Resume,
    Sealed,
)
from hermes_core.ratchet.channel import Channel
from hermes_core.relay import closing, frames, handshakes, lifetime, paths, resume
from hermes_core.relay.chat import Chat, ChatDescription, Neighbour, Side, describe_chat
from hermes_core.relay.output import NodeOutput
from hermes_core.relay.params import ChatParams
from hermes_core.relay.tables import AppSession, NodeTables, PeerLink

Apply = Callable[[NodeTables, Neighbour, Any, float], None]

_FROM_BOTH: Final[dict[type, Apply]] = {
    Sealed: frames.relay_frame,
    Offer: handshakes.apply_offer,
    Answer: handshakes.apply_answer,
    Confirm: handshakes.apply_confirm,
    Reject: handshakes.apply_reject,
    Resume: resume.apply_resume,
    ClosedAck: closing.apply_closed_ack,
}
_FROM_APP: Final[dict[type, Apply]] = {**_FROM_BOTH, Delete: closing.apply_delete}
_FROM_PEER: Final[dict[type, Apply]] = {
    **_FROM_BOTH,
    Closed: closing.apply_closed,
    PathState: paths.apply_path,
    ErrorNotice: resume.apply_error,
}

_RESUME_PAUSE_S: Final = 0.001
"""Between two batches of resumes to one peer: long enough that other work gets its turn."""


class NodeChats:
    """No method raises for what an outsider sent: it becomes an ErrorNotice (or Reject) to the sender and an event."""

    def __init__(self, *, identity: Identity, node_id: NodeId, params: ChatParams, random: RandomSource) -> None:
        self._tables = NodeTables(identity, node_id, params, random)
        self._resuming_at: dict[NodeId, float] = {}

    # what was stored

    def restore(self, records: Iterable[ChatRecord], tombstones: Iterable[Tombstone], now: float) -> None:
        """Take up what the keystore held, once, before anything else. Each record is wiped here as soon as it was read."""
        tables = self._tables
        for record in records:
            chat = self._restore_chat(record)
            tables.add_chat(chat)
            for side in chat.sides:
                if side.node_id is not None:
                    tables.dead_peers.setdefault(side.node_id, now + tables.params.churn_grace_s)
            tables.chat_timers.schedule(chat.chat_id, lifetime.plan_deadline(tables, chat))
        for tombstone in sorted(tombstones, key=lambda tombstone: tombstone.created_at_s):
            closing.add_tombstone(tables, tombstone)

    def _restore_chat(self, record: ChatRecord) -> Chat:
        sides = []
        for app_id, node_id, snapshot in zip(record.app_ids, record.side_nodes, record.sides, strict=True):
            channel = Channel.restore(
                snapshot,
                chat_id=record.chat_id,
                identity=self._tables.identity,
                params=self._tables.params.channel,
                random=self._tables.random,
            )
            neighbour = Neighbour(app_id, None) if node_id is None else Neighbour(None, node_id)
            sides.append(Side(neighbour, app_id, channel))
        chat = Chat.restore(record, (sides[0], sides[1]))
        record.wipe()
        return chat

    # streams

    def app_connected(self, app_id: AppId, public_key: bytes, binding: bytes, now: float) -> None:
        """An app proved its identity on a new stream with this session binding; an older stream of it is void."""
        if app_id in self._tables.sessions:
            self.app_disconnected(app_id, now)
        session = self._tables.sessions[app_id] = AppSession(app_id, public_key, binding)
        closing.send_notices(self._tables, session.neighbour)
        resume.announce_chats(self._tables, session.neighbour)

    def app_disconnected(self, app_id: AppId, now: float) -> None:
        session = self._tables.sessions.pop(app_id, None)
        if session is not None:
            self._lose_neighbour(session.neighbour, now)

    def peer_connected(self, node_id: NodeId, public_key: bytes, binding: bytes, now: float) -> None:
        """A node proved its identity on a new stream with this session binding; an older stream to it is void."""
        if node_id in self._tables.peers:
            self.peer_disconnected(node_id, now)
        link = self._tables.peers[node_id] = PeerLink(node_id, public_key, binding)
        self._tables.dead_peers.pop(node_id, None)
        closing.send_notices(self._tables, link.neighbour)
        resume.queue_resumes(self._tables, link, now)
        self._plan_resumes(link, now)

    def peer_disconnected(self, node_id: NodeId, now: float) -> None:
        link = self._tables.peers.pop(node_id, None)
        self._resuming_at.pop(node_id, None)
        if link is not None:
            self._lose_neighbour(link.neighbour, now)

    def peer_dead(self, node_id: NodeId, now: float) -> None:
        """The mesh gave a node up: its chats end after the churn grace unless it is back by then."""
        if node_id not in self._tables.peers:
            self._tables.dead_peers.setdefault(node_id, now + self._tables.params.churn_grace_s)

    def _lose_neighbour(self, neighbour: Neighbour, now: float) -> None:
        self._tables.drop_sends(neighbour)
        for chat in self._tables.chats_of(neighbour):
            for side in chat.sides:
                if side.neighbour == neighbour:
                    side.lose()
            if chat.handshake is not None:
                lost = chat.find_side(neighbour)
                handshakes.fail_handshake(self._tables, chat, ErrorCode.ROUTE_UNAVAILABLE, now, informed=lost)
            if chat.chat_id in self._tables.chats:
                paths.refresh_paths(self._tables, chat)

    def update_directory(self, locations: Mapping[AppId, NodeId]) -> None:
        """Where apps of other nodes are at home; the mapping is kept, not copied."""
        self._tables.directory = locations

    # messages

    def receive_app(self, app_id: AppId, message: ChatMessage, now: float) -> None:
        """One message of a connected app, its lengths already checked (hermes_core.protocol.validate)."""
        session = self._tables.sessions.get(app_id)
        if session is not None:
            self._receive(_FROM_APP, session.neighbour, message, now)

    def receive_peer(self, node_id: NodeId, message: ChatMessage, now: float) -> None:
        """One message of a connected node, its lengths already checked."""
        link = self._tables.peers.get(node_id)
        if link is not None:
            self._receive(_FROM_PEER, link.neighbour, message, now)

    def _receive(self, inputs: Mapping[type, Apply], source: Neighbour, message: ChatMessage, now: float) -> None:
        apply = inputs.get(type(message))
        if apply is not None:
            apply(self._tables, source, message, now)
            return
        chat_id = None if isinstance(message, Sealed) else message.chat_id
        error = ProtocolError(ErrorCode.INVALID_FRAME, "this message does not go in this direction")
        self._tables.refuse(source, chat_id, error)

    # operation

    def drain(self, now: float) -> None:
        """Take no new chats; those that live go on."""
        del now
        self._tables.draining = True

    def close_all(self, reason: CloseReason, now: float) -> None:
        """End every chat and tell everyone concerned."""
        for chat in list(self._tables.chats.values()):
            closing.close_chat(self._tables, chat, reason, now)

    def quarantine_all(self, now: float) -> None:
        """An outside witness saw a newer store: no chat is resumed, each must be rekeyed or deleted."""
        for chat in list(self._tables.chats.values()):
            resume.quarantine(self._tables, chat, now)

    # time

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do; None: not before the next input."""
        tables = self._tables
        times = [tables.chat_timers.next_due()]
        times += self._resuming_at.values()
        times += tables.dead_peers.values()
        if tables.tombstones:
            times.append(next(iter(tables.tombstones.values())).created_at_s + tables.params.tombstone_ttl_s)
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> None:
        tables = self._tables
        for node_id, due in list(self._resuming_at.items()):
            if due <= now:
                link = tables.peers[node_id]
                resume.send_queued_resumes(tables, link, now)
                self._plan_resumes(link, now)
        for node_id, due in list(tables.dead_peers.items()):
            if due <= now:
                del tables.dead_peers[node_id]
                for chat in tables.chats_of(Neighbour(None, node_id)):
                    closing.close_chat(tables, chat, CloseReason.ROUTE_UNAVAILABLE, now)
        for chat_id in tables.chat_timers.pop_due(now):
            self._handle_chat_timer(tables.chats[chat_id], now)
        closing.expire_tombstones(tables, now)

    def _handle_chat_timer(self, chat: Chat, now: float) -> None:
        tables = self._tables
        handshake = chat.handshake
        if handshake is not None and now >= handshake.started_at + tables.params.handshake_timeout_s:
            handshakes.fail_handshake(tables, chat, ErrorCode.TARGET_OFFLINE, now)
        if chat.chat_id not in tables.chats or not lifetime.apply_deadlines(tables, chat, now):
            return
        resume.repeat_resume(tables, chat, now)
        tables.chat_timers.schedule(chat.chat_id, lifetime.plan_deadline(tables, chat))

    def _plan_resumes(self, link: PeerLink, now: float) -> None:
        if link.resume_queue:
            self._resuming_at[link.node_id] = now + _RESUME_PAUSE_S
        else:
            self._resuming_at.pop(link.node_id, None)

    # output

    def take_output(self) -> NodeOutput:
        """Everything since the last call: commit its puts and deletes first, then send, in order."""
        output = self._tables.take_output()
        for chat_id in output.puts:
            # a reservation may have derived keys that have to go when the chat falls idle
            self._tables.chat_timers.schedule(chat_id, lifetime.plan_deadline(self._tables, self._tables.chats[chat_id]))
        return output

    # what is shown

    def describe(self) -> Iterator[ChatDescription]:
        return (describe_chat(chat) for chat in self._tables.chats.values())

    def live_chats(self) -> int:
        return len(self._tables.chats)

    def live_tieline_chats(self) -> int:
        """Those of the live chats that another node takes part in."""
        return self._tables.tieline_chats
