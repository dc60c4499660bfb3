"""Many tasks of one app at one chat, iterations that are cut short, two apps that call each other at once: over two nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hermes_client import Chat, HermesClient
from hermes_client.testing import mesh
from hermes_core.endpoint.params import AppParams

MESSAGES = 400
"""More than the window has room for."""
SHORT_S = 0.0007
ENOUGH = 5000
"""So many short waits after the last message was sent are several seconds: nothing comes any more."""

pytestmark = pytest.mark.timeout(240)


async def _accept(client: HermesClient) -> Chat:
    return await (await anext(client.offers())).accept()


@asynccontextmanager
async def _two_apps() -> AsyncIterator[tuple[HermesClient, HermesClient]]:
    async with mesh(nodes=2) as here, here.client(0) as first, here.client(1) as second:
        await first.wait_for_app(second.app_id)
        await second.wait_for_app(first.app_id)
        yield first, second


async def _call(first: HermesClient, second: HermesClient) -> tuple[Chat, Chat]:
    accepting = asyncio.create_task(_accept(second))
    return await first.start_chat(second.app_id), await accepting


async def test_tasks_that_send_at_once_while_both_apps_rekey_have_each_message_in_its_place() -> None:
    async with _two_apps() as (first, second):
        here, there = await _call(first, second)
        rekeys = [here.rekey(), here.rekey(), there.rekey()]
        sends = [here.send(b"%d" % number) for number in range(MESSAGES)]
        sending = asyncio.gather(*sends[::2], *rekeys, *sends[1::2])
        heard = [await anext(there) for _ in range(MESSAGES)]
        done = await sending
        seqs, epochs = done[: MESSAGES // 2] + done[-MESSAGES // 2 :], done[MESSAGES // 2 : -MESSAGES // 2]
        contents = [b"%d" % number for number in (*range(0, MESSAGES, 2), *range(1, MESSAGES, 2))]
        assert [message.seq for message in heard] == list(range(1, MESSAGES + 1))
        assert {message.seq: message.content for message in heard} == dict(zip(seqs, contents, strict=True))
        assert min(epochs) >= 2, "none of the three got the epoch of before"
        await there.send(b"after")
        assert (await anext(here)).content == b"after"
        assert here.epoch == there.epoch == max(epochs)


async def test_an_iteration_that_is_cut_short_loses_no_message() -> None:
    async with _two_apps() as (first, second):
        here, there = await _call(first, second)

        async def say_all() -> None:
            for number in range(MESSAGES):
                await here.send(b"%d" % number)
                await asyncio.sleep(0.001)

        saying = asyncio.create_task(say_all())
        heard: list[bytes] = []
        cut = 0
        quiet = 0
        while len(heard) < MESSAGES and quiet < ENOUGH:
            try:
                heard.append((await asyncio.wait_for(anext(there), SHORT_S)).content)
                quiet = 0
            except TimeoutError:
                cut += 1
                quiet += saying.done()
        await saying
        assert heard == [b"%d" % number for number in range(MESSAGES)]
        assert cut > 0


async def test_two_apps_that_call_each_other_at_once_have_two_chats() -> None:
    async with _two_apps() as (first, second):
        (one, one_there), (two, two_there) = await asyncio.gather(_call(first, second), _call(second, first))
        assert one.chat_id != two.chat_id
        assert (one_there.chat_id, two_there.chat_id) == (one.chat_id, two.chat_id)
        await one.send(b"one")
        await two.send(b"two")
        assert [(await anext(chat)).content for chat in (one_there, two_there)] == [b"one", b"two"]


async def test_more_chats_at_once_than_the_other_app_has_room_for_all_come_about() -> None:
    few, many = 4, 12
    params = AppParams(max_offers=few)
    async with mesh(nodes=2) as here, here.client(0) as first, here.client(1, params=params) as second:
        await first.wait_for_app(second.app_id)
        starting = asyncio.gather(*(first.start_chat(second.app_id) for _ in range(many)))
        async with asyncio.timeout(30):  # until the others were refused, and wait
            while not len(second.driver.offers) == len(first.chats) == few:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
        taking = asyncio.gather(*(_accept(second) for _ in range(many)))
        try:
            assert len({chat.chat_id for chat in await starting}) == many
            await taking
        finally:
            taking.cancel()
