"""One accepted connection: its transport, TLS and PROXY header on one side, its calls on the other."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Final, Protocol, cast

from hermes_h2.connection import H2Connection
from hermes_h2.events import Answered, Arrived, ConnectionEvent, Gone, Refusal, Refused, RequestOpened, Writable
from hermes_h2.frames import Code
from hermes_h2.serving.call import Call
from hermes_h2.serving.doorway import Doorway, RefusedError
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.places import charge_to
from hermes_h2.serving.turns import StrangersTurns

STRANGERS_READ_BYTES: Final = 2_048
"""In one turn, and nothing more before it: what a handshake or a few requests need, since a turn is not cut short."""
CALL_S: Final = 0.0003
"""Of work that a stranger's call costs besides the turn in which it begins."""

_MISTRUST: Final = ": it gave up, or does not believe the certificate that it was shown"


class Listener(Protocol):
    """What a link needs of the server that accepted it."""

    limits: Limits
    turns: StrangersTurns
    buffer: memoryview
    strangers_buffer: memoryview
    """Its beginning, of `STRANGERS_READ_BYTES`."""

    def moved(self, link: ClientLink) -> bool: ...
    def named(self, link: ClientLink) -> bool: ...
    def left(self, link: ClientLink) -> None: ...
    def proven(self, link: ClientLink, proven: bool) -> None: ...
    def dirty(self, link: ClientLink) -> None: ...
    def changed(self) -> None: ...
    def open_transport(self, link: ClientLink, sock: socket.socket) -> None: ...
    def begin(self, call: Call) -> None: ...
    def refused(self, link: ClientLink, refusal: Refusal, detail: str) -> None: ...
    def build_door(self, link: ClientLink) -> Doorway: ...
    def now(self) -> float: ...


class ClientLink(asyncio.BufferedProtocol):
    """Whatever a stranger sends is looked at in turns; of whom something was proven, at once.

    It begins as a socket that was accepted; everything else is made in its first turn.
    """

    def __init__(self, server: Listener, sock: socket.socket, host: str, port: int) -> None:
        self._server = server
        self._accepted: socket.socket | None = sock
        self.peer_host, self.peer_port = host, port
        self.payer = charge_to(host)
        """Whose places and turns it has."""
        self.names: frozenset[str] = frozenset()
        """In the certificate that it showed and the CA signed."""
        self.spent_s = 0.0
        self._made_at = self._heard_at = self._idle_since = server.now()
        self._pinged_at: float | None = None
        self._announced_at: float | None = None
        self.calls: dict[int, Call] = {}
        self._proven: set[int] = set()
        self._waiting = b""
        self._made = False
        self._dirty = False
        self._full = False
        self._held_back = False
        self._closing = self._ended = False
        self.connection: H2Connection
        self.transport: asyncio.Transport
        self._door: Doorway

    def enter(self) -> None:
        """Its first turn."""
        if self._accepted is not None:
            sock, self._accepted = self._accepted, None
            self._server.open_transport(self, sock)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._made = True
        if self._closing:  # it gave way in the meantime
            self.transport.abort()
            return
        self.connection = H2Connection(self._server.limits.bounds, self._server.now())
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport.set_write_buffer_limits(high=self._server.limits.bounds.output_bytes)
        self._door = self._server.build_door(self)
        if self._door.open:
            self.flush_soon()

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self._closing:
            self._judge_leaving()
        self._closing = True
        self._server.left(self)
        self._lose_calls()

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._server.buffer if self._proven else self._server.strangers_buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._closing:
            return
        data = bytes(self._server.buffer[:nbytes])
        if self._proven:
            self._server.turns.yielded = True
            self._take(data)
            return
        self._waiting = data
        self._hold_back()
        self._server.turns.add(self, self._take_turn)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        """Who does not take what it is answered is not read any more."""
        self._full = True
        self.connection.set_paused(True)
        self._hold_back()

    def resume_writing(self) -> None:
        self._full = False
        self.connection.set_paused(False)
        self._read_on()
        self.flush_soon()

    # What calls and the server call.

    def flush_soon(self) -> None:
        if not self._dirty:
            self._dirty = True
            self._server.dirty(self)

    def flush(self) -> None:
        """Everything that windows and the transport allow."""
        self._dirty = False
        if self._ended or self.transport.is_closing() or not self._door.open:
            return
        if self._proven:
            self._server.turns.yielded = True
        while True:
            if self.connection.has_output:
                self.transport.write(self._door.seal(self.connection.take_output()))
            self._handle(self.connection.pump())
            if self._full or not self.connection.has_output:
                return

    def proved(self, call: Call) -> None:
        self.connection.prove(call.stream)
        if not self._proven:
            self._server.proven(self, True)
            self._server.turns.refund(self)
        self._proven.add(call.stream)
        self.flush_soon()

    def forget(self, call: Call) -> None:
        """This end is done with it. Idempotent."""
        if self.calls.pop(call.stream, None) is None:
            return
        if call.stream in self._proven:
            self._proven.discard(call.stream)
            if not self._proven and not self._closing:
                self._server.proven(self, False)
        if not self.calls:
            self._idle_since = self._server.now()

    def check(self, now: float) -> None:
        """What time brings: called every now and then."""
        limits = self._server.limits
        if self._closing:
            return
        if not self._made or not self.connection.opened:
            if now - self._made_at >= limits.setup_s:
                self.refuse(Refusal.SETUP_TIME, "no request in time")
        elif self._announced_at is not None and now - self._announced_at >= limits.farewell_s:
            self.go_away()
        elif not self.calls:
            if now - self._idle_since >= (limits.idle_s if self.connection.proven else limits.setup_s):
                self.close()
        elif self._pinged_at is None:
            if now - self._heard_at >= limits.keepalive_s:
                self._pinged_at = now
                self.connection.ping()
                self.flush_soon()
        elif now - self._pinged_at >= limits.keepalive_timeout_s:
            self.refuse(Refusal.SILENCE, "a PING was not answered")

    @property
    def closing(self) -> bool:
        return self._closing

    @property
    def may_call(self) -> bool:
        """Whether it was told that this server goes, and may have opened calls before it heard of it."""
        return self._announced_at is not None and not self._closing and not self.connection.leaving

    def announce_end(self) -> None:
        """In two steps, so that no call is lost that is on its way; who asked for nothing yet is let go at once."""
        if not self._made or not self.connection.opened:
            self.close()
            return
        self._announced_at = self._server.now()
        self.connection.announce_end()
        self.flush_soon()

    def go_away(self) -> None:
        """No new calls."""
        self.connection.go_away()
        self.flush_soon()
        self._server.changed()

    def refuse(self, refusal: Refusal, detail: str) -> None:
        if not self._closing:
            self._server.refused(self, refusal, detail)
            self.close(Code.ENHANCE_YOUR_CALM, detail)

    def close(self, code: Code = Code.NO_ERROR, detail: str = "") -> None:
        """Say goodbye; what the peer does not take in a while is dropped. `code`: of a connection that has not said its own."""
        if self._closing:
            return
        if not self._made:
            self.abort()
            return
        self._closing = True
        self.connection.go_away(code, detail)
        self.flush()
        if self._door.open:
            self._write_raw(self._door.say_goodbye())
        self._end_transport(refused=code is not Code.NO_ERROR)

    def abort(self) -> None:
        self._closing = True
        if self._made:
            self.transport.abort()
            return
        self._server.left(self)
        if self._accepted is not None:
            self._accepted.close()
            self._accepted = None

    # From bytes to calls.

    def _take_turn(self) -> None:
        data, self._waiting = self._waiting, b""
        if not self._closing:
            self._take(data)
            self._read_on()

    def _take(self, data: bytes) -> None:
        self._heard_at = now = self._server.now()
        self._pinged_at = None
        data = self._enter(data)
        if data and not self._closing:
            self._handle(self.connection.receive(data, now))
            if self.connection.has_output:
                self.flush_soon()
        if self._door.closed and not self._closing:
            self.transport.close()

    def _enter(self, data: bytes) -> bytes:
        """What it says in HTTP/2, if it may by now."""
        knew, was_open = self._door.proxied, self._door.open
        try:
            data = self._door.receive(data)
        except RefusedError as error:
            self._server.refused(self, error.refusal, error.detail)
            self._write_raw(self._door.take_output())
            self._closing = True
            self._end_transport(refused=True)
            return b""
        self._write_raw(self._door.take_output())
        said = self._door.proxied
        if said is not knew and said is not None and said.host is not None:
            self.peer_host, self.peer_port = said.host, said.port
            self.payer, self.spent_s = charge_to(said.host), 0.0
            if not self._server.moved(self):
                self.abort()
                return b""
        if self._door.open and not was_open:
            self.names = self._door.peer_names()
            if self.names and not self._server.named(self):
                self.abort()
                return b""
            self.flush_soon()
        return data

    def _judge_leaving(self) -> None:
        """Clients that do not believe a certificate leave without a word of TLS's; a probe of TCP begins none."""
        if not self._door.greeted or self.connection.settled:
            return
        if not self._door.open:
            self._server.refused(self, Refusal.TLS_LEFT, f"the peer left in the middle of TLS's handshake{_MISTRUST}")
        elif self.names:
            self._server.refused(self, Refusal.TLS_LEFT, f"the peer left after TLS's handshake{_MISTRUST}")

    def _handle(self, events: list[ConnectionEvent]) -> None:
        for event in events:
            if isinstance(event, RequestOpened):
                self._open(Call(self, event.stream, event.fields))
            elif isinstance(event, Refused):
                self._server.refused(self, event.refusal, event.detail)
                self.close(Code.ENHANCE_YOUR_CALM)
            elif isinstance(event, Answered):
                if self._announced_at is not None:
                    self._server.changed()
            else:
                self._wake(event)

    def _open(self, call: Call) -> None:
        self.calls[call.stream] = call
        if self._proven:
            self._server.begin(call)
        else:
            self._server.turns.add(self, partial(self._begin, call))

    def _begin(self, call: Call) -> None:
        if not call.gone and not call.ended:
            self._server.turns.charge(CALL_S)
            self._server.begin(call)

    def _wake(self, event: Arrived | Writable | Gone) -> None:
        call = self.calls.get(event.stream)
        if call is None:
            return
        if isinstance(event, Arrived):
            call.wake_reader()
        elif isinstance(event, Writable):
            call.wake_writer()
        else:
            call.lose()

    def _lose_calls(self) -> None:
        calls, self.calls = self.calls, {}
        for call in calls.values():
            call.lose()

    def _write_raw(self, data: bytes) -> None:
        if data and not self._ended and not self.transport.is_closing():
            self.transport.write(data)

    def _end_transport(self, *, refused: bool) -> None:
        """A socket that is closed with something unread takes back what was written: who is refused shall hear why."""
        self._ended = True
        if not refused:
            self.transport.close()
        elif not self.transport.is_closing():
            self._hold_back()
            self.transport.write_eof()
            self._lose_calls()
            self._door.release()
        limits = self._server.limits
        if refused or self.transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(limits.hear_s if refused else limits.linger_s, self.transport.abort)

    def _hold_back(self) -> None:
        if not self._held_back and not self.transport.is_closing():
            self._held_back = True
            self.transport.pause_reading()

    def _read_on(self) -> None:
        if self._held_back and not (self._full or self._waiting or self._ended) and not self.transport.is_closing():
            self._held_back = False
            self.transport.resume_reading()
