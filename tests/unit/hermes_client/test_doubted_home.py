"""A home that does not take a chat in is left at once, not after the patience; what was thought of it holds for nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import pytest

from hermes_client import PLAIN, Backoff
from hermes_client.addresses import AddressBook
from hermes_client.driver import AppDriver
from hermes_client.host import SYSTEM_HOST
from hermes_client.keeper import HomeKeeper, KeptHome
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.patience import HomePatience
from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.protocol.messages import ErrorNotice, MoveOffer
from tests.support.random_sources import SeededRandom
from tests.unit.hermes_client.scripted_node import Link, ScriptedNode
from tests.unit.hermes_client.test_client_connection import _until
from tests.unit.hermes_client.test_containment import open_chat
from tests.unit.hermes_core.endpoint.parts import HOME, HOME_KEYS, OWN_KEY

PATIENCE_S = 600.0
"""Of the app; nobody here waits for so long."""
UNANSWERED_S = 0.5
CAP_S = 0.1

Answer = Callable[[Link, MoveOffer], Awaitable[None]]


def refuse_with(code: ErrorCode) -> Answer:
    async def refuse(link: Link, offer: MoveOffer) -> None:
        await link.write(ErrorNotice(code, ErrorScope.CHAT, offer.chat_id, "", 0))

    return refuse


async def say_nothing(_link: Link, _offer: MoveOffer) -> None: ...


class NewHome(ScriptedNode):
    """Says what it says to every chat that moves there, and counts how often it was asked."""

    def __init__(self, node_id: str, answer: Answer) -> None:
        super().__init__(node_id, self._hear)
        self._answer = answer
        self.asked = 0

    async def _hear(self, link: Link) -> None:
        while batch := await link.read():
            for offer in (item for item in batch if isinstance(item, MoveOffer)):
                self.asked += 1
                await self._answer(link, offer)


class _NoStore:
    async def keep_stamp(self, _stamp: int) -> None: ...
    async def keep_mark(self, *_marks: object) -> None: ...


@dataclass
class _App:
    keeper: HomeKeeper
    backoff: Backoff


@asynccontextmanager
async def app_whose_home_is_gone(*nodes: ScriptedNode) -> AsyncIterator[_App]:
    """It has a chat, and goes to these nodes, the first one first."""
    params = AppParams(handshake_timeout_s=UNANSWERED_S, home_patience_s=PATIENCE_S)
    driver = AppDriver(OWN_KEY, params, replace(SYSTEM_HOST, random=SeededRandom("driver")))
    driver.connect(HOME.node_id, HOME.public_key, HOME_KEYS)
    open_chat(driver)
    driver.disconnect()
    kept = KeptHome(_NoStore(), 0, HOME.party, patience_s=0.1)
    book, backoff = AddressBook([node.address for node in nodes]), Backoff(base_s=0.001, cap_s=CAP_S)
    patience = HomePatience(PATIENCE_S, SYSTEM_RANDOM)
    keeper = HomeKeeper(driver, book, OWN_KEY, PLAIN, backoff, SYSTEM_HOST, patience, kept)
    running = asyncio.create_task(keeper.run())
    try:
        yield _App(keeper, backoff)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


UNWILLING = {
    "DRAINING": refuse_with(ErrorCode.DRAINING),
    "UNSUPPORTED": refuse_with(ErrorCode.UNSUPPORTED),
    "unanswered": say_nothing,
}


@pytest.mark.parametrize("answer", UNWILLING.values(), ids=UNWILLING)
async def test_who_does_not_take_a_chat_in_is_left_at_once_for_another_node(answer: Answer) -> None:
    async with (
        NewHome("node-1", answer) as unwilling,
        NewHome("node-2", refuse_with(ErrorCode.CHAT_EXISTS)) as other,
        app_whose_home_is_gone(unwilling, other) as app,
    ):
        await _until(lambda: app.keeper.home == other.node_id and app.keeper.session is not None and other.asked > 0)
        assert (unwilling.connects, other.connects) == (1, 1)
        session = app.keeper.session
        await asyncio.sleep(2 * CAP_S)
        assert app.keeper.session is session, "what was thought of one home ends no session with the next"
        assert session is not None
        session.cut()
        await _until(lambda: other.connects == 2)
        assert unwilling.connects == 1, "and its patience is that of any home"


async def test_a_home_that_has_no_room_now_is_kept() -> None:
    async with (
        NewHome("node-1", refuse_with(ErrorCode.LIMIT_EXCEEDED)) as full,
        NewHome("node-2", say_nothing) as other,
        app_whose_home_is_gone(full, other),
    ):
        await _until(lambda: full.asked > 0)
        await asyncio.sleep(2 * CAP_S)
        assert (full.connects, other.connects) == (1, 0)


async def test_where_there_is_no_other_node_the_same_one_is_asked_again_and_ever_more_rarely() -> None:
    async with NewHome("node-1", UNWILLING["DRAINING"]) as only, app_whose_home_is_gone(only) as app:
        await _until(lambda: only.asked >= 4)
        assert app.keeper.home == only.node_id
        assert app.backoff.attempts >= 3, "a session that ends at once is a failure like others"
