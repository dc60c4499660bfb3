"""What the home node tells an app besides frames and handshakes: resume, paths, ends, errors."""

from __future__ import annotations

from hermes_core.endpoint import frames, handshakes
from hermes_core.endpoint.chat import AppChat, Phase, RekeyWish
from hermes_core.endpoint.events import ChatResumed, FrameRefused, PathChanged
from hermes_core.endpoint.tables import AppTables, HomeStream
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.protocol.messages import ChatMessage, Closed, ClosedAck, CloseReason, Delete, ErrorNotice, PathState, Resume


def send_claims(tables: AppTables, chat: AppChat, stream: HomeStream, now: float) -> None:
    chat.resume_sent_at = now
    tables.timers.schedule(chat.chat_id, now + tables.params.resume_retry_s)
    tables.send(Resume(chat.chat_id, chat.leg.claims(stream.binding)))


def set_path(tables: AppTables, chat: AppChat, *, up: bool) -> None:
    if chat.path_up != up:
        chat.path_up = up
        tables.report(PathChanged(chat.chat_id, up=up))


def receive_control(tables: AppTables, message: ChatMessage, now: float) -> None:
    match message:
        case Resume():
            _take_resume(tables, message, now)
        case PathState():
            _take_path(tables, message, now)
        case Closed():
            _take_closed(tables, message)
        case ErrorNotice():
            _take_error(tables, message, now)
        case _:
            tables.report(FrameRefused(None, ErrorCode.INVALID_FRAME))


def _take_resume(tables: AppTables, message: Resume, now: float) -> None:
    """The node's claims complete the resume. A leg that is ready is left alone."""
    chat = tables.find_chat(message.chat_id)
    if chat is None or tables.stream is None or chat.leg_ready or chat.phase < Phase.ACCEPTED:
        return
    try:
        chat.leg.resume(message.claims, tables.stream.binding, now)
    except ProtocolError as error:
        tables.refuse(chat.chat_id, error)
        if error.code is ErrorCode.ROLLBACK_DETECTED:
            _take_rollback(tables, chat, now)
        elif error.code is ErrorCode.RATCHET_DESYNC:
            tables.give_up(chat, CloseReason.RATCHET_FAILED)
        return
    chat.leg_ready = True
    chat.resume_sent_at = None
    tables.report(ChatResumed(chat.chat_id))


def _take_rollback(tables: AppTables, chat: AppChat, now: float) -> None:
    chat.leg_ready = False
    chat.quarantined = True
    chat.resume_sent_at = None
    set_path(tables, chat, up=False)
    handshakes.wish_rekey(tables, chat, RekeyWish.NODE, now)


def _take_path(tables: AppTables, message: PathState, now: float) -> None:
    chat = tables.find_chat(message.chat_id)
    if chat is None:
        if message.chat_id not in tables.chats:
            tables.send(Delete(message.chat_id))  # the node holds a chat that is over here
        return
    if message.up and chat.leg_ready:
        set_path(tables, chat, up=True)
        chat.retransmit_wait_s = 0.0
        frames.transmit_all(tables, chat, now)
        handshakes.try_rekey(tables, chat, now)
    elif not message.up:
        set_path(tables, chat, up=False)


def _take_closed(tables: AppTables, message: Closed) -> None:
    chat = tables.find_chat(message.chat_id)
    if chat is not None:
        tables.end_chat(chat, message.reason)
    tables.send(ClosedAck(message.chat_id, message.reason))


def _take_error(tables: AppTables, notice: ErrorNotice, now: float) -> None:
    chat = tables.find_chat(notice.chat_id) if notice.chat_id is not None else None
    tables.report(FrameRefused(notice.chat_id, notice.code))
    if chat is None:
        return
    if chat.phase is Phase.STARTING:
        tables.fail_start(chat, notice.code, notice.detail)
        return
    match notice.code:
        case ErrorCode.CHAT_NOT_FOUND:
            tables.end_chat(chat, CloseReason.RATCHET_FAILED)
        case ErrorCode.CHAT_EXPIRED:
            tables.end_chat(chat, CloseReason.EXPIRED)
        case ErrorCode.ROLLBACK_DETECTED:
            _take_rollback(tables, chat, now)
        case ErrorCode.REKEY_REQUIRED:
            handshakes.wish_rekey(tables, chat, RekeyWish.NODE, now)
        case ErrorCode.REKEY_THROTTLED:
            handshakes.fail_rekey(tables, chat, notice.code, notice.detail, now, retry_after_ms=notice.retry_after_ms)
