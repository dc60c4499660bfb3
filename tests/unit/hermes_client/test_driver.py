"""The driver of an app's chats: what ends the session it was given."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_client.driver import AppDriver
from hermes_client.host import SYSTEM_HOST
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import derive_app_id
from hermes_core.protocol.messages import Confirm, Offer, Sealed
from hermes_core.ratchet.header import POSITION_END
from tests.support.random_sources import SeededRandom
from tests.support.sessions import make_stream_keys
from tests.unit.hermes_core.endpoint.parts import HOME, HOME_KEYS, NOW, OWN_KEY, PEER_KEY, FarEnds


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
