"""No frame made for one stream enters another, or another place in its order: what is written is what the core decided."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from hermes_core.protocol.messages import ErrorNotice
from hermes_core.relay.output import NodeOutput, Send
from tests.simulation.invariants.base import Invariant
from tests.simulation.network import SERVED

if TYPE_CHECKING:
    from tests.simulation.loop import Process
    from tests.simulation.streams import SimStream
    from tests.simulation.world import World


class FramesStayOnTheirStream(Invariant):
    name = "no frame made for one stream enters another"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._numbers: dict[tuple[str, int], int] = {}
        self._decided: dict[tuple[str, int], deque[Any]] = {}

    def stream_numbered(self, process: Process, number: int) -> None:
        self._numbers[process.name, SERVED.get().number] = number
        self._decided[process.name, number] = deque()

    def decided(self, process: Process, output: NodeOutput) -> None:
        for action in output.actions:
            queue = self._decided.get((process.name, action.stream))
            if queue is not None:
                message = action.message if isinstance(action, Send) else action.notice
                if message is not None:
                    queue.append(message)

    def written(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        number = self._numbers.get((process.name, stream.number))
        if number is None:
            return  # an app's, or a node's proof before its stream has a number
        queue = self._decided[process.name, number]
        for message in messages:
            while queue and queue[0] != message:
                queue.popleft()  # cut off: a stream that starved, or was ended at once
            if queue:
                queue.popleft()
            elif not isinstance(message, ErrorNotice):  # the shell's own: a defect, a peer that broke the protocol
                self.violate(f"{process.name} wrote {type(message).__name__} to {stream}, for which it was not made")
