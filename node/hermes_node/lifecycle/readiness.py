"""Whether this node may be sent apps, and if not, why: what /readyz, the health service and the logs say."""

from __future__ import annotations

from typing import Final, assert_never

from hermes_node.lifecycle.steps import NodeStep, Opened, Restored, SealedNode, Serving, Wiped
from hermes_node.mesh.seeds import JoinState

STALE_COMMIT_S: Final = 2.0
"""A node that cannot write is not there for chats, though it answers."""


def explain_unreadiness(step: NodeStep, *, draining: bool) -> list[str]:
    """Why not, for people, the most basic first; empty when the node is ready."""
    leaving = ["the node is draining"] if draining else []
    match step:
        case SealedNode():
            return ["the keystore is sealed"]
        case Opened():
            return ["chats are being restored from the keystore"]
        case Restored():
            return ["the app server does not listen yet", *leaving]
        case Serving(mesh=mesh, restored=restored):
            stuck = ["the keystore's disk does not answer"] if restored.store.oldest_age_s > STALE_COMMIT_S else []
            joining = [JoinState.JOINING.value] if mesh.join_state is JoinState.JOINING else []
            return stuck + joining + leaving
        case Wiped():
            return ["the keystore was wiped"]
        case _:
            assert_never(step)
