"""The second act of `make demo`: a node is killed with its volume and does not come back; the chat goes on elsewhere."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

from hermes_client.client import HermesClient
from hermes_client.scenario.admin_client import AdminClient
from hermes_client.scenario.delivery import Delivery, deliver
from hermes_client.scenario.leftovers import wait_nothing_left
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_client.scenario.pair import BrokenPromiseError, ChatPair
from hermes_client.scenario.progress import Progress
from hermes_client.scenario.report import ScenarioReport
from hermes_client.scenario.runner import ScenarioStep, run_steps
from hermes_client.tls import PLAIN, ClientTls
from hermes_core.endpoint.params import AppParams

NAME: Final = "home-loss"
STEP_TIMEOUT_S: Final = 30.0
PATIENCE_S: Final = 3.0
"""Of the demo's apps for a home that is away; 30 s unless an app says otherwise."""
NODES: Final = 3
LOST: Final = 0
PACE_S: Final = 0.02
MIN_MESSAGES: Final = 16


class HomeLoss:
    """One run, on a local mesh of NODES: app a is at home on the node that is lost, b on the next one."""

    def __init__(
        self,
        mesh: LocalMesh,
        progress: Progress,
        *,
        messages: int,
        delivery: Delivery = deliver,
        step_timeout_s: float = STEP_TIMEOUT_S,
    ) -> None:
        self._mesh = mesh
        self._progress = progress
        self._each = max(messages, MIN_MESSAGES) // 8
        self._delivery = delivery
        self._step_timeout_s = step_timeout_s
        addresses = [node.app for node in mesh.nodes]
        tls = ClientTls(ca_file=mesh.ca_file) if mesh.app_tls else PLAIN
        params = AppParams(home_patience_s=PATIENCE_S)
        self._clients = (
            HermesClient(addresses, tls=tls, params=params),
            HermesClient(addresses[1:] + addresses[:1], tls=tls, params=params),
        )
        self._stack = AsyncExitStack()
        self._pair: ChatPair | None = None
        self._flow: asyncio.Task[None] | None = None
        self._lost_at = 0.0

    @property
    def pair(self) -> ChatPair:
        if self._pair is None:
            raise BrokenPromiseError("there is no chat yet")
        return self._pair

    async def run(self) -> ScenarioReport:
        """All steps; the report says whether every promise was kept."""
        steps = [
            ScenarioStep("connect two apps", self._connect, self._step_timeout_s),
            ScenarioStep("handshake", self._handshake, self._step_timeout_s),
            ScenarioStep("messages both ways", self._exchange, self._step_timeout_s),
            ScenarioStep("lose a's node and its volume", self._lose, self._step_timeout_s),
            ScenarioStep("chat goes on at another node", self._go_on, self._step_timeout_s),
            ScenarioStep("messages after the move", self._exchange, self._step_timeout_s),
            ScenarioStep("teardown", self._teardown, self._step_timeout_s),
            ScenarioStep("nothing is left", self._look_for_leftovers, self._step_timeout_s),
        ]
        title = f"{NAME}: a chat goes on when the node of one app is lost for good, {len(self._mesh.nodes)} nodes"
        async with self._stack:
            report = await run_steps(NAME, title, steps, self._progress, watch=self._watch, backlog=self._backlog)
            await self._end_flow()
            if self._pair is not None:
                self._pair.fill(report)
        self._progress.close(report.closing_line())
        return report

    async def _connect(self) -> str:
        await asyncio.gather(*(self._stack.enter_async_context(client) for client in self._clients))
        return f"a at {self._clients[0].home}, b at {self._clients[1].home}"

    async def _handshake(self) -> str:
        self._pair = await ChatPair.establish(*self._clients, self._delivery, self._step_timeout_s)
        self._stack.push_async_callback(self._pair.close)
        return f"chat {self._pair.ends[0].chat.chat_id.hex()[:8]}"

    async def _exchange(self) -> str:
        await self.pair.send(self._each)
        await self.pair.settle()
        return f"{2 * self._each} messages"

    async def _lose(self) -> str:
        """It dies while messages are under way; what follows is said into the outage, and must come through all the same."""
        pair, node = self.pair, self._mesh.nodes[LOST]
        lost = pair.watch_path()
        pair.measure_silences()
        await pair.send(self._each)
        self._flow = asyncio.create_task(pair.send(self._each, PACE_S))
        in_flight, pid = pair.unacknowledged, node.pid
        await self._mesh.kill(LOST)
        files = self._mesh.lose_volume(LOST)
        self._lost_at = time.monotonic()
        await lost()
        return f"SIGKILL of {node.node_id} (pid {pid}), {files} keystore files removed, {in_flight} messages in flight"

    async def _go_on(self) -> str:
        mover, former = self.pair.ends[0], self._mesh.nodes[LOST].node_id
        await mover.chat.wait(lambda: mover.chat.moves > 0)
        moved_s = time.monotonic() - self._lost_at
        if self._flow is not None:
            await self._flow
        await self.pair.settle()
        self.pair.stop_measuring()
        if mover.client.home == former:
            raise BrokenPromiseError(f"a says it is still at home on {former}, which is gone")
        return (
            f"a waited {PATIENCE_S:.0f} s ±30 %, is at {mover.client.home} after {moved_s:.1f} s; all that was said has arrived"
        )

    async def _teardown(self) -> str:
        await self.pair.end_chat()
        return "deleted by a, b was told"

    async def _look_for_leftovers(self) -> str:
        living = [node for index, node in enumerate(self._mesh.nodes) if index != LOST]
        admin = {node.node_id: AdminClient(f"http://{node.admin}", self._mesh.admin_token) for node in living}
        return await wait_nothing_left(admin, {})

    async def _watch(self) -> None:
        """Raise at the first broken promise; without a chat there is none to break."""
        if self._pair is None:
            await asyncio.Event().wait()
        await self.pair.wait_broken()

    def _backlog(self) -> str:
        return "" if self._pair is None else self._pair.describe_backlog()

    async def _end_flow(self) -> None:
        if self._flow is not None:
            self._flow.cancel()
            await asyncio.gather(self._flow, return_exceptions=True)
