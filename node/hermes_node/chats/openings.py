"""What a node does with its own marks: it signs them, acts on those that come back, and lets its chats go on."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.crypto.signing import Identity
from hermes_core.errors import ProtocolError
from hermes_core.keystore.lineage import MarkVerdict
from hermes_core.keystore.mark import Mark, encode_mark, parse_mark, read_mark, verify_mark
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.rollback import RollbackGuard
from hermes_node.chats.store import ChatStore


@dataclass(frozen=True, slots=True)
class KeystoreMarks:
    """Marks for the node's machine, which gives them to apps and gets them back (hermes_core.relay.own_marks)."""

    identity: Identity
    store: ChatStore

    def current(self) -> bytes:
        return encode_mark(self.store.current_mark(self.identity))

    def proves_rollback(self, mark: bytes) -> bool:
        """A signature is only verified where it would make a difference: what proves nothing costs no more than its bytes."""
        try:
            said = read_mark(mark)
            if self.store.foresee(said, self.identity.public_key) is not MarkVerdict.ROLLED_BACK:
                return False
            verify_mark(said)
        except ProtocolError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class OwnOpenings:
    """`identity` is the node's. For the mesh (hermes_node.mesh.witnessing), apps, and the admin server."""

    identity: Identity
    store: ChatStore
    chats: ChatDriver
    rollback: RollbackGuard

    async def let_marks_out(self) -> None:
        await self.store.let_marks_out()

    def current_mark(self) -> Mark:
        """Once `let_marks_out` is done."""
        return self.store.current_mark(self.identity)

    def count_news(self) -> int:
        return self.store.count_news()

    async def take_mark(self, mark: Mark) -> MarkVerdict:
        return await self.rollback.take_mark(mark, self.identity.public_key)

    async def take_from_app(self, data: bytes) -> None:
        """A mark that an app handed back, and `KeystoreMarks` found to prove a rollback; the app waits to be taken in."""
        await self.take_mark(parse_mark(data))
        if not self.rollback.ends_node:
            self.chats.mark_judged(data)

    def let_chats_resume(self) -> None:
        self.chats.release_resumes()
