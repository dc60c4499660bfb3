"""When a peer that could not be reached is dialled again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_core.crypto.random import RandomSource, generate_fraction
from hermes_core.ids import NodeId
from hermes_core.mesh.messages import NodeDescriptor

BACKOFF_BASE_S: Final = 0.1
BACKOFF_CAP_S: Final = 5.0


@dataclass(slots=True)
class DialState:
    """How often dialling a peer failed in a row, and when to try again."""

    incarnation: int
    failures: int = 0
    next_at: float = 0.0

    def failed(self, now: float, random: RandomSource) -> None:
        # Full jitter: after a restart a node's peers come back spread out, not all at once.
        delay_s = generate_fraction(random) * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**self.failures)
        self.failures = min(self.failures + 1, 16)
        self.next_at = now + delay_s


class Dials:
    """A state a peer."""

    def __init__(self) -> None:
        self._states: dict[NodeId, DialState] = {}

    def of(self, peer: NodeDescriptor) -> DialState:
        """A node that started anew has failed nothing yet."""
        state = self._states.get(peer.node_id)
        if state is None or state.incarnation != peer.incarnation:
            state = self._states[peer.node_id] = DialState(peer.incarnation)
        return state
