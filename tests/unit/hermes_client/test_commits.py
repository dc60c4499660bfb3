"""The queue of commits: nothing leaves before what it depends on is durable, and whoever waits hears of a failure."""

from __future__ import annotations

import asyncio
import random

import pytest

from hermes_client.commits import CommitQueue
from hermes_client.errors import ClientClosedError, StoreError
from hermes_core.endpoint.kept import KeptChanges
from hermes_core.endpoint.output import AppOutput
from hermes_core.errors import HermesError, KeystoreIOError
from hermes_core.ids import ChatId
from hermes_core.keystore.app_record import AppChatRecord, AppChatState, OutgoingRecord
from hermes_core.protocol.messages import ChatMessage, Sealed
from tests.unit.hermes_core.keystore.test_app_records import VECTORS, chat_of

CHAT = ChatId(bytes(16))


def output(number: int, *, keeps: bool = True) -> AppOutput:
    changes = KeptChanges()
    changes.keep_message(OutgoingRecord(CHAT, number, b"plain", 1, b"frame"))
    return AppOutput(sends=[Sealed(b"%d" % number)], changes=changes if keeps else None)


class Disk:
    """Commits take as long as the test wants."""

    def __init__(self) -> None:
        self.commits: list[list[int]] = []
        self.sent: list[bytes] = []
        self.failures: list[HermesError] = []
        self.error: Exception | None = None
        self.may_go_on = asyncio.Event()
        self.queue = CommitQueue(self.commit, self.release, self.failures.append)

    async def commit(self, changes: KeptChanges) -> None:
        self.commits.append([seq for _, seq in changes.messages])
        await self.may_go_on.wait()
        self.may_go_on.clear()
        if self.error is not None:
            raise self.error

    def release(self, sends: list[ChatMessage]) -> None:
        self.sent += [message.frame for message in sends if isinstance(message, Sealed)]

    async def finish_one(self) -> None:
        self.may_go_on.set()
        for _ in range(4):
            await asyncio.sleep(0)


async def begin() -> Disk:
    disk = Disk()
    disk.queue.add(output(1))
    await asyncio.sleep(0)
    return disk


async def test_nothing_leaves_before_its_commit() -> None:
    disk = await begin()
    assert (disk.commits, disk.sent) == ([[1]], [])
    await disk.finish_one()
    assert disk.sent == [b"1"]


async def test_what_comes_meanwhile_is_one_commit_and_keeps_its_order() -> None:
    disk = await begin()
    disk.queue.add(output(2))
    disk.queue.add(output(3, keeps=False))
    disk.queue.add(output(4))
    await disk.finish_one()
    assert (disk.commits, disk.sent) == ([[1], [2, 4]], [b"1"])
    await disk.finish_one()
    assert disk.sent == [b"1", b"2", b"3", b"4"]


async def test_what_needs_nothing_kept_leaves_at_once_when_nothing_waits() -> None:
    disk = Disk()
    disk.queue.add(output(1, keeps=False))
    assert (disk.commits, disk.sent) == ([], [b"1"])


async def test_whoever_waits_hears_when_all_before_is_durable_and_not_earlier() -> None:
    disk = await begin()
    waiter = asyncio.create_task(disk.queue.wait_durable())
    await asyncio.sleep(0)
    disk.queue.add(output(2))
    assert not waiter.done()
    await disk.finish_one()
    assert waiter.done()
    second = asyncio.create_task(disk.queue.wait_durable())
    await asyncio.sleep(0)
    assert not second.done()
    await disk.finish_one()
    await second


async def test_a_stream_that_is_gone_voids_what_waits_to_be_sent_and_not_what_waits_to_be_kept() -> None:
    disk = await begin()
    disk.queue.add(output(2))
    disk.queue.void_sends()
    disk.queue.add(output(3))
    await disk.finish_one()
    await disk.finish_one()
    assert disk.commits == [[1], [2, 3]]
    assert disk.sent == [b"3"]


@pytest.mark.parametrize("error", [KeystoreIOError("full"), ZeroDivisionError("a defect")])
async def test_after_a_failure_nothing_leaves_and_everybody_hears(error: Exception) -> None:
    disk = await begin()
    waiter = asyncio.create_task(disk.queue.wait_durable())
    disk.queue.add(output(2))
    disk.error = error
    await disk.finish_one()
    kind = type(error) if isinstance(error, HermesError) else StoreError
    for wait in (waiter, disk.queue.wait_durable()):
        with pytest.raises(kind):
            await wait
    assert [type(failure) for failure in disk.failures] == [kind]
    disk.queue.add(output(3))
    assert (disk.sent, disk.commits) == ([], [[1]])


def _records() -> tuple[AppChatRecord, AppChatRecord]:
    fields = next(case["record"] for case in VECTORS["chats"] if case["record"]["leg"]["current"] is not None)
    return chat_of(fields), chat_of(fields | {"taken": 7})


def test_of_two_records_of_a_chat_the_later_one_is_kept_and_the_other_wiped() -> None:
    first, second = _records()
    changes, later = KeptChanges(), KeptChanges()
    changes.keep_chat(first)
    later.keep_chat(second)
    changes.add(later)
    assert changes.chats == {first.chat_id: second}
    assert first.leg.current is not None
    assert first.leg.current.mac.wiped


def test_a_chat_that_ended_and_a_message_that_was_acknowledged_are_not_kept() -> None:
    record, _ = _records()
    changes, later = KeptChanges(), KeptChanges()
    changes.keep_chat(record)
    changes.keep_message(OutgoingRecord(record.chat_id, 1, b"x", 0, b""))
    later.end_chat(record.chat_id)
    later.drop_message(record.chat_id, 1)
    changes.add(later)
    assert (changes.chats, changes.messages) == ({}, {})
    assert (changes.ended, changes.acknowledged) == ({record.chat_id}, {(record.chat_id, 1)})
    assert record.state in AppChatState
    assert record.leg.current is not None
    assert record.leg.current.mac.wiped
    assert bool(changes)
    assert not KeptChanges()


async def test_random_commits_keep_order_and_lose_nothing() -> None:
    draws, disk = random.Random(11), Disk()
    for number in range(200):
        disk.queue.add(output(number, keeps=draws.random() < 0.5))
        if draws.random() < 0.3:
            await disk.finish_one()
    while len(disk.sent) < 200:
        await disk.finish_one()
    assert disk.sent == [b"%d" % number for number in range(200)]


async def test_a_queue_that_is_stopped_makes_the_commit_that_has_begun_and_no_other() -> None:
    disk = await begin()
    first = asyncio.create_task(disk.queue.wait_durable())
    await asyncio.sleep(0)
    disk.queue.add(output(2))
    second = asyncio.create_task(disk.queue.wait_durable())
    await asyncio.sleep(0)
    disk.queue.stop(ClientClosedError("the client is closed"))
    disk.queue.add(output(3))
    with pytest.raises(ClientClosedError):
        await second
    assert not first.done()
    await disk.finish_one()
    await first
    assert (disk.commits, disk.failures) == ([[1]], []), "the store did not fail"
    with pytest.raises(ClientClosedError):
        await disk.queue.wait_durable()


async def test_a_queue_that_is_stopped_before_its_commit_began_makes_none() -> None:
    disk = Disk()
    disk.queue.add(output(1))
    disk.queue.stop(ClientClosedError("the client is closed"))
    await disk.finish_one()
    assert (disk.commits, disk.failures) == ([], [])
