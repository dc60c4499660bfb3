"""Ties the gauges to where their values live, once those exist, so that a scrape reads them there."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from hermes_core.mesh.messages import MemberState
from hermes_core.relay.admission import AppBudget
from hermes_keystore import Table
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.store import ChatStore
from hermes_node.lifecycle.steps import Serving
from hermes_node.metrics.chats_series import ChatMetrics
from hermes_node.metrics.keystore_series import KeystoreMetrics, KeystoreView
from hermes_node.metrics.labels import CertificateKind, ChatScope, EntryRole, LinkPurpose, MeshBudget
from hermes_node.metrics.mesh_series import MeshMetrics
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.tls.files import TlsMaterial
from hermes_node.tls.setup import Section

_KINDS: Final[dict[Section, CertificateKind]] = {"app": CertificateKind.APP, "mesh": CertificateKind.MESH}


def bind_keystore(metrics: KeystoreMetrics, store: ChatStore) -> None:
    """From its opening until `metrics.unbind`."""

    def read() -> KeystoreView:
        keystore, mark = store.keystore, store.mark
        return KeystoreView(keystore.record_count(Table.CHAT), mark.generation, mark.commit_counter, keystore.size_bytes)

    metrics.bind(read)


def bind_chats(metrics: ChatMetrics, chats: ChatDriver) -> None:
    def count(scope: StrEnum) -> float:
        tieline = chats.live_tieline_chats()
        return tieline if scope is ChatScope.TIELINE else chats.live_chats() - tieline

    metrics.active.bind(count)
    metrics.budget_refusals.bind(lambda budget: chats.count_refused(AppBudget(budget)))


def bind_serving(metrics: NodeMetrics, serving: Serving) -> None:
    mesh = serving.mesh
    metrics.sessions.active.bind(serving.chats.count_apps)
    metrics.mesh.members.bind(lambda state: mesh.measure().members[MemberState[state.value.upper()]])
    metrics.mesh.links.bind(
        lambda purpose: serving.chats.count_nodes() if purpose is LinkPurpose.CHATS else mesh.measure().links
    )
    metrics.mesh.routes_by_third.bind(lambda: mesh.measure().routes_by_third)
    metrics.mesh.carried.bind(lambda: mesh.measure().carried)
    entries: dict[StrEnum, Callable[[], float]] = {
        EntryRole.OWN: lambda: mesh.measure().entries_own,
        EntryRole.HELD: lambda: mesh.measure().entries_held,
        EntryRole.FOUND: serving.chats.count_found,
    }
    metrics.directory.entries.bind(lambda role: entries[role]())
    metrics.swim.budget_refusals.bind(lambda budget: mesh.measure().refused.get(MeshBudget(budget), 0))
    metrics.swim.unreached.bind(lambda: mesh.measure().unreached)
    metrics.swim.rumours.bind(lambda: mesh.measure().rumours)
    metrics.swim.local_health.bind(lambda: mesh.measure().local_health)


def show_expiry(metrics: MeshMetrics, section: Section, material: TlsMaterial) -> None:
    """At the start and after every reload."""
    metrics.set_certificate_expiry(_KINDS[section], material.not_after_s)
    if section == "mesh" and material.ca_not_after_s is not None:
        metrics.set_certificate_expiry(CertificateKind.MESH_CA, material.ca_not_after_s)
