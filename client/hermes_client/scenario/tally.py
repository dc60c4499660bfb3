"""Numbered messages and the count of them: what was lost, doubled, reordered or altered, by number."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

FILLER_BYTES = 64


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise about one numbered message, in words."""

    kind: str  # lost, duplicated, reordered, altered
    direction: str
    number: int

    def __str__(self) -> str:
        return f"message {self.direction} #{self.number} was {self.kind}"


def build_content(run_id: str, direction: str, number: int) -> bytes:
    """What message `number` of `direction` holds in this run: readable head, and a filler that depends on all three."""
    head = f"{run_id} {direction} {number}"
    return head.encode() + b" " + hashlib.shake_128(head.encode()).hexdigest(FILLER_BYTES // 2).encode()


def parse_number(content: bytes) -> int | None:
    """The number a content claims to be, or None when it is none of ours."""
    try:
        return int(content.split(b" ")[2])
    except (IndexError, ValueError):
        return None


@dataclass(slots=True)
class Tally:
    """What arrived of one direction. Numbers count from 1; `sent` is the highest number sent so far."""

    run_id: str
    direction: str
    sent: int = 0
    received: int = 0
    highest: int = 0
    missing: set[int] = field(default_factory=set)
    duplicated: list[int] = field(default_factory=list)
    reordered: list[int] = field(default_factory=list)
    altered: list[int] = field(default_factory=list)

    def build_next(self) -> bytes:
        """The next message to send."""
        self.sent += 1
        return build_content(self.run_id, self.direction, self.sent)

    def record(self, content: bytes) -> None:
        """Count one message that was handed to the receiving app."""
        number = parse_number(content)
        if number is None or not 1 <= number <= self.sent or content != build_content(self.run_id, self.direction, number):
            self.altered.append(number or 0)
            return
        if number > self.highest:
            self.missing.update(range(self.highest + 1, number))
            self.highest = number
            self.received += 1
        elif number in self.missing:
            self.missing.discard(number)
            self.reordered.append(number)
            self.received += 1
        else:
            self.duplicated.append(number)

    def lost(self) -> list[int]:
        """Numbers that never arrived; meaningful once the sender knows that everything was acknowledged."""
        return sorted(self.missing | set(range(self.highest + 1, self.sent + 1)))

    def violations(self, *, complete: bool) -> list[Violation]:
        """Every broken promise. `complete`: everything sent was acknowledged, so what is missing now is lost."""
        found = [
            *(("altered", number) for number in self.altered),
            *(("duplicated", number) for number in self.duplicated),
            *(("reordered", number) for number in self.reordered),
            *((("lost", number) for number in self.lost()) if complete else ()),
        ]
        return [Violation(kind, self.direction, number) for kind, number in found]
