"""What the chat machine reports, as log lines and metrics."""

from __future__ import annotations

import time
from typing import Final

from hermes_core.ids import ChatId
from hermes_core.protocol.messages import CloseReason
from hermes_core.relay import events
from hermes_node.chats.store import Pass
from hermes_node.logs.event_log import EventLog, Level
from hermes_node.metrics.events import record_chat_event
from hermes_node.metrics.labels import Channel, MessageDirection, MessageResult
from hermes_node.metrics.registry import NodeMetrics

_LEVELS: Final[dict[type, Level]] = {
    events.ChatOpened: Level.INFO,
    events.HandshakeFailed: Level.INFO,
    events.ChannelRekeyed: Level.INFO,
    events.SideResumed: Level.DEBUG,
    events.ResumeRefused: Level.WARNING,
    events.ChatQuarantined: Level.ERROR,
    events.RekeyRequired: Level.INFO,
    events.ChatErased: Level.INFO,
    events.NoticeDelivered: Level.DEBUG,
}


class ChatObserver:
    """`expired` counts chats that ended by time since the start, for the resume report."""

    def __init__(self, log: EventLog, metrics: NodeMetrics) -> None:
        self._log = log
        self._metrics = metrics
        self.expired = 0

    def observe(self, work: Pass) -> None:
        """After a pass: everything in it is committed and handed out."""
        chats = self._metrics.chats
        chats.count_messages(MessageDirection.FORWARD, MessageResult.RELAYED, work.relayed_messages)
        chats.count_messages(MessageDirection.BACKWARD, MessageResult.RELAYED, work.relayed_acks)
        chats.count_messages(MessageDirection.FORWARD, MessageResult.DROPPED, work.dropped_messages)
        chats.count_reservations(len(work.puts))
        chats.count_ratchet_advances(Channel.LEG, work.leg_frames)
        chats.count_ratchet_advances(Channel.TIELINE, work.tieline_frames)
        if work.read_at:
            now = time.perf_counter()
            for read_at in work.read_at:
                chats.observe_relay(now - read_at)
        for event in work.events:
            self._observe_event(event)

    def _observe_event(self, event: events.NodeEvent) -> None:
        record_chat_event(self._metrics, event)
        if isinstance(event, events.ChatErased) and event.reason is CloseReason.EXPIRED:
            self.expired += 1
        if isinstance(event, events.MessageRefused):
            self._log.info(
                "chat_error",
                code=event.code.name,
                channel=event.kind.name.lower(),
                chat=show_chat(event.chat_id),
                reason=event.detail,
            )
            return
        fields: dict[str, object] = {"kind": type(event).__name__, "chat": show_chat(event.chat_id)}
        for name in ("code", "reason", "epoch"):
            value = getattr(event, name, None)
            if value is not None:
                fields[name] = getattr(value, "name", value)
        self._log.write(_LEVELS[type(event)], "chat_event", fields)


def show_chat(chat_id: ChatId | None) -> str:
    """Enough of a chat id to follow it through the logs."""
    return "" if chat_id is None else chat_id.hex()[:8]
