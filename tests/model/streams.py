"""An ordered stream between two parties that may break: each end notices when it has read what still arrived."""

from __future__ import annotations

import random
from collections import deque

from hermes_core.protocol.messages import ChatMessage
from hermes_core.session.keys import StreamKeys
from tests.support.sessions import make_stream_keys


class EndOfStream:
    """The last thing an end reads of a broken stream."""


END = EndOfStream()


class Stream:
    """Inboxes by the name of the receiving party. `open_ends`: those that have not noticed a break."""

    def __init__(self, left: str, right: str, binding: bytes, number: int) -> None:
        self.number = number
        self.ends = (left, right)
        self.binding = binding
        self.inbox: dict[str, deque[ChatMessage | EndOfStream]] = {left: deque(), right: deque()}
        self.open_ends = {left, right}
        self.broken = False

    def peer_of(self, name: str) -> str:
        return self.ends[1] if self.ends[0] == name else self.ends[0]

    def keys_of(self, name: str) -> StreamKeys:
        """What this end is given of the stream's keys."""
        return make_stream_keys(self.binding, dialled=name == self.ends[0])

    def put(self, receiver: str, message: ChatMessage) -> bool:
        """Queue for `receiver`; lost once the stream is broken."""
        if self.broken:
            return False
        self.inbox[receiver].append(message)
        return True

    def hang_up(self, end: str, rng: random.Random) -> None:
        """`end` has had enough of it, and reads nothing more."""
        self.break_off(rng)
        self.inbox[end] = deque([END])

    def break_off(self, rng: random.Random | None) -> None:
        """Some of what was under way may still be read, then each end notices. None: nothing is read any more."""
        if self.broken:
            return
        self.broken = True
        for queue in self.inbox.values():
            keep = rng.randint(0, len(queue)) if rng is not None else 0
            while len(queue) > keep:
                queue.pop()
            queue.append(END)
