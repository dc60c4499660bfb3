"""Who is served next: start-time fair queueing, by what it has cost to serve each.

Goyal, Vin, Cheng: "Start-time Fair Queueing" (SIGCOMM 1996), with groups as in its section on hierarchical link sharing. What
it calls a packet is a turn here, whose length is known once it is over; nothing in the algorithm needs it earlier.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sized
from heapq import heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")


class Share:
    """One of a group, served in turns with the others. `waiting` is what it is to be served; `weight` compares it with them.

    `start` and `finish` are the tags of its last turn in the group's virtual time; both are the group's. `busy`: it has its
    place among those who wait, or its turn.
    """

    __slots__ = ("busy", "finish", "group", "start", "waiting", "weight")

    waiting: Sized

    def __init__(self, group: Group | None, weight: float) -> None:
        self.group = group
        self.weight = weight
        self.start = self.finish = 0.0
        self.busy = False


class Queue(Share, Generic[T]):
    """What waits of one, in the order in which it came. One that is `held` has no turn until `release`."""

    __slots__ = ("_held",)

    waiting: deque[T]

    def __init__(self, group: Group, weight: float, *, held: bool = False) -> None:
        super().__init__(group, weight)
        self.waiting = deque()
        self._held = held

    def put(self, item: T) -> None:
        self.waiting.append(item)
        if not self.busy and not self._held and self.group is not None:
            self.group.enter(self)

    def release(self) -> None:
        self._held = False
        if self.waiting and not self.busy and self.group is not None:
            self.group.enter(self)

    def move(self, group: Group, weight: float) -> None:
        """It is one of another group's, after the turn that it has or waits for. Tags of one group mean nothing in another."""
        self.group = group
        self.weight = weight
        if not self.busy:
            self.finish = 0.0


class Group(Share):
    """Those of one group who wait for a turn, and how far it has come. Within another group it is served as one share."""

    __slots__ = ("__weakref__", "_furthest", "_numbers", "_virtual_time", "waiting")

    waiting: list[tuple[float, bool, int, Share]]

    def __init__(self, group: Group | None = None, weight: float = 1.0) -> None:
        super().__init__(group, weight)
        self.waiting = []
        self._virtual_time = self._furthest = 0.0
        self._numbers = itertools.count()

    def enter(self, share: Share, *, again: bool = False) -> None:
        """One who has something waiting. Idle time earns nothing: the past counts up to what others have been served since.

        Of equal tags those go first who had nothing waiting (not `again`), then in the order in which they came.
        """
        share.busy = True
        heappush(self.waiting, (max(self._virtual_time, share.finish), again, next(self._numbers), share))
        if not self.busy and self.group is not None:
            self.group.enter(self)

    def pick(self) -> Share:
        """Whose turn it is: the lowest start tag. `charge` follows; IndexError when nobody waits."""
        share: Share
        self._virtual_time, _, _, share = heappop(self.waiting)
        share.start = self._virtual_time
        return share

    def charge(self, share: Share, cost: float) -> None:
        """The turn of this one is over."""
        finish = share.start + cost / share.weight
        if finish > self._furthest:  # noqa: PLR1730 - for every batch
            self._furthest = finish
        share.finish = finish if share.group is self else 0.0
        share.busy = False
        if share.waiting and share.group is not None:
            share.group.enter(share, again=True)
        if not self.waiting:
            self._virtual_time = self._furthest


class Turns(Generic[T]):
    """Gives out one turn at a time. `root` is the group of all."""

    def __init__(self) -> None:
        self.root = Group()
        self._groups: list[tuple[Group, Share]] = []
        """Of the turn that is given, the groups within the root, and whose turn it is in each."""
        self._first: Share = self.root

    def begin(self) -> Queue[T]:
        """Whose turn it is; IndexError when nobody waits. What is served is taken from its `waiting`, then comes `end`."""
        share = self._first = self.root.pick()
        while isinstance(share, Group):
            group, share = share, share.pick()
            self._groups.append((group, share))
        assert isinstance(share, Queue)  # noqa: S101 - there is nothing else
        return share

    def end(self, cost: float) -> None:
        """The turn is over, and cost this much; all groups that it was in are charged with it."""
        while self._groups:
            group, share = self._groups.pop()
            group.charge(share, cost)
        self.root.charge(self._first, cost)
