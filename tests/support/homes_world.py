"""A mesh of directory machines under one clock, whose messages a test may lose, hold back or forge."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.ids import AppId, NodeId, Party, derive_app_id, node_party
from hermes_core.mesh.homes.entry import HomeEntry, NodeName, build_entry, sign_presence
from hermes_core.mesh.homes.machine import EntryFate, Homes, HomesEvent, Overtaken
from hermes_core.mesh.homes.messages import EntryFound, FindEntry, HomesMessage
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.mesh.homes.searches import Found, LookUpEnded
from hermes_core.protocol.session import AppClaim
from tests.support.claims import make_claim

MANY_FAILURES: Final = 10_000


def identity_of(number: int) -> Identity:
    """Always the same one."""
    return Identity.from_seed(SecretBytes.take(bytearray(number.to_bytes(32, "big"))))


def app_of(number: int) -> Identity:
    return identity_of(1_000_000 + number)


def id_of(app: Identity) -> AppId:
    return derive_app_id(app.public_key)


def make_home_entry(
    home: Identity, node_id: str, app: Identity, stamp: int, *, online: bool = True, incarnation: int = 1, version: int = 1
) -> HomeEntry:
    """As both signed it."""
    name = NodeName(NodeId(node_id), home.public_key)
    party = node_party(name.node_id, name.node_key)
    word = sign_presence(home, party, app.public_key, incarnation, version, online=online)
    return build_entry(name, make_claim(app, party, stamp), word)


class Member:
    """One node: the machine, who is connected, what it reported."""

    def __init__(self, name: str, number: int, params: HomesParams, incarnation: int = 1) -> None:
        self.name = NodeId(name)
        self.number = number
        self.identity = identity_of(number)
        self.incarnation = incarnation
        self.claims: dict[AppId, AppClaim] = {}
        self.homes = Homes(self.identity, self.name, incarnation, params, lambda _stamp, _now: True)
        self.events: list[HomesEvent] = []
        self.look_ups: list[LookUpEnded] = []
        self.entries: Counter[EntryFate] = Counter()

    @property
    def party(self) -> Party:
        return node_party(self.name, self.identity.public_key)

    @property
    def overtaken(self) -> list[Overtaken]:
        return [event for event in self.events if isinstance(event, Overtaken)]


Filter = Callable[[NodeId, NodeId, HomesMessage], bool]


class HomesWorld:
    """`lose`: whether a message of (sender, receiver) is lost."""

    def __init__(self, count: int, params: HomesParams | None = None) -> None:
        self.params = params or HomesParams()
        self.now = 1000.0
        self.members = {NodeId(f"node-{index}"): Member(f"node-{index}", index, self.params) for index in range(count)}
        self.lose: Filter = lambda _sender, _receiver, _message: False
        self.sent: list[tuple[NodeId, NodeId, HomesMessage]] = []
        self.tell_members()

    def __getitem__(self, index: int) -> Member:
        return self.members[NodeId(f"node-{index}")]

    def tell_members(self) -> None:
        for member in self.members.values():
            others = {other.name: other.incarnation for other in self.members.values() if other is not member}
            member.homes.set_members(others, self.now)
        self.settle()

    def settle(self) -> None:
        """Messages go to and fro until there are none."""
        queue: deque[tuple[NodeId, NodeId, HomesMessage]] = deque()
        for _ in range(MANY_FAILURES):
            for member in self.members.values():
                due = member.homes.next_timer(self.now)
                if due is not None and due <= self.now:
                    member.homes.handle_timer(self.now)
                output = member.homes.take_output()
                member.events += output.events
                member.look_ups += output.look_ups
                member.entries += output.entries
                queue += [(member.name, receiver, message) for receiver, message in output.sends]
            if not queue:
                return
            while queue:
                sender, receiver, message = queue.popleft()
                self.sent.append((sender, receiver, message))
                if receiver in self.members and not self.lose(sender, receiver, message):
                    self.members[receiver].homes.receive(sender, message, self.now)
        raise AssertionError("messages without an end")

    def pass_time(self, seconds: float) -> None:
        """In steps of what is due."""
        end = self.now + seconds
        while True:
            due = [at for member in self.members.values() if (at := member.homes.next_timer(self.now)) is not None]
            if not due or min(due) > end:
                break
            self.now = max(self.now, min(due))
            self.settle()
        self.now = end

    def connect(self, index: int, apps: Iterable[Identity], stamp: int) -> None:
        member = self[index]
        come = {id_of(app): make_claim(app, member.party, stamp) for app in apps}
        member.claims = {**member.claims, **come}
        member.homes.set_connected(member.claims, self.now)
        self.settle()

    def disconnect(self, index: int, apps: Iterable[Identity]) -> None:
        member, gone = self[index], {id_of(app) for app in apps}
        member.claims = {app_id: claim for app_id, claim in member.claims.items() if app_id not in gone}
        member.homes.set_connected(member.claims, self.now)
        self.settle()

    def kill(self, index: int) -> None:
        del self.members[NodeId(f"node-{index}")]
        self.tell_members()

    def restart(self, index: int) -> None:
        """It is back before anybody missed it, with an empty memory and a higher incarnation."""
        former = self[index]
        self.members[former.name] = Member(former.name, former.number, self.params, former.incarnation + 1)
        self.tell_members()

    def look_up(self, index: int, app: Identity) -> Found:
        """What comes of it, however long that takes."""
        member = self[index]
        before = len(member.events)
        member.homes.look_up(id_of(app), self.now)
        for _ in range(10):
            self.settle()
            found = [event for event in member.events[before:] if isinstance(event, Found)]
            if found:
                assert len(found) == 1
                return found[0]
            self.pass_time(self.params.answer_s)
        raise AssertionError("a look-up without an end")

    def place(self, index: int, app: Identity) -> tuple[str | None, bool]:
        """Where the app is by a look-up, and whether it is there."""
        found = self.look_up(index, app)
        return (None if found.entry is None else found.entry.home.node_id), found.online

    def holders(self, app: Identity) -> list[NodeId]:
        """Who has an entry of it, its home left out."""
        return [name for name in self.members if (shown := self.ask(name, app)) is not None and shown.home.node_id != name]

    def ask(self, name: NodeId, app: Identity) -> HomeEntry | None:
        """What this node answers to whoever asks."""
        homes = self.members[name].homes
        homes.receive(NodeId("stranger"), FindEntry(1, id_of(app)), self.now)
        ((_, answer),) = homes.take_output().sends
        assert isinstance(answer, EntryFound)
        return answer.entry


def with_times(**times: float) -> HomesParams:
    return replace(HomesParams(), **times)  # type: ignore[arg-type]
