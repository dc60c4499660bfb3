"""Commits of passes: one after the other, in the order of their outputs; what a failed one may have lost is not acted on."""

from __future__ import annotations

import asyncio

import pytest

from hermes_core.errors import KeystoreIOError
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import PathState
from hermes_core.relay.output import NodeOutput, Send
from hermes_node.chats.commits import PassCommits

CHAT = ChatId(bytes(16))


class HeldStore:
    """Each commit is under way until the test ends it."""

    def __init__(self) -> None:
        self.under_way: dict[int, asyncio.Future[None]] = {}
        self.failures: list[Exception] = []
        self.owes_commit = False

    async def commit(self, output: NodeOutput) -> None:
        assert not self.under_way, "one at a time"
        ended = self.under_way[output.number] = asyncio.get_running_loop().create_future()
        try:
            await ended
            self.owes_commit = False
        finally:
            del self.under_way[output.number]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
async def commits(store: HeldStore) -> PassCommits:
    return PassCommits(store, store.failures.append)


def needed(number: int) -> NodeOutput:
    return NodeOutput(number, deletes={CHAT})


def early(number: int) -> NodeOutput:
    return NodeOutput(number, puts={CHAT: None}, early=True)  # type: ignore[dict-item]


def sends(number: int, *after: int) -> NodeOutput:
    return NodeOutput(number, actions=[Send(1, PathState(CHAT, up=True), it) for it in after])


async def test_an_early_output_and_what_needs_no_more_is_acted_on_at_once(commits: PassCommits, store: HeldStore) -> None:
    assert await commits.settle(early(3))
    await turns()
    assert (commits.busy, list(store.under_way)) == (True, [3])
    assert await commits.settle(sends(4, 0, 2))
    waiting = asyncio.create_task(commits.settle(sends(5, 0, 3, 2)))
    await turns()
    assert not waiting.done()
    store.under_way[3].set_result(None)
    assert await waiting
    assert not commits.busy


async def test_what_is_needed_is_committed_after_what_was_early(commits: PassCommits, store: HeldStore) -> None:
    await commits.settle(early(3))
    waiting = asyncio.create_task(commits.settle(needed(4)))
    await turns()
    assert list(store.under_way) == [3]
    store.under_way[3].set_result(None)
    await turns()
    assert (list(store.under_way), waiting.done()) == ([4], False)
    store.under_way[4].set_result(None)
    assert await waiting


async def test_what_the_store_owes_a_commit_leaves_after_it_though_the_output_is_early(
    commits: PassCommits, store: HeldStore
) -> None:
    store.owes_commit = True
    assert commits.concern(sends(3))
    waiting = asyncio.create_task(commits.settle(early(3)))
    await turns()
    assert (list(store.under_way), waiting.done()) == ([3], False)
    store.under_way[3].set_result(None)
    assert await waiting
    assert not commits.concern(sends(4))


async def test_the_commit_that_is_owed_may_be_the_early_one_that_is_under_way(commits: PassCommits, store: HeldStore) -> None:
    await commits.settle(early(3))
    store.owes_commit = True
    waiting = asyncio.create_task(commits.settle(sends(4)))
    await turns()
    assert (list(store.under_way), waiting.done()) == ([3], False)
    store.under_way[3].set_result(None)
    assert await waiting
    assert store.under_way == {}


async def test_nothing_is_committed_after_an_early_commit_that_failed(commits: PassCommits, store: HeldStore) -> None:
    await commits.settle(early(3))
    waiting = asyncio.create_task(commits.settle(needed(4)))
    await turns()
    store.under_way[3].set_exception(KeystoreIOError("disk full"))
    assert not await waiting
    assert (store.under_way, [type(error) for error in store.failures]) == ({}, [KeystoreIOError])
    assert not await commits.settle(sends(5, 0))


async def test_whoever_waits_for_an_early_commit_may_be_cancelled_and_it_goes_on(
    commits: PassCommits, store: HeldStore
) -> None:
    await commits.settle(early(3))
    waiting = asyncio.create_task(commits.settle(sends(4, 3)))
    await turns()
    waiting.cancel()
    await turns()
    assert (waiting.cancelled(), list(store.under_way)) == (True, [3])
    store.under_way[3].set_result(None)
    await commits.end_early()
    assert not commits.busy
