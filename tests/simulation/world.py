"""One world: nodes, apps and what happens to them, on one virtual clock, from a schedule to a report."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from hermes_core.ids import AppId, ChatId
from hermes_core.relay.appeal import APPEAL_AFTER_S
from hermes_proto.v2.app_router_pb2 import ClientBatch, ServerBatch
from hermes_proto.v2.node_mesh_pb2 import PeerBatch
from hermes_wire.app import parse_client_batch, parse_server_batch
from hermes_wire.peer import parse_peer_batch
from hermes_wire.tags import split_tag
from tests.simulation import faults, instruments, jobs
from tests.simulation.apps import App
from tests.simulation.carried import CarriedStreams, read_carry
from tests.simulation.draws import Draws
from tests.simulation.file_system import seed_sqlite
from tests.simulation.hooks import Hooks
from tests.simulation.ledger import Ledger
from tests.simulation.loop import START_S, Process, VirtualLoop
from tests.simulation.machines import Machine
from tests.simulation.network import KEEPALIVE_S, Network
from tests.simulation.schedule import Fault, Schedule
from tests.simulation.settings import HEARTBEAT_S, current_membership
from tests.simulation.streams import SimStream

SETTLE_S: Final = 35.0
"""Longer than the longest of the protocol's short waits (a retransmission, a silent session)."""
LONG_S: Final = 2 * APPEAL_AFTER_S + SETTLE_S
LOOK_S: Final = 5.0
"""Worlds in which something is still to come by a long wait go on for the first, and are looked at each time of the second."""

FOUND_S: Final = HEARTBEAT_S + 2.0
"""Until all have heard that a node is back, and have a link to it: what befalls it before finds it away still."""

RESTART_S: Final = 2.0
LONGEST_RESTART_S: Final = 16.0
"""A node that ended by itself is started again after the first, twice as long each time up to the second: as a kubelet does."""


@dataclass(frozen=True)
class Violation:
    """A broken invariant: its name, when, and what happened."""

    invariant: str
    at_s: float
    text: str


@dataclass(frozen=True)
class Effect:
    """What became of a fault: `effect` says whether it took effect, or can be asked at the end."""

    fault: Fault
    at_s: float
    effect: bool | Callable[[], bool]

    @property
    def took(self) -> bool:
        return self.effect if isinstance(self.effect, bool) else self.effect()


@dataclass
class Report:
    """What became of a world."""

    seed: int
    violations: list[Violation] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    messages: int = 0
    delivered: int = 0
    steps: int = 0
    digest: str = ""
    set_up_s: float = 0.0
    wall_s: float = 0.0


class _DefectsOfClients(logging.Handler):
    """A client outlives what nobody foresaw in it, and logs an error: that is a defect all the same."""

    def __init__(self, defects: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._defects = defects

    def emit(self, record: logging.LogRecord) -> None:
        self._defects.append(f"{record.getMessage()}: {record.exc_info[1]!r}" if record.exc_info else record.getMessage())


class World:
    """Use once: `run`."""

    def __init__(self, schedule: Schedule) -> None:
        self._began = time.perf_counter()
        self.schedule = schedule
        self.loop = VirtualLoop(jobs.run_job)  # type: ignore[abstract]  # as much of one as is used
        self.draws = Draws(schedule.seed)
        seed_sqlite(self.draws.of("sqlite"))
        self.network = Network(self.loop, self.draws)
        self.report = Report(schedule.seed)
        self.ledger = Ledger(self.violate)
        self.machines = [
            Machine(number, schedule, self.loop, self.network, self.draws, self) for number in range(schedule.nodes)
        ]
        self.apps = {
            plan.name: App(plan, schedule.window, self.loop, self.network, self.draws, self.ledger) for plan in schedule.apps
        }
        self.carried = CarriedStreams()
        self.hooks = Hooks(self)
        self._away: list[tuple[float, float]] = []
        self.healed = False
        self._trace = hashlib.blake2b(digest_size=16)
        self.network.on_write.append(self._written)

    def violate(self, invariant: str, text: str) -> None:
        self.report.violations.append(Violation(invariant, round(self.loop.time() - START_S, 6), text))

    def run(self) -> Report:
        log, tell = logging.getLogger("hermes.client"), _DefectsOfClients(self.loop.defects)
        log.setLevel(logging.ERROR)
        log.propagate = False
        log.addHandler(tell)
        instruments.listen(self.hooks)
        collecting = gc.isenabled()
        gc.disable()
        try:
            self.loop.run(self._live())
        finally:
            instruments.listen(None)
            self._close()
            log.removeHandler(tell)
            if collecting:
                gc.enable()
        report = self.report
        report.messages, report.delivered, report.steps = self.network.messages, self.ledger.messages_received, self.loop.steps
        report.digest = self._trace.hexdigest()
        report.wall_s = time.perf_counter() - self._began
        return report

    def _close(self) -> None:
        """Every process dies, so that nothing of this world holds a file."""
        for machine in self.machines:
            machine.kill()
            machine.volume.close()
        for app in self.apps.values():
            app.leave()

    async def _live(self) -> None:
        for machine in self.machines:
            machine.start()
        while not all(machine.keystores for machine in self.machines):  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.01)
        self.report.set_up_s = time.perf_counter() - self._began
        for app in self.apps.values():
            app.start()
        for plan in self.schedule.chats:
            self.loop.call_at(plan.at_s, self.apps[plan.initiator].run, plan, self.apps[plan.acceptor])
        for fault in self.schedule.faults:  # whatever the set-up took of the first seconds, every fault comes later
            self.loop.call_at(fault.at_s, lambda fault=fault: self.inflict(fault))
        await asyncio.sleep(START_S + self.schedule.active_s - self.loop.time())
        self._heal()
        await asyncio.sleep(SETTLE_S)
        await self._wait_on()
        for text in self.loop.defects:
            self.violate("no defect", text)
        self.hooks.at_rest()

    async def _wait_on(self) -> None:
        """For what comes by a long wait, and for what follows from it."""
        until = self.loop.time() + LONG_S
        if not self.hooks.waits():
            return
        while self.hooks.waits() and self.loop.time() < until:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(LOOK_S)

    # faults

    def inflict(self, fault: Fault) -> None:
        effect = faults.KINDS[fault.kind](self, fault)
        self.report.effects.append(Effect(fault, self.loop.time() - START_S, effect))

    def after(self, delay_s: float, do: Callable[..., object], *args: Any) -> None:
        """Unless everything is healed by then."""
        self.loop.call_later(delay_s, self._unless_healed, do, args)

    def _unless_healed(self, do: Callable[..., object], args: tuple[Any, ...]) -> None:
        if not self.healed:
            do(*args)

    def machine(self, name: str) -> Machine:
        return next(machine for machine in self.machines if machine.name == name)

    def process(self, name: str) -> Process | None:
        return self.apps[name].process if name in self.apps else self.machine(name).process

    def start_node(self, machine: Machine) -> None:
        """A node that is killed stands still until here; one that ends by itself is brought back by its watcher."""
        if machine.running and machine.killing:
            machine.kill()
        if not machine.running:
            machine.start()

    def start_app(self, app: App) -> None:
        if not app.running:
            app.start()

    def cut(self, pairs: list[tuple[str, str]], for_s: float) -> bool:
        links = [self.network.link(*pair) for pair in pairs]
        if any(link.blocked for link in links):
            return False
        for link, pair in zip(links, pairs, strict=True):
            link.block()
            self.after(for_s, link.heal)
            if for_s > KEEPALIVE_S:
                self.after(KEEPALIVE_S, self.network.expire, pair)
        self.away_for(for_s)
        return True

    def away_for(self, for_s: float) -> None:
        """From now on somebody cannot be reached for so long."""
        self._away.append((self.loop.time(), self.loop.time() + for_s))

    def _heal(self) -> None:
        """Whatever was done is undone; who is down is started."""
        self.healed = True
        self.network.heal()
        for machine in self.machines:
            machine.heal()
            if machine.process is not None and machine.process.paused:
                self.loop.resume(machine.process)
            self.start_node(machine)
        for app in self.apps.values():
            if app.process is not None and app.process.paused:
                self.loop.resume(app.process)
            app.end_act()
            self.start_app(app)

    # what machines and the network tell

    def node_ended(self, machine: Machine, process: Process, exit_code: int, reason: str) -> None:
        self.hooks.process_ended(process, exit_code, reason)
        wait_s = min(RESTART_S * 2.0**machine.failures, LONGEST_RESTART_S)
        machine.failures = machine.failures + 1 if exit_code else 0
        self.loop.call_later(wait_s, self.start_node, machine, context=contextvars.Context())

    def logged(self, process: str, line: str) -> None:
        if "unexpected_error" in line:
            self.violate("no defect", f"{process}: {line.strip()}")

    def _written(self, stream: SimStream, process: Process, data: bytes) -> None:
        self._trace.update(b"%.6f %d %s" % (self.loop.time(), stream.number, process.name.encode()))
        self._trace.update(data)
        if not stream.carries_chats:
            return
        if stream.path.endswith("/Carry"):
            self.hooks.written(stream, process, self.carried.unwrap(stream, process, data))
        elif self.is_node(process):
            self.hooks.written(stream, process, parse_batch(stream, data))
        else:
            self.hooks.app_wrote(stream, process, parse_app_batch(data))

    # what invariants ask

    def is_node(self, process: Process) -> bool:
        return process.machine not in self.apps

    def neighbour_id(self, machine: str) -> str:
        """What a node's records call who runs on a machine."""
        return self.apps[machine].app_id if machine in self.apps else machine

    def app_name(self, app_id: AppId) -> str:
        return next(app.name for app in self.apps.values() if app.app_id == app_id)

    def chat_number(self, chat_id: bytes) -> int:
        return self.ledger.chats[ChatId(chat_id)].plan.number

    @property
    def uses_swim(self) -> bool:
        return (self.schedule.membership or current_membership()) == "swim"

    def was_orphaned(self, chat_id: bytes) -> bool:
        return self.ledger.chats[ChatId(chat_id)].orphaned

    @property
    def longest_away_s(self) -> float:
        """How long any node can have been away from any other one, by whatever was done: before it was found again as well."""
        longest_s = begin_s = end_s = 0.0
        for from_s, to_s in sorted([*self._away, *(down for machine in self.machines for down in machine.downs)]):
            if from_s > end_s + FOUND_S:
                begin_s = from_s
            end_s = max(end_s, to_s)
            longest_s = max(longest_s, end_s - begin_s)
        return longest_s

    def happened(self, *kinds: str) -> bool:
        """Whether a fault of one of these kinds took effect until now."""
        return any(effect.fault.kind in kinds and effect.took for effect in self.report.effects)


def parse_batch(stream: SimStream, data: bytes) -> list[Any]:
    if stream.path.endswith("/Carry"):
        return [read_carry(data)]
    if stream.path.endswith("/Open"):
        return without_tags(parse_server_batch(ServerBatch.FromString(data)))
    return without_tags(parse_peer_batch(PeerBatch.FromString(data)))


def parse_app_batch(data: bytes) -> list[Any]:
    return without_tags(parse_client_batch(ClientBatch.FromString(data)))


def without_tags(items: Iterable[Any]) -> list[Any]:
    """The messages, whoever vouches for them."""
    return [split_tag(item)[0] for item in items]
