"""Whether this node may be sent apps, and if not, why: what /readyz, the health service and the logs say."""

from __future__ import annotations

from collections.abc import Callable

from hermes_node.mesh.seeds import JoinState


class Readiness:
    """Facts set by the node's start and stop; `reasons` is empty when the node is ready."""

    def __init__(self) -> None:
        self.unsealed = False
        self.restored = False
        self.serving = False
        self.draining = False
        self.wiped = False
        self.join_state: Callable[[], JoinState] = lambda: JoinState.JOINING

    def reasons(self) -> list[str]:
        """Why not, for people, the most basic first."""
        if self.wiped:
            return ["the keystore was wiped"]
        if not self.unsealed:
            return ["the keystore is sealed"]
        if not self.restored:
            return ["chats are being restored from the keystore"]
        reasons = []
        if not self.serving:
            reasons.append("the app server does not listen yet")
        if self.join_state() is JoinState.JOINING:
            reasons.append(JoinState.JOINING.value)
        if self.draining:
            reasons.append("the node is draining")
        return reasons
