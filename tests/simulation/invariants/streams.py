"""No frame made for one stream enters another, or another place in its order: what is written is what the core decided.

An app has one stream at a time, so what it decided before it was connected anew was made for an older one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import Connect, FindApp, Heartbeat, SeekHome
from hermes_core.relay.output import NodeOutput, Secure, Send
from tests.simulation.invariants.base import Invariant
from tests.simulation.network import SERVED

if TYPE_CHECKING:
    from hermes_core.endpoint.output import AppOutput
    from tests.simulation.loop import Process
    from tests.simulation.streams import SimStream
    from tests.simulation.world import World


_OF_THE_SESSION: Final = (Connect, FindApp, Heartbeat, SeekHome)
"""Of an app's messages those that its session makes, for the stream it holds."""


class FramesStayOnTheirStream(Invariant):
    name = "no frame made for one stream enters another"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._numbers: dict[tuple[str, int], int] = {}
        self._decided: dict[tuple[str, int], deque[Any]] = {}
        self._by_apps: dict[str, deque[Any]] = {}

    def stream_numbered(self, process: Process, number: int) -> None:
        self._numbers[process.name, SERVED.get().number] = number
        self._decided[process.name, number] = deque()

    def decided(self, process: Process, output: NodeOutput) -> None:
        for action in output.actions:
            queue = self._decided.get((process.name, action.stream))
            if queue is not None and not isinstance(action, Secure):
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

    def app_connected(self, process: Process) -> None:
        self._by_apps[process.name] = deque()

    def app_decided(self, process: Process, output: AppOutput) -> None:
        if output.sends:
            self._by_apps.setdefault(process.name, deque()).extend(output.sends)

    def app_wrote(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        decided = self._by_apps.setdefault(process.name, deque())
        for message in messages:
            if isinstance(message, _OF_THE_SESSION):
                continue
            if decided and decided[0] == message:
                decided.popleft()
            else:
                self.violate(f"{process.name} wrote {type(message).__name__} to {stream}, for which it was not made")
