"""Ties the gauges to where their values live, so that a scrape reads them there."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from hermes_core.mesh.messages import MemberState
from hermes_node.keystore import Table
from hermes_node.metrics.keystore import KeystoreView
from hermes_node.metrics.labels import CertificateKind, ChatScope

if TYPE_CHECKING:
    from hermes_node.lifecycle.node import Node


def bind_metrics(node: Node) -> None:
    """Once, when the node is made; each gauge reads 0 until its part exists."""
    metrics = node.metrics
    metrics.sessions.active.bind(node.count_apps)
    metrics.chats.active.bind(lambda scope: _count_chats(node, scope))
    metrics.keystore.bind(lambda: _view_keystore(node))
    metrics.mesh.members.bind(lambda state: _count_members(node, state))
    metrics.mesh.directory_entries.bind(lambda: 0 if node.mesh is None else len(node.mesh.locations))


def set_certificate_expiry(node: Node) -> None:
    """At the start and after every reload."""
    mesh = node.metrics.mesh
    for name, kind in (("app", CertificateKind.APP), ("mesh", CertificateKind.MESH)):
        if name in node.tls:
            mesh.set_certificate_expiry(kind, node.tls[name].material.not_after_s)
    if "mesh" in node.tls and (ca_end := node.tls["mesh"].material.ca_not_after_s) is not None:
        mesh.set_certificate_expiry(CertificateKind.MESH_CA, ca_end)


def _count_chats(node: Node, scope: StrEnum) -> float:
    if node.chats is None:
        return 0
    tieline = node.chats.live_tieline_chats()
    return tieline if scope is ChatScope.TIELINE else node.chats.live_chats() - tieline


def _view_keystore(node: Node) -> KeystoreView | None:
    if node.store is None:
        return None
    keystore = node.store.keystore
    mark = keystore.mark
    return KeystoreView(keystore.record_count(Table.CHAT), mark.generation, mark.commit_counter, keystore.size_bytes)


def _count_members(node: Node, state: StrEnum) -> float:
    if node.mesh is None:
        return float(state.value == MemberState.ALIVE.name.lower() and node.readiness.serving)
    return node.mesh.membership.count(MemberState[state.value.upper()])
