"""Drives the relay: gather inputs, call it, commit what it wants kept, then hand out what it sends, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from hermes_core.errors import ErrorCode
from hermes_core.ids import AppId, NodeId
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.mesh.homes.machine import Overtaken
from hermes_core.mesh.homes.searches import Found
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.protocol.messages import CloseReason
from hermes_core.protocol.session import AppClaim, NodeChange
from hermes_core.relay.admission import AppBudget
from hermes_core.relay.events import SessionEnded, SessionOpened
from hermes_core.relay.output import NodeOutput
from hermes_core.relay.relay import Relay
from hermes_core.relay.router import NodeChats
from hermes_node.chats.batches import Receiver
from hermes_node.chats.commits import OutputStore, PassCommits
from hermes_node.chats.defects import log_defect
from hermes_node.chats.inbox import MAX_PASS_S, PASS_S, Inbox
from hermes_node.chats.streams import ChatStreams
from hermes_node.logs.event_log import EventLog
from hermes_node.streams.outbox import QueueBounds
from hermes_wire.late_timers import InputsFirst


@dataclass(slots=True)
class ChatPass:
    """One pass: what came of it, and when each batch with sealed frames in it was read (perf_counter)."""

    output: NodeOutput
    read_at: list[float] = field(default_factory=list)


class PassObserver(Protocol):
    """Turns what happened into logs and metrics."""

    def observe(self, work: ChatPass) -> None: ...


class ChatDriver:
    """One task owns the relay. Nothing leaves before what it depends on is durable (the disk is ahead of the wire).

    What nothing depends on yet becomes durable beside the passes that follow. What comes goes to `streams`, which are served in
    turns by what they cost on `cost_clock` (seconds).
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
        cost_clock: Callable[[], float],
        log: EventLog,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._relay = relay
        self._commits = PassCommits(store, self._commit_failed)
        self._observer = observer
        self._now = now
        self._cost_clock = cost_clock
        self._on_failure = on_failure
        self._on_apps: Callable[[], None] = lambda: None
        self._on_look_up: Callable[[AppId], None] = self._look_up_alone
        self._on_mark: Callable[[bytes], None] = self.mark_judged
        self._on_want: Callable[[NodeId], None] = lambda _: None
        self._budget_s = PASS_S
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._inbox = Inbox(cost_clock, lambda error: log_defect(log, error), self._wake.set)
        self._receiver = Receiver(relay.sessions, cost_clock, log)
        self.streams = ChatStreams(relay, self._inbox, self._receiver, app_queue=app_queue, node_queue=node_queue)
        self._timer = InputsFirst(now, self._timer_came)
        self._timer_waits = False
        self._ripe = False
        self._failed = False

    # What the mesh tells, and what the operator asks.

    def node_dead(self, node_id: NodeId) -> None:
        self._inbox.put_own(lambda now: self._relay.sessions.node_dead(node_id, now))

    def take_found(self, found: Found) -> None:
        """What came of a look-up."""
        self._inbox.put_own(lambda now: self._relay.sessions.take_found(found, now))

    def take_overtaken(self, news: Overtaken) -> None:
        """An app of this node is at home elsewhere."""
        self._inbox.put_own(lambda now: self._relay.sessions.take_overtaken(news, now))

    def describe_node(self, descriptor: NodeDescriptor) -> None:
        self._inbox.put_own(lambda _: self._relay.sessions.describe_node(descriptor))

    def note_standing(self, node_id: NodeId, *, answers: bool) -> None:
        self._inbox.put_own(lambda _: self._relay.sessions.note_standing(node_id, answers=answers))

    def dial_on_demand(self, on_want: Callable[[NodeId], None]) -> None:
        """Streams to other nodes are dialled when they are needed: `on_want` is called for each that is, at once."""
        self._on_want = on_want
        self._inbox.put_own(self._relay.chats.dial_on_demand)

    def unreachable(self, node_id: NodeId) -> None:
        """A stream that was wanted cannot be had now."""
        self._inbox.put_own(lambda now: self._relay.chats.unreachable(node_id, now))

    def list_needed_nodes(self) -> list[NodeId]:
        """Those that something may have to be said to at any time."""
        return self._relay.chats.list_needed_nodes()

    def forget_node(self, node_id: NodeId) -> None:
        self._inbox.put_own(lambda _: self._relay.sessions.forget_node(node_id))

    def drain(self, change: NodeChange) -> None:
        self._inbox.put_own(lambda now: self._relay.sessions.drain(change, now))

    def end_apps(self, code: ErrorCode, detail: str) -> None:
        """End every app's stream, after what waits for it."""
        self._inbox.put_after(lambda _: self._relay.sessions.end_all(code, detail))

    def close_all(self, reason: CloseReason) -> None:
        """End every chat, after what waits for it."""
        self._inbox.put_after(lambda now: self._relay.chats.close_all(reason, now))

    def take_verdict(self, verdict: ResumeVerdict) -> None:
        """What an outside witness says of this node's keystore."""
        self._inbox.put_own(lambda now: self._relay.chats.take_verdict(verdict, now))

    def set_calendar(self, ahead_s: float) -> None:
        """What others' clocks say of the date."""
        self._inbox.put_own(lambda now: self._relay.chats.set_calendar(ahead_s, now))

    def doubt_keys(self) -> None:
        """Nobody knows how old the keys of before this run are."""
        self._inbox.put_own(self._relay.chats.doubt_keys)

    def trust_clock(self) -> None:
        """Others agree with the clock that was in doubt."""
        self._inbox.put_own(self._relay.chats.trust_clock)

    def hold_resumes(self) -> None:
        """Restored chats wait: somebody may know a later state of theirs."""
        self._inbox.put_own(lambda _: self._relay.chats.hold_resumes())

    def release_resumes(self) -> None:
        """Restored chats go on: nobody is waited for any longer."""
        self._inbox.put_own(self._relay.chats.release_resumes)

    def watch_apps(self, on_apps: Callable[[], None]) -> None:
        """Call `on_apps` whenever the set of connected apps changed."""
        self._on_apps = on_apps

    def watch_look_ups(self, on_look_up: Callable[[AppId], None]) -> None:
        """Call `on_look_up` with each app that the mesh is to be asked for; `take_found` follows."""
        self._on_look_up = on_look_up

    def _look_up_alone(self, app_id: AppId) -> None:
        """There is no mesh, and nobody to ask."""
        self.take_found(Found(app_id, None, online=False, complete=True))

    def counts_stamp(self, stamp: int, now: float) -> bool:
        """Whether a stamp of an app is neither too far ahead nor too old."""
        return self._relay.chats.counts_stamp(stamp, now)

    def watch_marks(self, on_mark: Callable[[bytes], None]) -> None:
        """Call `on_mark` with each mark that an app hands back and that proves a rollback; `mark_judged` follows."""
        self._on_mark = on_mark

    def mark_judged(self, mark: bytes) -> None:
        """What it proves was acted on: who handed it back is taken in."""
        self._inbox.put_own(lambda now: self._relay.sessions.mark_judged(mark, now))

    def connected_apps(self) -> dict[AppId, AppClaim]:
        return self._relay.sessions.claims()

    def count_apps(self) -> int:
        return self._relay.sessions.count_apps()

    def count_nodes(self) -> int:
        return sum(neighbour.node_id is not None for neighbour in self._relay.chats.links)

    def count_refused(self, budget: AppBudget) -> int:
        """Of apps' requests."""
        return self._relay.chats.count_refused(budget)

    def count_found(self) -> int:
        """Apps that are not here, of which this node knows where they are."""
        return self._relay.chats.count_found()

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
        self._queue_timer(now)
        self._inbox.serve(now, self._budget_s)
        work = ChatPass(self._relay.take_output(busy=self._commits.busy), self._receiver.take_read_at())
        if self._commits.concern(work.output) and not await self._settle(work.output):
            return
        for action in work.output.actions:
            self.streams.act(action)
        for mark in work.output.marks:
            self._on_mark(mark)
        for node_id in work.output.wants:
            self._on_want(node_id)
        for app_id in work.output.look_ups:
            self._on_look_up(app_id)
        self._observer.observe(work)
        if any(isinstance(event, SessionOpened | SessionEnded) for event in work.output.events):
            self._on_apps()

    async def _settle(self, output: NodeOutput) -> bool:
        began = self._cost_clock()
        settled = await self._commits.settle(output)
        self._budget_s = min(MAX_PASS_S, max(PASS_S, self._cost_clock() - began))
        return settled

    def _commit_failed(self, error: Exception) -> None:
        """Fail-stop."""
        self._failed = True
        self._on_failure(error)
        self._wake.set()

    def _queue_timer(self, now: float) -> None:
        """After the inputs that wait when it is due, however many passes those take."""
        if self._timer_waits or not self._ripe:
            return
        self._ripe = False
        due = self._relay.next_timer()
        if due is not None and due <= now:
            self._timer_waits = True
            self._inbox.put_after(self._handle_timer)

    def _handle_timer(self, now: float) -> None:
        self._timer_waits = False
        self._relay.handle_timer(now)

    def _arm(self) -> None:
        """One that came while a pass committed is the next pass' own."""
        if self._ripe:
            self._wake.set()
        else:
            self._timer.set(self._relay.next_timer())

    def _timer_came(self) -> None:
        self._ripe = True
        self._wake.set()
