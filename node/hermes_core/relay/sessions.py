"""Who is on each stream: replacement, heartbeats and silence, look-ups, malformed batches, the end."""

from __future__ import annotations

from typing import Any, Final

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, NodeId, derive_app_id
from hermes_core.mesh.homes.entry import HomeEntry
from hermes_core.mesh.homes.machine import Overtaken
from hermes_core.mesh.homes.searches import Found
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import (
    AppClaim,
    AppFound,
    FindApp,
    Heartbeat,
    NewerHome,
    NodeChange,
)
from hermes_core.protocol.timers import Timer, TimerHeap, fire_due, next_due
from hermes_core.relay import events
from hermes_core.relay.effects import Charge
from hermes_core.relay.entrance import Entrance, ProvenApp
from hermes_core.relay.members import Members
from hermes_core.relay.neighbour import Neighbour, StreamId, app_neighbour, node_neighbour
from hermes_core.relay.output import StreamMessage
from hermes_core.relay.own_marks import OwnMarks
from hermes_core.relay.params import SessionParams
from hermes_core.relay.router import NodeChats
from hermes_core.relay.session import Session
from hermes_core.relay.strangers import RETRY_LATER_MS, Origin
from hermes_core.session.control import Tagged
from hermes_core.session.keys import SessionKeys

SILENT_INTERVALS: Final = 3
"""A stream on which nothing was heard for this many heartbeat intervals is ended."""
RETRY_WHEN_FULL_MS: Final = 5000

_SESSION_MESSAGES: Final = (Heartbeat, FindApp)


class Sessions:
    """The owner of streams. What it sends shares its output with the chats, so that the order of decisions is kept."""

    def __init__(
        self,
        chats: NodeChats,
        *,
        identity: Identity,
        node_id: NodeId,
        params: SessionParams,
        marks: OwnMarks,
        random: RandomSource,
        renewals: bytes = b"",
    ) -> None:
        """`renewals`: of our key, for the apps that knew a former one."""
        self._chats = chats
        self._effects = chats.effects
        self._params = params
        self._members = Members(chats.links)
        self._entrance = Entrance(
            chats.effects,
            self._members,
            identity=identity,
            node_id=node_id,
            params=params,
            marks=marks,
            random=random,
            renewals=renewals,
        )
        self._sessions: dict[StreamId, Session] = {}
        self._timers: TimerHeap[StreamId] = TimerHeap()
        self._timer_table: tuple[Timer[Session], ...] = (
            Timer("proof", self._proof_due_at, self._miss_proof),
            Timer("silence", self._silent_at, self._end_silent),
            Timer("heartbeat", self._heartbeat_at, self._send_heartbeat),
        )
        self._apps: dict[AppId, Session] = {}
        self._draining = False

    # what others want to know

    def claims(self) -> dict[AppId, AppClaim]:
        """The apps that are connected, each with what it signed when it came."""
        return {app_id: session.claim for app_id, session in self._apps.items() if session.claim is not None}

    def count_apps(self) -> int:
        return len(self._apps)

    # streams come and go

    def opened(self, stream: StreamId, origin: Origin, now: float) -> None:
        """An app's stream, from this address: it is challenged, or refused."""
        session = self._sessions[stream] = Session(stream, None, now)
        try:
            if self._draining:
                raise ProtocolError(ErrorCode.DRAINING, "this node is leaving", retry_after_ms=RETRY_LATER_MS)  # noqa: TRY301
            evicted = self._entrance.admit(stream, origin, now)
        except ProtocolError as error:
            self._refuse(session, error)
            return
        if evicted is not None:
            detail = "its place went to another address"
            gives_way = ProtocolError(ErrorCode.LIMIT_EXCEEDED, detail, retry_after_ms=RETRY_LATER_MS)
            self._refuse(self._sessions[evicted], gives_way)
        self._entrance.challenge(session, now)
        self._schedule(session)

    def node_linked(self, stream: StreamId, node_id: NodeId, public_key: bytes, keys: SessionKeys, now: float) -> None:
        """A node proved who it is on this stream, as the mesh's handshake says; the writer of its keys is the shell's."""
        session = self._sessions[stream] = Session(stream, None, now)
        neighbour = node_neighbour(node_id)
        older = self._chats.link_of(neighbour)
        if older is not None:  # whatever still comes on it is of no consequence
            former = self._sessions.pop(older.stream, None)
            self._timers.cancel(older.stream)
            if former is not None:
                former.end()
        session.prove(self._chats.connected(neighbour, stream, public_key, keys.stream, now), keys.reader)
        if self._effects.dials_on_demand:  # where each hears each, the mesh finds out who fell silent
            self._schedule(session)

    def closed(self, stream: StreamId, now: float) -> None:
        """The stream is gone, whoever ended it."""
        session = self._sessions.pop(stream, None)
        if session is None:
            return
        self._timers.cancel(stream)
        self._entrance.leave(session)
        session.wipe()
        if session.link is None:
            return
        neighbour = session.link.neighbour
        if neighbour.app_id is not None and self._apps.get(neighbour.app_id) is session:
            del self._apps[neighbour.app_id]
        if neighbour.app_id is not None:
            self._effects.report(events.SessionEnded(neighbour.app_id, session.too_slow))
        self._chats.disconnected(neighbour, now)

    def stuck(self, stream: StreamId) -> None:
        """What waits for this stream is more than its credits: it is cut off rather than remembered without bound."""
        session = self._sessions.get(stream)
        if session is not None and session.link is not None and not session.ending:
            session.cut_off()
            receiver = "app" if session.link.neighbour.node_id is None else "node"
            self._end(session, ErrorCode.BACKPRESSURE, f"what waits for this {receiver} is not being read")

    # what comes in

    def receive(self, stream: StreamId, message: StreamMessage | Tagged, now: float) -> None:
        """One message, its lengths already checked. What is not the next of its session ends the stream, and nothing else."""
        session = self._sessions.get(stream)
        if session is None or session.ending:
            return
        session.hear(now)
        if session.link is None or session.reader is None:
            self._prove(session, message, now)
            return
        try:
            opened: Any = session.reader.open(message)
        except ProtocolError as error:
            self._report_refusal(session.link.neighbour, error)
            self._end(session, error.code, error.detail)
            return
        if isinstance(opened, _SESSION_MESSAGES):
            self._receive_for_session(session, opened, now)
        else:
            self._chats.receive(session.link.neighbour, opened, now)
            for charge in self._effects.take_charges():
                self._charge(charge, now)

    def _charge(self, charge: Charge, now: float) -> None:
        """Something came on it that no honest party sends, or not so often: it uses up a budget of the stream, or ends it."""
        session, error = self._sessions.get(charge.stream), charge.error
        if session is None:
            return
        if charge.in_vain:
            if session.count_vain(now):
                self._end(session, ErrorCode.LIMIT_EXCEEDED, "too many frames that can only be refused", discard=False)
        elif error.scope is ErrorScope.STREAM:
            self._end(session, error.code, error.detail)
        elif session.count_invalid() > self._params.max_invalid_batches:
            self._end(session, error.code, "too many frames or proofs that are false", discard=False)

    def heard_nothing(self, stream: StreamId, now: float) -> None:
        """An empty batch: a sign of life, but no proof."""
        session = self._sessions.get(stream)
        if session is None or session.ending:
            return
        session.hear(now)
        if session.link is None:
            self._refuse(session, ProtocolError(ErrorCode.INVALID_FRAME, "the first frame must be Connect"))

    def _receive_for_session(self, session: Session, message: Heartbeat | FindApp, now: float) -> None:
        if isinstance(message, Heartbeat):
            if not message.reply:
                self._tell(session, Heartbeat(message.sequence, reply=True), now)
        elif session.link is not None and session.link.neighbour.app_id is not None:
            try:
                place = self._chats.look_up(session.stream, session.link.neighbour.app_id, message.app_id, now)
            except ProtocolError as error:
                code = ErrorCode.HANDSHAKE_THROTTLED if error.retry_after_ms else error.code  # what makes an app ask again
                notice = ErrorNotice(code, ErrorScope.FRAME, None, error.detail, error.retry_after_ms)
                self._tell(session, notice, now)
            else:
                if place is not None:
                    self._tell_place(session, message.app_id, place, now)

    def _tell_place(self, session: Session, app_id: AppId, place: tuple[NodeId | None, bool], now: float) -> None:
        node_id, online = place
        self._tell(session, AppFound(app_id, online=online, node_id=node_id), now)

    def _report_refusal(self, sender: Neighbour, error: ProtocolError) -> None:
        self._effects.report(events.BatchRefused(sender.app_id, sender.node_id, error.code, error.detail))

    def malformed(self, stream: StreamId, error: ProtocolError, now: float) -> None:
        """A batch that could not be read. A node's stream ends with the first, an app's when there are too many."""
        session = self._sessions.get(stream)
        if session is None or session.ending:
            return
        session.hear(now)
        if session.link is None:
            self._refuse(session, error)
            return
        sender = session.link.neighbour
        self._report_refusal(sender, error)
        invalid = session.count_invalid()
        if sender.node_id is not None:
            self._end(session, error.code, error.detail)
        elif invalid > self._params.max_invalid_batches:
            self._end(session, error.code, "too many malformed batches", discard=False)
        else:
            self._tell(session, ErrorNotice(error.code, ErrorScope.FRAME, None, error.detail, 0), now)

    def _prove(self, session: Session, message: StreamMessage | Tagged, now: float) -> None:
        """What comes on a stream on which nothing was proved."""
        try:
            proof = self._entrance.check_answer(session, message, now)
        except ProtocolError as error:
            self._refuse(session, error)
            return
        if proof is not None:
            self._take_in(session, proof, now)

    def mark_judged(self, mark: bytes, now: float) -> None:
        """What this one proves was acted on: the apps that handed it back are taken in."""
        for session in list(self._sessions.values()):
            held, question = session.held, session.question
            if held is not None and held.mark == mark and question is not None:
                self._take_in(session, ProvenApp(derive_app_id(held.app_key), question, held), now)

    def _take_in(self, session: Session, proof: ProvenApp, now: float) -> None:
        """The app proved who it is."""
        app_id, _, connect = proof
        session.hold(None)
        try:
            if app_id not in self._apps and len(self._apps) >= self._params.max_sessions:
                detail = "this node has as many apps as it takes"
                raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, detail, retry_after_ms=RETRY_WHEN_FULL_MS)  # noqa: TRY301
            self._require_newest(session, app_id, connect.stamp, now)
            connected, keys, claim = self._entrance.accept(session, proof)
        except ProtocolError as error:
            self._refuse(session, error)
            return
        self._replace(app_id)
        self._effects.tell(session.stream, connected)
        self._effects.secure(session.stream, keys.writer)
        self._apps[app_id] = session
        self._effects.report(events.SessionOpened(app_id))
        link = self._chats.connected(app_neighbour(app_id), session.stream, connect.app_key, keys.stream, now, claim)
        session.prove(link, keys.reader, claim)
        self._schedule(session)

    def _require_newest(self, session: Session, app_id: AppId, stamp: int, now: float) -> None:
        """CLOCK_SKEW, or STAMP_OUTDATED for a Connect that was overtaken; the app is shown by which of its own."""
        newer = self._chats.judge_stamp(app_id, stamp, now)
        if newer is not None:
            self._effects.tell(session.stream, NewerHome(newer.party, newer.claim))
            raise ProtocolError(ErrorCode.STAMP_OUTDATED, "this app connected with a higher stamp")

    def _replace(self, app_id: AppId, code: ErrorCode = ErrorCode.SESSION_REPLACED) -> None:
        """The newer stream of an app takes over; the older one is told, and not listened to any more."""
        older = self._apps.pop(app_id, None)
        if older is not None:
            self._effects.report(events.SessionReplaced(app_id))
            self._end(older, code, "a newer session of this app took over")
            self._effects.report(events.SessionEnded(app_id, older.too_slow))
            del self._sessions[older.stream]
            self._timers.cancel(older.stream)

    # what the mesh tells

    def take_found(self, found: Found, now: float) -> None:
        """What the mesh found of an app that was looked up: whoever waits for it goes on."""
        if found.entry is not None:
            self._learn(found.entry, now, online=found.online, late=False)
        self._end_look_up(found.app_id, now, complete=found.complete)

    def _end_look_up(self, app_id: AppId, now: float, *, complete: bool) -> None:
        for stream in self._chats.end_look_up(app_id, now, complete=complete):
            session = self._sessions.get(stream)
            if session is None or session.ending:
                continue
            place = self._chats.find_place(app_id)
            if complete or place[0] is not None:
                self._tell_place(session, app_id, place, now)
            else:  # nobody said that nobody knows it
                detail = "none of the nodes that would know where the app is answered"
                notice = ErrorNotice(ErrorCode.HANDSHAKE_THROTTLED, ErrorScope.FRAME, None, detail, RETRY_LATER_MS)
                self._tell(session, notice, now)

    def take_overtaken(self, news: Overtaken, now: float) -> None:
        """An app of this node is at home elsewhere: if it is connected here its session ends.

        One that came too late, by a stamp that was too low, connects again: it is shown then which of its own overtook it.
        """
        self._learn(news.entry, now, online=news.entry.presence.online, late=news.late)

    def _learn(self, entry: HomeEntry, now: float, *, online: bool, late: bool) -> None:
        if self._chats.learn_home(entry.party, entry.claim, now, online=online):
            app_id = entry.app_id
            self._replace(app_id, ErrorCode.STAMP_OUTDATED if late else ErrorCode.SESSION_REPLACED)
            self._chats.disconnected(app_neighbour(app_id), now)

    def describe_node(self, descriptor: NodeDescriptor) -> None:
        """What another node signed of itself, and the mesh verified."""
        self._members.describe(descriptor)

    def forget_node(self, node_id: NodeId) -> None:
        self._members.forget(node_id)

    # the end

    def note_standing(self, node_id: NodeId, *, answers: bool) -> None:
        """Whether a node answers the mesh, where that does not take a stream to it."""
        self._members.note_standing(node_id, answers=answers)

    def node_dead(self, node_id: NodeId, now: float) -> None:
        """The mesh gave a node up: its stream ends, and with it the path of its chats, until it or their apps are elsewhere."""
        self._chats.lose_node(node_id)
        link = self._chats.link_of(node_neighbour(node_id))
        if link is not None:
            self._effects.end(link.stream, discard=True)
            self.closed(link.stream, now)

    def drain(self, change: NodeChange, now: float) -> None:
        """Take no new apps and chats; tell those that are connected to look elsewhere."""
        self._draining = True
        self._chats.drain(now)
        for session in self._apps.values():
            if not session.ending:
                self._tell(session, change, now)

    def end_all(self, code: ErrorCode, detail: str) -> None:
        """End every app's stream, after what waits for it."""
        for session in list(self._apps.values()):
            self._end(session, code, detail, discard=False)

    def _tell(self, session: Session, message: StreamMessage, now: float) -> None:
        """Something of the session itself; like anything that is sent it stands for a heartbeat."""
        if session.link is not None:
            session.link.note_sent(now)
        self._effects.tell(session.stream, message)

    def _refuse(self, session: Session, error: ProtocolError) -> None:
        """End a stream on which nothing was proved."""
        self._effects.report(events.SessionRefused(error.code, error.detail))
        notice = ErrorNotice(error.code, ErrorScope.STREAM, None, error.detail, error.retry_after_ms)
        self._effects.end(session.stream, notice)
        self._entrance.leave(session)
        session.end()
        del self._sessions[session.stream]
        self._timers.cancel(session.stream)

    def _end(self, session: Session, code: ErrorCode, detail: str, *, discard: bool = True) -> None:
        """Say why and end the stream; the shell tells when it is gone."""
        if session.ending:
            return
        session.end()
        self._effects.end(session.stream, ErrorNotice(code, ErrorScope.STREAM, None, detail, 0), discard=discard)

    # time

    def next_timer(self) -> float | None:
        return self._timers.next_due()

    def handle_timer(self, now: float) -> None:
        while (app_id := self._chats.find_unanswered(now)) is not None:
            self._end_look_up(app_id, now, complete=False)
        for stream in self._timers.pop_due(now):
            session = self._sessions[stream]
            if session.ending:
                continue
            fire_due(self._timer_table, session, now, over=lambda session: session.ending)
            self._schedule(session)

    def _schedule(self, session: Session) -> None:
        due = None if session.ending else next_due(self._timer_table, session)
        if due is not None:
            self._timers.schedule(session.stream, due)

    def _proof_due_at(self, session: Session) -> float | None:
        return session.opened_at + self._params.connect_timeout_s if session.link is None else None

    def _miss_proof(self, session: Session, _now: float) -> None:
        """Late is not false: whoever is there may have a slow link."""
        self._refuse(session, ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "no Connect in time"))

    def _silent_at(self, session: Session) -> float | None:
        return session.heard_at + SILENT_INTERVALS * self._params.heartbeat_interval_s if session.link is not None else None

    def _end_silent(self, session: Session, _now: float) -> None:
        self._end(session, ErrorCode.ROUTE_UNAVAILABLE, f"nothing was heard for {SILENT_INTERVALS} heartbeat intervals")

    def _heartbeat_at(self, session: Session) -> float | None:
        return session.link.sent_at + self._params.heartbeat_interval_s if session.link is not None else None

    def _send_heartbeat(self, session: Session, now: float) -> None:
        """Nothing else was sent for an interval."""
        if session.link is not None:
            self._tell(session, Heartbeat(session.next_heartbeat(), reply=False), now)
