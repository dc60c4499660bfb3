"""What a node does with its own marks: it signs them, acts on those that come back, and lets its chats go on."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.crypto.signing import Identity
from hermes_core.keystore.lineage import MarkVerdict
from hermes_core.keystore.mark import Mark
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.rollback import RollbackGuard
from hermes_node.chats.store import ChatStore


@dataclass(frozen=True, slots=True)
class OwnOpenings:
    """`identity` is the node's. For the mesh (hermes_node.mesh.witnessing) and for the admin server."""

    identity: Identity
    store: ChatStore
    chats: ChatDriver
    rollback: RollbackGuard

    def current_mark(self) -> Mark:
        return self.store.current_mark(self.identity)

    def count_news(self) -> int:
        return self.store.count_news()

    async def take_mark(self, mark: Mark) -> MarkVerdict:
        return await self.rollback.take_mark(mark, self.identity.public_key)

    def let_chats_resume(self) -> None:
        self.chats.release_resumes()
