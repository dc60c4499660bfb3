"""Suspicions under way: who accused, since when, and when this node goes and looks itself."""

from __future__ import annotations

from collections.abc import Collection

from hermes_core.ids import NodeId
from hermes_core.mesh.swim.messages import Accusation
from hermes_core.mesh.swim.params import SwimParams


class Suspicion:
    """Of one member at one incarnation. Accusers count once each, and only those whose name is pinned shorten it.

    `contested`: somebody proves its name with another key, which says as much as all of them. Others may know that one
    already, and confirm nothing.
    """

    __slots__ = ("_accusations", "_began", "_counted", "contested", "incarnation")

    def __init__(self, incarnation: int, began: float) -> None:
        self.incarnation = incarnation
        self.contested = False
        self._began = began
        self._accusations: dict[NodeId, Accusation] = {}
        self._counted: set[NodeId] = set()

    @property
    def accusations(self) -> tuple[Accusation, ...]:
        return tuple(self._accusations.values())

    @property
    def accusers(self) -> Collection[NodeId]:
        return self._accusations.keys()

    @property
    def confirmed(self) -> int:
        """By how many besides the first."""
        return max(0, len(self._counted) - 1)

    def add(self, accusation: Accusation, *, pinned: bool) -> None:
        self._accusations[accusation.accuser] = accusation
        if pinned:
            self._counted.add(accusation.accuser)

    def contest(self) -> None:
        self.contested = True

    def deadline(self, params: SwimParams, members: int) -> float:
        confirmed = params.confirmations if self.contested else min(self.confirmed, params.confirmations)
        return self._began + params.suspicion_s(members, confirmed)

    def shift(self, by: float) -> None:
        self._began += by


class Suspicions:
    """The owner of what is open, and of what an answer cancelled here: the same accusations do not open it again."""

    __slots__ = ("_cancelled", "_open")

    def __init__(self) -> None:
        self._open: dict[NodeId, Suspicion] = {}
        self._cancelled: dict[NodeId, Suspicion] = {}

    def __len__(self) -> int:
        return len(self._open)

    def get(self, subject: NodeId) -> Suspicion | None:
        return self._open.get(subject)

    def begin(self, subject: NodeId, incarnation: int, now: float) -> Suspicion:
        """The one that is open, or a new one."""
        suspicion = self._open.get(subject)
        if suspicion is None:
            suspicion = self._open[subject] = Suspicion(incarnation, now)
        return suspicion

    def was_heard(self, said: Accusation) -> bool:
        """Whether this accuser counts already at this incarnation, or did until the subject answered: once is all it may."""
        for known in (self._open.get(said.subject), self._cancelled.get(said.subject)):
            if known is not None and known.incarnation == said.incarnation and said.accuser in known.accusers:
                return True
        return False

    def end(self, subject: NodeId) -> Suspicion | None:
        """It is over: the subject has another incarnation, is dead, or has left."""
        self._cancelled.pop(subject, None)
        return self._open.pop(subject, None)

    def cancel(self, subject: NodeId) -> Suspicion | None:
        """The subject answered this node itself; who accused it of this incarnation is not heard again."""
        suspicion = self._open.pop(subject, None)
        before = self._cancelled.get(subject)
        if suspicion is not None:
            if before is not None and before.incarnation == suspicion.incarnation:
                for said in before.accusations:
                    suspicion.add(said, pinned=False)
            self._cancelled[subject] = suspicion
        return suspicion

    def shift(self, by: float) -> None:
        """This process stood still for so long: nobody could answer it then."""
        for suspicion in self._open.values():
            suspicion.shift(by)
