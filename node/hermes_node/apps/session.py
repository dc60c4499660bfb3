"""One app's session: what waits for it, when it was heard, and how it is ended."""

from __future__ import annotations

from typing import Final

from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.ids import AppId
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import Heartbeat
from hermes_node.streams.outbox import Outbox
from hermes_node.streams.pending import PendingFrames
from hermes_wire.app import ServerMessage

SILENT_INTERVALS: Final = 3


def end_notice(code: ErrorCode, detail: str, retry_after_ms: int = 0) -> ErrorNotice:
    """The last frame of a stream that the node ends."""
    return ErrorNotice(code, ErrorScope.STREAM, None, detail, retry_after_ms)


class AppSession:
    """A proved app on one stream. The chat driver calls `send`, the router's tasks read and write."""

    def __init__(self, app_id: AppId, outbox: Outbox[ServerMessage], now: float) -> None:
        self.app_id = app_id
        self.outbox = outbox
        self.heard_at = now
        self.sent_at = now
        self.too_slow = False
        self._sequence = 0
        self.pending = PendingFrames()

    def send(self, message: ServerMessage) -> None:
        """Queue a message; an app that does not read is cut off rather than remembered without bound."""
        if not self.outbox.put(message):
            self.too_slow = True
            self.end(ErrorCode.BACKPRESSURE, "what waits for this app is not being read", discard=True)

    def end(self, code: ErrorCode, detail: str, *, retry_after_ms: int = 0, discard: bool = False) -> None:
        """Say why and close the stream after what waits (or instead of it)."""
        self.outbox.close(end_notice(code, detail, retry_after_ms), discard=discard)

    def beat(self, now: float, interval_s: float) -> None:
        """Send a heartbeat when nothing else was sent, end the session when nothing was heard for three intervals."""
        if now - self.heard_at > SILENT_INTERVALS * interval_s:
            self.end(ErrorCode.ROUTE_UNAVAILABLE, "nothing was heard for three heartbeat intervals", discard=True)
        elif now - self.sent_at >= interval_s:
            self._sequence += 1
            self.send(Heartbeat(self._sequence, reply=False))
