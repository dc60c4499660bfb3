"""What the mesh and the rest of a node ask of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from hermes_core.errors import ProtocolError
from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.machine import Member
from hermes_core.mesh.messages import MembershipUpdate, MemberState, NodeDescriptor
from hermes_core.mesh.opening_check import OpeningState
from hermes_core.protocol.session import AppClaim
from hermes_node.mesh.homes import HomesListener
from hermes_node.mesh.seeds import JoinState
from hermes_node.mesh.streams import MeshStream
from hermes_node.metrics.labels import MeshBudget
from hermes_node.streams.outbox import StreamStuckError
from hermes_wire.byte_stream import StreamEndedError

DIAL_FAILURES: Final = (ProtocolError, StreamEndedError, StreamStuckError, TimeoutError)
"""What ends an attempt to reach another node, or a stream that came of it, and nothing else."""


@dataclass(frozen=True, slots=True)
class MeshDescription:
    """The mesh as this node sees it, without this node. `unreached`: who answers others, and not this node."""

    address: str
    incarnation: int
    members: tuple[Member, ...]
    unreached: frozenset[NodeId] = frozenset()


@dataclass(frozen=True, slots=True)
class MeshFigures:
    """What metrics show of it, read at every scrape. `members` count this node; entries are of its own apps and of others'.

    `routes_by_third`: this node's streams for chats that go through another one; `carried`: those of others that go through it.
    """

    members: Mapping[MemberState, int]
    links: int
    entries_held: int
    entries_own: int
    unreached: int = 0
    rumours: int = 0
    local_health: int = 0
    routes_by_third: int = 0
    carried: int = 0
    refused: Mapping[MeshBudget, int] = field(default_factory=dict)


class Mesh(Protocol):
    """What apps, admin, metrics and shutdown need of the mesh."""

    @property
    def join_state(self) -> JoinState: ...
    @property
    def opening(self) -> OpeningState: ...
    def set_local_apps(self, claims: Mapping[AppId, AppClaim]) -> None: ...
    def take_operator_answer(self, unix_ms: int) -> None: ...
    def describe(self) -> MeshDescription: ...
    def measure(self) -> MeshFigures: ...
    async def leave(self) -> None: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Welcome:
    """Who answered a Join, with what it proved of itself and what it knows: neither when it is this node itself."""

    node_id: NodeId
    descriptor: NodeDescriptor | None = None
    update: MembershipUpdate | None = None


class Dialer(Protocol):
    async def join(self, address: str, server_name: str | None) -> Welcome: ...
    async def link(self, descriptor: NodeDescriptor) -> None: ...
    async def gossip(self, descriptor: NodeDescriptor) -> None: ...
    async def route(self, descriptor: NodeDescriptor) -> None: ...
    async def carry(self, third: NodeDescriptor, target: NodeDescriptor) -> None: ...
    def carry_on(self, target: NodeDescriptor, origin: NodeId) -> AbstractAsyncContextManager[MeshStream[Any]]: ...


class MeshListener(HomesListener, Protocol):
    """Who wants to know what happens to other nodes."""

    def peer_dead(self, node_id: NodeId) -> None: ...
    def member_described(self, descriptor: NodeDescriptor) -> None: ...
    def member_forgotten(self, node_id: NodeId) -> None: ...
    def incarnation_raised(self, incarnation: int) -> None: ...
    def second_self(self, detail: str) -> None: ...


class SwimListener(MeshListener, Protocol):
    """Who does besides what only a node that finds others by SWIM needs."""

    def standing_changed(self, node_id: NodeId, *, answers: bool) -> None: ...
    def own_future_seen(self, signed: int, known: int) -> None: ...
    def reserve_incarnations(self, up_to: int, reserved: Callable[[int], None]) -> None: ...
