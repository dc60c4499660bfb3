"""No key and nonce for two plaintexts: a node goes back to an old store, once or twice, and nobody tells it.

The ledger of keys and nonces is that of the model: it speaks up when the frame is sealed, whether it ever leaves or not.
"""

from __future__ import annotations

import pytest

from hermes_core.ids import ChatId
from hermes_core.protocol.messages import Sealed
from hermes_core.ratchet.params import ChannelParams
from hermes_core.relay.params import ChatParams
from tests.model.honest import HonestWorld
from tests.model.parties import NodeParty
from tests.model.seals import watch_seals


def send_into_the_void(world: HonestWorld, chat_id: ChatId, count: int) -> None:
    """Messages of app-0 go all the way but for the last stream, whose frames are on the wire and reach nobody."""
    last = world.stream(world.m.name, "app-1")
    for _ in range(count):
        world.send(world.a, chat_id, size=40)
    while True:
        queues = [(stream, end) for stream, end in world.queues() if (stream, end) != (last, "app-1")]
        if not queues:
            break
        world.deliver(*queues[0])
    assert any(isinstance(message, Sealed) for message in last.inbox["app-1"])


def roll_back(world: HonestWorld, node: NodeParty, image: int) -> None:
    world.kill(node)
    node.store = node.history[image].copy()
    world.ledger.forget_positions(node.name)
    world.revive(node)


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("window", [1, 4, 256])
@pytest.mark.parametrize("times", [1, 2])
def test_a_node_that_is_rolled_back_unnoticed_uses_no_nonce_again(nodes: int, window: int, times: int) -> None:
    crypto = ChannelParams(window=window)
    world = HonestWorld(nodes=nodes, params=ChatParams(channel=crypto))
    with watch_seals(world.ledger):
        chat_id = world.open_chat()
        world.send(world.b, chat_id)
        world.run()
        world.rekey(world.a, chat_id)
        world.run()
        image = len(world.m.history) - 1  # of before the direction was first used in its epoch
        for _ in range(times):
            send_into_the_void(world, chat_id, window + 6 if window < 16 else 6)
            roll_back(world, world.m, image)
            world.pass_time(30.0)
        keys = [key[1] for key in world.ledger._keys if key[0] == world.m.name]
        assert keys, "the ledger saw what the node sealed"
        if chat_id in world.a.machine.chats:
            world.send(world.a, chat_id)
            world.pass_time(120.0)


def test_every_stream_has_nonces_of_its_own() -> None:
    """The two directions differ, the two ends agree, and a new stream has others."""
    world = HonestWorld(nodes=2)
    chat_id = world.open_chat()
    seen: set[bytes] = set()
    for _ in range(3):
        world.cut("app-0", "node-0")
        world.cut("node-0", "node-1")
        world.reconnect()
        home = world.a.machine.chats[chat_id].hop._home
        to_app, to_node = (world.chat_of(world.n, chat_id).hops[index].neighbour for index in (0, 1))
        link, near = world.n.running._links[to_app], world.n.running._links[to_node]
        far = world.m.running._links[world.neighbour("node-0")]
        assert (home.send_nonce, home.receive_nonce) == (link.receive_nonce, link.send_nonce)
        assert (near.send_nonce, near.receive_nonce) == (far.receive_nonce, far.send_nonce)
        nonces = {home.send_nonce, home.receive_nonce, near.send_nonce, near.receive_nonce}
        assert len(nonces) == 4
        assert not nonces & seen
        assert {len(nonce) for nonce in nonces} == {12}
        seen |= nonces
    world.send(world.a, chat_id)
    world.run()
    assert world.ledger.chats[chat_id].received == {"app-1": 1}
