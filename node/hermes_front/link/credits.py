"""Credits of one stream: what this end may still send, and what it lets the other one send."""

from __future__ import annotations

from hermes_front.link.bounds import LinkBounds, Room
from hermes_front.link.faults import Fault, LinkFaultError


class Allowance:
    """What may be sent. One message may exceed what is left in bytes."""

    __slots__ = ("_most_frames", "_most_size", "frames", "size")

    def __init__(self, room: Room) -> None:
        self.frames = self._most_frames = room.frames
        self.size = self._most_size = room.size

    @property
    def open(self) -> bool:
        return self.frames > 0 and self.size > 0

    @property
    def spent_frames(self) -> int:
        """That are on their way, or wait for their reader."""
        return self._most_frames - self.frames

    def spend(self, size: int) -> None:
        """LinkFaultError without credit."""
        if self.frames <= 0 or self.size <= 0:
            raise LinkFaultError(Fault.NO_CREDIT)
        self.frames -= 1
        self.size -= size

    def earn(self, frames: int, size: int) -> None:
        self.frames += frames
        self.size += size
        if self.frames > self._most_frames or self.size > self._most_size:
            raise LinkFaultError(Fault.TOO_MUCH_CREDIT)

    def widen(self, room: Room) -> None:
        self._most_frames += room.frames
        self._most_size += room.size
        self.frames += room.frames
        self.size += room.size


class LinkStream:
    """One stream at one end. `send`: this end's allowance; `receive`: the other's, as this end counts it."""

    __slots__ = ("half", "number", "owed_frames", "owed_size", "proven", "receive", "send", "wanted")

    def __init__(self, number: int, bounds: LinkBounds) -> None:
        self.number = number
        self.send = Allowance(bounds.stranger_room)
        self.receive = Allowance(bounds.stranger_room)
        self.owed_frames = self.owed_size = 0
        """What its reader took, and the other end was not told of yet."""
        self.proven = False
        self.half = False
        """Its peer has said everything."""
        self.wanted = False
        """Somebody waits for credit."""

    def widen(self, room: Room) -> None:
        self.proven = True
        self.send.widen(room)
        self.receive.widen(room)

    def take(self, size: int) -> bool:
        """A message left the queue of its reader; whether to give credit now: not for each message, and before it runs out."""
        self.owed_frames += 1
        self.owed_size += size
        return self.owed_frames >= self.receive.frames or self.owed_size >= self.receive.size

    def settle(self) -> tuple[int, int]:
        """What is owed, which the other end is told now."""
        owed = self.owed_frames, self.owed_size
        self.receive.earn(*owed)
        self.owed_frames = self.owed_size = 0
        return owed
