"""Which failures a client goes on after, how long it waits then, and which ones end it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from hermes_client import PLAIN, Backoff, ClientClosedError, ConnectSetupError, HermesClient, SessionReplacedError
from hermes_client.addresses import AddressBook
from hermes_client.host import SYSTEM_HOST
from hermes_client.keeper import RETRY_AFTER_MAX_S, HomeKeeper, KeptHome
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.patience import HomePatience
from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.ids import NodeId, derive_app_id, node_party
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import Connect, NewerHome
from tests.support.claims import make_claim
from tests.support.sessions import NodeEnd
from tests.unit.hermes_client.scripted_node import Link, ScriptedNode
from tests.unit.hermes_client.test_client_connection import _client, _until
from tests.unit.hermes_client.test_containment import make_driver, open_chat
from tests.unit.hermes_core.endpoint.parts import OWN_KEY

DEADLINE_S = 10.0
OTHER = derive_app_id(Identity.generate().public_key)


class _Highest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def _is_wiped(client: HermesClient) -> bool:
    return client._identity._secret_key.wiped


async def _replace(link: Link) -> None:
    await link.write(ErrorNotice(ErrorCode.SESSION_REPLACED, ErrorScope.STREAM, None, "a newer session", 0))
    await link.hold()


async def test_who_was_replaced_stops_with_an_error_of_its_own_and_wipes_its_chats() -> None:
    gate = asyncio.Event()

    async def script(link: Link) -> None:
        await gate.wait()
        await _replace(link)

    async with ScriptedNode("node-0", script) as node, _client(node) as client:
        waits: list[Awaitable[object]] = [
            anext(client.offers()),
            client.find_app(OTHER),
            client.start_chat(OTHER),
            client.wait_for_app(OTHER),
        ]
        waiting = [asyncio.ensure_future(wait) for wait in waits]
        await asyncio.sleep(0)
        gate.set()
        for result in await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), DEADLINE_S):
            assert isinstance(result, SessionReplacedError), result
        with pytest.raises(SessionReplacedError, match="give each process an identity of its own"):
            await client.start_chat(OTHER)
        await asyncio.sleep(0.1)
        assert node.connects == 1, "it does not come back"
    assert _is_wiped(client)


async def test_chats_of_a_client_that_was_replaced_say_so() -> None:
    driver = make_driver()
    chat, _ = open_chat(driver)
    waits: list[Awaitable[object]] = [anext(chat), chat.wait_ended(), chat.wait(lambda: False), chat.rekey()]
    waiting = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.sleep(0)
    driver.close(SessionReplacedError("another one"))
    for result in await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), DEADLINE_S):
        assert isinstance(result, SessionReplacedError), result
    with pytest.raises(SessionReplacedError):
        await chat.send(b"x")
    assert not driver._machine.chats, "and are wiped"


async def test_a_connect_of_its_own_that_was_given_up_replaces_nobody_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """A middle may hold a Connect back until the client has another session: then the node says the same of that one."""

    async def script(link: Link) -> None:
        if node.connects == 1:
            await _replace(link)
        await link.hold()

    async def lose(link: Link) -> None:
        node.opening = None
        await link.write(NodeEnd(node.node_id, node.identity).challenge)
        await link.read()

    async with ScriptedNode("node-0", script, opening=lose) as node, _client(node) as client:
        await _until(lambda: client.connections == 2 and client.connected)
        monkeypatch.setattr("hermes_client.connects.STALE_CONNECT_S", 0.0)
        node.script = _replace
        client.reconnect()
        with pytest.raises(SessionReplacedError):
            await client.find_app(OTHER)


async def test_who_was_late_and_then_replaced_stops_all_the_same() -> None:
    """Two processes with one identity that start at once: a Connect that was overtaken takes nobody's place later."""
    identity = Identity.generate()

    async def refuse(link: Link) -> None:
        node.opening = None
        await link.write(NodeEnd(node.node_id, node.identity).challenge)
        (connect,) = await link.read()
        assert isinstance(connect, Connect)
        home = node_party(NodeId("node-1"), Identity.generate().public_key)
        await link.write(NewerHome(home, make_claim(identity, home, connect.stamp + 1)))
        await link.write(ErrorNotice(ErrorCode.STAMP_OUTDATED, ErrorScope.STREAM, None, "", 0))

    async with ScriptedNode("node-0", _replace, opening=refuse) as node:
        client = _client(node, identity=identity)
        with suppress(SessionReplacedError):
            await client.__aenter__()
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(SessionReplacedError):
                await client.find_app(OTHER)
        assert node.connects == 1, "it does not fight"
        await client.close()


async def test_a_backoff_starts_over_only_after_a_session_that_stood() -> None:
    backoff = Backoff(base_s=0.001, cap_s=0.2, random=_Highest())
    stand_s = 0.0

    async def script(link: Link) -> None:
        await asyncio.sleep(stand_s)
        await link.write(ErrorNotice(ErrorCode.INTERNAL, ErrorScope.STREAM, None, "", 0))
        await link.hold()

    async with ScriptedNode("node-0", script) as node, HermesClient(node.address, tls=PLAIN, backoff=backoff) as client:
        await _until(lambda: client.connections >= 5)
        assert backoff.attempts >= 4, "sessions that end at once are failures like others"
        stand_s = 0.25
        await _until(lambda: backoff.attempts <= 1)


@pytest.mark.parametrize("proved", [False, True])
async def test_what_a_node_asks_to_wait_is_waited(proved: bool) -> None:
    """Who has proved itself, up to a bound; anybody else no longer than the client waits by itself."""
    asked_ms = 400
    came: list[float] = []

    async def refuse(link: Link) -> None:
        came.append(asyncio.get_running_loop().time())
        notice = ErrorNotice(ErrorCode.LIMIT_EXCEEDED, ErrorScope.STREAM, None, "", asked_ms)
        await (link.write if proved else link.write_raw)(notice)
        await link.hold()

    backoff = Backoff(base_s=0.001, cap_s=0.1)
    node = ScriptedNode("node-0", refuse) if proved else ScriptedNode("node-0", opening=refuse)
    async with node:
        client = HermesClient(node.address, tls=PLAIN, backoff=backoff, connect_timeout_s=DEADLINE_S)
        opening = asyncio.create_task(client.__aenter__())
        await _until(lambda: len(came) >= 3)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await client.close()
    pauses = [after - before for before, after in itertools.pairwise(came)]
    assert min(pauses) >= (0.39 if proved else 0.09)
    assert proved or min(pauses) < 0.39
    assert RETRY_AFTER_MAX_S > 60


async def _problem(_address: str, _tls: object) -> str | None:
    return "nobody speaks TLS there; give tls=PLAIN"


async def _none(_address: str, _tls: object) -> str | None:
    return None


async def test_what_no_waiting_helps_against_ends_the_attempt_at_once() -> None:
    client = HermesClient("127.0.0.1:1", tls=PLAIN, host=replace(SYSTEM_HOST, diagnose=_problem))
    with pytest.raises(ConnectSetupError, match="give tls=PLAIN"):
        async with asyncio.timeout(DEADLINE_S), client:
            pass
    assert _is_wiped(client)


async def test_one_address_that_may_still_answer_is_waited_for() -> None:
    async def diagnose(address: str, tls: object) -> str | None:
        return await (_problem if address.endswith(":1") else _none)(address, tls)

    async with ScriptedNode("node-0") as node:
        await node.stop()
        host, backoff = replace(SYSTEM_HOST, diagnose=diagnose), Backoff(base_s=0.01, cap_s=0.05)
        client = HermesClient(["127.0.0.1:1", node.address], tls=PLAIN, host=host, backoff=backoff)
        opening = asyncio.create_task(client.__aenter__())
        await asyncio.sleep(0.3)
        assert not opening.done()
        await node.start()
        await asyncio.wait_for(opening, DEADLINE_S)
        assert client.home == "node-0"
        await client.close()


async def test_a_problem_after_the_first_session_ends_nothing() -> None:
    """Files and certificates change hands while a client runs: they are read again each time."""
    asked = 0

    async def diagnose(_address: str, _tls: object) -> str | None:
        nonlocal asked
        asked += 1
        return "no"

    async with ScriptedNode("node-0") as node:
        host, backoff = replace(SYSTEM_HOST, diagnose=diagnose), Backoff(base_s=0.01, cap_s=0.05)
        async with HermesClient(node.address, tls=PLAIN, host=host, backoff=backoff) as client:
            await node.stop()
            await _until(lambda: not client.connected)
            await asyncio.sleep(0.3)
            await node.start()
            await client.wait_connected(DEADLINE_S)
    assert not asked


async def test_an_app_that_comes_back_waits_for_a_home_that_is_gone_no_longer_than_its_start_may_take() -> None:
    patience = HomePatience(60.0, SYSTEM_RANDOM)
    async with ScriptedNode("node-1") as node:
        kept = KeptHome(_NoStore(), 0, node_party(NodeId("node-0"), OWN_KEY.public_key), patience_s=0.2)
        driver = make_driver()
        open_chat(driver)
        driver.disconnect()
        book, backoff = AddressBook(node.address), Backoff(base_s=0.01, cap_s=0.05)
        keeper = HomeKeeper(driver, book, OWN_KEY, PLAIN, backoff, SYSTEM_HOST, patience, kept)
        running = asyncio.create_task(keeper.run())
        await asyncio.wait_for(keeper.changed.wait_for(lambda: keeper.session is not None), DEADLINE_S)
        assert keeper.home == "node-1"
        running.cancel()
        await asyncio.wait([running])


class _NoStore:
    async def keep_stamp(self, _stamp: int) -> None: ...
    async def keep_mark(self, *_marks: object) -> None: ...


@pytest.mark.parametrize("turns", range(1, 40, 3))
async def test_closing_at_any_moment_wipes_and_leaves_no_task(turns: int) -> None:
    before = asyncio.all_tasks()
    async with ScriptedNode("node-0") as node:
        client = _client(node)
        opening = asyncio.create_task(client.__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns % 2:
            opening.cancel()
        await client.close()
        await asyncio.gather(opening, return_exceptions=True)
        await client.close()
        assert _is_wiped(client)
        assert not [task for task in asyncio.all_tasks() - before if task.get_name().startswith("hermes-client")]


async def test_closing_goes_on_when_its_caller_is_cancelled() -> None:
    heard_all = asyncio.Event()

    async def script(link: Link) -> None:
        await link.hold()
        heard_all.set()

    async with ScriptedNode("node-0", script) as node:
        client = _client(node)
        await client.__aenter__()
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await asyncio.wait_for(heard_all.wait(), DEADLINE_S)
        await client.close()
        assert _is_wiped(client)


@pytest.mark.parametrize("place", ["end_chats", "finish"])
async def test_closing_raises_nothing_and_wipes_whatever_fails(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise OSError("no")

    async with ScriptedNode("node-0") as node:
        client = _client(node)
        await client.__aenter__()
        session = client._open_keeper.session
        monkeypatch.setattr(client.driver if place == "end_chats" else session, place, fail)
        await client.close()
        assert _is_wiped(client)
        with pytest.raises(ClientClosedError):
            _ = client.driver


async def test_a_look_up_whose_stream_ends_is_made_again_and_a_cancelled_one_is_forgotten() -> None:
    asked = 0

    async def script(link: Link) -> None:
        nonlocal asked
        while batch := await link.read():
            asked += len(batch)

    async with ScriptedNode("node-0", script) as node, _client(node) as client:
        looking = asyncio.create_task(client.find_app(OTHER))
        await _until(lambda: asked == 1)
        client.reconnect()
        await _until(lambda: asked == 2)
        assert not looking.done()
        session = client._open_keeper.session
        assert session is not None
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        assert not session._look_ups._waiting
        with pytest.raises(TimeoutError, match=r"not done in 0\.01 s"):
            await client.find_app(OTHER, 0.01)
        assert not session._look_ups._waiting
