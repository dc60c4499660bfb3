"""Links between machines: delay, loss (which TCP turns into delay), and cuts that hold back what is under way."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.simulation.adversary import Middle
    from tests.simulation.loop import Process, VirtualLoop
    from tests.simulation.pipes import Pipe, Way
    from tests.simulation.streams import SimStream

USUAL_DELAYS_S: Final = (0.0002, 0.0004, 0.001, 0.002, 0.02)
RETRANSMIT_S: Final = 0.2
EPSILON_S: Final = 1e-6


class Link:
    """Between two machines, both ways. Each message has its own delay, but none overtakes another of its stream."""

    def __init__(self, loop: VirtualLoop, choices: random.Random) -> None:
        self._loop = loop
        self._choices = choices
        self.blocked_since_s: float | None = None
        self.loss = 0.0
        self.middle: Middle | None = None
        self.extra_delay_s = 0.0
        self._parked: list[tuple[int, Pipe, bytes | None]] = []
        self._signals: list[tuple[Process, Callable[..., object], tuple[Any, ...]]] = []
        self._openings: list[tuple[Process, Callable[..., object], SimStream]] = []
        self.carried = 0
        self.lost = self.slowed = self.changed = 0
        """How often a fault of this link was felt."""

    @property
    def blocked(self) -> bool:
        return self.blocked_since_s is not None

    def draw_delay_s(self) -> float:
        choices = self._choices
        delay_s = choices.choice(USUAL_DELAYS_S) + self.extra_delay_s * choices.random()
        self.slowed += self.extra_delay_s > 0
        wait_s = RETRANSMIT_S
        while self.loss and choices.random() < self.loss:
            delay_s += wait_s
            self.lost += 1
            wait_s = min(2 * wait_s, 3.0)
        return delay_s

    def pass_on(self, way: Way, data: bytes) -> list[bytes]:
        """What a hostile middle makes of a message."""
        passed = [data] if self.middle is None else self.middle(way, data)
        self.changed += passed != [data]
        return passed

    def carry(self, pipe: Pipe, data: bytes | None) -> None:
        self.carried += 1
        self._send(self.carried, pipe, data)

    def _send(self, number: int, pipe: Pipe, data: bytes | None) -> None:
        if self.blocked:
            self._parked.append((number, pipe, data))
            return
        at_s = max(pipe.last_at_s + EPSILON_S, self._loop.time() + self.draw_delay_s())
        pipe.last_at_s = at_s
        self._loop.deliver_at(at_s, self._arrive, number, pipe, data, at_s, context=pipe.receiver_context().context)

    def open(self, receiver: Process, accept: Callable[..., object], stream: SimStream) -> None:
        """The first packet of a stream; what is written to it stays behind."""
        if self.blocked:
            self._openings.append((receiver, accept, stream))
            return
        at_s = self._loop.time() + self.draw_delay_s()
        stream.up.last_at_s = at_s
        self._loop.deliver_at(at_s, accept, stream, context=receiver.context)

    def block(self) -> None:
        if not self.blocked:
            self.blocked_since_s = self._loop.time()

    def forget(self, pipe: Pipe) -> None:
        """What is held back of this direction never arrives."""
        self._parked = [waiting for waiting in self._parked if waiting[1] is not pipe]

    def heal(self) -> None:
        """What was under way goes on: TCP sends it again."""
        self.blocked_since_s = None
        openings, self._openings = self._openings, []
        for receiver, accept, stream in openings:
            self.open(receiver, accept, stream)
        parked, self._parked = self._parked, []
        for number, pipe, data in sorted(parked, key=lambda waiting: waiting[0]):  # in the order in which they were sent
            self._send(number, pipe, data)
        signals, self._signals = self._signals, []
        for receiver, callback, args in signals:
            self.signal(receiver, callback, *args)

    def signal(self, receiver: Process, callback: Callable[..., object], *args: Any) -> None:
        """What ends a stream travels as messages do, but waits behind none: a reset overtakes."""
        if self.blocked:
            self._signals.append((receiver, callback, args))
            return
        at_s = self._loop.time() + self.draw_delay_s()
        self._loop.deliver_at(at_s, callback, *args, context=receiver.context)

    def _arrive(self, number: int, pipe: Pipe, data: bytes | None, at_s: float) -> None:
        """At the machine; a process that stands still hears of it later, whatever has become of the link by then."""
        if self.blocked_since_s is not None and at_s >= self.blocked_since_s:
            self._parked.append((number, pipe, data))
            return
        pipe.arrive(data, at_s)
