"""An event of the mesh goes to metrics, log and chats: one place for whichever machine decides who is a member."""

from __future__ import annotations

from hermes_core.mesh.machine import IdentityConflict, MemberDescribed, MemberEvicted, MeshEvent
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.event_log import log_mesh_event
from hermes_node.mesh.interface import MeshListener
from hermes_node.mesh.name_conflicts import NameConflicts
from hermes_node.metrics.events import record_mesh_event
from hermes_node.metrics.registry import NodeMetrics


def tell_mesh_event(
    event: MeshEvent, listener: MeshListener, log: EventLog, metrics: NodeMetrics, conflicts: NameConflicts
) -> None:
    record_mesh_event(metrics, event)
    log_mesh_event(log, event)
    match event:
        case MemberDescribed(descriptor):
            listener.member_described(descriptor)
        case MemberEvicted(node_id):
            listener.member_forgotten(node_id)  # its death was told
        case IdentityConflict(node_id):
            conflicts.tell(node_id)
        case _:
            pass  # metrics and log have it; what else follows is its driver's
