"""Local health (Lifeguard, section 4.1): a node that is slow itself must not find others slow."""

from __future__ import annotations


class LocalHealth:
    """A score from 0 (well) up; the period and all timeouts are stretched by it.

    It falls by probes that were answered, and rises by those that were not although the helpers had nothing to say either, and
    by accusations of this node: both mean that its own inputs come late. A disk that hangs makes it ill at once.
    """

    __slots__ = ("_highest", "_score", "_stale")

    def __init__(self, highest: int) -> None:
        self._highest = highest
        self._score = 0
        self._stale = False

    @property
    def score(self) -> int:
        return self._highest if self._stale else self._score

    @property
    def factor(self) -> int:
        return 1 + self.score

    @property
    def is_ready(self) -> bool:
        """False while the newest commit is too old: a node that cannot write is not there for chats."""
        return not self._stale

    def change(self, by: int) -> None:
        self._score = min(self._highest, max(0, self._score + by))

    def judge_commit(self, age_s: float, bound_s: float) -> None:
        self._stale = age_s > bound_s
