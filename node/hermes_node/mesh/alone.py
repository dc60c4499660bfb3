"""The mesh of a node that is configured without one."""

from __future__ import annotations

from collections.abc import Mapping

from hermes_core.ids import AppId
from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.opening_check import OpeningState
from hermes_core.protocol.session import AppClaim
from hermes_node.mesh.interface import MeshDescription, MeshFigures
from hermes_node.mesh.seeds import JoinState


class LoneNode:
    """A node that has no mesh: nobody else is there, and nobody has to be told."""

    join_state = JoinState.ALONE
    opening = OpeningState.ALONE

    def set_local_apps(self, claims: Mapping[AppId, AppClaim]) -> None:
        pass

    def take_operator_answer(self, unix_ms: int) -> None:
        pass  # nothing waits for it, and its clock alone counts for nothing

    def describe(self) -> MeshDescription:
        return MeshDescription(address="", incarnation=0, members=())

    def measure(self) -> MeshFigures:
        return MeshFigures(
            members=dict.fromkeys(MemberState, 0) | {MemberState.ALIVE: 1}, links=0, entries_held=0, entries_own=0
        )

    async def leave(self) -> None:
        pass

    async def close(self) -> None:
        pass
