"""Relaying one sealed frame: open it on the side it came in, check the window, seal it for the side it leaves."""

from __future__ import annotations

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import Sealed
from hermes_core.protocol.payload import DATA, parse_frame_chat, parse_kind_and_seq
from hermes_core.relay import lifetime, paths
from hermes_core.relay.chat import Chat, Neighbour
from hermes_core.relay.closing import refuse_unknown
from hermes_core.relay.tables import NodeTables


def relay_frame(tables: NodeTables, source: Neighbour, sealed: Sealed, now: float) -> None:
    """One frame of one chat; whatever is wrong with it concerns its sender alone."""
    chat_id = parse_frame_chat(sealed.frame)
    chat = tables.chats.get(chat_id)
    index = chat.find_side(source) if chat is not None else None
    if chat is None or index is None:
        refuse_unknown(tables, source, chat_id)
        return
    try:
        payload = _open_frame(tables, chat, index, sealed.frame, now)
        kind, seq = parse_kind_and_seq(payload)
        if kind == DATA:
            _check_window(tables, chat, index, seq)
    except ProtocolError as error:
        tables.refuse_frame(source, chat_id, error)
        return
    if kind == DATA:
        chat.last_active_at = now  # acknowledgements are repeated on every reconnect; they keep no idle chat
        chat.messages_in_epoch += 1
        lifetime.check_key_lifetime(tables, chat, now)
    else:
        side = chat.sides[index]
        side.acked = max(side.acked, seq)
    onward = chat.sides[1 - index]
    if not onward.leads_on:
        tables.output.dropped_messages += 1
        paths.report_path_down(tables, chat, index)
        return
    frame = onward.channel.seal(payload, now)
    tables.touch(chat)
    if kind == DATA:
        tables.output.relayed_messages += 1
    else:
        tables.output.relayed_acks += 1
    tables.send_to_side(onward, Sealed(frame))


def _open_frame(tables: NodeTables, chat: Chat, index: int, frame: bytes, now: float) -> bytes:
    side = chat.sides[index]
    if chat.state is ChatState.QUARANTINED or side.quarantined:
        raise ProtocolError(ErrorCode.ROLLBACK_DETECTED, "the chat must be rekeyed or deleted")
    if not side.ready:
        raise ProtocolError(ErrorCode.CHAT_NOT_READY, "the chat is not resumed on this stream")
    payload = side.channel.open(frame, now)
    tables.touch(chat)
    return payload


def _check_window(tables: NodeTables, chat: Chat, index: int, seq: int) -> None:
    """The other app's acknowledgements bound what this side may have under way."""
    side, onward = chat.sides[index], chat.sides[1 - index]
    if not side.window_known:  # after a restart: an app sends again from its first unacknowledged message
        side.window_known = True
        onward.acked = max(onward.acked, seq - 1)
    if seq > onward.acked + tables.params.window_messages:
        raise ProtocolError(ErrorCode.BACKPRESSURE, "beyond the window of unacknowledged messages")
