"""What the mesh tells the rest of a node: to the chats, and into the keystore."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any

from hermes_core.errors import HermesError
from hermes_core.ids import NodeId
from hermes_core.mesh.homes.machine import Overtaken
from hermes_core.mesh.homes.searches import Found
from hermes_core.mesh.messages import NodeDescriptor
from hermes_keystore import Table
from hermes_keystore.history import Place
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.rollback import RollbackGuard
from hermes_node.chats.store import ChatStore
from hermes_node.errors import IdentityConflictError
from hermes_node.keystore.identity import INCARNATION_KEY, encode_incarnation


class MeshNews:
    """Listens to the mesh's driver. `spawn` runs a commit as a part of the node."""

    def __init__(
        self,
        chats: ChatDriver,
        store: ChatStore,
        rollback: RollbackGuard,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        fail: Callable[[HermesError], None],
    ) -> None:
        self._chats = chats
        self._store = store
        self._rollback = rollback
        self._spawn = spawn
        self._fail = fail

    def peer_dead(self, node_id: NodeId) -> None:
        self._chats.node_dead(node_id)

    def app_found(self, found: Found) -> None:
        self._chats.take_found(found)

    def app_overtaken(self, news: Overtaken) -> None:
        self._chats.take_overtaken(news)

    def member_described(self, descriptor: NodeDescriptor) -> None:
        self._chats.describe_node(descriptor)

    def member_forgotten(self, node_id: NodeId) -> None:
        self._chats.forget_node(node_id)

    def incarnation_raised(self, incarnation: int) -> None:
        self._spawn(self._keep_incarnation(incarnation), "incarnation")

    def standing_changed(self, node_id: NodeId, *, answers: bool) -> None:
        self._chats.note_standing(node_id, answers=answers)

    def second_self(self, detail: str) -> None:
        """Another process has this node's key, and lives."""
        self._fail(IdentityConflictError(f"another process proved this node's key: {detail}"))

    def own_future_seen(self, signed: int, known: int) -> None:
        """Its own word for it that the keystore is an older copy."""
        self._spawn(self._rollback.take_future(signed, known), "rollback")

    def reserve_incarnations(self, up_to: int, reserved: Callable[[int], None]) -> None:
        """`reserved` is called once it is durable that incarnations up to this one may be in use."""

        async def reserve() -> None:
            await self._keep_incarnation(up_to)
            reserved(up_to)

        self._spawn(reserve(), "incarnations")

    def keep_for_others(self, puts: Mapping[Place, bytes], deletes: Collection[Place]) -> None:
        self._spawn(self._store.keep_for_others(puts, deletes), "marks")

    async def _keep_incarnation(self, incarnation: int) -> None:
        puts = {(Table.META, INCARNATION_KEY): encode_incarnation(incarnation)}
        await self._store.run(lambda keystore: keystore.commit(puts))
