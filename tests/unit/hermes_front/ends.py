"""Both ends of a link, and what goes between them."""

from __future__ import annotations

from typing import Any

from hermes_front.link.bounds import LinkBounds, Room
from hermes_front.link.end import LinkEnd
from hermes_front.link.events import LinkBroken, SettingsCame
from hermes_front.link.faults import Fault
from hermes_front.link.front_end import FrontEnd
from hermes_front.link.owner_end import OwnerEnd
from hermes_front.link.payloads import FrontHello, FrontSettings, StreamOpening
from hermes_h2.serving.limits import Limits

PATH = "/test.Service/Talk"
RUN = 7
SMALL = LinkBounds(
    message_bytes=1_000, stranger_message_bytes=100, streams=3, stranger_room=Room(4, 300), proven_room=Room(8, 900)
)


def hear(end: LinkEnd[Any], data: bytes) -> list[Any]:
    """All of it, as an end's shell does in several turns."""
    events: list[Any] = list(end.receive(data))
    while end.has_input:
        events += end.go_on()
    return events


class Ends:
    """`greeted`: the front knows its settings."""

    def __init__(self, bounds: LinkBounds = SMALL, *, greeted: bool = True) -> None:
        self.front = FrontEnd(FrontHello(RUN))
        self.owner = OwnerEnd(RUN, [PATH], bounds)
        if greeted:
            self.owner.say_settings(FrontSettings(Limits(), (PATH,), bounds))
            assert any(isinstance(event, SettingsCame) for event in self.to_front())
            self.to_owner()

    def to_front(self) -> list[Any]:
        return hear(self.front, b"".join(self.owner.take_output()))

    def to_owner(self) -> list[Any]:
        return hear(self.owner, b"".join(self.front.take_output()))

    def open(self, *, proven: bool = False) -> int:
        stream = self.front.open(StreamOpening(PATH, "192.0.2.1", 4711))
        self.to_owner()
        if proven:
            self.owner.prove(stream)
            self.to_front()
        return stream


def fault_of(events: list[Any]) -> Fault | None:
    return next((event.fault for event in events if isinstance(event, LinkBroken)), None)
