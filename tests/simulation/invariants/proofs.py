"""Whoever is taken in has proved who it is: a node answers one Connect of a stream, and the app believes no other answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermes_core.ids import derive_app_id
from hermes_core.protocol.session import Connect, Connected
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from tests.simulation.loop import Process
    from tests.simulation.streams import SimStream
    from tests.simulation.world import World


class BothSidesProved(Invariant):
    """Whatever a middle made of what either said: signatures cover every byte of it."""

    name = "who is taken in has proved who it is, once"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._asked: dict[int, Connect] = {}
        self._taken_in: dict[int, Connected] = {}

    def app_wrote(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        if stream.number not in self._asked and isinstance(messages[0], Connect):
            self._asked[stream.number] = messages[0]

    def written(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        for message in messages:
            if not isinstance(message, Connected):
                continue
            asked = self._asked.get(stream.number)
            if stream.number in self._taken_in:
                self.violate(f"{process.name} took in whoever is on {stream} a second time")
            elif asked is None or derive_app_id(asked.app_key) != message.app_id:
                self.violate(f"{process.name} took in {message.app_id} on {stream}, who did not ask for it there")
            self._taken_in[stream.number] = message

    def app_believed(self, process: Process, number: int, connected: Connected) -> None:
        if self._taken_in.get(number) != connected:
            self.violate(f"{process.name} took itself for connected on stream {number}, and not by what a node said there")
