"""A world: members, the links between them, and one heap of what happens next. Everything is drawn from the seed."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Final

from hermes_core.ids import NodeId
from hermes_core.mesh.messages import MemberState, NodeDescriptor
from hermes_core.mesh.swim.machine import Swim
from hermes_core.mesh.swim.messages import SwimMessage
from hermes_core.mesh.swim.output import ReservationWanted, SwimEvent
from hermes_core.mesh.swim.params import SwimParams
from hermes_core.mesh.swim.statements import encode_own
from tests.mesh.costs import FRAME_BYTES, Bill, measure_bytes
from tests.mesh.signing import CheapSignatures, make_signature

DIAL_TIMEOUT_S: Final = 2.0
LATENCY_S: Final = (0.2e-3, 1.0e-3)
_VERSION: Final = "0.1.0"


class Host:
    """A member's process: running, standing still, or dead; with what its keystore keeps over a restart."""

    def __init__(self, name: NodeId, key: bytes, address: str) -> None:
        self.name = name
        self.key = key
        self.address = address
        self.incarnation = 0
        self.bill = Bill()
        self.swim: Swim | None = None
        self.paused_until = 0.0
        self.slow_s = 0.0
        self.inbox: list[Callable[[], None]] = []
        self.run = 0
        self.armed: float | None = None

    def sign_descriptor(self) -> NodeDescriptor:
        unsigned = NodeDescriptor(self.name, self.key, self.address, self.incarnation, _VERSION, b"")
        self.bill.signed += 1
        return replace(unsigned, signature=make_signature(self.key, encode_own(unsigned)))


class MeshWorld:
    def __init__(self, seed: int, params: SwimParams | None = None) -> None:
        self.random = Random(seed)
        self.params = params or SwimParams(max_members=4_096)
        self.now = 0.0
        self.hosts: dict[NodeId, Host] = {}
        self.by_address: dict[str, Host] = {}
        self.links: dict[NodeId, dict[NodeId, None]] = defaultdict(dict)
        self.loss = 0.0
        self.is_cut: Callable[[NodeId, NodeId], bool] = lambda _a, _b: False
        self.watch: Callable[[Host, SwimEvent], None] = lambda _host, _event: None
        self.aimed: dict[str, int] = defaultdict(int)
        """Dials by address, where nobody of this world lives."""
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.now + delay, self._count, act))

    def run_until(self, end: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= end:
            self.now, _, act = heapq.heappop(heap)
            act()
        self.now = end

    def add_host(self, name: str) -> Host:
        node_id = NodeId(name)
        host = Host(node_id, self.random.randbytes(32), f"{name}.mesh-nodes.default.svc:7443")
        self.hosts[node_id] = self.by_address[host.address] = host
        return host

    def start(self, host: Host, known: Iterable[NodeDescriptor] = (), seeds: Iterable[Host] = ()) -> None:
        host.incarnation += 1
        host.run += 1
        host.armed = None
        host.paused_until = 0.0
        draw = Random(self.random.getrandbits(64)).randrange
        signatures = CheapSignatures(host.key, host.bill)
        host.swim = Swim(host.sign_descriptor(), signatures, draw, self.params, self.now, boot=self.now, known=known)
        for seed in seeds:
            if seed is not host:
                self._dial(host, seed.name, seed.address)
        self._drain(host)

    def kill(self, host: Host) -> None:
        host.swim = None
        host.inbox.clear()
        for other in self.links.pop(host.name, {}):
            self.links[other].pop(host.name, None)
            self._deliver(self.hosts[other], self._down(other, host.name))

    def pause(self, host: Host, seconds: float) -> None:
        """SIGSTOP: nothing runs; what comes in waits, and is handled before timers are."""
        host.paused_until = self.now + seconds
        self.after(seconds, lambda: self._resume(host))

    def standing(self, of: Host, at: Host) -> MemberState | None:
        member = None if at.swim is None else at.swim.roster.get(of.name)
        return None if member is None else member.state

    def send(self, host: Host, to: NodeId, message: SwimMessage) -> None:
        """Over the link between the two, if it stands when it arrives."""
        size = measure_bytes(message) + FRAME_BYTES
        host.bill.sent += 1
        host.bill.bytes_sent += size
        if to not in self.links[host.name] or self._is_lost(host.name, to):
            return
        target, sender = self.hosts[to], host.name

        def arrive() -> None:
            if target.swim is not None and sender in self.links[to]:
                target.bill.received += 1
                target.bill.bytes_received += size
                target.swim.receive(sender, message, self.now)

        self._deliver(target, arrive)

    def _is_lost(self, a: NodeId, b: NodeId) -> bool:
        return self.is_cut(a, b) or (self.loss > 0 and self.random.random() < self.loss)

    def _latency(self) -> float:
        return self.random.uniform(*LATENCY_S)

    def _deliver(self, host: Host, act: Callable[[], None]) -> None:
        run = host.run

        def arrive() -> None:
            if host.swim is None or host.run != run:
                return
            if host.paused_until > self.now:
                host.inbox.append(act)
                return
            act()
            self._drain(host)

        self.after(self._latency() + host.slow_s, arrive)

    def _resume(self, host: Host) -> None:
        if host.swim is None or host.paused_until > self.now:
            return
        waiting, host.inbox = host.inbox, []
        for act in waiting:
            act()
        self._drain(host)

    def _drain(self, host: Host) -> None:
        """Do what the machine wants done, and see to its next timer."""
        swim = host.swim
        if swim is None:
            return
        output = swim.take_output()
        for send in output.sends:
            self.send(host, send.node_id, send.message)
        for descriptor in output.dials:
            self._dial(host, descriptor.node_id, descriptor.address)
        for node_id in output.hangups:
            self._hang_up(host, node_id)
        for event in output.events:
            if isinstance(event, ReservationWanted):
                swim.incarnations_reserved(event.up_to)
            self.watch(host, event)
        host.incarnation = swim.descriptor.incarnation
        self._arm(host, swim)

    def _arm(self, host: Host, swim: Swim) -> None:
        due = swim.next_timer()
        if host.armed == due:
            return
        host.armed = due
        self.after(max(0.0, due - self.now), lambda: self._fire(host, swim, due))

    def _fire(self, host: Host, swim: Swim, due: float) -> None:
        if host.swim is not swim or host.armed != due:
            return
        if host.paused_until > self.now:
            self.after(host.paused_until - self.now + 1e-9, lambda: self._fire(host, swim, due))
            return
        host.armed = None
        swim.handle_timer(self.now, self.now)
        self._drain(host)

    def _dial(self, host: Host, name: NodeId, address: str) -> None:
        host.bill.dials += 1
        target, run = self.by_address.get(address), host.run
        if target is None:
            self.aimed[address] += 1

        def end() -> None:
            if host.swim is None or host.run != run:
                return
            if target is None or target.swim is None or target.name != name:
                host.swim.dial_failed(name, self.now)
                self._drain(host)
            elif (
                self.is_cut(host.name, name)
                or target.paused_until > self.now
                or (self.loss > 0 and self.random.random() < self.loss)
            ):
                self.after(DIAL_TIMEOUT_S, fail)
            else:
                target.bill.dialled += 1
                self._link(host, target)

        def fail() -> None:
            if host.swim is not None and host.run == run:
                host.swim.dial_failed(name, self.now)
                self._drain(host)

        self.after(4 * self._latency(), end)

    def _link(self, a: Host, b: Host) -> None:
        assert a.swim is not None
        assert b.swim is not None
        self.links[a.name][b.name] = None
        self.links[b.name][a.name] = None
        taken = b.swim.link_up(a.swim.descriptor, self.now), a.swim.link_up(b.swim.descriptor, self.now)
        self._drain(b)
        self._drain(a)
        if not taken[0]:
            self._hang_up(b, a.name)
        if not taken[1]:
            self._hang_up(a, b.name)

    def _hang_up(self, host: Host, node_id: NodeId) -> None:
        self.links[host.name].pop(node_id, None)
        self.links[node_id].pop(host.name, None)
        if node_id in self.hosts:
            self._deliver(self.hosts[node_id], self._down(node_id, host.name))

    def _down(self, at: NodeId, gone: NodeId) -> Callable[[], None]:
        def act() -> None:
            swim = self.hosts[at].swim
            if swim is not None and gone not in self.links[at]:
                swim.link_down(gone)

        return act
