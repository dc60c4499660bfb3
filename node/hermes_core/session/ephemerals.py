"""The node's half of session secrets, made ahead: one key pair may serve the challenges of a few seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.x25519 import EphemeralKey, generate_ephemeral

SHARED_FOR_S: Final = 10.0
"""Challenges of at most this long share an ephemeral: a burst of strangers costs one, and a proven session is soon secret."""


@dataclass(slots=True)
class _Shared:
    key: EphemeralKey
    made_at: float
    challenges: int = 0


class SharedEphemerals:
    """Each is wiped with the last of its challenges, whatever became of that."""

    def __init__(self, random: RandomSource) -> None:
        self._random = random
        self._newest: _Shared | None = None
        self._in_use: dict[bytes, _Shared] = {}

    def take(self, now: float) -> EphemeralKey:
        """The key pair for one challenge; give it back once."""
        shared = self._newest
        if shared is None or not 0 <= now - shared.made_at < SHARED_FOR_S:
            shared = self._newest = _Shared(generate_ephemeral(self._random), now)
            self._in_use[shared.key.public] = shared
        shared.challenges += 1
        return shared.key

    def give_back(self, key: EphemeralKey) -> None:
        """Its challenge was answered, or never will be."""
        shared = self._in_use[key.public]
        shared.challenges -= 1
        if not shared.challenges:
            del self._in_use[key.public]
            if self._newest is shared:
                self._newest = None
            key.wipe()
