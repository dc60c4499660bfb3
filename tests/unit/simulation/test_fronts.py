"""Worlds whose nodes have fronts: the real ones run, and both kinds of their faults take effect."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hermes_front.link.end import LinkEnd
from hermes_front.owner.reports import EndReason, FrontEnded
from hermes_front.owner.slot import Slot
from hermes_node.streams.front_reports import FrontReports
from tests.simulation.fault_draws import OF_FRONTS
from tests.simulation.link_socket import KERNEL_BYTES, LinkSocket
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.machines import Machine
from tests.simulation.schedule import Fault, Schedule, draw_schedule
from tests.simulation.settings import use_fronts
from tests.simulation.world import Report, World

SEED = 3


@pytest.fixture
def fronts() -> Iterator[None]:
    use_fronts(1)
    yield
    use_fronts(0)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[FrontEnded]:
    """Of all fronts."""
    told: list[FrontEnded] = []
    real = FrontReports.ended

    def ended(self: FrontReports, report: FrontEnded) -> None:
        told.append(report)
        real(self, report)

    monkeypatch.setattr(FrontReports, "ended", ended)
    return told


def run(*faults: Fault, fronts: int = 1) -> Report:
    schedule = replace(draw_schedule(SEED), faults=list(faults), fronts=fronts, rotates=False)
    return World(schedule).run()


def test_faults_of_fronts_are_drawn_for_worlds_with_fronts_and_move_nothing_else(fronts: None) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(60):
        use_fronts(0)
        without = draw_schedule(seed)
        use_fronts(1)
        with_fronts = draw_schedule(seed)
        assert (without.fronts, with_fronts.fronts) == (0, 1)
        drawn = [fault for fault in with_fronts.faults if fault.kind in OF_FRONTS]
        kinds.update(fault.kind for fault in drawn)
        assert replace(with_fronts, fronts=0, faults=[it for it in with_fronts.faults if it not in drawn]) == without
    assert set(kinds) == set(OF_FRONTS)


def test_a_schedule_keeps_its_fronts() -> None:
    schedule = replace(draw_schedule(SEED), fronts=2)
    assert Schedule.from_json(schedule.to_json()).fronts == 2


def test_streams_go_through_fronts_that_die_and_stand_still(ends: list[FrontEnded]) -> None:
    report = run(
        Fault(1_015.0, "kill_front", "hermes-0", amount=4),
        Fault(1_030.0, "pause_front", "hermes-1", for_s=15.0),
        Fault(1_040.0, "pause_front", "hermes-2", for_s=0.5),
        Fault(1_050.0, "kill", "hermes-3", for_s=2.0),
        Fault(1_060.0, "drain", "hermes-4", for_s=2.0),
    )
    assert report.violations == []
    assert report.delivered
    assert all(effect.took for effect in report.effects)
    reasons = [end.reason for end in ends]
    assert reasons.count(EndReason.EXITED) >= 2  # some of four strike in a pause
    assert reasons.count(EndReason.UNANSWERED) == 1
    assert reasons.count(EndReason.STOPPED) == 1
    assert any(end.streams for end in ends)
    assert max(end.again_in_s for end in ends) >= 0.5


def test_a_front_that_nobody_starts_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def keep_once(self: Slot) -> None:
        await self._run_once()
        self.serves.set()
        await self._owner.stopping.wait()

    monkeypatch.setattr(Slot, "keep", keep_once)
    report = run(*(Fault(1_110.0, "kill_front", f"hermes-{number}", amount=1) for number in range(5)))
    assert "the path is up, and everything arrives, once all is healed" in {
        violation.invariant for violation in report.violations
    }


def test_a_node_whose_front_is_killed_as_it_starts_ends_saying_so(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    real = World.node_ended

    def node_ended(self: World, machine: Machine, process: Process, exit_code: int, reason: str) -> None:
        told.append(reason)
        real(self, machine, process, exit_code, reason)

    monkeypatch.setattr(World, "node_ended", node_ended)
    kills = [Fault(1_022.0 + 0.1 * number, "kill_front", "hermes-0", amount=1) for number in range(8)]
    assert run(Fault(1_020.0, "kill", "hermes-0", for_s=2.0), *kills).violations == []
    assert any(reason.startswith("FRONTS_FAILED") for reason in told)


def test_credits_that_are_not_given_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LinkEnd, "taken", lambda *_: None)
    assert run().violations  # streams stand still


class Protocol(asyncio.BufferedProtocol):
    """What came, and what it was told."""

    def __init__(self) -> None:
        self.buffer = bytearray(100_000)
        self.got = bytearray()
        self.told: list[str] = []

    def get_buffer(self, _sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.got += self.buffer[:nbytes]

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        self.told.append("lost")

    def pause_writing(self) -> None:
        self.told.append("full")

    def resume_writing(self) -> None:
        self.told.append("room")


def test_the_socket_between_them_keeps_order_has_an_end_and_a_measure() -> None:
    loop = VirtualLoop()  # type: ignore[abstract]
    one, other = Process("one#1"), Process("other#1")
    ours, theirs = LinkSocket.pair(loop, one, other, random.Random(5))
    mine, its = Protocol(), Protocol()
    data = random.Random(6).randbytes(KERNEL_BYTES + 100_000)

    async def main() -> None:
        ours.attach(mine)
        theirs.attach(its)
        theirs.pause_reading()
        for at in range(0, len(data), 10_000):
            ours.write(data[at : at + 10_000])
        await asyncio.sleep(1.0)
        assert (bytes(its.got), mine.told) == (b"", ["full"])
        theirs.resume_reading()
        loop.pause(other)
        await asyncio.sleep(1.0)
        assert not its.got
        loop.resume(other)
        await asyncio.sleep(1.0)
        assert its.got == data
        assert mine.told == ["full", "room"]
        ours.write(b"last")
        loop.kill(one)
        ours.died()
        await asyncio.sleep(1.0)

    loop.run(main())
    assert its.got == data + b"last"
    assert its.told == ["lost"]
    assert mine.told == ["full", "room"]
