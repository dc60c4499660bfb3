"""Ending chats: keys wiped, record deleted, exactly one notice to each other party, kept until it is acknowledged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record import ChatState, Notice, Tombstone
from hermes_core.protocol.messages import Closed, ClosedAck, CloseReason, Delete
from hermes_core.relay.chat import Chat, Neighbour
from hermes_core.relay.events import ChatErased, NoticeDelivered
from hermes_core.relay.tables import NodeTables


def close_chat(
    tables: NodeTables,
    chat: Chat,
    reason: CloseReason,
    now: float,
    *,
    silent: Collection[int] = (),
) -> None:
    """End a chat on this node and tell every side but the `silent` ones (those that know, or that never took part)."""
    notices = tuple(
        Notice(side.neighbour.app_id, side.neighbour.node_id, reason)
        for index, side in enumerate(chat.sides)
        if index not in silent
    )
    tables.report(ChatErased(chat.chat_id, reason, was_open=chat.state is not ChatState.PENDING))
    tables.remove_chat(chat)
    if notices:
        add_tombstone(tables, Tombstone(chat.chat_id, notices, int(now)))
        tables.output.tombstone_puts[chat.chat_id] = tables.tombstones[chat.chat_id]
        tables.output.tombstone_deletes.discard(chat.chat_id)
    for notice in notices:
        tables.send(Neighbour(notice.app_id, notice.node_id), Closed(chat.chat_id, notice.reason))


def add_tombstone(tables: NodeTables, tombstone: Tombstone) -> None:
    """Keep a tombstone; beyond the limit the oldest goes."""
    tables.tombstones[tombstone.chat_id] = tombstone
    for notice in tombstone.notices:
        tables.notices.setdefault(Neighbour(notice.app_id, notice.node_id), {})[tombstone.chat_id] = None
    if len(tables.tombstones) > tables.params.max_tombstones:
        drop_tombstone(tables, next(iter(tables.tombstones.values())))


def drop_tombstone(tables: NodeTables, tombstone: Tombstone) -> None:
    for notice in tombstone.notices:
        _forget_notice(tables, Neighbour(notice.app_id, notice.node_id), tombstone)
    del tables.tombstones[tombstone.chat_id]
    tables.output.tombstone_puts.pop(tombstone.chat_id, None)
    tables.output.tombstone_deletes.add(tombstone.chat_id)


def _forget_notice(tables: NodeTables, neighbour: Neighbour, tombstone: Tombstone) -> None:
    chats = tables.notices[neighbour]
    chats.pop(tombstone.chat_id, None)
    if not chats:
        del tables.notices[neighbour]


def find_notice(neighbour: Neighbour, tombstone: Tombstone | None) -> Notice | None:
    """What this neighbour has not acknowledged yet of an ended chat."""
    if tombstone is not None:
        for notice in tombstone.notices:
            if Neighbour(notice.app_id, notice.node_id) == neighbour:
                return notice
    return None


def send_notices(tables: NodeTables, neighbour: Neighbour) -> None:
    """A neighbour is back: send again what it has not acknowledged."""
    for chat_id in tables.notices.get(neighbour, ()):
        notice = find_notice(neighbour, tables.tombstones[chat_id])
        if notice is not None:
            tables.send(neighbour, Closed(chat_id, notice.reason))


def apply_closed_ack(tables: NodeTables, source: Neighbour, ack: ClosedAck, now: float) -> None:
    """The notice arrived. Anything that was not waited for is of no consequence."""
    del now
    tombstone = tables.tombstones.get(ack.chat_id)
    notice = find_notice(source, tombstone)
    if tombstone is None or notice is None:
        return
    tables.report(NoticeDelivered(ack.chat_id, notice.reason))
    rest = tuple(other for other in tombstone.notices if other is not notice)
    if not rest:
        drop_tombstone(tables, tombstone)
        return
    _forget_notice(tables, source, tombstone)
    tables.tombstones[ack.chat_id] = tables.output.tombstone_puts[ack.chat_id] = replace(tombstone, notices=rest)


def apply_delete(tables: NodeTables, source: Neighbour, delete: Delete, now: float) -> None:
    """An app ends its chat; the others hear of it."""
    chat = tables.chats.get(delete.chat_id)
    index = chat.find_side(source) if chat is not None else None
    if chat is None or index is None:
        refuse_unknown(tables, source, delete.chat_id)
        return
    close_chat(tables, chat, CloseReason.DELETED_BY_PEER, now, silent={index})


def apply_closed(tables: NodeTables, source: Neighbour, closed: Closed, now: float) -> None:
    """The other node ended the chat. Acknowledged in any case, so that its tombstone may go."""
    chat = tables.chats.get(closed.chat_id)
    index = chat.find_side(source) if chat is not None else None
    if chat is not None and index is not None:
        close_chat(tables, chat, closed.reason, now, silent={index})
    tables.send(source, ClosedAck(closed.chat_id, closed.reason))


def refuse_unknown(tables: NodeTables, source: Neighbour, chat_id: ChatId) -> None:
    """One answer for chats that are not here and chats of others; a party of an ended chat hears its end again."""
    notice = find_notice(source, tables.tombstones.get(chat_id))
    if notice is not None:
        tables.send(source, Closed(chat_id, notice.reason))
    else:
        tables.refuse(source, chat_id, ProtocolError(ErrorCode.CHAT_NOT_FOUND))


def expire_tombstones(tables: NodeTables, now: float) -> None:
    """Drop notices nobody came back for; tombstones are kept in the order of their making."""
    while tables.tombstones:
        oldest = next(iter(tables.tombstones.values()))
        if now < oldest.created_at_s + tables.params.tombstone_ttl_s:
            return
        drop_tombstone(tables, oldest)
