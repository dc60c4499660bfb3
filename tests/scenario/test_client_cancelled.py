"""A call that is cancelled, at whichever of its suspensions, leaves nothing behind here, at the node, at the other app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import aiohttp
import pytest

from hermes_client import PLAIN, Chat, HermesClient
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.errors import HermesError
from tests.support.nodes import wait_until

pytestmark = pytest.mark.timeout(240)

NOT_ENDING_S = 30.0
ENOUGH = 40
"""Suspensions of one call at most: each event of its chat wakes it."""

Call = Callable[[], Coroutine[Any, Any, Any]]


class CancelledAt:
    """Awaits a coroutine and cancels its task at the so-and-so-manieth suspension, as anybody may at that very moment."""

    def __init__(self, work: Coroutine[Any, Any, Any], place: int) -> None:
        self._work = work
        self._place = place
        self.suspensions = 0

    def __await__(self) -> Generator[Any, None, Any]:
        steps = self._work.__await__()
        raised: BaseException | None = None
        while True:
            try:
                waits_for = steps.send(None) if raised is None else steps.throw(raised)
            except StopIteration as end:
                return end.value
            self.suspensions += 1
            if self.suspensions == self._place:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            raised = None
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                raised = error


async def run_cancelled(work: Coroutine[Any, Any, Any], place: int) -> bool:
    """Whether it was cancelled there; False when it came to its end before."""
    stepped = CancelledAt(work, place)

    async def run() -> Any:
        return await stepped

    task = asyncio.create_task(run())
    await asyncio.wait([task], timeout=NOT_ENDING_S)
    assert task.done(), "it goes on although it was cancelled"
    return stepped.suspensions >= place


async def nothing_held(mesh: LocalMesh, *clients: HermesClient) -> None:
    async def look() -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"http://{mesh.nodes[0].admin}/metrics") as response:
            text = await response.text()
        held = [client.driver._machine.chats for client in clients] + [client.driver.chats for client in clients]
        return not any(held) and 'hermes_chats_active{scope="local"} 0.0' in text

    assert await wait_until(look)


async def test_no_call_leaves_anything_behind_wherever_it_is_cancelled() -> None:
    async with LocalMesh(1, app_tls=False) as mesh:
        address = mesh.nodes[0].app
        async with HermesClient(address, tls=PLAIN) as one, HermesClient(address, tls=PLAIN) as two:
            places = {
                "start": await cancel_starts(mesh, one, two),
                "accept": await cancel_accepts(mesh, one, two),
                "rekey": await cancel_rekeys(mesh, one, two),
            }
        places |= {"open": await cancel_opening(address), "close": await cancel_closing(mesh, address)}
    assert all(places.values()), places


async def cancel_starts(mesh: LocalMesh, one: HermesClient, two: HermesClient) -> int:
    async def accept_all() -> None:
        async for offer in two.offers():
            try:
                await offer.accept()
            except HermesError:
                continue  # the other app changed its mind

    accepting = asyncio.create_task(accept_all())
    place = 1
    try:
        while await run_cancelled(one.start_chat(two.app_id), place):
            await nothing_held(mesh, one, two)
            place += 1
            assert place < ENOUGH
        await delete_all(one)
        await nothing_held(mesh, one, two)
    finally:
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
    return place - 1


async def cancel_accepts(mesh: LocalMesh, one: HermesClient, two: HermesClient) -> int:
    place = 1
    while True:
        starting = asyncio.create_task(one.start_chat(two.app_id))
        offer = await anext(two.offers())
        cancelled = await run_cancelled(offer.accept(), place)
        if cancelled:
            await asyncio.gather(starting, return_exceptions=True)
        else:
            await starting
        await delete_all(one)
        await nothing_held(mesh, one, two)
        if not cancelled:
            return place - 1
        place += 1
        assert place < ENOUGH


async def cancel_rekeys(mesh: LocalMesh, one: HermesClient, two: HermesClient) -> int:
    here, there = await pair(one, two)
    place = 1
    while await run_cancelled(here.rekey(), place):
        await here.send(b"after")
        assert (await anext(there)).content == b"after", "the chat goes on"
        place += 1
        assert place < ENOUGH
    await here.delete()
    await nothing_held(mesh, one, two)
    return place - 1


async def cancel_opening(address: str) -> int:
    place = 1
    while True:
        client = HermesClient(address, tls=PLAIN)
        cancelled = await run_cancelled(client.__aenter__(), place)
        if not cancelled:
            await client.close()

        async def wiped() -> bool:
            tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("hermes-client")]
            return not tasks and client._identity._secret_key.wiped  # noqa: B023 - awaited at once

        await wait_until(wiped)
        if not cancelled:
            return place - 1
        place += 1
        assert place < ENOUGH


async def cancel_closing(mesh: LocalMesh, address: str) -> int:
    place = 1
    while True:
        async with HermesClient(address, tls=PLAIN) as two:
            one = HermesClient(address, tls=PLAIN)
            await one.__aenter__()
            _, there = await pair(one, two)
            cancelled = await run_cancelled(one.close(), place)
            await there.wait_ended(NOT_ENDING_S)
            await nothing_held(mesh, two)
            await one.close()
            assert one._identity._secret_key.wiped
        if not cancelled:
            return place - 1
        place += 1
        assert place < ENOUGH


async def pair(one: HermesClient, two: HermesClient) -> tuple[Chat, Chat]:
    starting = asyncio.create_task(one.start_chat(two.app_id))
    offer = await anext(two.offers())
    there = await offer.accept()
    return await starting, there


async def delete_all(client: HermesClient) -> None:
    for chat in client.driver.live_chats():
        await chat.delete()
