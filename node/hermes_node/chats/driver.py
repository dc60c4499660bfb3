"""Drives the chat machine: gather inputs, call it, commit what it wants kept, then hand out what it sends, in order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.ids import AppId, NodeId
from hermes_core.protocol.messages import ChatMessage, CloseReason, ErrorNotice, Sealed
from hermes_core.relay.output import ToApp
from hermes_core.relay.router import NodeChats
from hermes_node.apps.session import AppSession
from hermes_node.chats.store import ChatStore, Pass, Sink
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.links import RouteLink
from hermes_node.streams.pending import PendingFrames

MAX_FRAMES_A_PASS: Final = 2048
MAX_WAITING_FRAMES: Final = 16384
"""Frames of all streams that may wait; beyond, no stream is read until a pass made room."""

Input = Callable[[float], None]


class ChatObserver(Protocol):
    """Turns what happened into logs and metrics."""

    def observe(self, work: Pass) -> None: ...


class ChatDriver:
    """One task owns the chat machine. Nothing leaves before what it depends on is durable (the disk is ahead of the wire)."""

    def __init__(
        self,
        *,
        machine: NodeChats,
        store: ChatStore,
        observer: ChatObserver,
        now: Callable[[], float],
        log: EventLog,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._machine = machine
        self._store = store
        self._observer = observer
        self._now = now
        self._log = log
        self._on_failure = on_failure
        self._inbox: deque[tuple[int, Input]] = deque()
        self._backlog = PendingFrames(MAX_WAITING_FRAMES)
        self._apps: dict[AppId, AppSession] = {}
        self._peers: dict[NodeId, RouteLink] = {}
        self._current = Pass()
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._failed = False

    # Inputs; each is queued and handled in the order of arrival.

    def app_connected(self, session: AppSession, app_key: bytes, binding: bytes) -> None:
        self._post(lambda now: self._connect_app(session, app_key, binding, now))

    def app_disconnected(self, session: AppSession) -> None:
        self._post(lambda now: self._disconnect_app(session, now))

    def receive_app(self, session: AppSession, messages: list[ChatMessage]) -> None:
        session.pending.posted(len(messages))
        read_at = time.perf_counter()
        self._post(lambda now: self._receive_app(session, messages, now, read_at), len(messages))

    def peer_connected(self, link: RouteLink) -> None:
        self._post(lambda now: self._connect_peer(link, now))

    def peer_disconnected(self, link: RouteLink) -> None:
        self._post(lambda now: self._disconnect_peer(link, now))

    def receive_peer(self, link: RouteLink, messages: list[ChatMessage]) -> None:
        link.pending.posted(len(messages))
        read_at = time.perf_counter()
        self._post(lambda now: self._receive_peer(link, messages, now, read_at), len(messages))

    def peer_dead(self, node_id: NodeId) -> None:
        self._post(lambda now: self._lose_peer(node_id, now))

    def update_directory(self, locations: Mapping[AppId, NodeId]) -> None:
        self._post(lambda _: self._machine.update_directory(locations))

    def drain(self) -> None:
        self._post(self._machine.drain)

    def close_all(self, reason: CloseReason) -> None:
        self._post(lambda now: self._machine.close_all(reason, now))

    def quarantine_all(self) -> None:
        self._post(self._machine.quarantine_all)

    async def wait_for_room(self) -> None:
        """Readers call this between batches."""
        await self._backlog.wait_for_room()

    def live_chats(self) -> int:
        return self._machine.live_chats()

    def live_tieline_chats(self) -> int:
        return self._machine.live_tieline_chats()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[NodeChats]:
        """The machine between two passes: nothing changes it and nothing is half committed while this is held."""
        async with self._turn:
            yield self._machine

    async def run(self) -> None:
        """Until cancelled, or the keystore fails: then nothing more is handled or sent."""
        while not self._failed:
            self._schedule_timer()
            await self._wake.wait()
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Handle everything that waits now."""
        while not self._failed:
            async with self._turn:
                await self._pass()
            if not self._inbox:
                return
            await asyncio.sleep(0)  # the writers' turn, after a full pass

    # One pass.

    async def _pass(self) -> None:
        now = self._now()
        timer = self._machine.next_timer()
        if timer is not None and timer <= now:
            self._guard(lambda: self._machine.handle_timer(now), None)
        frames = 0
        while self._inbox and frames < MAX_FRAMES_A_PASS:
            count, handle = self._inbox.popleft()
            frames += count
            handle(now)
        self._backlog.processed(frames)
        self._collect()
        work, self._current = self._current, Pass()
        if work.needs_commit:
            try:
                await self._store.commit(work)
            except Exception as error:  # noqa: BLE001 - whatever it was: uncommitted
                # Fail-stop: what the disk holds is unknown, so nothing that depends on it may leave.
                self._failed = True
                self._on_failure(error)
                return
        for sink, message in work.sends:
            sink.send(message)
        self._observer.observe(work)

    def _collect(self) -> None:
        """Bind what the machine sends to the streams of this moment: a later stream must not get an earlier one's frames."""
        output = self._machine.take_output()
        self._current.merge(output)
        sends = self._current.sends
        for send in output.sends:
            sink: Sink | None = self._apps.get(send.app_id) if isinstance(send, ToApp) else self._peers.get(send.node_id)
            if sink is None:
                continue
            sends.append((sink, send.message))
            if type(send.message) is Sealed:
                if type(send) is ToApp:
                    self._current.leg_frames += 1
                else:
                    self._current.tieline_frames += 1

    def _connect_app(self, session: AppSession, app_key: bytes, binding: bytes, now: float) -> None:
        self._collect()
        self._apps[session.app_id] = session
        self._guard(lambda: self._machine.app_connected(session.app_id, app_key, binding, now), session)

    def _disconnect_app(self, session: AppSession, now: float) -> None:
        if self._apps.get(session.app_id) is not session:
            return
        self._guard(lambda: self._machine.app_disconnected(session.app_id, now), session)
        self._collect()
        del self._apps[session.app_id]

    def _receive_app(self, session: AppSession, messages: list[ChatMessage], now: float, read_at: float) -> None:
        session.pending.processed(len(messages))
        if self._apps.get(session.app_id) is not session:
            return  # a newer session of this app took over; what it acknowledged is sent again there
        self._current.leg_frames += self._count_sealed(messages, read_at)
        receive, app_id = self._machine.receive_app, session.app_id
        for message in messages:
            try:
                receive(app_id, message, now)
            except Exception as error:  # noqa: BLE001 - a defect must not stop the node for everybody else
                self._tell_defect(error, session)

    def _connect_peer(self, link: RouteLink, now: float) -> None:
        self._collect()
        self._peers[link.node_id] = link
        self._guard(lambda: self._machine.peer_connected(link.node_id, link.descriptor.node_key, link.binding, now), link)

    def _disconnect_peer(self, link: RouteLink, now: float) -> None:
        if self._peers.get(link.node_id) is not link:
            return
        self._guard(lambda: self._machine.peer_disconnected(link.node_id, now), link)
        self._collect()
        del self._peers[link.node_id]

    def _lose_peer(self, node_id: NodeId, now: float) -> None:
        """The mesh gave the node up: its stream ends, so that its chats resume on a new one when it is back."""
        link = self._peers.get(node_id)
        if link is not None:
            link.outbox.close(discard=True)
            self._disconnect_peer(link, now)
        self._guard(lambda: self._machine.peer_dead(node_id, now), None)

    def _receive_peer(self, link: RouteLink, messages: list[ChatMessage], now: float, read_at: float) -> None:
        link.pending.processed(len(messages))
        if self._peers.get(link.node_id) is not link:
            return
        self._current.tieline_frames += self._count_sealed(messages, read_at)
        receive, node_id = self._machine.receive_peer, link.node_id
        for message in messages:
            try:
                receive(node_id, message, now)
            except Exception as error:  # noqa: BLE001 - a defect must not stop the node for everybody else
                self._tell_defect(error, link)

    def _count_sealed(self, messages: list[ChatMessage], read_at: float) -> int:
        frames = sum(type(message) is Sealed for message in messages)
        if frames:
            self._current.read_at.append(read_at)
        return frames

    def _guard(self, call: Callable[[], None], sink: Sink | None) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a defect must not stop the node for everybody else
            self._tell_defect(error, sink)

    def _tell_defect(self, error: Exception, sink: Sink | None) -> None:
        """The type and place only: an exception's text could quote what an outsider sent."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace is not None else ""
        self._log.error("unexpected_error", where="chat machine", exception=type(error).__name__, place=place)
        if sink is not None:
            sink.send(ErrorNotice(ErrorCode.INTERNAL, ErrorScope.FRAME, None, "", 0))

    def _post(self, handle: Input, frames: int = 0) -> None:
        self._inbox.append((frames, handle))
        self._backlog.posted(frames)
        self._wake.set()

    def _schedule_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._machine.next_timer()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - self._now()), self._wake.set)
