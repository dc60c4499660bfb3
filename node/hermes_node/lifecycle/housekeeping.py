"""What a node does from time to time: heartbeats, health status, certificates, and fresh generation keys."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from hermes_core.keystore.rotation import RotationParams, RotationTimer

if TYPE_CHECKING:
    from hermes_node.lifecycle.node import Node

TICK_S: Final = 0.25
CERTIFICATE_CHECK_S: Final = 5.0


class Housekeeping:
    """One task that ticks."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._reasons: list[str] | None = None
        now = node.clock.now()
        self._next_certificates_at = now
        settings = node.config.keystore
        self._rotation = RotationTimer(RotationParams(settings.rotate_interval_s, settings.rotate_after_deletes), now)

    async def run(self) -> None:
        """Until cancelled; a keystore that fails ends the node."""
        tick_s = min(TICK_S, self._node.config.app.heartbeat_interval_s / 4)
        while True:
            now = self._node.clock.now()
            self._node.sessions.beat(now, self._node.config.app.heartbeat_interval_s)
            await self._tell_readiness()
            if now >= self._next_certificates_at:
                self._next_certificates_at = now + CERTIFICATE_CHECK_S
                for tls in self._node.tls.values():
                    tls.refresh()
            await self._rotate(now)
            await asyncio.sleep(tick_s)

    async def _tell_readiness(self) -> None:
        reasons = self._node.readiness.reasons()
        if reasons == self._reasons:
            return
        self._reasons = reasons
        if reasons:
            self._node.log.info("node_unready", reasons=reasons)
        else:
            self._node.log.info("node_ready")
        for _, health in self._node.servers:
            await health.follow(not reasons)

    async def _rotate(self, now: float) -> None:
        store = self._node.store
        if store is not None and self._rotation.is_due(store.deleted_since_rotation, now):
            self._rotation.begin(now)
            await store.rotate()
            self._node.log.info("keystore_rotated", generation=store.mark.generation)
