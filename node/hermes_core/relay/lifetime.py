"""How long a chat's keys may be used, and how long a chat may be idle."""

from __future__ import annotations

from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import CloseReason, ErrorNotice
from hermes_core.relay import closing
from hermes_core.relay.chat import Chat
from hermes_core.relay.events import RekeyRequired
from hermes_core.relay.tables import NodeTables


def is_key_due(tables: NodeTables, chat: Chat, now: float) -> bool:
    """The chat's keys have served their time, or their messages."""
    params = tables.params
    oldest = min(side.channel.epoch_started_at_s for side in chat.sides)
    return now >= oldest + params.max_key_lifetime_s or chat.messages_in_epoch >= params.max_key_messages


def check_key_lifetime(tables: NodeTables, chat: Chat, now: float) -> None:
    """Ask the apps for a rekey, once; the grace begins. Only a chat whose apps are both there can be rekeyed at all."""
    if chat.rekey_deadline is not None or chat.state is not ChatState.ACTIVE or not is_key_due(tables, chat, now):
        return
    if not _can_rekey(chat):
        return
    chat.rekey_deadline = now + tables.params.rekey_grace_s
    tables.chat_timers.schedule(chat.chat_id, chat.rekey_deadline)
    tables.report(RekeyRequired(chat.chat_id))
    notice = ErrorNotice(ErrorCode.REKEY_REQUIRED, ErrorScope.FRAME, chat.chat_id, "the keys have served their time", 0)
    for side in chat.sides:
        if side.is_leg:
            tables.send_to_side(side, notice)


def _can_rekey(chat: Chat) -> bool:
    return all(side.leads_on for side in chat.sides)


def plan_deadline(tables: NodeTables, chat: Chat) -> float:
    """When the chat has to be looked at again."""
    params = tables.params
    due = chat.last_active_at + params.idle_timeout_s
    if chat.handshake is not None:
        due = min(due, chat.handshake.started_at + params.handshake_timeout_s)
    elif chat.state is ChatState.PENDING:
        due = min(due, chat.last_active_at + params.handshake_timeout_s)
    if chat.rekey_deadline is not None:
        due = min(due, chat.rekey_deadline)
    elif chat.state is ChatState.ACTIVE and _can_rekey(chat):
        due = min(due, *(side.channel.epoch_started_at_s + params.max_key_lifetime_s for side in chat.sides))
    for side in chat.sides:
        channel_due = side.channel.next_timer()
        if channel_due is not None:
            due = min(due, channel_due)
        if side.resume_sent_at is not None:
            due = min(due, side.resume_sent_at + params.resume_retry_s)
    return due


def apply_deadlines(tables: NodeTables, chat: Chat, now: float) -> bool:
    """End what has lasted too long; False when that was the chat itself."""
    params = tables.params
    for side in chat.sides:
        side.channel.handle_timer(now)
        tables.touch(chat)
    expired = now >= chat.last_active_at + params.idle_timeout_s
    unconfirmed = (
        chat.state is ChatState.PENDING and chat.handshake is None and now >= chat.last_active_at + params.handshake_timeout_s
    )
    if expired or unconfirmed:
        closing.close_chat(tables, chat, CloseReason.EXPIRED, now)
        return False
    if chat.rekey_deadline is not None and not _can_rekey(chat):
        chat.rekey_deadline = None  # an app went away meanwhile: the grace begins anew when it is back
    if chat.rekey_deadline is not None and now >= chat.rekey_deadline:
        closing.close_chat(tables, chat, CloseReason.RATCHET_FAILED, now)
        return False
    check_key_lifetime(tables, chat, now)
    return True
