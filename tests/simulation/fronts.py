"""The fronts of a machine: processes that its node starts, in which the real front runs, and which die and stand still."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from hermes_front.link.payloads import FrontHello
from hermes_front.process.front import Front
from tests.simulation.front_door import FrontDoor, SharedSocket
from tests.simulation.link_socket import LinkSocket
from tests.simulation.loop import CURRENT, Process

if TYPE_CHECKING:
    import socket

    from tests.simulation.draws import Draws
    from tests.simulation.loop import VirtualLoop
    from tests.simulation.network import Network

STARTS_S: Final = (0.05, 0.2, 0.6, 2.0)
"""From exec until a front has read its modules."""
DEATHS_S: Final = (0.0, 0.0001, 0.005)
"""From a node's death until the kernel has killed its fronts: they may be quicker to see the end of their link."""
SIGKILL: Final = -9
PIDS: Final = 1 << 23
"""Beyond those that a kernel gives, so that nobody's memory is taken for a front's."""


class SimFront:
    """`hermes_front.owner.spawning.FrontProcess`: one run."""

    def __init__(self, fronts: Fronts, owner: Process, run: int, shared: SharedSocket) -> None:
        self._loop, self._network = fronts.loop, fronts.network
        self._fronts = fronts
        self.owner = owner
        self.pid = PIDS + run
        self.process = Process(f"{owner.name}.front-{run}", self._loop.time())
        self.was_paused = False
        self._shared = shared
        self._run = run
        self._door: FrontDoor | None = None
        self._exit: int | None = None
        choices = fronts.draws.of("front", self.process.name)
        self.ours, self._theirs = LinkSocket.pair(self._loop, owner, self.process, choices)
        start_s = choices.choice(STARTS_S)
        self._loop.call_later(start_s, self._start, context=self.process.context)

    @property
    def alive(self) -> bool:
        return self._exit is None

    def kill(self) -> None:
        """SIGKILL."""
        self.end(SIGKILL)

    def wait(self) -> int:
        assert self._exit is not None, "it would wait for ever"
        return self._exit

    def end(self, code: int, *, lose: bool = False) -> None:
        """Nothing of it runs any more; its peers and its node hear of it from the kernel."""
        if self._exit is not None:
            return
        self._exit = int(code)
        self._fronts.running.remove(self)
        self._loop.kill(self.process)
        if self._door is not None:
            self._shared.close_door(self._door)
        self._network.died(self.process, lose=lose)
        self._theirs.died(lose=lose)

    def _start(self) -> None:
        self._loop.create_task(self._main(), name=self.process.name)

    async def _main(self) -> None:
        link, listening = cast("socket.socket", self._theirs), cast("Sequence[socket.socket]", (self._shared,))
        front = Front(FrontHello(self._run), link, listening, build_server=self._build_door, leave=self.end)
        code = await front.run()
        self.end(code)

    def _build_door(self, *_: Any, **_settings: Any) -> FrontDoor:
        self._door = FrontDoor(self._network, self._shared)
        return self._door


class Fronts:
    """Of one machine. `number`: how many its node has; `running` at this moment."""

    def __init__(self, loop: VirtualLoop, network: Network, draws: Draws, number: int) -> None:
        self.loop = loop
        self.network = network
        self.draws = draws
        self.number = number
        self.running: list[SimFront] = []
        self.stood_still = 0
        """How often one was stopped."""

    def spawn(
        self, run: int, listening: Sequence[socket.socket], _memory_bytes: int, _module: str = "", /
    ) -> tuple[SimFront, socket.socket]:
        """`hermes_front.owner.spawning.SpawnFront`, in the node's process."""
        owner = CURRENT.get()
        assert owner is not None
        front = SimFront(self, owner, run, cast("SharedSocket", listening[0]))
        self.running.append(front)
        return front, cast("socket.socket", front.ours)

    def owner_died(self, owner: Process, *, lose: bool) -> None:
        for front in [it for it in self.running if it.owner is owner]:
            if lose:
                front.end(SIGKILL, lose=True)
                continue
            front.ours.died()
            death_s = self.draws.of("front death", front.process.name).choice(DEATHS_S)
            self.loop.call_later(death_s, partial(front.end, SIGKILL), context=_OUTSIDE)

    def pause(self, front: SimFront) -> None:
        self.stood_still += 1
        self.loop.pause(front.process)

    def resume(self) -> None:
        for front in self.running:
            if front.process.paused:
                self.loop.resume(front.process)


_OUTSIDE: Final = Process("nobody").context
