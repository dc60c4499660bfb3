"""The steps a node goes through, as types: each holds exactly what exists once it is reached."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_node.admin.resume import RestoredCounts
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.observer import ChatObserver
from hermes_node.chats.openings import OwnOpenings
from hermes_node.chats.store import ChatStore
from hermes_node.keystore.identity import StoredIdentity
from hermes_node.mesh.interface import Mesh
from hermes_node.streams.transport import StreamServer


@dataclass(frozen=True, slots=True)
class SealedNode:
    """The process answers for its health; its keystore is not open, or not any more."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The keystore is open and says who this node is; its chats are on their way into memory."""

    store: ChatStore
    stored: StoredIdentity


@dataclass(frozen=True, slots=True)
class Restored:
    """Every chat is in memory and its machine runs; nobody reaches this node yet."""

    store: ChatStore
    stored: StoredIdentity
    chats: ChatDriver
    observer: ChatObserver
    counts: RestoredCounts
    openings: OwnOpenings

    def wipe(self) -> None:
        """Zero every secret that this node holds in memory besides its keystore's; harmless when repeated."""
        self.chats.wipe()
        self.stored.identity.wipe()


@dataclass(frozen=True, slots=True)
class Serving:
    """All servers listen: apps come and go. Without a mesh there is one server."""

    restored: Restored
    mesh: Mesh
    servers: tuple[StreamServer, ...]

    @property
    def chats(self) -> ChatDriver:
        return self.restored.chats


@dataclass(frozen=True, slots=True)
class Wiped:
    """The keystore was erased on request; the process stays to answer for its health, never ready again."""


NodeStep = SealedNode | Opened | Restored | Serving | Wiped
