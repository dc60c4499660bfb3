"""Nodes and apps as machines under one clock, streams that deliver at once: nodes are lost for good, apps come up elsewhere."""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from typing import Any

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import AppEvent, ChatOffered, MessageReceived
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.ids import ChatId, NodeId, node_party
from hermes_core.keystore.chat_record import Tombstone
from hermes_core.keystore.chat_record_codec import encode_chat_record, parse_chat_record
from hermes_core.relay.events import NodeEvent
from hermes_core.relay.neighbour import Neighbour, app_neighbour, node_neighbour
from hermes_core.relay.params import ChatParams
from hermes_core.relay.router import NodeChats
from tests.support.app_volume import AppVolume
from tests.support.cheap_kem import CheapKem
from tests.support.claims import make_claim, tell_apps
from tests.support.sessions import make_stream_keys

START_S = 1_700_000_000.0
MAX_DELIVERIES = 10_000


class MeshNode:
    """A node and what it has committed."""

    def __init__(self, name: str, params: ChatParams, now: float) -> None:
        self.name = name
        self.node_id = NodeId(name)
        self.identity = Identity.from_seed(SecretBytes.take(bytearray(hashlib.sha256(name.encode()).digest())))
        self.party = node_party(self.node_id, self.identity.public_key)
        self.params = params
        self.records: dict[ChatId, bytes] = {}
        self.tombstones: dict[ChatId, Tombstone] = {}
        self.events: list[NodeEvent] = []
        self.alive = True
        self.chats = self._start(now)

    def _start(self, now: float) -> NodeChats:
        chats = NodeChats(
            identity=self.identity, node_id=self.node_id, params=self.params, random=SYSTEM_RANDOM, kem=CheapKem()
        )
        chats.restore(map(parse_chat_record, self.records.values()), self.tombstones.values(), now)
        return chats

    def restart(self, now: float) -> None:
        self.alive, self.chats = True, self._start(now)


class MeshApp:
    """An app that takes every chat that is offered, and acknowledges every message. With a `volume` its chats outlive it."""

    def __init__(self, name: str, params: AppParams, volume: AppVolume | None = None) -> None:
        self.name = name
        self.volume = volume
        self._params = params
        self.identity = Identity.from_seed(SecretBytes.take(bytearray(hashlib.sha256(name.encode()).digest())))
        self.chats = self._make()
        self.app_id = self.chats.app_id
        self.events: list[AppEvent] = []

    def _make(self) -> AppChats:
        durable = self.volume is not None
        return AppChats(identity=self.identity, params=self._params, random=SYSTEM_RANDOM, kem=CheapKem(), durable=durable)

    def restart(self, now: float) -> None:
        """SIGKILL and a start with what was committed."""
        assert self.volume is not None
        self.chats = self._make()
        self.volume.restore_into(self.chats, now)

    def contents(self) -> list[bytes]:
        return [event.content for event in self.events if isinstance(event, MessageReceived)]


class MovingMesh:
    """`held`: (sender, type) of messages that are kept back, in `kept`."""

    dials_on_demand = False
    """Whether nodes have streams to others only while a chat needs one, as with SWIM; one that is idle ends as time passes."""

    def __init__(
        self, nodes: int, *, params: ChatParams | None = None, app_params: AppParams | None = None, durable: bool = False
    ) -> None:
        self.now = START_S
        self.params = params or ChatParams()
        self.nodes = {f"node-{index}": MeshNode(f"node-{index}", self.params, self.now) for index in range(nodes)}
        self.apps = {
            name: MeshApp(name, app_params or AppParams(), AppVolume() if durable else None) for name in ("alice", "bob")
        }
        self.homes: dict[str, str] = {}
        self._stamp = int(START_S * 1000)
        self.sinks: dict[int, tuple[str, str]] = {}
        self.queue: deque[tuple[str, str, Any]] = deque()
        self.seen: list[tuple[str, str, Any]] = []
        self.left: list[str] = []
        """Apps that should take another home, each time they said so."""
        self.lost: set[tuple[str, type]] = set()
        """(sender, type) of messages that get lost, whoever they are for."""
        self.apart: set[frozenset[str]] = set()
        """Pairs of nodes that do not reach each other."""
        self._numbers = itertools.count(1)
        self._wanted: dict[tuple[str, NodeId], None] = {}
        for node in self.nodes.values():
            self._begin(node)
        for left, right in itertools.combinations(self.nodes, 2):
            self._link_unless_on_demand(left, right)

    # streams

    def _neighbour(self, name: str) -> Neighbour:
        app = self.apps.get(name)
        return node_neighbour(self.nodes[name].node_id) if app is None else app_neighbour(app.app_id)

    def _begin(self, node: MeshNode) -> None:
        if self.dials_on_demand:
            node.chats.dial_on_demand(self.now)

    def _link_unless_on_demand(self, left: str, right: str) -> None:
        if not self.dials_on_demand:
            self.link(left, right)
        elif self._is_linked(left, right):
            self._cut(left, right)

    def _is_linked(self, left: str, right: str) -> bool:
        return any(set(ends) == {left, right} for ends in self.sinks.values())

    def reach(self, left: str, right: str) -> None:
        """A stream between two nodes stands, if it did not."""
        if {left, right} <= self.nodes.keys() and not self._is_linked(left, right):
            self.link(*sorted((left, right)))

    def _dial(self) -> bool:
        """What nodes want, and what their chats need, as far as it can be had."""
        needed = [(n.name, other) for n in self._living() for other in n.chats.list_needed_nodes()] * self.dials_on_demand
        asked, self._wanted = self._wanted, {}
        dialled = False
        for name, other in dict.fromkeys((*asked, *needed)):
            away = not self.nodes[other].alive or frozenset((name, other)) in self.apart
            if self._is_linked(name, other) or not self.nodes[name].alive:
                continue
            if not away:
                self.link(*sorted((name, str(other))))
                dialled = True
            elif (name, other) in asked:
                self.nodes[name].chats.unreachable(other, self.now)
                self._collect_node(self.nodes[name])
        return dialled or bool(self.queue)

    def _end_idle(self) -> None:
        for left, right in itertools.combinations(self.nodes, 2):
            ends = (self.nodes[left], self.nodes[right])
            if any(one.node_id in other.chats.list_needed_nodes() for one, other in (ends, ends[::-1])):
                continue
            if self._is_linked(left, right):
                self._cut(left, right)

    def _cut(self, left: str, right: str) -> None:
        self.queue = deque(item for item in self.queue if {item[0], item[1]} != {left, right})
        self.sinks = {stream: ends for stream, ends in self.sinks.items() if set(ends) != {left, right}}
        for name, other in ((left, right), (right, left)):
            self.nodes[name].chats.disconnected(self._neighbour(other), self.now)
            self._collect_node(self.nodes[name])

    def link(self, left: str, right: str) -> None:
        """A stream between two nodes; what was under way on the former one is gone."""
        binding = hashlib.sha256(f"{left} {right} {next(self._numbers)}".encode()).digest()
        self.queue = deque(item for item in self.queue if {item[0], item[1]} != {left, right})
        for dialled, (name, other) in enumerate(((right, left), (left, right))):
            node, stream = self.nodes[name], next(self._numbers)
            self.sinks[stream] = (name, other)
            keys = make_stream_keys(binding, dialled=bool(dialled))
            node.chats.connected(self._neighbour(other), stream, self.nodes[other].identity.public_key, keys, self.now)
            self._collect_node(node)

    def part(self, left: str, right: str) -> None:
        """Two nodes do not reach each other any more."""
        self.apart.add(frozenset((left, right)))
        self._cut(left, right)
        self.spread_directory()

    def heal(self, left: str, right: str) -> None:
        self.apart.discard(frozenset((left, right)))
        self._link_unless_on_demand(left, right)
        self.spread_directory()

    def connect(self, app_name: str, node_name: str, *, move: bool = False) -> None:
        """An app proves itself to a node; `move`: it takes its chats along."""
        self.disconnect(app_name)
        app, node, stream = self.apps[app_name], self.nodes[node_name], next(self._numbers)
        binding = hashlib.sha256(f"{app_name} {node_name} {stream}".encode()).digest()
        self.sinks[stream] = (node_name, app_name)
        self.homes[app_name] = node_name
        self._stamp = max(self._stamp + 1, int(self.now * 1000))
        claim = make_claim(app.identity, node.party, self._stamp)
        self.spread_directory()
        keys = make_stream_keys(binding, dialled=False)
        node.chats.connected(self._neighbour(app_name), stream, app.identity.public_key, keys, self.now, claim)
        self._collect_node(node)
        app.chats.connected(node.node_id, node.identity.public_key, make_stream_keys(binding, dialled=True), self.now)
        if move:
            app.chats.move(self.now)
        self._collect_app(app)

    def restart_app(self, app_name: str) -> None:
        """It is killed and comes back, without a stream."""
        self.disconnect(app_name, killed=True)
        self.apps[app_name].restart(self.now)

    def disconnect(self, app_name: str, *, killed: bool = False) -> None:
        home = self.homes.pop(app_name, None)
        if home is None:
            return
        self._forget(app_name)
        if not killed:
            self.apps[app_name].chats.disconnected(self.now)
            self._collect_app(self.apps[app_name])
        if self.nodes[home].alive:
            self.nodes[home].chats.disconnected(self._neighbour(app_name), self.now)
            self._collect_node(self.nodes[home])
        self.spread_directory()

    def _forget(self, name: str) -> None:
        self.queue = deque(item for item in self.queue if name not in item[:2])
        self.sinks = {stream: ends for stream, ends in self.sinks.items() if name not in ends}

    def kill(self, name: str) -> None:
        """A node is gone; everybody notices."""
        self.nodes[name].alive = False
        for app_name in [app for app, home in self.homes.items() if home == name]:
            self.disconnect(app_name)
        self._forget(name)
        for node in self._living():
            node.chats.disconnected(self._neighbour(name), self.now)
            self._collect_node(node)

    def restart(self, name: str) -> None:
        """It is back with what it had committed."""
        self.nodes[name].restart(self.now)
        self._begin(self.nodes[name])
        for other in self._living():
            if other.name != name:
                self._link_unless_on_demand(*sorted((name, other.name)))
        self.spread_directory()

    def _living(self) -> list[MeshNode]:
        return [node for node in self.nodes.values() if node.alive]

    def spread_directory(self) -> None:
        self._stamp = max(self._stamp + 1, int(self.now * 1000))  # sessions are made anew before their claims are too old
        for node in self._living():
            for other in self.nodes.values():
                if other is not node and frozenset((other.name, node.name)) not in self.apart:
                    apps = [self.apps[app].identity for app, home in self.homes.items() if home == other.name]
                    tell_apps(node.chats, other.party, apps, self._stamp, self.now)
                elif other is not node:
                    node.chats.lose_node(NodeId(other.name))
            self._collect_node(node)

    # what flows

    def _collect_node(self, node: MeshNode) -> None:
        output = node.chats.take_output()
        while output.look_ups:  # what is to be found was told by `spread_directory`
            for app_id in output.look_ups:
                node.chats.end_look_up(app_id, self.now, complete=True)
            more = node.chats.take_output()
            output.look_ups = more.look_ups
            output.actions += more.actions
            output.events += more.events
            output.puts |= more.puts
        for chat_id, record in output.puts.items():
            node.records[chat_id] = bytes(encode_chat_record(record))
            record.wipe()
        for chat_id in output.deletes:
            node.records.pop(chat_id, None)
        for chat_id in output.tombstone_deletes:
            node.tombstones.pop(chat_id, None)
        node.tombstones.update(output.tombstone_puts)
        node.events += output.events
        if self.dials_on_demand:
            self._wanted.update(dict.fromkeys((node.name, other) for other in output.wants))
        for send in output.sends:
            if send.stream in self.sinks:
                self._put(*self.sinks[send.stream], send.message)

    def _collect_app(self, app: MeshApp) -> None:
        output = app.chats.take_output()
        if app.volume is not None:
            app.volume.commit(output.changes)
        app.events += output.events
        assert output.hang_up is None, f"nobody touches the streams here: {output.hang_up}"
        self.left += [app.name] * output.leave_home
        for event in output.events:
            if isinstance(event, ChatOffered):
                app.chats.accept(event.chat_id, self.now)
            elif isinstance(event, MessageReceived):
                app.chats.acknowledge(event.chat_id, event.seq, self.now)
        if app.name in self.homes:
            for message in output.sends:
                self._put(app.name, self.homes[app.name], message)
        if any(isinstance(event, ChatOffered | MessageReceived) for event in output.events):
            self._collect_app(app)

    def _put(self, sender: str, receiver: str, message: Any) -> None:
        self.seen.append((sender, receiver, message))
        if (sender, type(message)) not in self.lost:
            self.queue.append((sender, receiver, message))

    def settle(self) -> None:
        """Deliver until nothing is under way and no timer is due."""
        for _ in range(MAX_DELIVERIES):
            if self.queue:
                self.deliver()
            elif not self._dial() and not self._fire():
                return
        raise AssertionError("it never comes to rest")

    def deliver(self) -> None:
        sender, receiver, message = self.queue.popleft()
        if receiver in self.apps:
            self.apps[receiver].chats.receive(message, self.now)
            self._collect_app(self.apps[receiver])
        else:
            self.nodes[receiver].chats.receive(self._neighbour(sender), message, self.now)
            self._collect_node(self.nodes[receiver])

    def _fire(self) -> bool:
        fired = False
        for node in self._living():
            due = node.chats.next_timer()
            if due is not None and due <= self.now:
                node.chats.handle_timer(self.now)
                self._collect_node(node)
                fired = True
        for app in self.apps.values():
            due = app.chats.next_timer()
            if due is not None and due <= self.now:
                app.chats.handle_timer(self.now)
                self._collect_app(app)
                fired = True
        return fired

    def advance(self, seconds: float) -> None:
        self.now += seconds
        if self.dials_on_demand:
            self._end_idle()
        self.settle()

    # what the apps do

    def start_chat(self) -> ChatId:
        """Alice opens a chat with Bob, and both are there."""
        alice, bob = self.apps["alice"], self.apps["bob"]
        chat_id = alice.chats.start_chat(bob.app_id, self.now)
        self._collect_app(alice)
        self.settle()
        return chat_id

    def say(self, name: str, chat_id: ChatId, *contents: bytes) -> None:
        for content in contents:
            self.apps[name].chats.send(chat_id, content, self.now)
            self._collect_app(self.apps[name])

    def do(self, name: str, act: Any) -> None:
        """Ask something of an app's machine."""
        act(self.apps[name].chats)
        self._collect_app(self.apps[name])

    def messages(self, kind: type, sender: str | None = None) -> list[Any]:
        """Everything of this type that was ever sent."""
        return [message for by, _, message in self.seen if isinstance(message, kind) and sender in (None, by)]
