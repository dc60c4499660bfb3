"""The chat driver with the real machine and a real keystore: nothing leaves before it is durable, nothing goes astray."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hermes_core.clock_peers import SeenTime
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatOffered, ChatReady
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.errors import ErrorCode, KeystoreIOError, ProtocolError
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.keystore.chat_record import ChatRecord
from hermes_core.protocol.messages import Delete, Offer, PathState, Sealed
from hermes_core.protocol.session import Challenge, Connected
from hermes_core.relay.output import NodeOutput, StreamMessage
from hermes_core.relay.params import ChatParams, SessionParams
from hermes_core.relay.relay import Relay
from hermes_core.session.keys import SessionKeys
from hermes_keystore import Keystore, Table
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.observer import ChatObserver
from hermes_node.chats.openings import KeystoreMarks
from hermes_node.chats.store import ChatStore
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.outbox import Outbox, QueueBounds
from hermes_node.streams.pending import Backlog, PendingFrames
from hermes_node.streams.sink import Sink
from hermes_node.streams.turns import Group, Queue
from tests.support.sessions import AppEnd

T = TypeVar("T")
NODE = NodeId("hermes-0")


class GatedStore(ChatStore):
    """A store whose next commits wait in the worker thread until the test lets them go, or fail."""

    gate: threading.Event
    fail = False
    commits = 0
    wiped: bool = True

    async def run(self, work: Callable[[Keystore], T]) -> T:
        def gated(keystore: Keystore) -> T:
            assert self.gate.wait(20)
            if self.fail:
                raise KeystoreIOError("disk full")
            return work(keystore)

        return await super().run(gated)

    async def commit(self, output: NodeOutput) -> None:
        self.commits += 1
        records: list[ChatRecord] = list(output.puts.values())
        try:
            await super().commit(output)
        finally:
            epochs = [side.current for record in records for side in record.sides if side.current is not None]
            self.wiped &= all(epoch.mac.wiped and epoch.send.chain_key.wiped for epoch in epochs)


SESSIONS = SessionParams(
    heartbeat_interval_s=15.0,
    connect_timeout_s=10.0,
    max_sessions=100,
    max_unauthenticated_streams=100,
    max_invalid_batches=64,
    window_frames=256,
)


class Bench:
    """A node's driver and two apps at home on it, joined by plain lists."""

    def __init__(self, keystore: Keystore, executor: ThreadPoolExecutor) -> None:
        self.identity = Identity.generate()
        self.metrics = NodeMetrics(version="test")
        self.logged = io.StringIO()
        self.log = EventLog(node_id=NODE, stream=self.logged)
        self.store = GatedStore(keystore, executor, self.metrics.keystore, lambda: SeenTime(time.time()))
        self.store.gate = threading.Event()
        self.store.gate.set()
        self.failures: list[Exception] = []
        self.cost_s = 0.0
        """What has been spent, for the tests that say what something costs."""
        self.relay = Relay(
            identity=self.identity,
            node_id=NODE,
            chats=ChatParams(),
            sessions=SESSIONS,
            marks=KeystoreMarks(self.identity, self.store),
            random=SYSTEM_RANDOM,
        )
        self.driver = ChatDriver(
            relay=self.relay,
            store=self.store,
            observer=ChatObserver(self.log, self.metrics),
            app_queue=QueueBounds(10_000, 1 << 26),
            node_queue=QueueBounds(10_000, 1 << 26),
            now=time.time,
            cost_clock=lambda: self.cost_s,
            log=self.log,
            on_failure=self.failures.append,
        )
        self.apps: list[tuple[AppChats, Sink]] = []
        self.identities: dict[AppId, Identity] = {}
        self.keys: dict[Sink, SessionKeys] = {}
        """The apps' ends."""

    async def connect(self, app: AppChats, identity: Identity) -> Sink:
        """A stream on which the app answers the node's challenge."""
        sink = self.driver.streams.open_app(("",))
        await self.driver.flush()
        (challenge,) = await sink.outbox.take()
        assert isinstance(challenge, Challenge)
        end = AppEnd(identity, challenge, stamp=time.time_ns() // 1_000_000)
        self.driver.streams.receive(sink, [end.connect])
        await self.driver.flush()
        connected, *rest = await sink.outbox.take()
        assert isinstance(connected, Connected)
        keys = self.keys[sink] = end.complete(connected)
        app.connected(NODE, self.identity.public_key, keys.stream, time.time())
        for message in rest:
            app.receive(message, time.time())
        return sink

    async def add_app(self) -> tuple[AppChats, Sink]:
        identity = Identity.generate()
        app = AppChats(identity=identity, params=AppParams(), random=SYSTEM_RANDOM)
        self.identities[app.app_id] = identity
        pair = (app, await self.connect(app, identity))
        self.apps.append(pair)
        return pair

    def receive(self, sink: Sink, *messages: Any) -> None:
        """What the app sends, with its tags."""
        self.driver.streams.receive(sink, self.keys[sink].writer.tag(messages))

    def post(self, app: AppChats, session: Sink) -> list[Any]:
        """Hand what the app wants sent to the driver; its events."""
        output = app.take_output()
        assert not output.defects
        if output.sends:
            self.receive(session, *output.sends)
        return list(output.events)

    async def settle(self) -> list[Any]:
        """Run until nobody has anything more to say; what the apps reported."""
        events: list[Any] = []
        for _ in range(20):
            for app, session in self.apps:
                events += self.post(app, session)
            await self.driver.flush()
            for app, session in self.apps:
                while len(session.outbox):
                    for message in await session.outbox.take():
                        app.receive(message, time.time())
                for event in (reported := app.take_output()).events:
                    events.append(event)
                    if isinstance(event, ChatOffered):
                        app.accept(event.chat_id, time.time())
                if reported.sends:
                    self.receive(session, *reported.sends)
        return events

    async def open_chat(self) -> ChatId:
        (one, _), (two, _) = await self.add_app(), await self.add_app()
        chat = one.start_chat(two.app_id, time.time())
        events = await self.settle()
        assert sum(isinstance(event, ChatReady) for event in events) == 2
        return chat


@pytest.fixture
def keystore(tmp_path: Path) -> Iterator[tuple[Keystore, ThreadPoolExecutor]]:
    executor = ThreadPoolExecutor(1)
    passphrase = SecretBytes.take(bytearray(b"words"))
    store = executor.submit(Keystore.create, tmp_path / "k.db", passphrase, argon2=Argon2Params(8192, 1, 1)).result()
    yield store, executor
    executor.submit(store.close).result()
    executor.shutdown()


@pytest.fixture
async def bench(keystore: tuple[Keystore, ThreadPoolExecutor]) -> Bench:
    return Bench(*keystore)


def sealed_in(session: Sink) -> int:
    return sum(isinstance(message, Sealed) for message in session.outbox._waiting)


async def test_nothing_leaves_before_the_commit_it_depends_on(bench: Bench) -> None:
    (one, first), (two, second) = await bench.add_app(), await bench.add_app()
    one.start_chat(two.app_id, time.time())
    await bench.driver.flush()
    bench.post(one, first)
    await bench.driver.flush()  # the offer: nothing is kept of a chat that is not confirmed
    (offer,) = await second.outbox.take()
    assert isinstance(offer, Offer)
    two.receive(offer, time.time())
    (offered,) = two.take_output().events
    assert isinstance(offered, ChatOffered)
    two.accept(offered.chat_id, time.time())
    bench.store.gate.clear()
    bench.store.commits = 0
    bench.post(two, second)
    flushing = asyncio.create_task(bench.driver.flush())
    while not bench.store.commits:  # noqa: ASYNC110 - the driver's own steps, counted
        await asyncio.sleep(0)
    before = len(first.outbox)
    await asyncio.sleep(0.05)
    assert not flushing.done()
    assert len(first.outbox) == before == 0  # the answer waits for its record
    bench.store.gate.set()
    await flushing
    assert len(first.outbox) > 0


async def test_no_mark_leaves_before_it_is_durable_that_one_may(bench: Bench) -> None:
    """Whoever opens the keystore next would not know the opening, and take the mark for another copy's."""
    bench.store.gate.clear()
    connecting = asyncio.create_task(bench.add_app())
    while not bench.store.commits:  # noqa: ASYNC110 - the driver's own steps, counted
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert not connecting.done()
    before = bench.store.keystore.marks_may_leave
    bench.store.gate.set()
    await connecting
    assert (before, bench.store.keystore.marks_may_leave) == (False, True)
    await bench.add_app()
    assert bench.store.commits == 1, "once an opening"


async def test_a_failed_commit_stops_everything(bench: Bench) -> None:
    chat = await bench.open_chat()
    (one, first), (_, second) = bench.apps
    bench.store.fail = True
    for number in range(256):
        one.send(chat, str(number).encode(), time.time())
    delivered = 0
    for _ in range(3):
        bench.post(one, first)
        await bench.driver.flush()
        delivered = sealed_in(second)
    one.rekey(chat, time.time())
    bench.post(one, first)
    await bench.driver.flush()
    for number in range(50):
        bench.post(one, first)
        await bench.driver.flush()
        assert number is not None
    assert [type(error) for error in bench.failures] == [KeystoreIOError]
    assert sealed_in(second) == delivered < 256


async def relay(bench: Bench, chat: ChatId, count: int) -> int:
    """Messages of one app that nobody answers, one a pass; how many have come to the other's stream. A pass may wait."""
    (one, first), (_, second) = bench.apps
    for _ in range(count):
        one.send(chat, b"x", time.time())
        bench.post(one, first)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.shield(asyncio.create_task(bench.driver.flush()))
    return sealed_in(second)


async def test_frames_do_not_wait_for_an_early_commit_until_they_need_it(bench: Bench) -> None:
    """The first message of a hop reserves sixteen positions, and the ninth the next thirty-two."""
    chat = await bench.open_chat()
    assert await relay(bench, chat, 8) == 8
    bench.store.gate.clear()
    commits = bench.store.commits
    assert await relay(bench, chat, 8) == 16
    assert bench.store.commits == commits + 1, "which is under way"
    assert await relay(bench, chat, 1) == 16, "the seventeenth waits for it"
    bench.store.gate.set()
    await bench.driver.flush()
    assert await relay(bench, chat, 1) == 18
    assert bench.store.commits == commits + 1
    assert bench.store.wiped


async def test_a_failed_early_commit_stops_everything(bench: Bench) -> None:
    chat = await bench.open_chat()
    assert await relay(bench, chat, 8) == 8
    bench.store.gate.clear()
    bench.store.fail = True
    running = asyncio.create_task(bench.driver.run())
    assert await relay(bench, chat, 4) == 12
    bench.store.gate.set()
    await asyncio.wait_for(running, 5)
    assert [type(error) for error in bench.failures] == [KeystoreIOError]
    assert await relay(bench, chat, 4) == 12


async def test_an_early_commit_is_over_when_a_turn_begins_and_when_the_driver_has_ended(bench: Bench) -> None:
    chat = await bench.open_chat()
    await relay(bench, chat, 8)
    bench.store.gate.clear()
    running = asyncio.create_task(bench.driver.run())
    await relay(bench, chat, 2)
    counter = bench.store.mark.commit_counter
    threading.Timer(0.1, bench.store.gate.set).start()
    async with bench.driver.turn():
        assert bench.store.mark.commit_counter == counter + 1
    assert await relay(bench, chat, 20) == 30
    bench.store.gate.clear()
    await relay(bench, chat, 3)  # the thirty-third reserves the next sixty-four
    counter = bench.store.mark.commit_counter
    running.cancel()
    threading.Timer(0.1, bench.store.gate.set).start()
    await asyncio.wait([running])
    assert bench.store.mark.commit_counter == counter + 1
    assert bench.store.wiped


async def test_a_chat_that_is_deleted_during_its_early_commit_is_erased(bench: Bench) -> None:
    chat = await bench.open_chat()
    (_, first), _ = bench.apps
    await relay(bench, chat, 8)
    bench.store.gate.clear()
    await relay(bench, chat, 2)
    bench.receive(first, Delete(chat))
    flushing = asyncio.create_task(bench.driver.flush())
    await asyncio.sleep(0.02)
    assert bench.store.keystore.get(Table.CHAT, chat) is not None
    bench.store.gate.set()
    await flushing
    assert bench.store.keystore.get(Table.CHAT, chat) is None
    assert bench.relay.chats.live_chats() == 0


async def test_many_inputs_are_one_commit(bench: Bench) -> None:
    (one, first), (two, _) = await bench.add_app(), await bench.add_app()
    for _ in range(30):
        one.start_chat(two.app_id, time.time())
    events = await bench.settle()
    assert sum(isinstance(event, ChatReady) for event in events) == 60
    assert bench.store.commits <= 6
    assert bench.store.keystore.record_count(Table.CHAT) == 30
    assert not first.outbox._closed


async def test_records_are_wiped_once_sealed(bench: Bench) -> None:
    await bench.open_chat()
    assert bench.store.commits > 0
    assert bench.store.wiped


async def test_a_newer_stream_gets_nothing_of_the_older_one(bench: Bench) -> None:
    chat = await bench.open_chat()
    (one, first), (two, second) = bench.apps
    one.send(chat, b"for the older stream", time.time())
    bench.post(one, first)
    # Before that is handled, the receiver's app comes back on another stream.
    newer = bench.driver.streams.open_app(("",))
    bench.driver.streams.close(second)
    await bench.driver.flush()
    (challenge,) = await newer.outbox.take()
    assert isinstance(challenge, Challenge)
    one.send(chat, b"for the older stream as well", time.time())
    bench.post(one, first)
    bench.driver.streams.receive(
        newer, [AppEnd(bench.identities[two.app_id], challenge, stamp=time.time_ns() // 1_000_000).connect]
    )
    bench.receive(second, Delete(chat))  # late frame of the older stream
    await bench.driver.flush()
    kinds = [type(message) for message in await newer.outbox.take()]
    assert kinds == [Connected, PathState]


async def test_a_defect_of_the_machine_is_told_and_harms_nobody_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = await bench.open_chat()
    (one, first), (_, second) = bench.apps
    real = bench.relay.sessions.receive

    def broken(stream: int, message: StreamMessage, now: float) -> None:
        if stream == second.stream:
            raise ZeroDivisionError("secret detail")
        real(stream, message, now)

    monkeypatch.setattr(bench.relay.sessions, "receive", broken)
    bench.receive(second, Delete(chat))
    one.send(chat, b"x", time.time())
    bench.post(one, first)
    await bench.driver.flush()
    codes = [getattr(message, "code", None) for message in await second.outbox.take()]
    assert ErrorCode.INTERNAL in codes
    assert len(codes) == 2  # and the other app's message arrived
    text = bench.logged.getvalue()
    assert "ZeroDivisionError" in text
    assert "secret detail" not in text


async def test_a_turn_keeps_passes_out(bench: Bench) -> None:
    chat = await bench.open_chat()
    (one, first), (_, second) = bench.apps
    async with bench.driver.turn():
        one.send(chat, b"x", time.time())
        bench.post(one, first)
        flushing = asyncio.create_task(bench.driver.flush())
        await asyncio.sleep(0.02)
        assert sealed_in(second) == 0
    await flushing
    assert sealed_in(second) == 1


async def test_malformed_and_empty_batches_hold_their_sender_and_nothing_of_what_was_read(bench: Bench) -> None:
    """While a commit takes its time, whoever sends what is no batch must not fill the memory with it."""
    sink = bench.driver.streams.open_app(("",))
    async with bench.driver.turn():
        raw = bytearray(1 << 20)
        kept = weakref.ref(read := Read(raw))
        try:
            read.refuse()
        except ProtocolError as error:
            bench.driver.streams.malformed(sink, error)
        del read
        assert kept() is None
        bench.driver.streams.receive(sink, [])
        waiting = asyncio.create_task(sink.pending.wait_for_room())
        await asyncio.sleep(0)
        assert not waiting.done()
    await bench.driver.flush()
    await asyncio.wait_for(waiting, 5)


async def test_a_stream_that_is_out_of_credit_loses_its_tail_alone(bench: Bench) -> None:
    outbox: Outbox[Any] = Outbox(max_frames=100, max_bytes=2000)
    sink = Sink(1, Queue(Group(), 1.0), PendingFrames(Backlog()), outbox)
    sizes = [900, 900, 900, 10]
    assert [sink.offer(Sealed(bytes(size))) for size in sizes] == [True, True, False, True]
    assert [len(message.frame) for message in await outbox.take()] == [900, 900]


class Read:
    """What a reader holds while it decodes."""

    def __init__(self, raw: bytearray) -> None:
        self.raw = raw

    def refuse(self) -> None:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"{len(self.raw)} bytes are no batch")
