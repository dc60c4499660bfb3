"""What invariants look at: hooks at the boundaries of real code (core, keystore, cryptography), told to the running world."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import warnings
from typing import Any, Final, NamedTuple, Protocol

from hermes_client import session as client_session
from hermes_core.crypto.aead import KEY_BYTES
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import ffi
from hermes_core.endpoint.output import AppOutput
from hermes_core.endpoint.router import AppChats
from hermes_core.keystore import rotation_timer
from hermes_core.mesh.machine import Membership
from hermes_core.mesh.swim.machine import Swim
from hermes_core.protocol.messages import Sealed
from hermes_core.protocol.session import Connected
from hermes_core.ratchet import channel
from hermes_core.ratchet.epoch import Epoch
from hermes_core.relay.output import NodeOutput
from hermes_core.relay.relay import Relay
from hermes_core.relay.router import NodeChats
from hermes_core.session.canonical import CONTROL
from hermes_core.session.control import ControlReader, ControlWriter, Tagged
from hermes_keystore import Keystore, rotating_file
from hermes_node.chats.streams import ChatStreams
from hermes_node.lifecycle import housekeeping, node, start
from hermes_node.metrics.loop_lag import LoopLag
from hermes_node.metrics.registry import NodeMetrics
from tests.simulation.loop import CURRENT, Process
from tests.simulation.network import SERVED

TICK_S: Final = 1.0
"""Of housekeeping: how long readiness may lag."""
SLICE_ROWS: Final = 4
"""Of a rotation: a node of a world has few records, and they are to be of two generations for a while."""
MAX_PAUSE_S: Final = 5.0
"""Between slices: long enough for a fault to strike in the middle of a rotation."""


class ControlPlace(NamedTuple):
    """A control message, and how many sealed frames were before it."""

    message: Any
    sealed: int


class Listener(Protocol):
    """A world."""

    def keystore_opened(self, process: Process, keystore: Keystore) -> None: ...
    def committed(self, process: Process, puts: Any, deletes: Any) -> None: ...
    def decided(self, process: Process, output: NodeOutput) -> None: ...
    def stream_numbered(self, process: Process, number: int) -> None: ...
    def app_decided(self, process: Process, output: AppOutput) -> None: ...
    def app_connected(self, process: Process) -> None: ...
    def app_believed(self, process: Process, number: int, connected: Connected) -> None: ...
    def chats_released(self, process: Process) -> None: ...
    def timer_fires(self, process: Process, late_s: float) -> None: ...
    def sealed(self, process: Process | None, key: bytes, nonce: bytes, frame: bytes) -> None: ...
    def opened(self, process: Process | None, kind: int, missing: int) -> None: ...
    def secret_made(self, process: Process | None, secret: SecretBytes) -> None: ...
    def control_sent(self, key: bytes, place: ControlPlace) -> None: ...
    def control_taken(self, process: Process | None, key: bytes, place: ControlPlace) -> None: ...


_listener: Listener | None = None
_installed = False


def listen(listener: Listener | None) -> None:
    """The world that runs now; there is one at a time."""
    global _listener  # noqa: PLW0603 - one world a process
    _install()
    _listener = listener


def _install() -> None:
    global _installed  # noqa: PLW0603 - patched once
    if _installed:
        return
    _installed = True
    sys.unraisablehook = _ignore_dead_coroutines
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)  # of processes that were killed
    _leave_out()
    _hook_keystore()
    _hook_relay()
    _hook_apps()
    _hook_membership()
    _hook_secrets()
    _hook_sessions()
    _hook_proofs()


def _leave_out() -> None:
    """What costs much and shows nothing under virtual time (docs/simulation.md lists it)."""
    start._collecting_later = contextlib.nullcontext  # type: ignore[assignment]  # a world has no garbage collector
    of_housekeeping: Any = housekeeping
    of_housekeeping.TICK_S = TICK_S
    of_file: Any = rotating_file
    of_timer: Any = rotation_timer
    of_file.SLICE_ROWS = of_timer.SLICE_ROWS = SLICE_ROWS
    of_timer.MAX_PAUSE_S = MAX_PAUSE_S
    LoopLag.sample = _sample_nothing  # type: ignore[method-assign]
    of_node: Any = node
    of_node.NodeMetrics = _metrics_of_machine


async def _sample_nothing(self: LoopLag, interval_s: float = 0.0) -> None:
    """The loop is never late."""


@functools.cache
def _build_metrics(_machine: str) -> NodeMetrics:
    return NodeMetrics(version="simulated", revision="")


def _metrics_of_machine(**labels: str) -> NodeMetrics:
    """Made once: hundreds of series take longer to make than a node to start. Outside of a world each node has its own."""
    process = CURRENT.get()
    return NodeMetrics(**labels) if process is None else _build_metrics(process.machine)


def _ignore_dead_coroutines(unraisable: Any) -> None:
    """Coroutines of dead processes are closed with their world, and complain that no loop runs."""
    if not inspect.iscoroutine(unraisable.object):
        sys.__unraisablehook__(unraisable)


def _hook_keystore() -> None:
    real_init, real_commit = Keystore.__init__, Keystore._commit_at

    def init(self: Keystore, *args: Any) -> None:
        real_init(self, *args)
        process = CURRENT.get()
        if _listener is not None and process is not None:
            _listener.keystore_opened(process, self)

    def commit(self: Keystore, counter: int, puts: Any, deletes: Any = ()) -> Any:
        mark = real_commit(self, counter, puts, deletes)
        process = CURRENT.get()
        if _listener is not None and process is not None:
            _listener.committed(process, puts, deletes)
        return mark

    Keystore.__init__ = init  # type: ignore[method-assign, assignment]
    Keystore._commit_at = commit  # type: ignore[method-assign]


def _hook_relay() -> None:
    real_take, real_timer, real_sink = Relay.take_output, Relay.handle_timer, ChatStreams._add_sink

    def take_output(self: Relay, *, busy: bool = False) -> NodeOutput:
        output = real_take(self, busy=busy)
        process = CURRENT.get()
        if _listener is not None and process is not None:
            _listener.decided(process, output)
        return output

    def handle_timer(self: Relay, now: float) -> None:
        _tell_timer(self.next_timer(), now)
        real_timer(self, now)

    def add_sink(self: ChatStreams, *args: Any, **more: Any) -> Any:
        sink = real_sink(self, *args, **more)
        process = CURRENT.get()
        if _listener is not None and process is not None:
            _listener.stream_numbered(process, sink.stream)
        return sink

    Relay.take_output = take_output  # type: ignore[method-assign]
    Relay.handle_timer = handle_timer  # type: ignore[method-assign]
    ChatStreams._add_sink = add_sink  # type: ignore[method-assign]


def _tell_timer(due: float | None, now: float) -> None:
    process = CURRENT.get()
    if _listener is not None and process is not None and due:  # 0: at once, now that something else has come true
        _listener.timer_fires(process, now - due)


def _hook_apps() -> None:
    real_take, real_timer, real_connected = AppChats.take_output, AppChats.handle_timer, AppChats.connected

    def connected(self: AppChats, *home: Any, **more: Any) -> None:
        process = CURRENT.get()
        if _listener is not None and process is not None:
            _listener.app_connected(process)
        real_connected(self, *home, **more)

    def take_output(self: AppChats) -> AppOutput:
        output = real_take(self)
        process = CURRENT.get()
        if _listener is not None and process is not None:
            _listener.app_decided(process, output)
        return output

    def handle_timer(self: AppChats, now: float) -> None:
        _tell_timer(self.next_timer(), now)
        real_timer(self, now)

    AppChats.connected = connected  # type: ignore[method-assign]
    AppChats.take_output = take_output  # type: ignore[method-assign]
    AppChats.handle_timer = handle_timer  # type: ignore[method-assign]


def _hook_membership() -> None:
    real_timer = Membership.handle_timer

    def handle_timer(self: Membership, now: float) -> None:
        if self.next_timer() <= now:
            _tell_timer(self.next_timer(), now)
        real_timer(self, now)

    Membership.handle_timer = handle_timer  # type: ignore[method-assign]
    real_swim = Swim.handle_timer

    def handle_swim(self: Swim, now: float, boot: float | None = None) -> None:
        if self.next_timer() <= now:
            _tell_timer(self.next_timer(), now)
        real_swim(self, now, boot)

    Swim.handle_timer = handle_swim  # type: ignore[method-assign]


def _hook_secrets() -> None:
    where: Any = channel
    real_seal, real_accept, real_init = where.seal_frame, Epoch.accept, SecretBytes.__init__

    def seal_frame(key: Any, nonce: bytes, header: bytes, plaintext: bytes, aad: bytes) -> bytes:
        frame: bytes = real_seal(key, nonce, header, plaintext, aad)
        if _listener is not None:
            _listener.sealed(CURRENT.get(), ffi.buffer(key, KEY_BYTES)[:], nonce, frame)
        return frame

    def accept(self: Epoch, position: int) -> None:
        if _listener is not None:
            _listener.opened(CURRENT.get(), self.recv_prefix[1], position - self.recv.next)
        real_accept(self, position)

    def init(self: SecretBytes, length: int) -> None:
        real_init(self, length)
        if _listener is not None:
            _listener.secret_made(CURRENT.get(), self)

    where.seal_frame = seal_frame
    Epoch.accept = accept  # type: ignore[method-assign]
    SecretBytes.__init__ = init  # type: ignore[method-assign]


def _hook_sessions() -> None:
    real_tag, real_open = ControlWriter.tag, ControlReader.open

    def tag(self: ControlWriter, messages: Any) -> list[Any]:
        sealed, key = self._sealed, bytes(self._key.buffer)
        tagged = real_tag(self, messages)
        for item in tagged:
            if type(item) is Sealed:
                sealed += 1
            elif type(item) is Tagged and _listener is not None:
                _listener.control_sent(key, ControlPlace(item.message, sealed))
        return tagged

    def open_item(self: ControlReader, item: Any) -> Any:
        message = real_open(self, item)
        if _listener is not None and type(message) in CONTROL:
            _listener.control_taken(CURRENT.get(), bytes(self._key.buffer), ControlPlace(message, self._sealed))
        return message

    ControlWriter.tag = tag  # type: ignore[method-assign]
    ControlReader.open = open_item  # type: ignore[method-assign, assignment]


def _hook_proofs() -> None:
    where: Any = client_session
    real_complete, real_release = where.complete_connect, NodeChats.release_resumes

    def complete_connect(challenge: Any, ephemeral: Any, connect: Any, connected: Connected) -> Any:
        keys = real_complete(challenge, ephemeral, connect, connected)
        process = CURRENT.get()
        if _listener is not None and process is not None:
            _listener.app_believed(process, SERVED.get().number, connected)
        return keys

    def release_resumes(self: NodeChats, now: float) -> None:
        process = CURRENT.get()
        if _listener is not None and process is not None:
            _listener.chats_released(process)
        real_release(self, now)

    where.complete_connect = complete_connect
    NodeChats.release_resumes = release_resumes  # type: ignore[method-assign]
