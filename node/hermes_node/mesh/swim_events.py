"""What the machine of SWIM reports, as the events of the mesh that metrics, log and chats know, and lines of its own."""

from __future__ import annotations

from hermes_core.mesh import machine as mesh
from hermes_core.mesh.lies import LiarNamed
from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.output import (
    DescriptorHeard,
    KeyReplaced,
    MemberForgotten,
    NameContested,
    OwnIncarnationRaised,
    StandingChanged,
    SwimEvent,
)
from hermes_node.logs.event_log import EventLog


def list_mesh_events(event: SwimEvent) -> list[mesh.MeshEvent]:
    match event:
        case StandingChanged(node_id, before, after, cause, accuser):
            joined = after is MemberState.ALIVE and before is not MemberState.SUSPECT
            changed = [] if before is None else [mesh.MemberStateChanged(node_id, before, after, cause.value, accuser)]
            return [*changed, *([mesh.MemberJoined(node_id)] if joined else [])]
        case DescriptorHeard(descriptor):
            return [mesh.MemberDescribed(descriptor)]
        case MemberForgotten(node_id):
            return [mesh.MemberEvicted(node_id)]
        case NameContested(node_id):
            return [mesh.IdentityConflict(node_id)]
        case LiarNamed():
            return [event]
        case _:
            return []


def log_swim_event(log: EventLog, event: SwimEvent) -> None:
    """What is no event of the mesh."""
    match event:
        case OwnIncarnationRaised(incarnation):
            log.warning("incarnation_raised", incarnation=incarnation)
        case KeyReplaced(node_id, renewed):
            log.warning("peer_identity_renewed" if renewed else "peer_key_replaced", peer=node_id)
        case _:
            pass
