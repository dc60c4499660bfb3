"""The end of a run: whatever a fault has left is healed, what is under way arrives, what makes no progress is stuck."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial

from hermes_client.scenario.admin_client import AdminClient
from hermes_core.relay.appeal import APPEAL_AFTER_S
from tests.soak.process import ChatState
from tests.soak.world import World

STUCK_S = 30.0
ALONE_S = 2 * APPEAL_AFTER_S + STUCK_S
"""For an end whose other one is gone already: its home hears that at the latest when it appeals to the other app."""
SETTLE_S = 180.0
OPEN_S = 90.0
ERASED_S = 20.0
ASK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class StuckChat:
    """An end of a chat that made no progress once everything was healed."""

    chat: str
    app: str
    unacknowledged: int
    path: str
    detail: str


def go_on(world: World) -> None:
    """Whatever a fault that was broken off has left: all run, and everybody may speak."""
    world.mesh.proxy.heal_all()
    pids = [*world.mesh.pids().values(), *(app.pid for app in world.apps.values() if app.pid is not None)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    world.slots.stop()


async def start_missing(world: World) -> None:
    for index, node in enumerate(world.mesh.nodes):
        if node.process is None:
            await world.mesh.start(index)
    for app in world.apps.values():
        if app.pid is None:
            app.start()
    if not await world.wait(lambda: all(app.open for app in world.apps.values()), OPEN_S):
        names = [app.name for app in world.apps.values() if not app.open]
        world.ledger.violations.append(f"{', '.join(names)} found no home within {OPEN_S:.0f} s though all nodes are there")
    for app in world.apps.values():
        app.command("stop")


async def settle(world: World) -> tuple[list[StuckChat], float]:
    """Until everything is acknowledged and every path is up; what makes no progress for STUCK_S is stuck."""
    began = time.monotonic()
    since: dict[tuple[str, str, ChatState, bool], float] = {}
    number = 0
    while True:
        number += 1
        for app in world.apps.values():
            app.command("state", number)
        await world.wait(partial(_answered, world, number), STUCK_S)
        now = time.monotonic()
        pending = {
            (app.name, chat, state, app.connected)
            for app in world.apps.values()
            for chat, state in app.states.items()
            if state.sent > state.acknowledged or not state.up or not app.connected
        }
        since = {key: since.get(key, now) for key in pending}
        ends = Counter(chat for app in world.apps.values() for chat in app.states)
        waits = any(now - known < (STUCK_S if ends[chat] > 1 else ALONE_S) for (_, chat, *_), known in since.items())
        if not waits or now > began + SETTLE_S:
            return [_describe(world, *key) for key in sorted(pending, key=lambda key: key[:2])], now - began
        await asyncio.sleep(ASK_EVERY_S)


def _answered(world: World, number: int) -> bool:
    return all(app.state_number == number for app in world.apps.values())


def _describe(world: World, name: str, chat: str, state: ChatState, connected: bool) -> StuckChat:
    app = world.apps[name]
    where = f"at {app.home}, {'connected' if connected else 'not connected'}, epoch {state.epoch}"
    step = "" if state.synced else ", not in step"
    return StuckChat(chat[:8], name, state.sent - state.acknowledged, "up" if state.up else "down", where + step)


async def end_chats(world: World) -> dict[str, int]:
    """Delete everything; the records that the nodes hold after a while."""
    for app in world.apps.values():
        for chat in app.chats:
            app.command("delete", chat)
    deadline = time.monotonic() + ERASED_S
    while True:
        left = {node.node_id: await _count_records(world, index) for index, node in enumerate(world.mesh.nodes)}
        if not any(left.values()) or time.monotonic() > deadline:
            return left
        await asyncio.sleep(ASK_EVERY_S)


async def _count_records(world: World, index: int) -> int:
    node = world.mesh.nodes[index]
    return (await AdminClient(f"http://{node.admin}", world.mesh.admin_token).read_resume()).live_chats
