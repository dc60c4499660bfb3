"""Facts on their way to everybody: each is told lambda log10(n) times, the least told ones first (SWIM, section 4.1)."""

from __future__ import annotations

from hermes_core.ids import NodeId
from hermes_core.mesh.swim.messages import Accusation, Alive, Fact

_Key = tuple[NodeId, NodeId]


class Dissemination:
    """The owner of what is still to be told. A newer word of a subject takes the place of everything that is told of it."""

    __slots__ = ("_levels", "_subjects")

    def __init__(self) -> None:
        self._subjects: dict[NodeId, dict[NodeId, int]] = {}
        self._levels: list[dict[_Key, Fact]] = [{}]

    def __len__(self) -> int:
        return sum(map(len, self._levels))

    def __bool__(self) -> bool:
        return bool(self._subjects)

    def tell(self, fact: Fact) -> None:
        """From now on, in place of what is told of the same by the same."""
        subject, author = _key_of(fact)
        if subject == author:
            self.forget(subject)
        self._drop(subject, author)
        self._put(0, subject, author, fact)

    def forget(self, subject: NodeId) -> None:
        """Nothing that is told about it is news any more."""
        for author in list(self._subjects.get(subject, ())):
            self._drop(subject, author)

    def take(self, count: int, transmissions: int, *, to: NodeId) -> tuple[Fact, ...]:
        """At most so many, told once more by this; nobody needs to hear its own word."""
        taken: list[tuple[int, Fact]] = []
        for level, facts in enumerate(self._levels):
            for (_, author), fact in facts.items():
                if len(taken) >= count:
                    break
                if author != to:
                    taken.append((level, fact))
        for level, fact in taken:
            subject, author = _key_of(fact)
            self._drop(subject, author)
            if level + 1 < transmissions:
                self._put(level + 1, subject, author, fact)
        return tuple(fact for _, fact in taken)

    def _put(self, level: int, subject: NodeId, author: NodeId, fact: Fact) -> None:
        if level == len(self._levels):
            self._levels.append({})
        self._subjects.setdefault(subject, {})[author] = level
        self._levels[level][subject, author] = fact

    def _drop(self, subject: NodeId, author: NodeId) -> None:
        authors = self._subjects.get(subject, {})
        level = authors.pop(author, None)
        if level is not None:
            del self._levels[level][subject, author]
            if not authors:
                del self._subjects[subject]


def _key_of(fact: Fact) -> _Key:
    """Subject and author; of one's own word they are one."""
    if isinstance(fact, Accusation):
        return fact.subject, fact.accuser
    subject = fact.descriptor.node_id if isinstance(fact, Alive) else fact.subject
    return subject, subject
