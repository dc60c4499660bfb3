"""The sessions of this node: one an app id, the newer replaces the older."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId
from hermes_core.protocol.session import NodeChange
from hermes_node.apps.session import AppSession


class SessionTable:
    """`on_change` is called whenever the set of connected apps changed."""

    def __init__(self, max_sessions: int, on_change: Callable[[], None]) -> None:
        self._max = max_sessions
        self._on_change = on_change
        self._sessions: dict[AppId, AppSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[AppSession]:
        return iter(list(self._sessions.values()))

    def __contains__(self, app_id: AppId) -> bool:
        return app_id in self._sessions

    def app_ids(self) -> frozenset[AppId]:
        return frozenset(self._sessions)

    def add(self, session: AppSession) -> AppSession | None:
        """Take a session in and return the one it replaces; LIMIT_EXCEEDED when the table is full."""
        older = self._sessions.get(session.app_id)
        if older is None and len(self._sessions) >= self._max:
            raise ProtocolError(
                ErrorCode.LIMIT_EXCEEDED, "this node has as many apps as it takes", scope=ErrorScope.STREAM, retry_after_ms=5000
            )
        self._sessions[session.app_id] = session
        if older is None:
            self._on_change()
        else:
            older.end(ErrorCode.LIMIT_EXCEEDED, "a newer session of this app took over", discard=True)
        return older

    def remove(self, session: AppSession) -> bool:
        """False when the session was replaced before."""
        if self._sessions.get(session.app_id) is not session:
            return False
        del self._sessions[session.app_id]
        self._on_change()
        return True

    def beat(self, now: float, interval_s: float) -> None:
        """Heartbeats and silence, for every session."""
        for session in self:
            session.beat(now, interval_s)

    def hint_leaving(self, drain_after_ms: int) -> None:
        for session in self:
            session.send(NodeChange(drain_after_ms))

    def end_all(self, code: ErrorCode, detail: str) -> None:
        for session in self:
            session.end(code, detail)
