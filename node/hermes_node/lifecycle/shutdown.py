"""How a node ends: drain and stop, wipe, or be abandoned after a failure."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from hermes_core.errors import ErrorCode, KeystoreError
from hermes_core.protocol.messages import CloseReason

if TYPE_CHECKING:
    from hermes_node.lifecycle.node import Node

STREAM_GRACE_S: Final = 1.0
POLL_S: Final = 0.05


class Shutdown:
    """Ends the parts of a node in the opposite order of their start."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._abandoned = False

    def begin_drain(self) -> None:
        node = self._node
        if node.readiness.draining:
            return
        node.readiness.draining = True
        node.log.info("node_draining", sessions=node.count_apps())
        if node.chats is not None:
            node.chats.drain(int(node.config.cleanup.drain_timeout_s * 1000))

    async def drain_and_stop(self) -> None:
        """Give apps drain_timeout_s to leave, then end what is left."""
        node = self._node
        self.begin_drain()
        deadline = node.clock.now() + node.config.cleanup.drain_timeout_s
        while node.count_apps() and node.clock.now() < deadline:  # noqa: ASYNC110 - a bounded wait at the very end
            await asyncio.sleep(POLL_S)
        node.log.info("node_stopping", sessions=node.count_apps())
        wipe = node.config.cleanup.wipe_on_shutdown
        if wipe:
            await self._close_chats()
        await self._end_streams()
        await node.cancel_parts()
        await self._close_keystore(wipe=wipe)
        await node.admin.stop()
        node.close_executor()

    async def wipe(self) -> None:
        """Erase the keystore and stop serving; the process goes on answering health checks, never ready again."""
        node = self._node
        self.begin_drain()
        node.readiness.wiped = True
        await self._close_chats()
        await self._end_streams()
        await node.cancel_parts()
        await self._close_keystore(wipe=True)

    async def abandon(self) -> None:
        """No drain, no flush: nothing uncommitted may leave any more."""
        node = self._node
        await node.cancel_parts()
        if node.mesh is not None:
            await node.mesh.close()
        for server, _ in node.servers:
            await server.stop(0)
        with contextlib.suppress(KeystoreError):
            await self._close_keystore(wipe=False)
        await node.admin.stop()
        node.close_executor()

    async def _close_chats(self) -> None:
        """Tell every app and node that its chats are over, and see it written before the streams end."""
        node = self._node
        if node.chats is not None:
            node.chats.close_all(CloseReason.NODE_SHUTDOWN)
            await node.chats.flush()

    async def _end_streams(self) -> None:
        node = self._node
        if node.chats is not None:
            node.chats.end_apps(ErrorCode.DRAINING, "this node stops")
            await node.chats.flush()
        if node.mesh is not None:
            await node.mesh.leave()
        await asyncio.gather(*(server.stop(STREAM_GRACE_S) for server, _ in node.servers))
        if node.mesh is not None:
            await node.mesh.close()
        if node.chats is not None:
            await node.chats.flush()

    async def _close_keystore(self, *, wipe: bool) -> None:
        node = self._node
        store, node.store = node.store, None
        if store is None:
            return
        await store.close(wipe=wipe)
        if wipe:
            node.log.info("keystore_wiped")
