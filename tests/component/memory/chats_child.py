"""A child process that runs chats and ends them in one way; its parent scans its memory afterwards.

Usage: chats_child.py PATH wipe|no-wipe. Every secret that was derived is printed in hex (another byte pattern than the secret
itself), then "READY" while the chats live, then, after a line on standard input, "ENDED" when they are over.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

from hermes_core.crypto import hkdf, mlkem, secret, x25519
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatOffered, MessageReceived
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.errors import ErrorCode
from hermes_core.ids import ChatId, NodeId, node_party
from hermes_core.protocol.messages import CloseReason
from hermes_core.ratchet.chain import Chain
from hermes_core.ratchet.params import ChannelParams
from hermes_core.relay.neighbour import app_neighbour, node_neighbour
from hermes_core.relay.params import ChatParams
from hermes_core.relay.router import NodeChats
from tests.support.claims import tell_apps
from tests.support.sessions import make_stream_keys

CHANNEL = ChannelParams(window=4)
NODE_PARAMS = ChatParams(channel=CHANNEL, idle_timeout_s=1000, max_key_lifetime_s=500, rekey_grace_s=10, handshake_timeout_s=30)
APP_PARAMS = AppParams(leg=CHANNEL, end_to_end=CHANNEL, handshake_timeout_s=30)
SEEN: set[str] = set()


def watch_derivations() -> None:
    """Record, in hex, what every derivation gives: prk, epoch keys, shared secrets, chain and message keys."""

    def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            SEEN.add(result.buffer.hex())
            return result

        return wrapper

    hkdf.extract = recorded(hkdf.extract)
    hkdf.expand = recorded(hkdf.expand)
    x25519.EphemeralKey.exchange = recorded(x25519.EphemeralKey.exchange)  # type: ignore[method-assign]
    mlkem._own = recorded(mlkem._own)
    derive_rows = Chain._derive_rows

    def derive_and_record(chain: Chain, end: int) -> None:
        derive_rows(chain, end)
        assert chain._rows is not None
        text = chain._rows.hex()
        SEEN.update(text[start : start + 64] for start in range(0, len(text), 64))

    Chain._derive_rows = derive_and_record  # type: ignore[method-assign, assignment]


APP_STREAM, NODE_STREAM = 1, 2
"""Each node has one stream to its app and one to the other node."""


class World:
    """Two apps, each at home on its own node, and the links between them; everything arrives at once and in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self.node_ids = (NodeId("node-0"), NodeId("node-1"))
        self.node_identities = [Identity.generate() for _ in self.node_ids]
        self.nodes = [
            NodeChats(identity=identity, node_id=node_id, params=NODE_PARAMS, random=SYSTEM_RANDOM)
            for identity, node_id in zip(self.node_identities, self.node_ids, strict=True)
        ]
        self.app_identities = [Identity.generate() for _ in self.node_ids]
        self.apps = [AppChats(identity=identity, params=APP_PARAMS, random=SYSTEM_RANDOM) for identity in self.app_identities]
        self.accept = True
        self.received: list[bytes] = []
        for index in range(2):
            peer_key = self.node_identities[1 - index].public_key
            there = node_party(self.node_ids[1 - index], peer_key)
            tell_apps(self.nodes[index], there, [self.app_identities[1 - index]], 1, 0.0)
            between = make_stream_keys(b"p" * 32, dialled=index == 0)
            self.nodes[index].connected(node_neighbour(self.node_ids[1 - index]), NODE_STREAM, peer_key, between, self.now)
            binding = bytes([index]) * 32
            self.connect_app(index, binding)
            keys = make_stream_keys(binding, dialled=True)
            self.apps[index].connected(self.node_ids[index], self.node_identities[index].public_key, keys, self.now)
        self.settle()

    def connect_app(self, index: int, binding: bytes) -> None:
        app, key = self.apps[index], self.app_identities[index].public_key
        self.nodes[index].connected(
            app_neighbour(app.app_id), APP_STREAM, key, make_stream_keys(binding, dialled=False), self.now
        )

    def settle(self) -> None:
        """Deliver until everybody is silent."""
        moved = True
        while moved:
            moved = False
            for index in range(2):
                moved |= self._deliver_app(index) | self._deliver_node(index)

    def _deliver_app(self, index: int) -> bool:
        app = self.apps[index]
        output = app.take_output()
        for message in output.sends:
            self.nodes[index].receive(app_neighbour(app.app_id), message, self.now)
        for event in output.events:
            if isinstance(event, ChatOffered) and self.accept:
                app.accept(event.chat_id, self.now)
            elif isinstance(event, ChatOffered):
                app.reject(event.chat_id, ErrorCode.TARGET_OFFLINE, self.now)
            elif isinstance(event, MessageReceived):
                self.received.append(event.content)
                app.acknowledge(event.chat_id, event.seq, self.now)
        return bool(output.sends or output.events)

    def _deliver_node(self, index: int) -> bool:
        output = self.nodes[index].take_output()
        for record in output.puts.values():
            record.wipe()  # what whoever seals it does
        for send in output.sends:
            if send.stream == APP_STREAM:
                self.apps[index].receive(send.message, self.now)  # type: ignore[arg-type]
            else:
                self.nodes[1 - index].receive(node_neighbour(self.node_ids[index]), send.message, self.now)  # type: ignore[arg-type]
        return bool(output.sends)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for app, node in zip(self.apps, self.nodes, strict=True):
            app.handle_timer(self.now)
            node.handle_timer(self.now)
        self.settle()

    def talk(self, chat_id: ChatId, rounds: int) -> None:
        for number in range(rounds):
            for app in self.apps:
                app.send(chat_id, b"message %d" % number, self.now)
            self.settle()


def end_by_delete(world: World, chat_id: ChatId) -> None:
    world.apps[0].delete(chat_id, world.now)


def end_by_idle_expiry(world: World, chat_id: ChatId) -> None:
    del chat_id
    for _ in range(3):
        world.advance(1001)


def end_by_key_lifetime(world: World, chat_id: ChatId) -> None:
    """The apps are gone and cannot rekey: past lifetime and grace the nodes fail closed, and the apps hear of it."""
    del chat_id
    for index in range(2):
        world.nodes[index].disconnected(app_neighbour(world.apps[index].app_id), world.now)
        world.apps[index].disconnected(world.now)
    for _ in range(8):
        world.advance(200)
    reconnect(world)


def end_by_shutdown(world: World, chat_id: ChatId) -> None:
    """The nodes give the chat up; its apps could take it elsewhere, and end as well."""
    for node in world.nodes:
        node.drain(world.now)  # or its apps would be back at once
        node.close_all(CloseReason.NODE_SHUTDOWN, world.now)
    world.settle()
    assert not any(node.live_chats() for node in world.nodes)
    for app in world.apps:
        app.end_all(world.now)
    del chat_id


def reconnect(world: World) -> None:
    for index in range(2):
        binding = bytes([16 + index]) * 32
        app = world.apps[index]
        world.connect_app(index, binding)
        app.connected(
            world.node_ids[index], world.node_identities[index].public_key, make_stream_keys(binding, dialled=True), world.now
        )
    world.settle()


PATHS: dict[str, Callable[[World, ChatId], None]] = {
    "delete": end_by_delete,
    "idle-expiry": end_by_idle_expiry,
    "key-lifetime": end_by_key_lifetime,
    "shutdown": end_by_shutdown,
}


def report(word: str) -> None:
    """Print what was derived so far, then `word`, and wait for the parent's line."""
    print("\n".join(sorted(SEEN)))
    print(word, flush=True)
    sys.stdin.readline()


def main(path: str, wiping: str) -> None:
    secret._wiping_enabled = wiping == "wipe"
    watch_derivations()
    world = World()
    world.accept = path != "reject"
    chat_id = world.apps[0].start_chat(world.apps[1].app_id, world.now)
    world.settle()
    if path == "reject":
        report("READY")
    else:
        world.talk(chat_id, 6)
        world.apps[1].rekey(chat_id, world.now)  # so that an old epoch has to go as well
        world.settle()
        world.talk(chat_id, 6)
        assert len(world.received) == 24, world.received
        report("READY")
        PATHS[path](world, chat_id)
        world.settle()
    assert not any(app.chats for app in world.apps), "an app still has a chat"
    assert not any(node.live_chats() for node in world.nodes), "a node still has a chat"
    gc.collect()
    report("ENDED")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
