"""Drives the relay: gather inputs, call it, commit what it wants kept, then hand out what it sends, in order."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, NodeId, Party
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.mesh.messages import DirectoryEntry, NodeDescriptor
from hermes_core.protocol.messages import CloseReason, ErrorNotice, Sealed
from hermes_core.protocol.session import AppClaim, NodeChange
from hermes_core.relay.events import SessionEnded, SessionOpened
from hermes_core.relay.neighbour import StreamId
from hermes_core.relay.output import NodeOutput, Secure, Send, StreamAction
from hermes_core.relay.relay import Relay
from hermes_core.relay.router import NodeChats
from hermes_core.relay.strangers import Origin
from hermes_core.session.control import ControlWriter
from hermes_core.session.keys import SessionKeys
from hermes_node.chats.commits import OutputStore, PassCommits
from hermes_node.logs.event_log import EventLog
from hermes_node.streams.outbox import Outbox
from hermes_node.streams.pending import PendingFrames
from hermes_node.streams.sink import Sink
from hermes_wire.late_timers import InputsFirst

MAX_FRAMES_A_PASS: Final = 2048
MAX_WAITING_FRAMES: Final = 16384
"""Frames of all streams that may wait; beyond, no stream is read until a pass made room."""

Input = Callable[[float], None]


@dataclass(slots=True)
class ChatPass:
    """One pass: what came of it, and when each batch with sealed frames in it was read (perf_counter)."""

    output: NodeOutput
    read_at: list[float] = field(default_factory=list)


class PassObserver(Protocol):
    """Turns what happened into logs and metrics."""

    def observe(self, work: ChatPass) -> None: ...


@dataclass(frozen=True, slots=True)
class QueueBounds:
    """What may wait for one stream."""

    frames: int
    size_bytes: int

    def build_outbox(self) -> Outbox[Any]:
        return Outbox(max_frames=self.frames, max_bytes=self.size_bytes)


class ChatDriver:
    """One task owns the relay. Nothing leaves before what it depends on is durable (the disk is ahead of the wire).

    What nothing depends on yet becomes durable beside the passes that follow.
    """

    def __init__(
        self,
        *,
        relay: Relay,
        store: OutputStore,
        observer: PassObserver,
        app_queue: QueueBounds,
        node_queue: QueueBounds,
        now: Callable[[], float],
        log: EventLog,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._relay = relay
        self._commits = PassCommits(store, self._commit_failed)
        self._observer = observer
        self._app_queue = app_queue
        self._node_queue = node_queue
        self._now = now
        self._log = log
        self._on_failure = on_failure
        self._on_apps: Callable[[], None] = lambda: None
        self._on_mark: Callable[[bytes], None] = self.mark_judged
        self._sinks: dict[StreamId, Sink] = {}
        self._numbers = itertools.count(1)
        self._inbox: deque[tuple[int, Input]] = deque()
        self._backlog = PendingFrames(MAX_WAITING_FRAMES)
        self._read_at: list[float] = []
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._timer = InputsFirst(now, self._timer_came)
        self._timer_waits = False
        self._ripe = False
        self._failed = False

    # Streams. Each input is queued and handled in the order of arrival.

    def open_app(self, origin: Origin) -> Sink:
        """A stream of somebody who has not proved yet who they are, from this address."""
        sink = self._add_sink(self._app_queue, stranger=True)
        self._post(lambda now: self._relay.sessions.opened(sink.stream, origin, now))
        return sink

    def open_node(self, node_id: NodeId, public_key: bytes, keys: SessionKeys) -> Sink:
        """A stream on which a node has proved who it is."""
        sink = self._add_sink(self._node_queue, stranger=False, writer=keys.writer)
        self._post(lambda now: self._relay.sessions.node_linked(sink.stream, node_id, public_key, keys, now))
        return sink

    def receive(self, sink: Sink, messages: list[Any]) -> None:
        """One batch; an empty one counts as a frame, or nothing would hold its sender."""
        count = max(1, len(messages))
        sink.pending.posted(count)
        read_at = time.perf_counter()
        self._post(lambda now: self._receive(sink, messages, now, read_at), count)

    def malformed(self, sink: Sink, error: ProtocolError) -> None:
        """Something came that is no batch. Only what is said of it waits: a traceback would hold all that was read."""
        told = ProtocolError(error.code, error.detail, scope=error.scope, retry_after_ms=error.retry_after_ms)
        sink.pending.posted(1)
        self._post(lambda now: self._refuse(sink, told, now), 1)

    def close(self, sink: Sink) -> None:
        """The stream is gone."""
        self._post(lambda now: self._close(sink, now))

    async def wait_for_room(self) -> None:
        """Readers call this between batches."""
        await self._backlog.wait_for_room()

    # What the mesh tells, and what the operator asks.

    def node_dead(self, node_id: NodeId) -> None:
        self._post(lambda now: self._relay.sessions.node_dead(node_id, now))

    def update_directory(self, party: Party, entry: DirectoryEntry) -> None:
        self._post(lambda now: self._relay.sessions.update_directory(party, entry, now))

    def lose_directory(self, node_id: NodeId) -> None:
        self._post(lambda _: self._relay.sessions.lose_directory(node_id))

    def describe_node(self, descriptor: NodeDescriptor) -> None:
        self._post(lambda _: self._relay.sessions.describe_node(descriptor))

    def forget_node(self, node_id: NodeId) -> None:
        self._post(lambda _: self._relay.sessions.forget_node(node_id))

    def drain(self, change: NodeChange) -> None:
        self._post(lambda now: self._relay.sessions.drain(change, now))

    def end_apps(self, code: ErrorCode, detail: str) -> None:
        """End every app's stream, after what waits for it."""
        self._post(lambda _: self._relay.sessions.end_all(code, detail))

    def close_all(self, reason: CloseReason) -> None:
        self._post(lambda now: self._relay.chats.close_all(reason, now))

    def take_verdict(self, verdict: ResumeVerdict) -> None:
        """What an outside witness says of this node's keystore."""
        self._post(lambda now: self._relay.chats.take_verdict(verdict, now))

    def set_calendar(self, ahead_s: float) -> None:
        """What others' clocks say of the date."""
        self._post(lambda now: self._relay.chats.set_calendar(ahead_s, now))

    def doubt_keys(self) -> None:
        """Nobody knows how old the keys of before this run are."""
        self._post(self._relay.chats.doubt_keys)

    def trust_clock(self) -> None:
        """Others agree with the clock that was in doubt."""
        self._post(self._relay.chats.trust_clock)

    def hold_resumes(self) -> None:
        """Restored chats wait: somebody may know a later state of theirs."""
        self._post(lambda _: self._relay.chats.hold_resumes())

    def release_resumes(self) -> None:
        """Restored chats go on: nobody is waited for any longer."""
        self._post(self._relay.chats.release_resumes)

    def watch_apps(self, on_apps: Callable[[], None]) -> None:
        """Call `on_apps` whenever the set of connected apps changed."""
        self._on_apps = on_apps

    def watch_marks(self, on_mark: Callable[[bytes], None]) -> None:
        """Call `on_mark` with each mark that an app hands back and that proves a rollback; `mark_judged` follows."""
        self._on_mark = on_mark

    def mark_judged(self, mark: bytes) -> None:
        """What it proves was acted on: who handed it back is taken in."""
        self._post(lambda now: self._relay.sessions.mark_judged(mark, now))

    def connected_apps(self) -> dict[AppId, AppClaim]:
        return self._relay.sessions.claims()

    def count_apps(self) -> int:
        return self._relay.sessions.count_apps()

    def live_chats(self) -> int:
        return self._relay.chats.live_chats()

    def live_tieline_chats(self) -> int:
        return self._relay.chats.live_tieline_chats()

    def wipe(self) -> None:
        """Zero every chat's keys in memory; nothing of this works afterwards."""
        self._failed = True
        self._relay.chats.wipe()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[NodeChats]:
        """The chats between two passes: nothing changes them and nothing is half committed while this is held."""
        async with self._turn:
            await self._commits.end_early()
            yield self._relay.chats

    async def run(self) -> None:
        """Until cancelled, or the keystore fails: then nothing more is handled or sent. No commit is under way afterwards."""
        try:
            while not self._failed:
                self._arm()
                await self._wake.wait()
                self._wake.clear()
                await self.flush()
        finally:
            await self._commits.end_early()

    async def flush(self) -> None:
        """Handle everything that waits now."""
        while not self._failed:
            async with self._turn:
                await self._pass()
            self._arm()  # under load this goes on for ever
            if not self._inbox:
                return
            await asyncio.sleep(0)  # the writers' turn, after a full pass

    # One pass.

    async def _pass(self) -> None:
        now = self._now()
        self._relay.begin_pass(now)
        frames = 0
        while self._inbox and frames < MAX_FRAMES_A_PASS:
            count, handle = self._inbox.popleft()
            frames += count
            self._guard(handle, now)
        self._backlog.processed(frames)
        self._handle_timer(now)
        work, self._read_at = ChatPass(self._relay.take_output(busy=self._commits.busy), self._read_at), []
        if self._commits.concern(work.output) and not await self._commits.settle(work.output):
            return
        for action in work.output.actions:
            self._act(action)
        for mark in work.output.marks:
            self._on_mark(mark)
        self._observer.observe(work)
        if any(isinstance(event, SessionOpened | SessionEnded) for event in work.output.events):
            self._on_apps()

    def _commit_failed(self, error: Exception) -> None:
        """Fail-stop."""
        self._failed = True
        self._on_failure(error)
        self._wake.set()

    def _handle_timer(self, now: float) -> None:
        """After the inputs that waited when it was due, however many passes those take, and before later ones."""
        if self._timer_waits or not self._ripe:
            return
        self._ripe = False
        due = self._relay.next_timer()
        if due is None or due > now:
            return
        if not self._inbox:
            self._guard(self._relay.handle_timer, now)
            return
        self._timer_waits = True
        self._inbox.append((0, self._handle_waiting_timer))

    def _handle_waiting_timer(self, now: float) -> None:
        self._timer_waits = False
        self._relay.handle_timer(now)

    def _act(self, action: StreamAction) -> None:
        sink = self._sinks.get(action.stream)
        if sink is None:
            return
        if isinstance(action, Send):
            if not sink.offer(action.message):
                self._post(lambda _: self._relay.sessions.stuck(sink.stream))
        elif isinstance(action, Secure):
            sink.secure(action.writer)
        else:
            sink.outbox.close(action.notice, discard=action.discard)

    def _receive(self, sink: Sink, messages: list[Any], now: float, read_at: float) -> None:
        sink.pending.processed(max(1, len(messages)))
        if not messages:
            self._relay.sessions.heard_nothing(sink.stream, now)
        if any(type(message) is Sealed for message in messages):
            self._read_at.append(read_at)
        receive, stream = self._relay.sessions.receive, sink.stream
        for message in messages:
            try:
                receive(stream, message, now)
            except Exception as error:  # noqa: BLE001 - a defect must not stop the node for everybody else
                self._tell_defect(error, sink)

    def _refuse(self, sink: Sink, error: ProtocolError, now: float) -> None:
        sink.pending.processed(1)
        self._relay.sessions.malformed(sink.stream, error, now)

    def _close(self, sink: Sink, now: float) -> None:
        self._sinks.pop(sink.stream, None)
        sink.wipe()
        self._relay.sessions.closed(sink.stream, now)

    def _add_sink(self, bounds: QueueBounds, *, stranger: bool, writer: ControlWriter | None = None) -> Sink:
        sink = Sink(next(self._numbers), bounds.build_outbox(), stranger=stranger, writer=writer)
        self._sinks[sink.stream] = sink
        return sink

    def _guard(self, handle: Input, now: float) -> None:
        try:
            handle(now)
        except Exception as error:  # noqa: BLE001 - a defect must not stop the node for everybody else
            self._tell_defect(error, None)

    def _tell_defect(self, error: Exception, sink: Sink | None) -> None:
        """The type and place only: an exception's text could quote what an outsider sent."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace is not None else ""
        self._log.error("unexpected_error", where="chat machine", exception=type(error).__name__, place=place)
        if sink is not None:
            sink.outbox.put(ErrorNotice(ErrorCode.INTERNAL, ErrorScope.FRAME, None, "", 0))

    def _post(self, handle: Input, frames: int = 0) -> None:
        self._inbox.append((frames, handle))
        self._backlog.posted(frames)
        self._wake.set()

    def _arm(self) -> None:
        """One that came while a pass committed is the next pass' own."""
        if self._ripe:
            self._wake.set()
        else:
            self._timer.set(self._relay.next_timer())

    def _timer_came(self) -> None:
        self._ripe = True
        self._wake.set()
