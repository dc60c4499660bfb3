"""When a keystore rotates its generation: after a teardown burst, or when the generation is old.

A rotation seals the live records under a fresh key and forgets the old one: older copies of records then open to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RotationParams:
    """`interval_s` 0: only after teardown bursts. `after_deletes`: so many deleted chats are a burst."""

    interval_s: float
    after_deletes: int


class RotationTimer:
    """Remembers when the generation began, as far as this process knows: a start counts as one."""

    def __init__(self, params: RotationParams, now: float) -> None:
        self._params = params
        self._began_at = now

    def next_timer(self) -> float | None:
        """When the generation is old; None: never by time alone."""
        return self._began_at + self._params.interval_s if self._params.interval_s > 0 else None

    def is_due(self, deleted: int, now: float) -> bool:
        """`deleted`: chats deleted since the generation began."""
        due_at = self.next_timer()
        return deleted >= self._params.after_deletes or (due_at is not None and now >= due_at)

    def begin(self, now: float) -> None:
        """A new generation begins."""
        self._began_at = now
