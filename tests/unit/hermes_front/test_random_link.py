"""Both ends of a link, driven at random: neither breaks a rule, nothing is lost or doubled, what waits is bounded."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import pytest

from hermes_front.link.events import (
    Ended,
    LinkBroken,
    MessageCame,
    PeerEnded,
    PeerGone,
    StreamOpened,
    WasReset,
)
from hermes_front.link.payloads import StreamOpening
from tests.unit.hermes_front.ends import PATH, SMALL, Ends, hear

STEPS = 3_000
MOST_WAITING = SMALL.stranger_room.size + SMALL.proven_room.size + SMALL.message_bytes


class World:
    """What each end said on which stream, what the other one has read of it, and bytes under way."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.ends = Ends()
        self.wires = {"owner": bytearray(), "front": bytearray()}
        """By who reads them."""
        self.said: dict[tuple[str, int], list[bytes]] = defaultdict(list)
        self.waiting: dict[tuple[str, int], deque[bytes]] = defaultdict(deque)
        self.read: dict[tuple[str, int], list[bytes]] = defaultdict(list)
        self.known: set[int] = set()
        self.half: set[int] = set()
        self.over: set[int] = set()

    def end(self, who: str) -> Any:
        return self.ends.owner if who == "owner" else self.ends.front

    def step(self) -> None:
        acts: list[Callable[[], None]] = [
            self.open, self.say, self.say, self.say, self.take, self.take, self.take,
            self.deliver, self.deliver, self.deliver, self.prove, self.finish,
        ]  # fmt: skip
        self.draw.choice(acts)()
        self.wires["front"] += b"".join(self.ends.owner.take_output())
        self.wires["owner"] += b"".join(self.ends.front.take_output())

    def open(self) -> None:
        if self.ends.front.streams < SMALL.streams:
            self.known.add(self.ends.front.open(StreamOpening(PATH, "192.0.2.1", 1)))

    def pick(self) -> int | None:
        standing = sorted(self.known - self.over)
        return self.draw.choice(standing) if standing else None

    def say(self) -> None:
        stream, who = self.pick(), self.draw.choice(("owner", "front"))
        if stream is None or (who == "front" and stream in self.half) or not self.end(who).may_send(stream):
            return
        if who == "owner" and stream not in self.ends.owner._open:
            return
        state = self.end(who)._open[stream]
        most = SMALL.message_bytes if who == "owner" or state.proven else SMALL.stranger_message_bytes
        message = self.draw.randbytes(self.draw.choice((0, 1, 50, most)))
        self.end(who).send(stream, message)
        self.said[who, stream].append(message)

    def take(self) -> None:
        full = sorted(key for key, waiting in self.waiting.items() if waiting)
        if full:
            who, stream = self.draw.choice(full)
            message = self.waiting[who, stream].popleft()
            self.end(who).taken(stream, len(message))
            self.read[who, stream].append(message)

    def prove(self) -> None:
        stream = self.pick()
        if stream is not None:
            self.ends.owner.prove(stream)

    def finish(self) -> None:
        """Seldom, so that streams live."""
        stream, how = self.pick(), self.draw.randrange(60)
        if stream is None or how > 4:
            return
        if how == 0 and stream not in self.half:
            self.half.add(stream)
            self.ends.front.end_peer(stream)
        elif how == 1:
            self.over.add(stream)
            self.ends.front.lose_peer(stream)
        elif stream in self.ends.owner._open:
            self.over.add(stream)
            (self.ends.owner.reset if how == 2 else self.ends.owner.end)(*((stream,) if how == 2 else (stream, 0)))

    def deliver(self, amount: int | None = None) -> None:
        who = self.draw.choice(("owner", "front"))
        wire = self.wires[who]
        cut = self.draw.choice((1, 9, 100, 5_000)) if amount is None else amount
        data = bytes(wire[:cut])
        del wire[:cut]
        for event in hear(self.end(who), data):
            assert not isinstance(event, LinkBroken), event
            if isinstance(event, MessageCame):
                self.waiting[who, event.stream].append(event.data)
                assert sum(map(len, self.waiting[who, event.stream])) <= MOST_WAITING
            else:
                assert event is not None
                if isinstance(event, StreamOpened | PeerEnded | PeerGone | Ended | WasReset):
                    assert event.stream in self.known

    def settle(self) -> None:
        """Everything is carried, and taken."""
        while (
            any(self.wires.values()) or any(self.waiting.values()) or self.ends.owner.has_output or self.ends.front.has_output
        ):
            self.deliver(100_000)
            self.take()
            self.wires["front"] += b"".join(self.ends.owner.take_output())
            self.wires["owner"] += b"".join(self.ends.front.take_output())


@pytest.mark.parametrize("seed", range(12))
def test_random_talk_breaks_no_rule_and_loses_nothing(seed: int) -> None:
    print("seed", seed)
    world = World(seed)
    for _ in range(STEPS):
        world.step()
    world.settle()
    other = {"owner": "front", "front": "owner"}
    assert sum(map(len, world.read.values())) > STEPS / 50
    for (who, stream), said in world.said.items():
        read = world.read[other[who], stream]
        assert read == said[: len(read)], "in order, and as it was said"
        if stream not in world.over:
            assert read == said, "all of it, on a stream that stands"
            assert world.end(who).may_send(stream), "and with credit again"
