"""What both ends of a link have: frames, streams with their credits, and the fault that is the last of it."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

from hermes_front.link.bounds import LinkBounds
from hermes_front.link.credits import LinkStream
from hermes_front.link.events import CreditCame, LinkBroken, MessageCame
from hermes_front.link.faults import Fault, LinkFaultError
from hermes_front.link.frames import LinkKind, LinkReader, build_frame
from hermes_front.link.payloads import build_credit, read_credit

AT_ONCE: Final = 128

E = TypeVar("E")


class LinkEnd(ABC, Generic[E]):
    """`receive` turns bytes into events, calls make bytes that `take_output` gives. Nothing raises.

    What is asked of a stream that is over has no effect: the other end may have ended it meanwhile.
    """

    def __init__(self, bounds: LinkBounds, most: Mapping[int, int]) -> None:
        self._bounds = bounds
        self._reader = LinkReader(most, bounds.message_bytes)
        self._open: dict[int, LinkStream] = {}
        self._last = 0
        """The highest number of a stream so far."""
        self._out: list[bytes] = []
        self._events: list[E | MessageCame | CreditCame | LinkBroken] = []
        self._over = False
        self._reading: Iterator[tuple[int, int, bytes]] | None = None
        self.frames_in = self.frames_out = 0
        self.waits = 0
        """How often somebody had to wait for credit."""

    @property
    def streams(self) -> int:
        return len(self._open)

    @property
    def has_output(self) -> bool:
        return bool(self._out)

    @property
    def has_input(self) -> bool:
        """`go_on` has more to tell, and nothing is to be received before."""
        return self._reading is not None

    def receive(self, data: bytes) -> list[E | MessageCame | CreditCame | LinkBroken]:
        """Of the first `AT_ONCE` frames: the smallest ones cost a hundred times what their bytes cost to read."""
        if not self._over:
            self._reading = self._reader.read(data)
        return self.go_on()

    def go_on(self) -> list[E | MessageCame | CreditCame | LinkBroken]:
        if self._reading is None:
            return []
        before = self.frames_in
        try:
            for kind, number, payload in itertools.islice(self._reading, AT_ONCE):
                self.frames_in += 1
                if kind == LinkKind.DATA:
                    self._on_data(number, payload)
                elif kind == LinkKind.CREDIT:
                    self._on_credit(number, payload)
                else:
                    self._on_frame(kind, number, payload)
        except LinkFaultError as broken:
            self._over = True
            self._reading = None
            self._events.append(LinkBroken(broken.fault))
        if self.frames_in - before < AT_ONCE:
            self._reading = None
        events, self._events = self._events, []
        return events

    def may_send(self, stream: int) -> bool:
        """Whether a message may leave, or is dropped since its stream is over; if not, `CreditCame` says when to ask again."""
        state = self._open.get(stream)
        if state is None or state.send.open:
            return True
        if not state.wanted:
            state.wanted = True
            self.waits += 1
        return False

    def send(self, stream: int, message: bytes) -> None:
        """LinkFaultError of this end's own, when nobody asked whether it may."""
        state = self._open.get(stream)
        if state is None:
            return
        if len(message) > self._bounds.message_bytes:
            raise LinkFaultError(Fault.TOO_LONG)
        state.send.spend(len(message))
        self._put(LinkKind.DATA, stream, message)

    def taken(self, stream: int, size: int) -> None:
        """A message of a stream left what its reader holds."""
        state = self._open.get(stream)
        if state is not None and state.take(size):
            self._put(LinkKind.CREDIT, stream, build_credit(*state.settle()))

    def take_output(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def _put(self, kind: LinkKind, stream: int = 0, payload: bytes = b"") -> None:
        if not self._over:
            self.frames_out += 1
            self._out.append(build_frame(kind, stream, payload))

    def _find(self, number: int) -> LinkStream | None:
        """None of a stream that is over; a fault of one that was never opened."""
        if not 0 < number <= self._last:
            raise LinkFaultError(Fault.STREAM_NUMBER)
        return self._open.get(number)

    def _on_data(self, number: int, payload: bytes) -> None:
        state = self._find(number)
        if state is None:
            return
        self._judge_data(state, len(payload))
        state.receive.spend(len(payload))
        self._events.append(MessageCame(number, payload))

    def _on_credit(self, number: int, payload: bytes) -> None:
        frames, size = read_credit(payload)
        state = self._find(number)
        if state is None:
            return
        state.send.earn(frames, size)
        self._tell_credit(state)

    def _tell_credit(self, state: LinkStream) -> None:
        if state.wanted and state.send.open:
            state.wanted = False
            self._events.append(CreditCame(state.number))

    def _of_link(self, number: int) -> None:
        """A frame that is no stream's."""
        if number:
            raise LinkFaultError(Fault.STREAM_NUMBER)

    @abstractmethod
    def _judge_data(self, state: LinkStream, size: int) -> None: ...

    @abstractmethod
    def _on_frame(self, kind: int, number: int, payload: bytes) -> None: ...
