"""A member with a valid name and key that lies: in every field of every message, one lie at a time or drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from hermes_core.ids import MAX_POSITION, NodeId
from hermes_core.mesh.lies import LiarNamed
from hermes_core.mesh.messages import MemberState, NodeDescriptor
from hermes_core.mesh.swim.messages import (
    BUCKETS,
    Accusation,
    Alive,
    Fact,
    ListedMember,
    Ping,
    PingReport,
    PingRequest,
    Pong,
    SignedDeparture,
    SwimMessage,
    SyncDigests,
    SyncFacts,
    SyncListing,
    SyncWanted,
)
from hermes_core.mesh.swim.output import StandingChanged, SwimEvent
from hermes_core.mesh.swim.statements import encode_accusation, encode_departure, encode_own
from tests.mesh.figures import measure_load, settled
from tests.mesh.signing import make_signature
from tests.mesh.world import Host, MeshWorld

LIES_A_SECOND: Final = 20
THIRD_PARTY: Final = "third-party.example:443"


class Liar:
    """Behaves otherwise: it answers, so that nobody ends its links for silence."""

    def __init__(self, world: MeshWorld, host: Host, hosts: list[Host]) -> None:
        self.world, self.host, self.random = world, host, world.random
        self.honest = [other for other in hosts if other is not host]

    def victim(self) -> NodeDescriptor:
        swim = self.random.choice(self.honest).swim
        assert swim is not None
        return swim.descriptor

    def own(self) -> NodeDescriptor:
        assert self.host.swim is not None
        return self.host.swim.descriptor

    def number(self) -> int:
        return self.random.choice((0, 1, 2, 3, 5, 1000, MAX_POSITION - 1, MAX_POSITION))

    def noise(self, count: int) -> bytes:
        return self.random.randbytes(count)

    def sign(self, descriptor: NodeDescriptor, key: bytes) -> NodeDescriptor:
        return replace(descriptor, signature=make_signature(key, encode_own(descriptor)))

    def accuse(self, subject: NodeDescriptor, **changes: int) -> Accusation:
        own = self.own()
        incarnation = changes.get("incarnation", subject.incarnation)
        accuser_incarnation = changes.get("accuser_incarnation", own.incarnation)
        fields = (subject.node_id, subject.node_key, incarnation, own.node_id, own.node_key, accuser_incarnation)
        return Accusation(*fields, make_signature(self.host.key, encode_accusation(*fields)))

    def make_up(self, address: str = "") -> NodeDescriptor:
        key = self.noise(32)
        name = NodeId(f"made-up-{self.random.randrange(10**9)}")
        return self.sign(NodeDescriptor(name, key, address or f"{name}:1", 1, "0", b""), key)


def _tell(fact: Callable[[Liar], Fact]) -> Callable[[Liar], SwimMessage]:
    return lambda liar: Ping(liar.random.randrange(100), facts=(fact(liar),))


def _forge_accusation(liar: Liar) -> Fact:
    subject, accuser = liar.victim(), liar.victim()
    said = liar.accuse(subject)
    return replace(said, accuser=accuser.node_id, accuser_key=accuser.node_key, accuser_incarnation=accuser.incarnation)


def _depart_for(liar: Liar) -> Fact:
    victim = liar.victim()
    body = encode_departure(victim.node_id, victim.node_key, victim.incarnation)
    return SignedDeparture(victim.node_id, victim.node_key, victim.incarnation, make_signature(liar.host.key, body))


def _list_anything(liar: Liar) -> SwimMessage:
    entries = [ListedMember(NodeId(f"listed-{index}"), liar.number(), liar.noise(8)) for index in range(50)]
    entries += [ListedMember(host.name, liar.number(), liar.noise(8)) for host in liar.honest]
    return SyncListing((1 << BUCKETS) - 1, tuple(entries))


LIES: Final[dict[str, Callable[[Liar], SwimMessage]]] = {
    "accuses all": _tell(lambda liar: liar.accuse(liar.victim())),
    "accuses one in many runs": _tell(
        lambda liar: liar.accuse(liar.honest[0].swim.descriptor, accuser_incarnation=liar.random.randrange(10**6))  # type: ignore[union-attr]
    ),
    "accuses any incarnation": _tell(lambda liar: liar.accuse(liar.victim(), incarnation=liar.number())),
    "accuses in others' names": _tell(_forge_accusation),
    "raises others": _tell(lambda liar: Alive(replace(liar.victim(), incarnation=liar.number()))),
    "moves others": _tell(lambda liar: Alive(liar.sign(replace(liar.victim(), address=THIRD_PARTY), liar.host.key))),
    "takes others' names": _tell(
        lambda liar: Alive(liar.sign(replace(liar.victim(), node_key=liar.host.key, incarnation=9), liar.host.key))
    ),
    "departs for others": _tell(_depart_for),
    "raises itself": _tell(
        lambda liar: Alive(liar.sign(replace(liar.own(), incarnation=liar.random.randrange(10**6)), liar.host.key))
    ),
    "has two selves": _tell(
        lambda liar: Alive(liar.sign(replace(liar.own(), version=str(liar.random.randrange(99))), liar.host.key))
    ),
    "makes up members": _tell(lambda liar: Alive(liar.make_up())),
    "aims at a third party": _tell(lambda liar: Alive(liar.make_up(THIRD_PARTY))),
    "hands over made-up lists": lambda liar: SyncFacts(tuple(Alive(liar.make_up(THIRD_PARTY)) for _ in range(200))),
    "answers what nobody asked": lambda liar: Pong(liar.random.randrange(200), liar.noise(64)),
    "reports what nobody asked": lambda liar: PingReport(liar.random.randrange(200), liar.noise(64)),
    "asks without end": lambda liar: PingRequest(liar.number(), liar.victim().node_id, liar.noise(16)),
    "has signatures made": lambda liar: Ping(liar.number(), liar.noise(16), liar.victim().node_id),
    "lists anything": _list_anything,
    "differs in every bucket": lambda liar: SyncDigests(tuple(liar.random.getrandbits(64) for _ in range(BUCKETS))),
    "wants everything": lambda liar: SyncWanted(tuple(host.name for host in liar.honest)),
}
NAMED_FOR: Final = frozenset(
    {
        "accuses all",
        "accuses in others' names",
        "raises others",
        "moves others",
        "departs for others",
        "has two selves",
    }
)
"""What only a liar does, so that it is named for it; the others have budgets, or say nothing that counts."""


@dataclass(slots=True)
class Harm:
    """What came of it at the honest: members held dead, by how many the liar was named and an honest one was, the most held."""

    buried: int = 0
    named_by: int = 0
    honest_named: int = 0
    held: int = 0
    aimed: int = 0
    """Dials at a third party, of all members together."""
    cpu_ms: float = 0.0
    """Of an honest member in a second."""


def lie(members: int, seed: int, names: list[str], seconds: float = 60.0) -> Harm:
    """A world in which one member tells these lies to whoever it is linked with, twenty a second."""
    world, hosts = settled(members, seed)
    world.run_until(world.params.blame_s + 1)
    host = hosts[-1]
    liar = Liar(world, host, hosts)
    harm, named = Harm(), set()

    def watch(at: Host, event: SwimEvent) -> None:
        if at is host:
            return
        if isinstance(event, StandingChanged) and event.node_id != host.name and event.node_id in world.hosts:
            harm.buried += event.after in (MemberState.DEAD, MemberState.LEFT)
        if isinstance(event, LiarNamed):
            if event.node_id == host.name:
                named.add(at.name)
            else:
                harm.honest_named += 1

    def tell() -> None:
        linked = list(world.links[host.name])
        if linked:
            message = LIES[liar.random.choice(names)](liar)
            world.send(host, liar.random.choice(linked), message)
        for other in liar.honest:
            assert other.swim is not None
            harm.held = max(harm.held, len(other.swim.roster) + len(other.swim.parts.rumours))
        world.after(1 / LIES_A_SECOND, tell)

    world.watch = watch
    tell()
    harm.cpu_ms = measure_load(world, liar.honest, seconds).cpu_ms
    harm.named_by, harm.aimed = len(named), world.aimed[THIRD_PARTY]
    return harm
