"""What of the mesh's events is worth a line of the log."""

from __future__ import annotations

from hermes_core.mesh.lies import LiarNamed
from hermes_core.mesh.machine import (
    IdentityRenewed,
    IncarnationRaised,
    MemberJoined,
    MemberStateChanged,
    MeshEvent,
)
from hermes_node.logs.event_log import EventLog


def log_mesh_event(log: EventLog, event: MeshEvent) -> None:
    match event:
        case MemberJoined(node_id):
            log.info("peer_joined", peer=node_id)
        case MemberStateChanged(node_id, before, after, reason, accuser):
            why = ({"reason": reason} if reason else {}) | ({"accuser": accuser} if accuser else {})
            log.info("peer_state", peer=node_id, before=before.name.lower(), after=after.name.lower(), **why)
        case IdentityRenewed(node_id):
            log.warning("peer_identity_renewed", peer=node_id)
        case IncarnationRaised(incarnation):
            log.warning("incarnation_raised", incarnation=incarnation)
        case LiarNamed(node_id, lie):
            log.warning("peer_lied", peer=node_id, reason=lie.value)
        case _:
            pass
