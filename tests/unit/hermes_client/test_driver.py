"""The driver of an app's chats: what ends the session it was given."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from hermes_client import AppStore, StoreError
from hermes_client.driver import AppDriver
from hermes_client.host import SYSTEM_HOST
from hermes_core.endpoint.kept import KeptChanges
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import derive_app_id
from hermes_core.protocol.messages import Confirm, Offer, Sealed
from hermes_core.ratchet.header import POSITION_END
from tests.support.random_sources import SeededRandom
from tests.support.sessions import make_stream_keys
from tests.unit.hermes_client.test_containment import make_driver, open_chat
from tests.unit.hermes_core.endpoint.parts import HOME, HOME_KEYS, NOW, OWN_KEY, PEER_KEY, FarEnds


async def test_of_acknowledgements_in_any_order_the_highest_counts() -> None:
    driver = make_driver()
    chat, far = open_chat(driver)
    for seq in (1, 2, 3):
        driver.receive(far.seal(seq, b"x"))
    driver.received_batch()
    messages = [await anext(chat.messages()) for _ in range(3)]
    for message in (messages[2], messages[0]):
        message.ack()
    driver.flush_acknowledgements()
    assert driver._machine.chats[chat.chat_id].transfer.incoming.acked == 3
    driver.close()


class ClosedStore(AppStore):
    """Whoever commits comes too late."""

    async def commit(self, changes: KeptChanges) -> None:
        changes.wipe()
        raise StoreError("the store is not open")


async def test_a_driver_that_is_closed_asks_its_store_for_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    driver = AppDriver(OWN_KEY, AppParams(), replace(SYSTEM_HOST, random=SeededRandom("driver")), ClosedStore("unused", "x"))
    driver.connect(HOME.node_id, HOME.public_key, HOME_KEYS)
    chat = driver.start_chat(derive_app_id(PEER_KEY.public_key))
    offer = driver.outbound.popleft()
    assert isinstance(offer, Offer)
    driver.receive(FarEnds(chat.chat_id).answer(offer))
    driver.received_batch()
    driver.close()
    for _ in range(4):
        await asyncio.sleep(0)
    assert not caplog.records


async def test_a_position_ahead_ends_the_session() -> None:
    """Nothing that still comes on that stream can be opened; the next one begins anew."""
    driver = AppDriver(OWN_KEY, AppParams(), replace(SYSTEM_HOST, random=SeededRandom("driver"), wall=lambda: NOW))
    driver.connect(HOME.node_id, HOME.public_key, HOME_KEYS)
    chat = driver.start_chat(derive_app_id(PEER_KEY.public_key))
    far = FarEnds(chat.chat_id)
    offer = driver.outbound.popleft()
    assert isinstance(offer, Offer)
    driver.receive(far.answer(offer))
    driver.received_batch()
    confirm = driver.outbound.popleft()
    assert isinstance(confirm, Confirm)
    far.take(confirm)
    driver.receive(far.seal(1, b"x"))
    driver.received_batch()
    late = far.seal(2, b"y").frame
    driver.receive(Sealed(late[: POSITION_END - 8] + (9).to_bytes(8, "big") + late[POSITION_END:]))
    with pytest.raises(ProtocolError) as raised:
        driver.received_batch()
    assert (raised.value.code, raised.value.scope) == (ErrorCode.RATCHET_DESYNC, ErrorScope.STREAM)
    driver.disconnect()
    driver.connect(HOME.node_id, HOME.public_key, make_stream_keys(b"2" * 32, dialled=True))
    driver.received_batch()
    driver.close()
