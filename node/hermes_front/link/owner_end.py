"""The owner's end of a link: what a front may say is held to its rules here."""

from __future__ import annotations

from collections.abc import Collection

from hermes_front.link.bounds import LATE, LATE_A_STREAM, LATE_BYTES, NEWS, OPENINGS, LinkBounds
from hermes_front.link.credits import LinkStream
from hermes_front.link.end import LinkEnd
from hermes_front.link.events import (
    Counted,
    DefectTold,
    Greeted,
    OwnerEvent,
    PeerEnded,
    PeerGone,
    PingAnswered,
    RefusalTold,
    StreamOpened,
)
from hermes_front.link.faults import Fault, LinkFaultError
from hermes_front.link.frames import MOST_OF_FRONT, LinkKind
from hermes_front.link.payloads import (
    FrontSettings,
    Stats,
    build_end,
    build_material,
    build_number,
    build_settings,
    read_defect,
    read_hello,
    read_number,
    read_opening,
    read_stats,
    read_told,
)
from hermes_h2.serving.tls_context import PemMaterial


class OwnerEnd(LinkEnd[OwnerEvent]):
    """`run`: which start of a front this is; one that says another is none of it. `paths`: what a stream may be opened for."""

    def __init__(self, run: int, paths: Collection[str], bounds: LinkBounds) -> None:
        super().__init__(bounds, MOST_OF_FRONT)
        self._run = run
        self._paths = frozenset(paths)
        self._greeted = False
        self._news = NEWS
        self._most_openings = self._openings = OPENINGS + 2 * bounds.streams
        self._most_late = self._late = LATE + LATE_A_STREAM * bounds.streams
        self._pinged = 0
        self._answered = 0
        self._stats = Stats()

    @property
    def waits_for_answer(self) -> bool:
        return self._pinged != self._answered

    def say_material(self, material: PemMaterial) -> None:
        """For connections from now on. Before the settings, where there is TLS."""
        self._put(LinkKind.MATERIAL, 0, build_material(material))

    def say_settings(self, settings: FrontSettings) -> None:
        """It serves from then on."""
        self._put(LinkKind.SETTINGS, 0, build_settings(settings))

    def prove(self, stream: int) -> None:
        state = self._open.get(stream)
        if state is not None and not state.proven:
            self._put(LinkKind.PROVE, stream)
            state.widen(self._bounds.proven_room)
            self._tell_credit(state)

    def pardon(self, stream: int) -> None:
        if stream in self._open:
            self._put(LinkKind.PARDON, stream)

    def end(self, stream: int, status: int, text: str = "") -> None:
        """With gRPC's status, behind what was sent."""
        if self._forget(stream):
            self._put(LinkKind.END, stream, build_end(status, text))

    def reset(self, stream: int) -> None:
        if self._forget(stream):
            self._put(LinkKind.RESET, stream)

    def ping(self) -> None:
        """Once the last one was answered."""
        self._pinged += 1
        self._put(LinkKind.PING, 0, build_number(self._pinged))

    def drain(self, grace_s: float) -> None:
        self._put(LinkKind.DRAIN, 0, build_number(int(grace_s * 1000)))

    def _forget(self, stream: int) -> bool:
        state = self._open.pop(stream, None)
        if state is None:
            return False
        # Its messages by the credit that it has, one credit for each of ours, and that its peer ended or is gone.
        crossing = state.receive.frames + state.send.spent_frames + 2
        crossing += (max(0, state.receive.size) + self._bounds.message_bytes) // LATE_BYTES
        self._late = min(self._most_late, self._late + crossing)
        return True

    def _find(self, number: int) -> LinkStream | None:
        state = super()._find(number)
        if state is None:
            self._late = self._spend(self._late)
        return state

    def _spend(self, left: int, amount: int = 1) -> int:
        if left < amount:
            raise LinkFaultError(Fault.TOO_OFTEN)
        return left - amount

    def _on_data(self, number: int, payload: bytes) -> None:
        if number not in self._open:
            self._late = self._spend(self._late, len(payload) // LATE_BYTES)
        super()._on_data(number, payload)

    def _judge_data(self, state: LinkStream, size: int) -> None:
        if state.half:
            raise LinkFaultError(Fault.AFTER_END)
        if not state.proven and size > self._bounds.stranger_message_bytes:
            raise LinkFaultError(Fault.STRANGER_TOO_LONG)

    def _on_frame(self, kind: int, number: int, payload: bytes) -> None:
        if self._greeted is (kind == LinkKind.HELLO):
            raise LinkFaultError(Fault.NOT_GREETED)
        if kind == LinkKind.OPEN:
            self._on_open(number, payload)
        elif kind == LinkKind.HALF:
            self._on_half(number)
        elif kind == LinkKind.GONE:
            self._find(number)
            if self._open.pop(number, None) is not None:
                self._events.append(PeerGone(number))
        else:
            self._of_link(number)
            self._on_news(kind, payload)

    def _on_open(self, number: int, payload: bytes) -> None:
        if number <= self._last:
            raise LinkFaultError(Fault.STREAM_NUMBER)
        if len(self._open) >= self._bounds.streams:
            raise LinkFaultError(Fault.TOO_MANY_STREAMS)
        self._openings = self._spend(self._openings)
        opening = read_opening(payload)
        if opening.path not in self._paths:
            raise LinkFaultError(Fault.UNKNOWN_PATH)
        self._last = number
        self._open[number] = LinkStream(number, self._bounds)
        self._events.append(StreamOpened(number, opening))

    def _on_half(self, number: int) -> None:
        state = self._find(number)
        if state is None:
            return
        if state.half:
            raise LinkFaultError(Fault.AFTER_END)
        state.half = True
        self._events.append(PeerEnded(number))

    def _on_news(self, kind: int, payload: bytes) -> None:
        if kind == LinkKind.HELLO:
            hello = read_hello(payload)
            if hello.run != self._run:
                raise LinkFaultError(Fault.WRONG_RUN)
            self._greeted = True
            self._events.append(Greeted(hello))
        elif kind == LinkKind.PONG:
            if read_number(payload) != self._pinged or self._answered == self._pinged:
                raise LinkFaultError(Fault.UNASKED)
            self._answered = self._pinged
            self._news, self._openings = NEWS, self._most_openings
            self._events.append(PingAnswered())
        else:
            self._news = self._spend(self._news)
            self._on_told(kind, payload)

    def _on_told(self, kind: int, payload: bytes) -> None:
        if kind == LinkKind.STATS:
            stats = read_stats(payload)
            if any(now < before for now, before in zip(stats.refusals, self._stats.refusals, strict=True)):
                raise LinkFaultError(Fault.COUNTED_BACK)
            self._stats = stats
            self._events.append(Counted(stats))
        elif kind == LinkKind.REFUSED:
            self._events.append(RefusalTold(read_told(payload)))
        else:
            self._events.append(DefectTold(*read_defect(payload)))
