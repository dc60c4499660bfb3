"""Frames of one chat between an app and its node: messages out and in, acknowledgements, sending again."""

from __future__ import annotations

from hermes_core.crypto.encoding import u64
from hermes_core.endpoint.chat import AppChat, Phase
from hermes_core.endpoint.delivery import OutgoingMessage
from hermes_core.endpoint.events import MessageReceived, MessagesAcked
from hermes_core.endpoint.tables import AppTables
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.protocol.messages import Confirm, Sealed
from hermes_core.protocol.payload import (
    DATA,
    encode_ack,
    encode_data,
    parse_ack,
    parse_data_frame,
    parse_frame_chat,
    parse_frame_epoch,
    parse_kind_and_seq,
)

# out


def transmit_message(tables: AppTables, chat: AppChat, message: OutgoingMessage, now: float) -> None:
    """Send one message over the leg; its end-to-end frame is made once an epoch, however often it is sent."""
    if message.frame is None:
        message.frame = chat.end_to_end.seal(message.content, now, aad_suffix=u64(message.seq))
    _send_sealed(tables, chat, encode_data(message.seq, message.frame), now)
    plan_retransmit(tables, chat, now)


def transmit_all(tables: AppTables, chat: AppChat, now: float) -> None:
    """The path has come up, or nothing was acknowledged for too long: everything the other app may lack, in order."""
    if not chat.can_send:
        return
    repeat_confirm(tables, chat)
    if chat.incoming.acked:
        send_ack(tables, chat, now)
    for message in chat.outgoing:
        transmit_message(tables, chat, message, now)
    plan_retransmit(tables, chat, now)


def repeat_confirm(tables: AppTables, chat: AppChat) -> None:
    """Our confirmations, until both receivers have shown that they have them."""
    end_to_end = chat.end_to_end.confirm_tag() if chat.unproven else None
    hop = chat.leg.confirm_tag()
    if end_to_end is not None or hop is not None:
        tables.send(Confirm(chat.chat_id, *(end_to_end or (0, b"")), *(hop or (0, b""))))


def send_ack(tables: AppTables, chat: AppChat, now: float) -> None:
    """Acknowledge what the app has taken; also shows the peer that its confirmation arrived."""
    tables.acks_due.pop(chat.chat_id, None)
    if chat.can_send:
        seq = chat.incoming.acked
        _send_sealed(tables, chat, encode_ack(seq, *chat.end_to_end.ack_tag(seq)), now)


def _send_sealed(tables: AppTables, chat: AppChat, payload: bytes, now: float) -> None:
    tables.touched[chat.chat_id] = None
    tables.send(Sealed(chat.leg.seal(payload, now)))


def plan_retransmit(tables: AppTables, chat: AppChat, now: float) -> None:
    """Wait for an acknowledgement, if there is something to acknowledge."""
    if chat.retransmit_at is None and (chat.outgoing or chat.unproven):
        chat.retransmit_wait_s = chat.retransmit_wait_s or tables.params.retransmit_s
        chat.retransmit_at = now + chat.retransmit_wait_s
        tables.timers.schedule(chat.chat_id, chat.retransmit_at)


def retransmit(tables: AppTables, chat: AppChat, now: float) -> None:
    """The wait is over; the next one is longer."""
    chat.retransmit_at = None
    if chat.can_send and (chat.outgoing or chat.unproven):
        chat.retransmit_wait_s = min(2 * chat.retransmit_wait_s, tables.params.retransmit_max_s)
        transmit_all(tables, chat, now)


# in


def receive_frame(tables: AppTables, sealed: Sealed, now: float) -> None:
    """One leg frame; whatever is wrong with it changes nothing."""
    chat_id = parse_frame_chat(sealed.frame)
    chat = tables.find_chat(chat_id)
    if chat is None:
        tables.refuse(chat_id, ProtocolError(ErrorCode.CHAT_NOT_FOUND))
        return
    try:
        if not chat.leg_ready:
            raise ProtocolError(ErrorCode.CHAT_NOT_READY)  # noqa: TRY301
        payload = chat.leg.open(sealed.frame, now)
        tables.touched[chat_id] = None
        kind, seq = parse_kind_and_seq(payload)
        if kind == DATA:
            _take_data(tables, chat, seq, parse_data_frame(payload), now)
        else:
            _take_ack(tables, chat, payload, now)
    except ProtocolError as error:
        tables.refuse(chat_id, error)


def _take_data(tables: AppTables, chat: AppChat, seq: int, frame: bytes, now: float) -> None:
    params = tables.params
    incoming = chat.incoming
    if not incoming.hold(seq, frame, params.window_messages, params.window_bytes):
        tables.acks_due[chat.chat_id] = None  # sent again: our acknowledgement may be lost
        return
    while (next_frame := incoming.next_frame()) is not None:
        content = chat.end_to_end.open(next_frame, now, aad_suffix=u64(incoming.delivered + 1))
        note_proof(chat, parse_frame_epoch(next_frame))
        tables.report(MessageReceived(chat.chat_id, incoming.deliver(), content))


def _take_ack(tables: AppTables, chat: AppChat, payload: bytes, now: float) -> None:
    seq, epoch, tag = parse_ack(payload)
    chat.end_to_end.check_ack(seq, epoch, tag)
    note_proof(chat, epoch)
    if chat.outgoing.acknowledge(seq):
        chat.retransmit_at = None
        chat.retransmit_wait_s = 0.0
        plan_retransmit(tables, chat, now)
        tables.report(MessagesAcked(chat.chat_id, seq))


def note_proof(chat: AppChat, epoch: int) -> None:
    """The peer used this end-to-end epoch, so it has our confirmation."""
    chat.proven_epoch = max(chat.proven_epoch, epoch)


def flush_acks(tables: AppTables, now: float) -> None:
    """One acknowledgement for each chat that owes one."""
    for chat_id in list(tables.acks_due):
        chat = tables.chats[chat_id]
        if chat.phase is Phase.ACTIVE:
            send_ack(tables, chat, now)
    tables.acks_due.clear()
