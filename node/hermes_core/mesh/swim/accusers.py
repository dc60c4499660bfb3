"""What accusers may still do, and how far they were wrong: who accuses those that answer is named and not believed any more."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from hermes_core.ids import NodeId

WRONG: Final = 5
WRONG_SUBJECTS: Final = 3
"""Who accused so often within the window, and so many different ones, is named."""
MANY_WRONG: Final = 16
"""Or so often the same one: a member that is slow answers some, and those that it did not answer accused it honestly."""


class Accusers:
    """The owner of open accusations by accuser, and of those that this node's own probes contradicted."""

    __slots__ = ("_most", "_named", "_open", "_window_s", "_wrong")

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._open: defaultdict[NodeId, set[NodeId]] = defaultdict(set)
        self._wrong: defaultdict[NodeId, dict[tuple[NodeId, int], float]] = defaultdict(dict)
        self._named: dict[NodeId, float] = {}

    @property
    def named(self) -> frozenset[NodeId]:
        return frozenset(self._named)

    def allows(self, accuser: NodeId) -> bool:
        return accuser not in self._named and len(self._open.get(accuser, ())) < self._most

    def begin(self, accuser: NodeId, subject: NodeId) -> None:
        self._open[accuser].add(subject)

    def end(self, accuser: NodeId, subject: NodeId) -> None:
        """The suspicion is over, one way or the other."""
        subjects = self._open.get(accuser)
        if subjects is not None:
            subjects.discard(subject)
            if not subjects:
                del self._open[accuser]

    def contradict(self, accuser: NodeId, subject: NodeId, incarnation: int, now: float) -> bool:
        """The subject answered while it stood accused; True when the accuser is to be named for it, once."""
        wrong = self._wrong[accuser]
        wrong.pop((subject, incarnation), None)
        wrong[subject, incarnation] = now
        if len(wrong) > MANY_WRONG:
            del wrong[next(iter(wrong))]
        few = len(wrong) >= WRONG and len({name for name, _ in wrong}) >= WRONG_SUBJECTS
        if not few and len(wrong) < MANY_WRONG:
            return False
        first = accuser not in self._named
        self._named[accuser] = now
        return first

    def tidy(self, now: float) -> None:
        """Forgive what is longer ago than the window."""
        for accuser, wrong in list(self._wrong.items()):
            for case in [case for case, at in wrong.items() if now - at >= self._window_s]:
                del wrong[case]
            if not wrong:
                del self._wrong[accuser]
        for accuser in [accuser for accuser, at in self._named.items() if now - at >= self._window_s]:
            del self._named[accuser]
