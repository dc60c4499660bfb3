"""Sessions: one an app, heartbeats, silence, slow readers, the bound of unauthenticated streams."""

from __future__ import annotations

import asyncio

import pytest

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId
from hermes_core.protocol.messages import ErrorNotice, Sealed
from hermes_core.protocol.session import Heartbeat, NodeChange
from hermes_node.apps.session import AppSession
from hermes_node.apps.sessions import SessionTable
from hermes_node.streams.bounds import MAX_PENDING_FRAMES, StreamAdmission
from hermes_node.streams.outbox import Outbox
from hermes_node.streams.pending import PendingFrames
from hermes_wire.app import ServerMessage


def make_session(letter: str = "a", now: float = 0.0, frames: int = 4) -> AppSession:
    outbox: Outbox[ServerMessage] = Outbox(max_frames=frames, max_bytes=1 << 24)
    return AppSession(AppId(letter * 32), outbox, now)


class Changes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


async def test_a_newer_session_replaces_the_older_and_is_not_removed_by_its_end() -> None:
    changes = Changes()
    table = SessionTable(10, changes)
    older, newer = make_session(), make_session()
    assert table.add(older) is None
    assert table.add(newer) is older
    (notice,) = await older.outbox.take()
    assert isinstance(notice, ErrorNotice)
    assert notice.scope is ErrorScope.STREAM
    assert not table.remove(older)
    assert newer.app_id in table
    assert table.remove(newer)
    assert changes.count == 2  # the set of apps changed only when the first came and the last went


async def test_the_table_holds_its_bound_exactly_and_still_replaces_when_full() -> None:
    table = SessionTable(2, Changes())
    table.add(make_session("a"))
    table.add(make_session("b"))
    with pytest.raises(ProtocolError) as caught:
        table.add(make_session("c"))
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED
    assert caught.value.retry_after_ms > 0
    assert table.add(make_session("a")) is not None
    assert len(table) == 2


async def test_a_silent_stream_is_told_a_heartbeat_then_ended() -> None:
    session = make_session(now=100.0)
    session.beat(104.9, 5.0)
    assert len(session.outbox) == 0
    session.beat(105.0, 5.0)
    assert await session.outbox.take() == [Heartbeat(1, reply=False)]
    session.beat(115.0, 5.0)
    assert await session.outbox.take() == [Heartbeat(2, reply=False)]
    session.beat(115.1, 5.0)
    (notice,) = await session.outbox.take()
    assert isinstance(notice, ErrorNotice)
    assert session.outbox.closed


async def test_a_reader_that_stops_is_cut_off_with_backpressure() -> None:
    session = make_session(frames=2)
    for _ in range(3):
        session.send(Sealed(bytes(92)))
    assert session.too_slow
    (notice,) = await session.outbox.take()
    assert isinstance(notice, ErrorNotice)
    assert (notice.code, notice.scope) == (ErrorCode.BACKPRESSURE, ErrorScope.STREAM)


async def test_drain_hints_every_app() -> None:
    table = SessionTable(10, Changes())
    session = make_session()
    table.add(session)
    table.hint_leaving(1500)
    assert await session.outbox.take() == [NodeChange(1500)]


def test_unauthenticated_streams_are_bounded() -> None:
    admission = StreamAdmission(2)
    admission.enter()
    admission.enter()
    with pytest.raises(ProtocolError) as caught:
        admission.enter()
    assert (caught.value.code, caught.value.scope) == (ErrorCode.LIMIT_EXCEEDED, ErrorScope.STREAM)
    assert admission.open == 2
    admission.leave()
    admission.enter()


async def test_a_flooding_stream_waits_until_its_frames_were_handled() -> None:
    pending = PendingFrames()
    pending.posted(MAX_PENDING_FRAMES)
    await asyncio.wait_for(pending.wait_for_room(), 5)
    pending.posted(1)
    waiting = asyncio.create_task(pending.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    pending.processed(1)
    await asyncio.wait_for(waiting, 5)
