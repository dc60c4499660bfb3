"""What is measured of a mesh of members, each figure by one function of its size and seed."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.output import StandingChanged, SwimEvent
from tests.mesh.costs import Bill
from tests.mesh.world import Host, MeshWorld

SETTLE_S: Final = 40.0
"""By then all links to ring neighbours stand: one is dialled a second, there are 16 each way."""
SEEDS: Final = 3
APART_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Load:
    """Of one member in one second."""

    messages: float
    kilobytes: float
    cpu_ms: float
    dials: float
    updates: float = 0.0


def settled(members: int, seed: int) -> tuple[MeshWorld, list[Host]]:
    """A mesh that has stood for long: all know all, keys are pinned, links to ring neighbours stand."""
    world = MeshWorld(seed)
    hosts = [world.add_host(f"mesh-{index}") for index in range(members)]
    for host in hosts:
        host.incarnation = 1
    descriptors = [host.sign_descriptor() for host in hosts]
    for host in hosts:
        host.incarnation = 0
        world.start(host, [descriptor for descriptor in descriptors if descriptor.node_id != host.name])
    world.run_until(SETTLE_S)
    return world, hosts


def all_know_all(hosts: list[Host]) -> bool:
    return all(host.swim is not None and host.swim.roster.size == len(hosts) for host in hosts)


def measure_load(world: MeshWorld, hosts: list[Host], seconds: float) -> Load:
    """Over so many seconds from now on."""
    before = {host.name: Bill(**{name: getattr(host.bill, name) for name in Bill.__slots__}) for host in hosts}
    world.run_until(world.now + seconds)
    share = 1 / (seconds * len(hosts))

    def total(read: Callable[[Bill], float]) -> float:
        return sum(read(host.bill) - read(before[host.name]) for host in hosts) * share

    return Load(
        messages=total(lambda bill: bill.sent),
        kilobytes=total(lambda bill: bill.bytes_sent) / 1e3,
        cpu_ms=total(lambda bill: bill.cpu_s) * 1e3,
        dials=total(lambda bill: bill.dials),
    )


def rest(members: int, seed: int) -> Load:
    world, hosts = settled(members, seed)
    return measure_load(world, hosts, 60.0)


def churn(members: int, seed: int) -> Load:
    """One of a hundred members is killed in each minute, and back ten seconds later with its key and nothing else."""
    world, hosts = settled(members, seed)
    seconds = 120.0
    count = max(1, round(members * 0.01 * seconds / 60))
    for index in range(count):
        victim = hosts[world.random.randrange(SEEDS, members)]
        world.after(index * seconds / count, lambda victim=victim: world.kill(victim))  # type: ignore[misc]
        back = index * seconds / count + 10.0
        world.after(back, lambda victim=victim: world.start(victim, seeds=hosts[:SEEDS]))  # type: ignore[misc]
    load = measure_load(world, hosts, seconds)
    return Load(load.messages, load.kilobytes, load.cpu_ms, load.dials, updates=count / seconds)


def detection(members: int, seed: int, kills: int) -> tuple[float, float, float]:
    """Periods from a kill until its victim is dead: at the first member, and the median and p99 of all."""
    world, hosts = settled(members, seed)
    killed_at: dict[str, float] = {}
    times: dict[str, list[float]] = {}

    def watch(_host: Host, event: SwimEvent) -> None:
        if isinstance(event, StandingChanged) and event.after is MemberState.DEAD and event.node_id in killed_at:
            times.setdefault(event.node_id, []).append(world.now - killed_at[event.node_id])

    world.watch = watch
    for index in range(kills):
        victim = hosts[-1 - index]
        killed_at[victim.name] = world.now
        world.kill(victim)
        world.run_until(world.now + 5.0)
    world.run_until(world.now + world.params.suspicion_s(members, 0))
    found = sorted(time for victim in times.values() for time in victim)
    assert len(found) >= kills * (members - kills), "somebody never noticed"
    period = world.params.period_s
    first = statistics.median(min(victim) for victim in times.values())
    return first / period, statistics.median(found) / period, found[round(0.99 * (len(found) - 1))] / period


@dataclass(slots=True)
class Wrong:
    """Living members that somebody accused, held for suspect, or dead, in how many member hours; and who was named a liar."""

    accused: int = 0
    suspected: int = 0
    buried: int = 0
    named: int = 0
    hours: float = 0.0


def count_wrong(world: MeshWorld, hosts: list[Host], seconds: float) -> Wrong:
    wrong = Wrong(hours=len(hosts) * seconds / 3600)

    def watch(host: Host, event: SwimEvent) -> None:
        if isinstance(event, StandingChanged):
            suspicion = host.swim.parts.suspicions.get(event.node_id) if host.swim else None
            wrong.accused += suspicion is not None and host.name in suspicion.accusers
            wrong.suspected += event.after is MemberState.SUSPECT
            wrong.buried += event.after is MemberState.DEAD
        wrong.named += type(event).__name__ == "LiarNamed"

    world.watch = watch
    world.run_until(world.now + seconds)
    return wrong


def loss(members: int, seed: int) -> Wrong:
    """Of a hundred messages and dials five are lost."""
    world, hosts = settled(members, seed)
    world.loss = 0.05
    return count_wrong(world, hosts, 300.0)


def slow(members: int, seed: int) -> Wrong:
    """Everything reaches one member two seconds late."""
    world, hosts = settled(members, seed)
    hosts[-1].slow_s = 2.0
    return count_wrong(world, hosts, 300.0)


def paused(members: int, seed: int) -> Wrong:
    """One of ten stands still for five seconds, all at once."""
    world, hosts = settled(members, seed)
    for host in world.random.sample(hosts, members // 10):
        world.pause(host, 5.0)
    return count_wrong(world, hosts, 120.0)


def mass_restart(members: int, seed: int) -> float:
    """Seconds until all know all, when all start at once and each knows three of them."""
    world = MeshWorld(seed)
    hosts = [world.add_host(f"mesh-{index}") for index in range(members)]
    for host in hosts:
        world.start(host, seeds=hosts[:SEEDS])
    return run_until_all_know_all(world, hosts, 120.0)


def halves(members: int, seed: int) -> tuple[float, float]:
    """Seconds until two halves that are cut apart have buried each other, and from when they are healed until all know all.

    The cut lasts for five minutes at least.
    """
    world, hosts = settled(members, seed)
    left = {host.name for host in hosts[: members // 2]}
    world.is_cut = lambda a, b: (a in left) != (b in left)
    began = world.now
    while any(host.swim is None or host.swim.roster.size != members // 2 for host in hosts):
        assert world.now - began < 600.0, "a half did not bury the other"
        world.run_until(world.now + 0.5)
    buried = world.now - began
    world.run_until(max(world.now, began + APART_S))
    world.is_cut = lambda _a, _b: False
    return buried, run_until_all_know_all(world, hosts, 300.0)


def run_until_all_know_all(world: MeshWorld, hosts: list[Host], most_s: float) -> float:
    began = world.now
    while not all_know_all(hosts):
        assert world.now - began < most_s, "some are not known to all"
        world.run_until(world.now + 0.5)
    return world.now - began


def pair_cut(members: int, seed: int) -> Wrong:
    """Two members never reach each other again; everybody else reaches both."""
    world, hosts = settled(members, seed)
    pair = {hosts[0].name, hosts[1].name}
    world.is_cut = lambda a, b: {a, b} == pair
    return count_wrong(world, hosts, 600.0)
