"""The restart/resume scenario: a chat survives the death of a node, with nothing lost, doubled, reordered or left over.

One module for every place: it is told how to reach the mesh (`MeshReach`), how to kill a node (`Killer`), where to show what
happens (`Progress`).
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from hermes_client.client import HermesClient
from hermes_client.scenario.admin_client import Position, count_chats_at_first, find_lowered, place, read_positions
from hermes_client.scenario.delivery import Delivery, deliver
from hermes_client.scenario.kill import Apps, Killer
from hermes_client.scenario.leftovers import wait_nothing_left
from hermes_client.scenario.pair import BrokenPromiseError, ChatPair
from hermes_client.scenario.progress import Progress
from hermes_client.scenario.reach import MeshReach
from hermes_client.scenario.report import ScenarioReport
from hermes_client.scenario.runner import ScenarioStep, UnprovenError, run_steps

NAME = "restart-resume"
STEP_TIMEOUT_S = 30.0
RESTART_TIMEOUT_S = 120.0
OUTAGE_PACE_S = 0.01  # messages go on being sent while the node is down
OPEN_PACE_S = 0.1  # and for as long as nobody can say whether one is
MIN_MESSAGES = 64


@dataclass(frozen=True, slots=True)
class MessagePlan:
    """How many messages each phase sends in each direction."""

    before: int
    rekeyed: int
    in_flight: int
    after: int

    @classmethod
    def split(cls, total: int) -> MessagePlan:
        """`total` messages over all phases and both directions: 1/4, 1/8, 3/8, and the rest."""
        each = max(total, MIN_MESSAGES) // 2
        before, rekeyed, in_flight = each // 4, each // 8, each * 3 // 8
        return cls(before, rekeyed, in_flight, each - before - rekeyed - in_flight)


class RestartResume:
    """One run of the scenario."""

    def __init__(
        self,
        reach: MeshReach,
        killer: Killer,
        progress: Progress,
        *,
        messages: int = 400,
        delivery: Delivery = deliver,
        step_timeout_s: float = STEP_TIMEOUT_S,
        restart_timeout_s: float = RESTART_TIMEOUT_S,
    ) -> None:
        self._reach = reach
        self._killer = killer
        self._progress = progress
        self._plan = MessagePlan.split(messages)
        self._delivery = delivery
        self._step_timeout_s = step_timeout_s
        self._restart_timeout_s = restart_timeout_s
        self._clients: tuple[HermesClient, HermesClient] = reach.open_clients()
        self._stack = AsyncExitStack()
        self._pair: ChatPair | None = None
        self._flow: asyncio.Task[None] | None = None
        self._harm_over = asyncio.Event()
        self._records_before: dict[str, int] = {}
        self._positions: list[Position] = []

    @property
    def pair(self) -> ChatPair:
        if self._pair is None:
            raise BrokenPromiseError("there is no chat yet")
        return self._pair

    async def run(self) -> ScenarioReport:
        """All steps; the report says whether every promise was kept."""
        quick, slow = self._step_timeout_s, self._restart_timeout_s
        steps = [
            ScenarioStep("connect two apps", self._connect, quick),
            ScenarioStep("handshake", self._handshake, quick),
            ScenarioStep("messages both ways", self._exchange, quick),
            ScenarioStep("forced rekey", self._rekey, quick),
            ScenarioStep("kill a node, messages in flight", self._kill, slow if self._killer.certain else slow + quick),
            ScenarioStep("chat resumes", self._resume, slow),
            ScenarioStep("messages after the restart", self._exchange_after, quick),
            ScenarioStep("teardown", self._teardown, quick),
            ScenarioStep("nothing is left", self._look_for_leftovers, quick),
        ]
        title = f"{NAME}: a chat over {len(self._reach.addresses)} node(s) survives the death of one"
        async with self._stack:
            report = await run_steps(NAME, title, steps, self._progress, watch=self._watch, backlog=self._backlog)
            await self._end_flow()
            if self._pair is not None:
                self._pair.fill(report)
        self._progress.close(report.closing_line())
        return report

    async def _connect(self) -> str:
        await asyncio.gather(*(self._stack.enter_async_context(client) for client in self._clients))
        self._records_before = await count_chats_at_first(self._reach.admin)
        homes = [client.home or "?" for client in self._clients]
        return f"a at {homes[0]}, b at {homes[1]}"

    async def _handshake(self) -> str:
        self._pair = await ChatPair.establish(*self._clients, self._delivery, self._step_timeout_s)
        self._stack.push_async_callback(self._pair.close)
        chat = self._pair.ends[0].chat
        return f"chat {chat.chat_id.hex()[:8]}, epoch {chat.epoch}"

    async def _exchange(self) -> str:
        await self.pair.send(self._plan.before)
        await self.pair.settle()
        return f"{2 * self._plan.before} messages"

    async def _rekey(self) -> str:
        first, second = (end.chat for end in self.pair.ends)
        before = first.epoch
        # Half of the messages cross the rekey, the others follow it.
        crossing = asyncio.create_task(self.pair.send(self._plan.rekeyed // 2))
        epoch = await first.rekey()
        await second.wait(lambda: second.epoch >= epoch)
        await crossing
        await self.pair.send(self._plan.rekeyed - self._plan.rekeyed // 2)
        await self.pair.settle()
        if epoch <= before:
            raise BrokenPromiseError(f"the epoch did not rise: {before} before, {epoch} after")
        return f"epoch {before} → {epoch}, {2 * self._plan.rekeyed} messages"

    async def _kill(self) -> str:
        pair, each = self.pair, self._plan.in_flight
        burst = each // 2
        self._positions = await read_positions(self._reach.admin)
        apps = Apps(pair.watch_path(), pair.cut_streams, self._silence_over)
        received = pair.received
        await pair.send(burst)
        await pair.wait(lambda: pair.received > received)
        in_flight = pair.unacknowledged
        # What follows is sent into the outage, and must come through all the same.
        self._flow = asyncio.create_task(self._flow_on(each - burst))
        if self._killer.announcement:
            self._progress.announce(self._killer.announcement)
        killed = await self._kill_or_give_up(apps)
        return f"{killed}, {in_flight} messages unacknowledged then"

    async def _kill_or_give_up(self, apps: Apps) -> str:
        """Return what died. Where nobody can know whether anything does, UnprovenError when nothing was noticed in time."""
        if self._killer.certain:
            return await self._killer.kill(apps)
        try:
            async with asyncio.timeout(self._restart_timeout_s):
                return await self._killer.kill(apps)
        except TimeoutError:
            raise UnprovenError(
                f"nothing was noticed to happen within {self._restart_timeout_s:.0f} s: no path was lost, "
                f"no app was silent for longer than {self.pair.longest_silence_s:.1f} s"
            ) from None

    async def _resume(self) -> str:
        pair = self.pair
        await self._killer.wait_back()
        await pair.wait_up()
        self._harm_over.set()
        if self._flow is not None:
            await self._flow
        await pair.settle()
        pair.stop_measuring()
        if not pair.resumes and self._killer.certain:
            raise BrokenPromiseError("no chat was resumed: the kill hit neither app's path")
        return f"{pair.resumes} resume(s), {await self._compare_positions()}"

    async def _flow_on(self, each: int) -> None:
        """`each` messages both ways; where nobody can know when harm is done, and whether, more of them until it was seen."""
        await self.pair.send(each, OUTAGE_PACE_S)
        if self._killer.certain:
            return
        self.pair.measure_silences()
        while not self._harm_over.is_set():
            await self.pair.send(1, OPEN_PACE_S)

    async def _silence_over(self, at_least_s: float) -> float:
        await self.pair.wait(lambda: self.pair.longest_silence_s >= at_least_s)
        return self.pair.longest_silence_s

    async def _exchange_after(self) -> str:
        await self.pair.send(self._plan.after)
        await self.pair.settle()
        return f"{2 * self._plan.after} messages"

    async def _teardown(self) -> str:
        await self.pair.end_chat()
        return "deleted by a, b was told"

    async def _look_for_leftovers(self) -> str:
        return await wait_nothing_left(self._reach.admin, self._records_before)

    async def _compare_positions(self) -> str:
        if not self._reach.admin:
            return "positions not looked at (no admin server given)"
        after = await read_positions(self._reach.admin)
        lowered = find_lowered(self._positions, after)
        if lowered:
            raise BrokenPromiseError("a position went backwards: " + "; ".join(lowered))
        compared = len({place(old) for old in self._positions} & {place(new) for new in after})
        if not compared:
            raise BrokenPromiseError("the admin servers show no ratchet of this chat")
        return f"{compared} positions compared, none went backwards"

    async def _watch(self) -> None:
        """Raise at the first broken promise; without a chat there is none to break."""
        if self._pair is None:
            await asyncio.Event().wait()
        await self.pair.wait_broken()

    def _backlog(self) -> str:
        if self._pair is None:
            return ""
        unseen = ""
        if self._flow is not None and not self._killer.certain and not self._harm_over.is_set():
            unseen = f"no path was lost and no app silent for longer than {self._pair.longest_silence_s:.1f} s; "
        return unseen + self._pair.describe_backlog()

    async def _end_flow(self) -> None:
        if self._flow is not None:
            self._flow.cancel()
            await asyncio.gather(self._flow, return_exceptions=True)
