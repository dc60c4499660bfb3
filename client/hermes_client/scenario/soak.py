"""Messages keep flowing for a while, whatever is done to the nodes meanwhile: restarts, kills, a rolling upgrade.

The same promises as in the restart/resume scenario, and each app's longest time without a message.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from hermes_client.client import HermesClient
from hermes_client.scenario.admin_client import count_chats_at_first
from hermes_client.scenario.delivery import Delivery, deliver
from hermes_client.scenario.kill import KilledFromOutside
from hermes_client.scenario.leftovers import wait_nothing_left
from hermes_client.scenario.pair import ChatPair
from hermes_client.scenario.progress import Progress
from hermes_client.scenario.reach import MeshReach
from hermes_client.scenario.report import ScenarioReport
from hermes_client.scenario.runner import ScenarioStep, UnprovenError, run_steps

NAME = "soak"
STEP_TIMEOUT_S = 30.0
SETTLE_TIMEOUT_S = 180.0
NOTE_INTERVAL_S = 1.0


class Soak:
    """`pairs` chats for `duration_s` seconds, each app sending `rate` messages a second.

    `min_resumes`: fewer resumes than this prove nothing, since then nothing was restarted. The flow ends early once the stop
    file of `flow` exists.
    """

    def __init__(
        self,
        reach: MeshReach,
        progress: Progress,
        flow: KilledFromOutside,
        *,
        duration_s: float,
        pairs: int = 1,
        rate: float = 20.0,
        min_resumes: int = 0,
        delivery: Delivery = deliver,
        step_timeout_s: float = STEP_TIMEOUT_S,
    ) -> None:
        self._reach = reach
        self._progress = progress
        self._flow = flow
        self._duration_s = duration_s
        self._pace_s = 1.0 / rate
        self._min_resumes = min_resumes
        self._delivery = delivery
        self._step_timeout_s = step_timeout_s
        self._clients: list[tuple[HermesClient, HermesClient]] = [reach.open_clients() for _ in range(pairs)]
        self._pairs: list[ChatPair] = []
        self._stack = AsyncExitStack()
        self._records_before: dict[str, int] = {}

    async def run(self) -> ScenarioReport:
        quick = self._step_timeout_s
        steps = [
            ScenarioStep("connect the apps", self._connect, quick),
            ScenarioStep("handshakes", self._handshake, quick),
            ScenarioStep("messages flow", self._keep_flowing, self._duration_s + SETTLE_TIMEOUT_S),
            ScenarioStep("everything arrived", self._settle, SETTLE_TIMEOUT_S),
            ScenarioStep("teardown", self._teardown, quick),
            ScenarioStep("nothing is left", self._look_for_leftovers, quick),
        ]
        title = f"{NAME}: {len(self._clients)} chat(s) for {self._duration_s:.0f} s"
        async with self._stack:
            report = await run_steps(NAME, title, steps, self._progress, watch=self._watch, backlog=self._backlog)
            self._fill(report)
        self._progress.close(report.closing_line())
        return report

    async def _connect(self) -> str:
        clients = [client for pair in self._clients for client in pair]
        await asyncio.gather(*(self._stack.enter_async_context(client) for client in clients))
        self._records_before = await count_chats_at_first(self._reach.admin)
        return f"homes: {', '.join(sorted({client.home or '?' for client in clients}))}"

    async def _handshake(self) -> str:
        for first, second in self._clients:
            pair = await ChatPair.establish(first, second, self._delivery, self._step_timeout_s)
            self._stack.push_async_callback(pair.close)
            self._pairs.append(pair)
        return f"{len(self._pairs)} chat(s)"

    async def _keep_flowing(self) -> str:
        for pair in self._pairs:
            pair.measure_silences()
        self._flow.announce()
        self._progress.announce(self._flow.announcement)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._duration_s
        senders = [asyncio.create_task(self._send_until(pair, until)) for pair in self._pairs]
        try:
            await self._show_flow(senders)
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
        return f"{sum(pair.messages for pair in self._pairs)} messages, {self.resumes} resume(s)"

    async def _send_until(self, pair: ChatPair, until: float) -> None:
        while asyncio.get_running_loop().time() < until and not self._flow.stopped():
            await pair.send(1, self._pace_s)

    async def _show_flow(self, senders: list[asyncio.Task[None]]) -> None:
        pending = set(senders)
        while pending:
            done, pending = await asyncio.wait(pending, timeout=NOTE_INTERVAL_S)
            for task in done:
                task.result()
            pauses = max(pair.longest_silence_s for pair in self._pairs)
            sent = sum(pair.messages for pair in self._pairs)
            self._progress.note(f"{sent} messages, {self.resumes} resumes, longest pause {pauses:.1f} s")

    async def _settle(self) -> str:
        await asyncio.gather(*(pair.settle() for pair in self._pairs))
        if self.resumes < self._min_resumes:
            raise UnprovenError(f"only {self.resumes} resumes seen, at least {self._min_resumes} expected")
        return ""

    async def _teardown(self) -> str:
        for pair in self._pairs:
            await pair.end_chat()
        return f"{len(self._pairs)} deleted, every other side was told"

    async def _look_for_leftovers(self) -> str:
        return await wait_nothing_left(self._reach.admin, self._records_before)

    async def _watch(self) -> None:
        if not self._pairs:
            await asyncio.Event().wait()
        watches = [asyncio.ensure_future(pair.wait_broken()) for pair in self._pairs]
        try:
            await asyncio.gather(*watches)
        finally:
            for watch in watches:
                watch.cancel()

    def _backlog(self) -> str:
        stuck = [pair.describe_backlog() for pair in self._pairs if pair.unacknowledged]
        return "; ".join(stuck[:2])

    @property
    def resumes(self) -> int:
        """Chats resumed so far, counted at every app."""
        return sum(pair.resumes for pair in self._pairs)

    def _fill(self, report: ScenarioReport) -> None:
        for index, pair in enumerate(self._pairs, 1):
            suffix = "" if len(self._pairs) == 1 else str(index)
            pair.fill(report, suffix)
