"""An ordered stream between two parties that may break: each end notices when it has read what still arrived.

On a proven one control messages travel with the tags of a session's secret, as they do on the wire.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from hermes_core.protocol.messages import ChatMessage
from hermes_core.session.control import ControlReader, ControlWriter, Tagged
from hermes_core.session.keys import StreamKeys
from tests.support.sessions import make_control_pair, make_stream_keys


class EndOfStream:
    """The last thing an end reads of a broken stream."""


END = EndOfStream()
OnItsWay = ChatMessage | Tagged | EndOfStream


def bare(item: OnItsWay) -> Any:
    """A message without its tag."""
    return item.message if isinstance(item, Tagged) else item


class Stream:
    """Inboxes by the name of the receiving party. `open_ends`: those that have not noticed a break."""

    def __init__(self, left: str, right: str, binding: bytes, number: int, *, proven: bool) -> None:
        self.number = number
        self.ends = (left, right)
        self.binding = binding
        self.inbox: dict[str, deque[OnItsWay]] = {left: deque(), right: deque()}
        pairs = {end: make_control_pair(binding + end.encode()) for end in self.ends} if proven else {}
        self._writers: dict[str, ControlWriter] = {end: writer for end, (writer, _) in pairs.items()}
        self._readers: dict[str, ControlReader] = {end: reader for end, (_, reader) in pairs.items()}
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
        writer = self._writers.get(receiver)
        self.inbox[receiver].append(message if writer is None else writer.tag([message])[0])
        return True

    def take(self, end: str) -> Any:
        """What this end reads next; AUTH_FAILED for what is not the next that was sent, where that can be told."""
        item, reader = self.inbox[end].popleft(), self._readers.get(end)
        return item if reader is None or isinstance(item, EndOfStream) else reader.open(item)

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
