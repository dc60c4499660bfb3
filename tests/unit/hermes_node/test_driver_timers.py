"""The chat driver's timers come however slow the disk is: one that came due during a commit is the next pass' own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hermes_core.protocol.session import NodeChange
from hermes_core.relay.output import NodeOutput
from hermes_node.chats.driver import ChatDriver
from hermes_node.streams.outbox import QueueBounds
from tests.simulation.loop import VirtualLoop

EVERY_S = 0.5


class TickingRelay:
    """Wants a timer every EVERY_S; each input asks for a commit."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.due = loop.time() + EVERY_S
        self.lateness: list[float] = []
        self.outputs = 0
        self.dirty = False
        self.sessions = self.chats = self

    def begin_pass(self, now: float) -> None:
        pass

    def drain(self, _leave_after_ms: int, _now: float) -> None:
        self.dirty = True

    def next_timer(self) -> float:
        return self.due

    def handle_timer(self, now: float) -> None:
        self.lateness.append(now - self.due)
        self.due = now + EVERY_S

    def take_output(self, *, busy: bool) -> NodeOutput:
        assert not busy, "nothing is committed early"
        self.outputs += 1
        output = NodeOutput(self.outputs)
        if self.dirty:
            output.deletes.add(bytes(16))  # type: ignore[arg-type]
        self.dirty = False
        return output


class SlowStore:
    owes_commit = False

    def __init__(self, commit_s: float) -> None:
        self._commit_s = commit_s

    async def commit(self, _output: NodeOutput) -> None:
        await asyncio.sleep(self._commit_s)


@pytest.mark.parametrize(("commit_s", "gap_s"), [(0.001, 0.002), (0.06, 0.002), (0.15, 0.01), (0.4, 0.01)])
def test_a_timer_comes_within_a_commit_of_its_time(commit_s: float, gap_s: float) -> None:
    loop = VirtualLoop()  # type: ignore[abstract]
    relay = TickingRelay(loop)

    async def work() -> None:
        unused: Any = None
        some = QueueBounds(16, 1 << 20)
        driver = ChatDriver(
            relay=relay,  # type: ignore[arg-type]
            store=SlowStore(commit_s),
            observer=Nobody(),
            app_queue=some,
            node_queue=some,
            now=loop.time,
            cost_clock=loop.time,
            log=unused,
            on_failure=lambda _: None,
        )
        running = loop.create_task(driver.run())
        for _ in range(int(12.0 / gap_s)):
            driver.drain(NodeChange(0))
            await asyncio.sleep(gap_s)
        running.cancel()

    loop.run(work())
    assert len(relay.lateness) >= 12.0 / (EVERY_S + 2 * commit_s) - 2
    assert max(relay.lateness) <= 2 * commit_s + 0.1


class Nobody:
    def observe(self, work: Any) -> None:
        pass
