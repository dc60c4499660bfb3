"""A world without accidents, for tests that say themselves what goes wrong: every output is committed and sent at once."""

from __future__ import annotations

import random
from typing import Any

from hermes_core.endpoint.params import AppParams
from hermes_core.errors import ProtocolError
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import ChatMessage, Sealed
from hermes_core.relay.chat import Chat
from hermes_core.relay.params import ChatParams
from tests.model.parties import AppParty, NodeParty
from tests.model.streams import EndOfStream, Stream, bare
from tests.model.world import World
from tests.support.app_volume import AppVolume
from tests.support.random_sources import SeededRandom


class HonestWorld(World):
    """Apps are connected, so are the nodes. `seen` holds every delivered message as (sender, receiver, message)."""

    def __init__(
        self,
        *,
        nodes: int = 2,
        params: ChatParams | None = None,
        app_params: AppParams | None = None,
        seed: int = 7,
        durable_apps: bool = False,
    ) -> None:
        super().__init__(
            random.Random(seed),
            nodes=nodes,
            params=params or ChatParams(),
            app_params=app_params or AppParams(),
            entropy=SeededRandom(f"bytes of {seed}"),
            durable_apps=durable_apps,
        )
        self.group_commit = -1.0
        self.ledger.rolled_back = True  # as far as anybody knows: tests put stores back by hand
        for node in self.nodes.values():
            node.slow_disk = 0.0
        self.seen: list[tuple[str, str, ChatMessage]] = []
        self.app_events: dict[str, list[Any]] = {name: [] for name in self.apps}
        self.node_events: dict[str, list[Any]] = {name: [] for name in self.nodes}
        for name, app in self.apps.items():
            self._tap_app(name, app)
        for name, node in self.nodes.items():
            self._tap_node(name, node)
        for app in self.apps.values():
            self.connect_app(app)
        if nodes == 2:
            self.connect_nodes()
        self.run()

    def _tap_app(self, name: str, app: AppParty) -> None:
        collect = app.collect

        def tapped() -> ProtocolError | None:
            hang_up = collect()
            self.app_events[name] += app.events
            return hang_up

        app.collect = tapped  # type: ignore[method-assign]

    def _tap_node(self, name: str, node: NodeParty) -> None:
        flush = node.flush

        def tapped(*, sends: int | None = None) -> None:
            flush(sends=sends)
            self.node_events[name] += node.events

        node.flush = tapped  # type: ignore[method-assign]

    @property
    def a(self) -> AppParty:
        return self.apps["app-0"]

    @property
    def b(self) -> AppParty:
        return self.apps["app-1"]

    @property
    def n(self) -> NodeParty:
        return self.nodes["node-0"]

    @property
    def m(self) -> NodeParty:
        """The other app's node."""
        return list(self.nodes.values())[-1]

    def deliver(self, stream: Stream, end: str) -> None:
        message = bare(stream.inbox[end][0])
        if not isinstance(message, EndOfStream):
            self.seen.append((stream.peer_of(end), end, message))
        super().deliver(stream, end)

    def run(self, *, accept: bool = True, take: bool = True, limit: int = 100_000) -> None:
        """Deliver until nothing is under way; the apps accept what is offered and take what they get."""
        for _ in range(limit):
            queues = self.queues()
            if queues:
                self.deliver(*queues[0])
            elif not self._act(accept=accept, take=take):
                return
        raise AssertionError("messages go in circles")

    def _act(self, *, accept: bool, take: bool) -> bool:
        for app in self.apps.values():
            if accept and app.offers:
                self.decide(app, accept=True)
                return True
            for chat_id in app.live() if take else ():
                ledger = self.ledger.chats[chat_id]
                if ledger.received.get(app.name, 0) > ledger.taken.get(app.name, 0):
                    self.take(app, chat_id, ledger.received[app.name])
                    return True
        return False

    def step(self, sender: str, receiver: str) -> ChatMessage:
        """Deliver the next message from `sender` to `receiver` and return it."""
        stream = self.stream(sender, receiver)
        message: ChatMessage = bare(stream.inbox[receiver][0])
        assert not isinstance(message, EndOfStream)
        self.deliver(stream, receiver)
        return message

    def stream(self, first: str, second: str) -> Stream:
        return next(stream for stream in self.streams if set(stream.ends) == {first, second} and not stream.broken)

    def inject(self, sender: str, receiver: str, message: ChatMessage) -> None:
        """Something `sender` never said arrives next at `receiver`."""
        self.adversary.acted = True
        stream = self.stream(sender, receiver)
        stream.inbox[receiver].appendleft(message)
        self.deliver(stream, receiver)

    def seal_as_app(self, app: AppParty, chat_id: ChatId, payload: bytes) -> Sealed:
        """A frame of its leg that the app's library would not send."""
        hop = app.machine.chats[chat_id].hop
        return Sealed(hop._leg.seal(payload, self.now, nonce=hop._home.send_nonce))

    def cut(self, first: str, second: str) -> None:
        """The stream breaks, what was under way is lost, both ends notice."""
        stream = self.stream(first, second)
        stream.break_off(None)
        for end in stream.ends:
            if end in stream.open_ends:
                self.deliver(stream, end)

    def kill(self, node: NodeParty) -> None:
        """SIGKILL between two passes: everything committed is durable, everything sent has left."""
        for stream in list(self.streams):
            if node.name in stream.ends:
                stream.break_off(None)
                stream.open_ends.discard(node.name)
        self._drop_closed()
        node.crash()
        self.spread_directory()

    def restart_app(self, app: AppParty, volume: AppVolume | None = None) -> None:
        """SIGKILL of an app, and another start with its volume, or with an older copy of it; not connected yet."""
        for stream in [stream for stream in self.streams if app.name in stream.ends]:
            stream.break_off(None)
            stream.open_ends.discard(app.name)
            for end in list(stream.open_ends):
                self.deliver(stream, end)
        self._drop_closed()
        app.restart(self.now, volume)

    def revive(self, node: NodeParty) -> None:
        node.start(self.now)
        self.reconnect()

    def reconnect(self) -> None:
        self.run()
        for app in self.apps.values():
            self.connect_app(app)
        if len(self.nodes) == 2:
            self.connect_nodes()
        self.spread_directory()
        self.run()

    def open_chat(self) -> ChatId:
        chat_id = self.start_chat(self.a)
        assert chat_id is not None
        self.run()
        return chat_id

    def pass_time(self, seconds: float) -> None:
        """Time passes from timer to timer, and everything that follows is delivered."""
        until = self.now + seconds
        for _ in range(10_000):
            machines: list[Any] = [app.machine for app in self.apps.values()]
            machines += [node.machine for node in self.nodes.values() if node.machine is not None]
            due = [timer for timer in (machine.next_timer() for machine in machines) if timer is not None and timer <= until]
            self.advance(max(0.0, min(due, default=until) - self.now))
            self.run()
            if not due:
                return
        raise AssertionError("timers go in circles")

    def chat_of(self, node: NodeParty, chat_id: ChatId) -> Chat:
        return node.chats[chat_id]

    def events_of(self, party: AppParty | NodeParty, kind: type) -> list[Any]:
        events = self.app_events if isinstance(party, AppParty) else self.node_events
        return [event for event in events[party.name] if isinstance(event, kind)]

    def messages(self, sender: str, receiver: str, kind: type) -> list[Any]:
        return [
            message for source, target, message in self.seen if (source, target) == (sender, receiver) and type(message) is kind
        ]
