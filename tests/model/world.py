"""Apps, nodes, streams and a clock in one process; every step is one input to one machine, followed by the checks."""

from __future__ import annotations

import itertools
import random

from hermes_core.crypto.random import RandomSource
from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import ChatId
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.relay.neighbour import Neighbour, app_neighbour, node_neighbour
from hermes_core.relay.params import ChatParams
from hermes_core.relay.session import VAIN_BURST
from tests.model.adversary import Adversary
from tests.model.ledger import Ledger, require
from tests.model.parties import AppParty, NodeParty, new_ledger
from tests.model.streams import EndOfStream, Stream
from tests.support.app_volume import AppVolume

START = 1_700_000_000.0
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
YEAR_S = 365 * DAY_S
SHIFTS_S: tuple[float, ...] = (0.0, 0.0, -HOUR_S, HOUR_S, 6.9 * DAY_S, 31 * DAY_S, -20 * YEAR_S)
CRASHES: tuple[int, ...] = (0, 0, 0, 1, 5)
"""How often a node with a wrong clock dies right after its start, and comes back with the same."""


class World:
    """App 0 is at home at node 0, app 1 at the last node. `entropy` feeds the machines, `rng` the accidents.

    `moving`: apps take their chats along to whichever node they come up at, and nodes are lost for good.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        nodes: int,
        params: ChatParams,
        app_params: AppParams,
        entropy: RandomSource,
        forging: bool = False,
        proven: bool = False,
        clocks: random.Random | None = None,
        durable_apps: bool = False,
        moving: bool = False,
    ) -> None:
        self.rng = rng
        self.clocks = clocks or random.Random("clocks that are right")
        self.clock_shifts_s = (0.0,) if clocks is None else SHIFTS_S
        self.now = START
        self.ledger = Ledger()
        self.adversary = Adversary(rng, forging=forging)
        self.nodes = {
            name: NodeParty(name, rng.randbytes(32), params, self.ledger, entropy, lambda: self.now)
            for name in [f"node-{index}" for index in range(nodes)]
        }
        homes = list(self.nodes)
        self.apps = {
            name: AppParty(
                name, rng.randbytes(32), home, app_params, self.ledger, entropy, AppVolume() if durable_apps else None
            )
            for name, home in (("app-0", homes[0]), ("app-1", homes[-1]))
        }
        self.proven = proven
        """Streams have a session's tags."""
        self.streams: list[Stream] = []
        self.moving = moving
        self.lost = 0
        """Nodes that were lost with all they had, tombstones included."""
        self._stream_count = 0
        self.hang_ups = 0
        self.in_vain = 0
        self.group_commit = 0.3  # how likely a node's output waits for more inputs

    # streams

    def queues(self) -> list[tuple[Stream, str]]:
        """Every end that has something to read."""
        return [
            (stream, end) for stream in self.streams for end in stream.ends if end in stream.open_ends and stream.inbox[end]
        ]

    def connect_app(self, app: AppParty) -> None:
        node = self.nodes[app.home]
        if app.stream is not None or node.machine is None:
            return
        self._detach(node.name, app.name)
        stream = self._new_stream(app.name, node.name)
        self.streams.append(stream)
        node.streams[app.name] = stream
        now = self.time_of(node)
        app.connects += 1
        node.connected(app_neighbour(app.app_id), stream, app.identity.public_key, now, app=app)
        self.settle_node(node)
        app.stream = stream
        app.machine.connected(node.node_id, node.identity.public_key, stream.keys_of(app.name), self.now)
        if self.moving:
            app.machine.move(self.now)
        app.collect()
        self.spread_directory()

    def connect_nodes(self) -> None:
        for left, right in itertools.combinations(self.nodes.values(), 2):
            self._connect_pair(left, right)

    def _connect_pair(self, left: NodeParty, right: NodeParty) -> None:
        if left.machine is None or right.machine is None:
            return
        if right.name in left.streams and left.name in right.streams:
            return
        self._detach(left.name, right.name)
        self._detach(right.name, left.name)
        stream = self._new_stream(left.name, right.name)
        self.streams.append(stream)
        for node, peer in ((left, right), (right, left)):
            node.streams[peer.name] = stream
            node.connected(node_neighbour(peer.node_id), stream, peer.identity.public_key, self.time_of(node))
            self.settle_node(node)

    def _new_stream(self, left: str, right: str) -> Stream:
        self._stream_count += 1
        return Stream(left, right, self.rng.randbytes(32), self._stream_count, proven=self.proven)

    def neighbour(self, name: str) -> Neighbour:
        """How nodes know the party of this name."""
        app = self.apps.get(name)
        return node_neighbour(self.nodes[name].node_id) if app is None else app_neighbour(app.app_id)

    def _detach(self, end: str, other: str) -> None:
        """A new stream replaces one that this end still thinks is open; it reads nothing more of the old one."""
        for stream in self.streams:
            if set(stream.ends) == {end, other} and end in stream.open_ends:
                stream.break_off(None)
                stream.open_ends.discard(end)
        self._drop_closed()

    def _drop_closed(self) -> None:
        self.streams = [stream for stream in self.streams if stream.open_ends]

    def break_stream(self, stream: Stream) -> None:
        stream.break_off(self.rng)

    def spread_directory(self) -> None:
        for node in self.nodes.values():
            for other in self.nodes.values():
                if other is not node:
                    at_home = [app for app in self.apps.values() if app.home == other.name and app.name in other.streams]
                    node.directory[other] = at_home
            if node.machine is not None:
                node.hear_directory()
                if self.moving:
                    self.settle_node(node)

    # steps

    def deliver(self, stream: Stream, end: str) -> None:
        """The next message of one end."""
        item = stream.inbox[end][0]
        if not isinstance(item, EndOfStream):
            self.adversary.watch(item)
        try:
            message = stream.take(end)
        except ProtocolError:
            self._hang_up(stream, end)
            return
        if isinstance(message, EndOfStream):
            self._notice_end(stream, end)
            return
        sender = stream.peer_of(end)
        if end in self.apps:
            app = self.apps[end]
            app.machine.receive(message, self.now)
            if app.collect() is not None:
                self._hang_up(stream, end)
            return
        node = self.nodes[end]
        node.running.receive(self.neighbour(sender), message, self.time_of(node))
        taken = node.running.effects.take_charges()
        charges = [charge.error for charge in taken if not charge.in_vain]
        self.in_vain += len(taken) - len(charges)  # of what took longer than LATE_S to arrive, say
        require(self.in_vain <= VAIN_BURST or self.adversary.acted, f"{self.in_vain} frames of honest parties were charged")
        require(
            not charges or self.adversary.acted, f"{end} charged {sender} with {charges}, and nobody had touched the stream"
        )
        if any(error.scope is ErrorScope.STREAM for error in charges):
            self._hang_up(stream, end)
        self.settle_node(node)

    def _hang_up(self, stream: Stream, end: str) -> None:
        """A position was missing: frames were lost or changed on the way, or a defect lost them."""
        require(self.adversary.acted, f"{end} missed a position, and nobody had touched the stream")
        self.hang_ups += 1
        stream.hang_up(end, self.rng)

    def _notice_end(self, stream: Stream, end: str) -> None:
        stream.open_ends.discard(end)
        self._drop_closed()
        other = stream.peer_of(end)
        if end in self.apps:
            app = self.apps[end]
            if app.stream is stream:
                app.stream = None
                app.machine.disconnected(self.now)
                app.collect()
            return
        node = self.nodes[end]
        if node.streams.get(other) is not stream:
            return
        del node.streams[other]
        node.running.disconnected(self.neighbour(other), self.time_of(node))
        self.settle_node(node)
        self.spread_directory()

    def settle_node(self, node: NodeParty) -> None:
        """Commit and send now, or let the output wait for more inputs."""
        if self.rng.random() >= self.group_commit:
            node.flush()

    def start_chat(self, app: AppParty) -> ChatId | None:
        other = next(peer for peer in self.apps.values() if peer is not app)
        try:
            chat_id = app.machine.start_chat(other.app_id, self.now)
        except ProtocolError:
            return None
        new_ledger(self.ledger, chat_id, app.name, other.name)
        self.adversary.watch_chat(chat_id)
        app.collect()
        return chat_id

    def send(self, app: AppParty, chat_id: ChatId, size: int = 0) -> None:
        sent = self.ledger.chats[chat_id].sent.setdefault(app.name, [])
        content = f"{chat_id.hex()[:8]} {app.name} {len(sent) + 1} ".encode() + bytes(size)
        try:
            seq = app.machine.send(chat_id, content, self.now)
        except ProtocolError as error:
            require(error.code in {ErrorCode.BACKPRESSURE, ErrorCode.CHAT_NOT_READY}, f"send failed with {error}")
            return
        self.ledger.record_sent(app.name, chat_id, seq, content)
        app.collect()

    def take(self, app: AppParty, chat_id: ChatId, seq: int) -> None:
        """The app has taken what it got up to `seq`."""
        chat = self.ledger.chats[chat_id]
        chat.taken[app.name] = max(chat.taken.get(app.name, 0), seq)
        app.machine.acknowledge(chat_id, seq, self.now)
        app.collect()

    def decide(self, app: AppParty, *, accept: bool) -> None:
        chat_id = app.offers.pop(0)
        if accept:
            app.machine.accept(chat_id, self.now)
        else:
            app.machine.reject(chat_id, ErrorCode.LIMIT_EXCEEDED, self.now)
        app.collect()

    def rekey(self, app: AppParty, chat_id: ChatId) -> None:
        try:
            app.machine.rekey(chat_id, self.now)
        except ProtocolError as error:
            require(error.code is ErrorCode.CHAT_NOT_READY, f"rekey failed with {error}")
        app.collect()

    def delete(self, app: AppParty, chat_id: ChatId) -> None:
        app.machine.delete(chat_id, self.now)
        app.collect()

    def crash_app(self, app: AppParty) -> None:
        self._cut_app(app)
        if app.volume is None:
            app.crash()
        else:
            app.restart(self.now)

    def crash_node(self, node: NodeParty) -> None:
        """At any point: before the commit, after it, between two sends."""
        if node.machine is None:
            return
        match self.rng.randrange(3):
            case 0:
                node.send_ahead()
            case 1:
                node.flush(sends=0)
            case _:
                node.flush(sends=self.rng.randrange(4))
        for stream in self.streams:
            if node.name in stream.ends and node.name in stream.open_ends:
                stream.break_off(self.rng)
                stream.open_ends.discard(node.name)
        self._drop_closed()
        node.crash()
        self.spread_directory()

    def move_app(self, app: AppParty, home: str) -> None:
        """It comes up at another node, and takes its chats along."""
        self._cut_app(app)
        if app.stream is not None:
            app.stream = None
            app.machine.disconnected(self.now)
            app.collect()
        app.home = home
        self.connect_app(app)
        self.spread_directory()

    def _cut_app(self, app: AppParty) -> None:
        for stream in self.streams:
            if app.name in stream.ends and app.name in stream.open_ends:
                stream.break_off(self.rng)
                stream.open_ends.discard(app.name)
        self._drop_closed()

    def lose_node(self, node: NodeParty) -> None:
        """With its volume: whoever comes up under its name has another key and knows nothing."""
        self.crash_node(node)
        self.lost += 1
        node.replace(self.rng.randbytes(32))

    def lie(self) -> None:
        """A node says, as itself, what some app once signed, as it was or changed."""
        streams = [stream for stream in self.streams if not stream.broken and set(stream.ends) <= self.nodes.keys()]
        if streams:
            stream = self.rng.choice(streams)
            message = self.adversary.recall_move()
            if message is not None:
                self.adversary.acted = True
                stream.put(self.rng.choice(stream.ends), message)

    def restart_node(self, node: NodeParty) -> None:
        if node.machine is None:
            wall_s = self._wrong_clock()
            for _ in range(0 if wall_s is None else self.clocks.choice(CRASHES)):
                self._start_in_vain(node, wall_s)
            node.start(self.now, wall_s=wall_s)

    def _start_in_vain(self, node: NodeParty, wall_s: float | None) -> None:
        """It lives long enough to end what is over."""
        node.start(self.now, wall_s=wall_s).handle_timer(self.time_of(node))
        node.flush()
        node.crash()

    def _wrong_clock(self) -> float | None:
        """Between two runs a clock may jump, by an hour or by years; None: it did not."""
        shift_s = self.clocks.choice(self.clock_shifts_s)
        return self.now + shift_s if shift_s else None

    def time_of(self, node: NodeParty) -> float:
        """What a node takes the time to be."""
        return self.now + node.ahead_s

    def roll_back_node(self, node: NodeParty) -> None:
        """A crash after which an older image of the volume is mounted; an outside witness may know better."""
        self.crash_node(node)
        self.ledger.rolled_back = True
        if node.history:
            node.store = self.rng.choice(node.history).copy()
        node.start(self.now, wall_s=self._wrong_clock())
        if self.rng.random() < 0.5:
            node.running.take_verdict(ResumeVerdict.ROLLED_BACK, self.time_of(node))
            self.settle_node(node)
        else:
            self.ledger.forget_positions(node.name)

    def advance(self, seconds: float) -> None:
        """Time passes; timers that are due fire, each machine's in turn."""
        self.now += seconds
        for node in self.nodes.values():
            if node.machine is not None:
                due = node.machine.next_timer()
                if due is not None and due <= self.time_of(node):
                    node.machine.handle_timer(self.time_of(node))
                    self.settle_node(node)
        for app in self.apps.values():
            due = app.machine.next_timer()
            if due is not None and due <= self.now:
                app.machine.handle_timer(self.now)
                app.collect()
