"""What the chat machine reports, as log lines and metrics."""

from __future__ import annotations

import time
from typing import Final

from hermes_core.ids import ChatId
from hermes_core.protocol.messages import CloseReason
from hermes_core.relay import events
from hermes_node.chats.driver import ChatPass
from hermes_node.logs.event_log import EventLog, Level
from hermes_node.metrics.events import record_node_event
from hermes_node.metrics.labels import ChannelLabel, MessageDirection, MessageResult
from hermes_node.metrics.registry import NodeMetrics

LoggedChatEvent = (
    events.ChatOpened
    | events.ChatMoved
    | events.HandshakeFailed
    | events.ChannelRekeyed
    | events.SideResumed
    | events.ResumeRefused
    | events.ChatQuarantined
    | events.RekeyRequired
    | events.ChatErased
    | events.NoticeDelivered
)
_LEVELS: Final[dict[type[LoggedChatEvent], Level]] = {
    events.ChatOpened: Level.INFO,
    events.ChatMoved: Level.INFO,
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

    def observe(self, work: ChatPass) -> None:
        """After a pass: everything in it is committed and handed out."""
        chats, output = self._metrics.chats, work.output
        chats.count_messages(MessageDirection.FORWARD, MessageResult.RELAYED, output.relayed_messages)
        chats.count_messages(MessageDirection.BACKWARD, MessageResult.RELAYED, output.relayed_acks)
        chats.count_messages(MessageDirection.FORWARD, MessageResult.DROPPED, output.dropped_messages)
        chats.count_reservations(len(output.puts))
        chats.count_ratchet_advances(ChannelLabel.LEG, output.leg_frames)
        chats.count_ratchet_advances(ChannelLabel.TIELINE, output.tieline_frames)
        if work.read_at:
            now = time.perf_counter()
            for read_at in work.read_at:
                chats.observe_relay(now - read_at)
        for event in output.events:
            self._observe_event(event)

    def _observe_event(self, event: events.NodeEvent) -> None:
        record_node_event(self._metrics, event)
        match event:
            case events.SessionOpened(app_id=app_id):
                self._log.info("app_connected", app=app_id)
            case events.SessionReplaced(app_id=app_id):
                self._log.info("app_replaced", app=app_id)
            case events.SessionRefused(code=code, detail=detail):
                self._log.info("app_refused", code=code.name, reason=detail)
            case events.SessionEnded(app_id=app_id, too_slow=too_slow):
                self._log.info("app_too_slow" if too_slow else "app_disconnected", app=app_id)
            case events.BatchRefused(app_id=None, node_id=node_id, code=code, detail=detail):
                self._log.warning("peer_refused", peer=node_id, code=code.name, reason=detail)
            case events.BatchRefused(app_id=app_id, code=code, detail=detail):
                self._log.warning("app_invalid_batch", app=app_id, code=code.name, reason=detail)
            case events.MessageRefused():
                self._log_refusal(event)
            case _:
                self._log_chat_event(event)

    def _log_refusal(self, event: events.MessageRefused) -> None:
        channel, chat = event.kind.name.lower(), show_chat(event.chat_id)
        self._log.info("chat_error", code=event.code.name, channel=channel, chat=chat, reason=event.detail)

    def _log_chat_event(self, event: LoggedChatEvent) -> None:
        if isinstance(event, events.ChatErased) and event.reason is CloseReason.EXPIRED:
            self.expired += 1
        if isinstance(event, events.ChatMoved):
            direction = "arrived" if event.arrived else "left"
            self._log.info("chat_moved", direction=direction, channel=event.kind.name.lower(), chat=show_chat(event.chat_id))
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
