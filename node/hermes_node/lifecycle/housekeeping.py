"""What a node does from time to time: health status, certificates, and the last time seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from hermes_node.chats.store import ChatStore
from hermes_node.logs.event_log import EventLog
from hermes_node.streams.transport import StreamServer
from hermes_node.tls.setup import Certificates

TICK_S: Final = 0.25
CERTIFICATE_CHECK_S: Final = 5.0


class Housekeeping:
    """One task that ticks; `why_not_ready` is followed by the log and by every server's health service."""

    def __init__(
        self,
        *,
        why_not_ready: Callable[[], list[str]],
        servers: Sequence[StreamServer],
        certificates: Certificates,
        store: ChatStore,
        now: Callable[[], float],
        log: EventLog,
    ) -> None:
        self._why_not_ready = why_not_ready
        self._servers = servers
        self._certificates = certificates
        self._store = store
        self._now = now
        self._log = log
        self._told: list[str] | None = None
        self._next_certificates_at = now()

    async def run(self) -> None:
        """Until cancelled; a keystore that fails ends the node."""
        while True:
            now = self._now()
            await self._tell_readiness()
            if now >= self._next_certificates_at:
                self._next_certificates_at = now + CERTIFICATE_CHECK_S
                self._certificates.refresh()
            await self._store.keep_time()
            await asyncio.sleep(TICK_S)

    async def _tell_readiness(self) -> None:
        reasons = self._why_not_ready()
        if reasons == self._told:
            return
        self._told = reasons
        if reasons:
            self._log.info("node_unready", reasons=reasons)
        else:
            self._log.info("node_ready")
        for server in self._servers:
            await server.follow(not reasons)
