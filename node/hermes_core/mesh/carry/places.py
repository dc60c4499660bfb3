"""The node in between: which streams it carries between two others, how many, how often, and how fast."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from hermes_core import limits
from hermes_core.bounds import Limited, default
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.swim.budgets import Budgets

MAX_OF_A_NODE: Final = 8
"""Streams of which one node is an end. Each is a connection of this node's to it, and of these it takes 16."""
OPENINGS: Final = 8
OPENING_REFILL_S: Final = 2.0
"""What one node may ask for at once, and how long until it may once more: each makes this one dial somebody."""
BURST_S: Final = 1.0
"""What a pair has not used of its rate for so long it may use later."""
RETRY_MS: Final = 5_000


class CarryRefusal(Enum):
    """Why a stream is not carried."""

    NO_LINK = "this node has no link to that one"
    FULL = "this node carries as many streams as it takes"
    NODE_FULL = "this node carries as many streams of one node as it takes"
    TOO_OFTEN = "too many streams were asked for"


class CarryRefusedError(ProtocolError):
    """ROUTE_UNAVAILABLE or LIMIT_EXCEEDED, with the reason."""

    def __init__(self, reason: CarryRefusal) -> None:
        code = ErrorCode.ROUTE_UNAVAILABLE if reason is CarryRefusal.NO_LINK else ErrorCode.LIMIT_EXCEEDED
        retry_ms = 0 if reason is CarryRefusal.NO_LINK else RETRY_MS
        super().__init__(code, reason.value, scope=ErrorScope.STREAM, retry_after_ms=retry_ms)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CarryParams(Limited):
    max_carried_streams: limits.MaxCarriedStreams = default(limits.MaxCarriedStreams)
    max_carried_kib: limits.MaxCarriedKib = default(limits.MaxCarriedKib)


@dataclass(slots=True, eq=False)
class CarryPlace:
    """One stream that is carried. `free_at`: when everything that went through it is paid for by the pair's rate."""

    number: int
    ends: frozenset[NodeId]
    free_at: float = field(default=float("-inf"))


class CarryPlaces:
    """The owner of them. A pair has one: whoever of the two asks anew knows that the former one is of no use any more."""

    def __init__(self, params: CarryParams) -> None:
        self._params = params
        self._places: dict[frozenset[NodeId], CarryPlace] = {}
        self._openings = Budgets(OPENINGS, OPENING_REFILL_S)
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._places)

    def take(self, origin: NodeId, target: NodeId, now: float) -> tuple[CarryPlace, CarryPlace | None]:
        """A place, and the pair's former one. CarryRefusedError; INVALID_FRAME from a node to itself."""
        if origin == target:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "from a node to itself", scope=ErrorScope.STREAM)
        self._openings.tidy(now)
        if not self._openings.take(origin, now):
            raise CarryRefusedError(CarryRefusal.TOO_OFTEN)
        ends = frozenset((origin, target))
        former = self._places.get(ends)
        if former is None:
            self._require_room(ends)
        place = self._places[ends] = CarryPlace(next(self._numbers), ends)
        if former is not None:
            place.free_at = former.free_at  # a stream anew is no rate anew
        return place, former

    def free(self, place: CarryPlace) -> None:
        """Its stream ended; another one may stand in its place."""
        if self._places.get(place.ends) is place:
            del self._places[place.ends]

    def pace(self, place: CarryPlace, size_bytes: int, now: float) -> float:
        """So many bytes went through it: how long nothing more may, in seconds."""
        place.free_at = max(place.free_at, now - BURST_S) + size_bytes / (1024 * self._params.max_carried_kib)
        return max(0.0, place.free_at - now)

    def _require_room(self, ends: frozenset[NodeId]) -> None:
        if len(self._places) >= self._params.max_carried_streams:
            raise CarryRefusedError(CarryRefusal.FULL)
        for node_id in ends:
            if sum(node_id in others for others in self._places) >= MAX_OF_A_NODE:
                raise CarryRefusedError(CarryRefusal.NODE_FULL)
