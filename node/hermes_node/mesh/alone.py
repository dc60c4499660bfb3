"""What the rest of a node asks of its mesh, and what a node answers that is configured without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.machine import Member
from hermes_core.mesh.messages import MemberState
from hermes_node.mesh.seeds import JoinState


@dataclass(frozen=True, slots=True)
class MeshDescription:
    """The mesh as this node sees it. `counts` include this node, `members` do not; `apps_elsewhere`: at home on other nodes."""

    address: str
    incarnation: int
    members: tuple[Member, ...]
    counts: Mapping[MemberState, int]
    apps_elsewhere: int


class Mesh(Protocol):
    """What apps, admin, metrics and shutdown need of the mesh."""

    @property
    def join_state(self) -> JoinState: ...
    def locate(self, app_id: AppId) -> NodeId | None: ...
    def set_local_apps(self, app_ids: frozenset[AppId]) -> None: ...
    def describe(self) -> MeshDescription: ...
    async def leave(self) -> None: ...
    async def close(self) -> None: ...


class LoneNode:
    """A node that has no mesh: nobody else is there, and nobody has to be told."""

    join_state = JoinState.ALONE

    def locate(self, app_id: AppId) -> NodeId | None:  # noqa: ARG002 - no app is at home elsewhere
        return None

    def set_local_apps(self, app_ids: frozenset[AppId]) -> None:
        pass

    def describe(self) -> MeshDescription:
        counts = dict.fromkeys(MemberState, 0) | {MemberState.ALIVE: 1}
        return MeshDescription(address="", incarnation=0, members=(), counts=counts, apps_elsewhere=0)

    async def leave(self) -> None:
        pass

    async def close(self) -> None:
        pass
