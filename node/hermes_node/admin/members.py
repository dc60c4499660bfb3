"""/mesh/members: this node and every other one it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hermes_core.ids import NodeId, derive_fingerprint
from hermes_core.mesh.machine import Member
from hermes_core.mesh.messages import MemberState
from hermes_node.mesh.interface import Mesh
from hermes_node.version import read_version
from hermes_proto.v2 import admin_pb2


@dataclass(frozen=True, slots=True)
class MemberAnswers:
    """`count_apps`: the apps at home here."""

    node_id: str
    fingerprint: str
    count_apps: Callable[[], int]
    mesh: Mesh

    def list_members(self) -> admin_pb2.MeshMembers:
        seen = self.mesh.describe()
        own = admin_pb2.MeshMembers.Entry(
            node_id=self.node_id,
            address=seen.address,
            state=MemberState.ALIVE.name.lower(),
            incarnation=seen.incarnation,
            identity_fingerprint=self.fingerprint,
            version=read_version(),
            apps=self.count_apps(),
            self=True,
            local_health=self.mesh.measure().local_health,
        )
        entries = [own, *(_show_member(member, seen.unreached) for member in seen.members)]
        return admin_pb2.MeshMembers(members=sorted(entries, key=lambda entry: entry.node_id))


def _show_member(member: Member, unreached: frozenset[NodeId]) -> admin_pb2.MeshMembers.Entry:
    return admin_pb2.MeshMembers.Entry(
        node_id=member.descriptor.node_id,
        address=member.descriptor.address,
        state=member.state.name.lower(),
        incarnation=member.incarnation,
        identity_fingerprint=derive_fingerprint(member.descriptor.node_key),
        version=member.descriptor.version,
        linked=member.connected,
        unreached=member.descriptor.node_id in unreached,
    )
