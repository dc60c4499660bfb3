"""What waits for the chat machine: a queue for each stream and one of the node's own, served in turns by what they cost.

Orders that hold, whatever the turns are:
- all that came on one stream, from its opening to its end;
- the node's own inputs among themselves;
- a stream that opens comes after the node's own inputs of before: one that is told dead is not linked and then unlinked, chats
  that are to be held are held before anybody resumes them;
- `put_after`: after everything that waits now, of all queues.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from hermes_core.relay.strangers import Origin
from hermes_node.streams.turns import Group, Queue, Turns

MAX_FRAMES_A_PASS: Final = 2048

QUANTUM_S: Final = 0.002
"""A turn ends with the message that uses it up: some hundred relayed frames, so that turns themselves cost nothing, or the few
dearest messages, a signature or two each."""

PASS_S: Final = 5 * QUANTUM_S
"""What comes waits until the pass that runs is over and then for its own, as nothing leaves earlier: a few quanta. Shorter ones
write less at once."""

MAX_PASS_S: Final = 10 * PASS_S
"""A pass may cost as much as the commit before it took, up to this: what a slow disk takes is shared by more."""

APP_WEIGHT: Final = 1.0
"""An app has one stream: a newer one ends the older."""

MANY_WEIGHT: Final = 8.0
"""Of what stands for many apps: another node's stream, the node's own inputs, all strangers together. Several times an app's,
as many wait behind it; and no more than that, as one who floods it takes this much from each app."""

Act = Callable[[float], None]


class Input(ABC):
    """Something that waits. Until it is not `left` any more it stays where it is, and is served again in the next turn.

    `epoch` is the inbox's.
    """

    __slots__ = ("epoch", "left")

    epoch: int
    left: bool

    @abstractmethod
    def serve(self, now: float, ends_at: float) -> int:
        """At this time, until the cost clock is at `ends_at` or there is nothing left; how many frames that were."""


class Task(Input):
    """Something to do, at once and whole. `act` is called with the time of its pass; `frames`: as how many it counts."""

    __slots__ = ("act", "frames")

    def __init__(self, act: Act, frames: int = 0) -> None:
        self.left = True
        self.act = act
        self.frames = frames

    def serve(self, now: float, ends_at: float) -> int:  # noqa: ARG002 - it cannot be cut
        self.left = False
        self.act(now)
        return self.frames


class Inbox:
    """The owner of what waits. `cost_clock`: seconds, for what serving costs; `on_defect`: what an input raised.

    `wake` is called whenever something is put in.
    """

    def __init__(
        self, cost_clock: Callable[[], float], on_defect: Callable[[Exception], None], wake: Callable[[], None]
    ) -> None:
        self._clock = cost_clock
        self._on_defect = on_defect
        self._wake = wake
        self._turns: Turns[Input] = Turns()
        self._own: Queue[Input] = Queue(self._turns.root, MANY_WEIGHT)
        self._own_put = self._own_done = 0
        self._held: deque[tuple[int, Queue[Input]]] = deque()
        self._strangers = Group(self._turns.root, MANY_WEIGHT)
        self._networks: WeakValueDictionary[str, Group] = WeakValueDictionary()
        self._afters: deque[Act] = deque()
        self._epoch = 0
        self._waiting: deque[int] = deque([0])
        """How many inputs of each epoch wait, up to this one; each of `_afters` begins a new one."""

    def __bool__(self) -> bool:
        return bool(self._turns.root.waiting) or bool(self._afters)

    # Queues.

    def open_stranger(self, origin: Origin) -> Queue[Input]:
        """Of a stream on which nobody proved anything: all share one share, by the widest network that they come from."""
        network = self._networks.get(origin[0])
        if network is None:
            network = self._networks[origin[0]] = Group(self._strangers, APP_WEIGHT)
        return self._hold(Queue(network, APP_WEIGHT, held=True))

    def open_node(self) -> Queue[Input]:
        """Of a node's stream."""
        return self._hold(Queue(self._turns.root, MANY_WEIGHT, held=True))

    def prove(self, queue: Queue[Input]) -> None:
        """The stranger is an app."""
        queue.move(self._turns.root, APP_WEIGHT)

    def _hold(self, queue: Queue[Input]) -> Queue[Input]:
        self._held.append((self._own_put, queue))
        self._release()
        return queue

    def _release(self) -> None:
        while self._held and self._held[0][0] <= self._own_done:
            self._held.popleft()[1].release()

    # Inputs.

    def put(self, queue: Queue[Input], item: Input) -> None:
        """At the end of a stream's queue."""
        item.epoch = self._epoch
        self._waiting[-1] += 1
        queue.put(item)
        self._wake()

    def put_own(self, act: Act) -> None:
        """Something that the node itself found out or was asked."""
        self._own_put += 1
        self.put(self._own, Task(act))

    def put_after(self, act: Act) -> None:
        """The same, after everything that waits now."""
        self._afters.append(act)
        self._waiting.append(0)
        self._epoch += 1
        self._advance()

    def serve(self, now: float, budget_s: float) -> None:
        """A pass: turns until nobody waits, or they cost `budget_s` or MAX_FRAMES_A_PASS in all."""
        clock, turns, waiting = self._clock, self._turns, self._turns.root.waiting
        frames, began = 0, clock()
        at = began
        while waiting and frames < MAX_FRAMES_A_PASS and at - began < budget_s:
            frames += self._serve(turns.begin(), now, at + QUANTUM_S)
            ended = clock()
            turns.end(ended - at)
            at = ended

    def _serve(self, queue: Queue[Input], now: float, ends_at: float) -> int:
        """One turn; how many frames were handled."""
        clock, waiting, frames = self._clock, queue.waiting, 0
        while True:
            item = waiting[0]
            try:
                frames += item.serve(now, ends_at)
            except Exception as error:  # noqa: BLE001 - a defect must not stop the node for everybody else
                self._on_defect(error)
                item.left = False
            if item.left:
                return frames
            waiting.popleft()
            self._waiting[item.epoch - self._epoch - 1] -= 1
            if queue is self._own:
                self._own_done += 1
                self._release()
            if self._afters:
                self._advance()
            if not waiting or frames >= MAX_FRAMES_A_PASS or clock() >= ends_at:
                return frames

    def _advance(self) -> None:
        while self._afters and not self._waiting[0]:
            self._waiting.popleft()
            self.put_own(self._afters.popleft())
