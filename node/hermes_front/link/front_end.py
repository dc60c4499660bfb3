"""A front's end of a link. Its owner is not hostile, but what cannot be understood is no reason to guess."""

from __future__ import annotations

from hermes_front.link.bounds import LinkBounds
from hermes_front.link.credits import LinkStream
from hermes_front.link.end import LinkEnd
from hermes_front.link.events import Draining, Ended, FrontEvent, MaterialCame, Pardoned, Proved, SettingsCame, WasReset
from hermes_front.link.faults import Fault, LinkFaultError
from hermes_front.link.frames import MAX_STREAM, MOST_OF_OWNER, LinkKind
from hermes_front.link.payloads import (
    FrontHello,
    Stats,
    StreamOpening,
    Told,
    build_defect,
    build_hello,
    build_number,
    build_opening,
    build_stats,
    build_told,
    read_end,
    read_material,
    read_number,
    read_settings,
)


class FrontEnd(LinkEnd[FrontEvent]):
    """Says who it is at once; answers PINGs by itself. `bounds` are taken from the settings when those come."""

    def __init__(self, hello: FrontHello) -> None:
        super().__init__(LinkBounds(), MOST_OF_OWNER)
        self._settled = False
        self._put(LinkKind.HELLO, 0, build_hello(hello))

    @property
    def exhausted(self) -> bool:
        """Every number of a stream was used: only another run has new ones."""
        return self._last >= MAX_STREAM

    def open(self, opening: StreamOpening) -> int:
        """The number of the new stream."""
        self._last += 1
        self._open[self._last] = LinkStream(self._last, self._bounds)
        self._put(LinkKind.OPEN, self._last, build_opening(opening))
        return self._last

    def end_peer(self, stream: int) -> None:
        """It has said everything."""
        if stream in self._open:
            self._put(LinkKind.HALF, stream)

    def lose_peer(self, stream: int) -> None:
        if self._open.pop(stream, None) is not None:
            self._put(LinkKind.GONE, stream)

    def count(self, stats: Stats) -> None:
        self._put(LinkKind.STATS, 0, build_stats(stats))

    def tell_refusal(self, told: Told) -> None:
        self._put(LinkKind.REFUSED, 0, build_told(told))

    def tell_defect(self, what: str, *, of_system: bool = False) -> None:
        self._put(LinkKind.DEFECT, 0, build_defect(what, of_system=of_system))

    def _judge_data(self, state: LinkStream, size: int) -> None:
        """An owner's message may be as long as any."""

    def _on_frame(self, kind: int, number: int, payload: bytes) -> None:
        if kind == LinkKind.PROVE:
            state = self._find(number)
            if state is not None:
                if state.proven:
                    raise LinkFaultError(Fault.AFTER_END)
                state.widen(self._bounds.proven_room)
                self._events.append(Proved(number))
                self._tell_credit(state)
        elif kind == LinkKind.PARDON:
            if self._find(number) is not None:
                self._events.append(Pardoned(number))
        elif kind == LinkKind.END:
            status, text = read_end(payload)
            self._find(number)
            if self._open.pop(number, None) is not None:
                self._events.append(Ended(number, status, text))
        elif kind == LinkKind.RESET:
            self._find(number)
            if self._open.pop(number, None) is not None:
                self._events.append(WasReset(number))
        else:
            self._of_link(number)
            self._on_news(kind, payload)

    def _on_news(self, kind: int, payload: bytes) -> None:
        if kind == LinkKind.PING:
            self._put(LinkKind.PONG, 0, build_number(read_number(payload)))
        elif kind == LinkKind.MATERIAL:
            self._events.append(MaterialCame(read_material(payload)))
        elif kind == LinkKind.SETTINGS:
            if self._settled:
                raise LinkFaultError(Fault.NOT_GREETED)
            self._settled = True
            settings = read_settings(payload)
            self._bounds = settings.link
            self._reader.bound(settings.link.message_bytes)
            self._events.append(SettingsCame(settings))
        else:
            self._events.append(Draining(read_number(payload) / 1000))
