"""What the admin server answers from while a node serves, put together of the parts that each answer needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hermes_core.crypto.random import RandomSource
from hermes_core.ids import derive_fingerprint
from hermes_node.admin.members import MemberAnswers
from hermes_node.admin.ratchets import RatchetAnswers
from hermes_node.admin.resume import ResumeAnswers
from hermes_node.admin.view import ServingView
from hermes_node.lifecycle.steps import Serving
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.keystore_series import KeystoreMetrics


def build_serving_view(
    serving: Serving,
    *,
    node_id: str,
    now: Callable[[], float],
    random: RandomSource,
    log: EventLog,
    metrics: KeystoreMetrics,
    erase: Callable[[], Awaitable[int]],
) -> ServingView:
    restored = serving.restored
    fingerprint = derive_fingerprint(restored.stored.identity.public_key)
    resume = ResumeAnswers(
        node_id=node_id,
        fingerprint=fingerprint,
        renewals=restored.stored.renewals,
        chats=restored.chats,
        store=restored.store,
        restored=restored.counts,
        count_expired=lambda: restored.observer.expired,
        mesh=serving.mesh,
        openings=restored.openings,
        random=random,
        log=log,
        metrics=metrics,
    )
    return ServingView(
        MemberAnswers(node_id, fingerprint, serving.chats.count_apps, serving.mesh),
        RatchetAnswers(restored.chats, now),
        resume,
        erase,
    )
