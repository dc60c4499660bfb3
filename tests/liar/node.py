"""The liar's process: `python -m tests.liar.node --config FILE` is a real node whose words are lies once it is told to begin.

Everything is the product's: handshakes, dials, served streams, tags, the answers to what others ask. What it says is changed
where it is about to be tagged, and lies that nobody asked for are put into the queues of its streams. `liar.json` beside the
configuration has the options; each lie is a line of `lies.jsonl` there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import json
import random
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from hermes_core.errors import ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.messages import Hello, MemberClaim, MembershipUpdate, MemberState, Proof
from hermes_core.mesh.swim.messages import Alive, SyncFacts
from hermes_core.session.canonical import CONTROL, encode_control
from hermes_core.session.control import ControlReader, ControlWriter, Tagged
from hermes_node.cli import main
from hermes_node.mesh import backoff
from hermes_node.mesh.driver import MeshDriver
from hermes_node.mesh.handshake import NodeCredentials
from hermes_node.mesh.links import GossipLink, RouteLink
from hermes_node.mesh.swim_driver import SwimDriver
from hermes_wire.peer import build_gossip, build_peer_batch, parse_gossip, parse_peer_batch
from hermes_wire.swim import SWIM_TYPES
from tests.liar.lies import Liar
from tests.liar.places import GOSSIP_TYPES, ROUTE_TYPES, SAMPLES, Place, list_places

OPTIONS: Final = "liar.json"
LIES: Final = "lies.jsonl"
TIMES_EACH: Final = 2
CHANGED_SHARE: Final = 0.02
"""Of its own honest words."""
HELLO_SHARE: Final = 0.1
TRIES: Final = 20
READABLE_SHARE: Final = 0.85
FOREIGN_SHARE: Final = 0.05
OFTEN: Final = 3.0
SURE_EVERY_S: Final = 3.0
MADE_UP: Final = 20
SILENT_KINDS: Final = frozenset({Hello, Proof})
"""They are said in a handshake, and changed there."""
ROUTE_WANTED_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class LiarOptions:
    """It lies once the file `begin` is there, which lists honest chats in hex; `rate`: lies a second besides changed words."""

    seed: int
    name: str
    rate: float
    third_parties: tuple[str, ...]
    begin: str

    def write(self, folder: Path) -> None:
        (folder / OPTIONS).write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> LiarOptions:
        return cls(**json.loads((folder / OPTIONS).read_text()))


class LyingNode:
    """The owner of what this process says."""

    def __init__(self, options: LiarOptions, folder: Path) -> None:
        self._options = options
        self._begin = Path(options.begin)
        self._told = (folder / LIES).open("a", buffering=1)
        self.liar = Liar(options.seed, options.name, options.third_parties)
        self.random = random.Random(options.seed + 1)
        self.places = list_places()
        self.lying = False
        self._foreign: frozenset[type] = frozenset()
        self._dear: frozenset[type] = frozenset()
        """What decides who is a member; what is foreign is never said in such a mesh, and ends the stream at once."""
        self.links: list[GossipLink | RouteLink] = []
        self.writers: set[ControlWriter] = set()

    async def run(self, driver: Any) -> None:
        while not self._begin.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.05)
        for text in self._begin.read_text().split():
            self.liar.know("chat_id", bytes.fromhex(text))
        self.lying = True
        by_gossip, by_swim = frozenset({MembershipUpdate}), frozenset(SWIM_TYPES)
        swim = isinstance(driver, SwimDriver)
        self._dear, self._foreign = (by_swim, by_gossip) if swim else (by_gossip, by_swim)
        each = [place for place in self.places if place.kind not in SILENT_KINDS | self._foreign for _ in range(TIMES_EACH)]
        self.random.shuffle(each)
        wanted_at = sure_at = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1 / self._options.rate)
            if loop.time() >= wanted_at and isinstance(driver, SwimDriver):
                wanted_at = loop.time() + ROUTE_WANTED_S
                for member in driver.describe().members:
                    driver.want_route(NodeId(member.descriptor.node_id))
            if loop.time() >= sure_at:
                sure_at = loop.time() + SURE_EVERY_S
                self._tell_surely(swim=swim)
            places = [each[-1]] if each else self._draw_places()
            if self._tell(places) and each:
                each.pop()
            elif each:
                self.random.shuffle(each)  # it needs a stream that does not stand now

    def _tell_surely(self, *, swim: bool) -> None:
        """What is drawn too seldom: a descriptor that nobody signed, and members that are made up."""
        made_up = [self.liar.make_up() for _ in range(MADE_UP)]
        told: list[Any] = [SAMPLES[SyncFacts if swim else MembershipUpdate]]
        if swim:
            told.append(SyncFacts(tuple(map(Alive, made_up))))
        else:
            claims = [MemberClaim(descriptor, MemberState.ALIVE, descriptor.incarnation) for descriptor in made_up]
            told.append(MembershipUpdate(tuple(claims)))
        for link in self.links:
            if isinstance(link, GossipLink):
                for message in told:
                    link.outbox.put(message)

    def change_own(self, messages: Iterable[Any]) -> list[Any]:
        """Its own words before they are tagged."""
        return [self._change_one(message) for message in messages]

    def change_hello(self, hello: Hello) -> Hello:
        if self.lying and self.random.random() < HELLO_SHARE:
            lied = dataclasses.replace(hello, descriptor=self.liar.describe_self(hello.descriptor))
            if _is_sayable(lied):
                self._note("changed", "Hello.descriptor, signed", lied)
                return lied
        return hello

    def change_raw(self, item: Any) -> Any:
        """A handshake's messages, and tags."""
        if not self.lying or self.random.random() >= CHANGED_SHARE:
            return item
        if isinstance(item, Tagged) and self.random.random() < HELLO_SHARE:
            return Tagged(item.message, self.random.randbytes(32))
        if isinstance(item, Hello | Proof):
            return self._lie_in(item)
        return item

    def _change_one(self, message: Any) -> Any:
        if not self.lying or self.random.random() >= CHANGED_SHARE:
            return message
        return self._lie_in(message)

    def _lie_in(self, message: Any) -> Any:
        places = [place for place in self.places if place.kind is type(message) and place.path]
        for _ in range(TRIES if places else 0):
            place = self.random.choice(places)
            lied = self.liar.lie_in(message, place)
            if _is_sayable(lied):
                self._note("changed", str(place), lied)
                return lied
        return message

    def _draw_places(self) -> list[Place]:
        """Kinds are drawn evenly, or those with many fields would be all that is said; what no member may say seldom."""
        kinds = sorted({place.kind for place in self.places} - SILENT_KINDS, key=lambda kind: kind.__name__)
        shares = [FOREIGN_SHARE if kind in self._foreign else (OFTEN if kind in self._dear else 1.0) for kind in kinds]
        (kind,) = self.random.choices(kinds, shares)
        own = [place for place in self.places if place.kind is kind]
        return self.random.choices(own, k=self.random.choice((1, 1, 2, 3)))

    def _tell(self, places: list[Place]) -> bool:
        """Whether it was queued, on a stream that may carry it."""
        kind = places[0].kind
        fit = [link for link in self.links if kind in (GOSSIP_TYPES if isinstance(link, GossipLink) else ROUTE_TYPES)]
        if not fit:
            return False
        link = self.random.choice(fit)
        whole = self.random.random() < READABLE_SHARE
        for _ in range(TRIES):
            lied = self.liar.lie(*places)
            if _is_sayable(lied) and (not whole or _is_readable(lied)):
                break
        else:
            return True  # nothing that fits on the wire
        owner = link if isinstance(link, GossipLink) else link._sink
        outbox: Any = owner and owner.outbox
        if outbox is None or not outbox.put(lied):
            return False
        self._note(link.node_id, " + ".join(map(str, places)), lied)
        return True

    def _note(self, to: str, place: str, lied: Any) -> None:
        now = asyncio.get_running_loop().time()
        self._told.write(json.dumps([round(now, 3), to, place, repr(lied)[:600]]) + "\n")


def _is_sayable(message: Any) -> bool:
    """Whether the product's own code can write it."""
    try:
        if type(message) in CONTROL:
            encode_control(message)
        if type(message) in GOSSIP_TYPES:
            build_gossip(message).SerializeToString()
        if type(message) in ROUTE_TYPES:
            build_peer_batch([message]).SerializeToString()
    except (ValueError, OverflowError, TypeError, AttributeError):
        return False
    return True


def _is_readable(message: Any) -> bool:
    """Whether every length is as it must be, so that more than the first check meets it."""
    try:
        if type(message) in GOSSIP_TYPES:
            parse_gossip(build_gossip(message))
        else:
            parse_peer_batch(build_peer_batch([message]))
    except ProtocolError:
        return False
    return True


def lie_from_now_on(node: LyingNode) -> None:
    """Have this process's classes say what `node` makes of their words."""
    backoff.BACKOFF_CAP_S = 0.5  # type: ignore[misc]  # whoever lies is refused often
    tag, open_, build_hello = ControlWriter.tag, ControlReader.open, NodeCredentials.build_hello

    def lie_before_tag(self: ControlWriter, messages: Iterable[Any]) -> list[Any]:
        said = list(messages)
        if self not in node.writers:
            return tag(self, said)
        for message in said:
            node.liar.hear(message)
        return tag(self, node.change_own(said))

    def hear_after_tag(self: ControlReader, message: Any) -> Any:
        opened = open_(self, message)
        node.liar.hear(opened)
        return opened

    def lie_in_hello(self: NodeCredentials) -> Any:
        hello, ephemeral = build_hello(self)
        return node.change_hello(hello), ephemeral

    ControlWriter.tag = lie_before_tag  # type: ignore[method-assign]
    ControlReader.open = hear_after_tag  # type: ignore[method-assign]
    NodeCredentials.build_hello = lie_in_hello  # type: ignore[method-assign]
    _lie_in_streams(node)
    for driver in (MeshDriver, SwimDriver):
        _lie_beside(node, driver)


def _lie_in_streams(node: LyingNode) -> None:
    streams: Any = importlib.import_module("hermes_node.mesh.streams")
    for name in ("build_gossip", "build_join"):
        setattr(streams, name, _changed(node, getattr(streams, name)))
    build_batch, secure = streams.build_peer_batch, streams.MeshStream.secure
    streams.build_peer_batch = lambda items: build_batch([node.change_raw(item) for item in items])

    def secure_and_know(self: Any, keys: Any) -> None:
        node.writers.add(keys.writer)
        secure(self, keys)

    streams.MeshStream.secure = secure_and_know
    for kind in (GossipLink, RouteLink):
        _follow(node, kind)


def _changed(node: LyingNode, build: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda item: build(node.change_raw(item))


def _follow(node: LyingNode, kind: Any) -> None:
    run = kind.run

    async def run_and_know(self: Any, *arguments: Any) -> None:
        if isinstance(self, RouteLink):
            node.writers.add(self._peer.keys.writer)
        node.links.append(self)
        try:
            await run(self, *arguments)
        finally:
            node.links.remove(self)

    kind.run = run_and_know


def _lie_beside(node: LyingNode, driver: Any) -> None:
    run = driver.run

    async def run_and_lie(self: Any, dialer: Any) -> None:
        node.liar.identity = self._identity
        lying = asyncio.create_task(node.run(self))
        try:
            await run(self, dialer)
        finally:
            lying.cancel()

    driver.run = run_and_lie


if __name__ == "__main__":
    home = Path(sys.argv[sys.argv.index("--config") + 1]).parent
    lie_from_now_on(LyingNode(LiarOptions.read(home), home))
    sys.exit(main())
