"""One soak from its first process to its report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.soak.lanes import Lanes
from tests.soak.logs import find_defects
from tests.soak.plan import KINDS
from tests.soak.report import SoakReport
from tests.soak.settle import end_chats, go_on, settle, start_missing
from tests.soak.slots import draw_slots
from tests.soak.world import World, WorldOptions

OPEN_S = 90.0
FINISH_S = 75.0


@dataclass(frozen=True, slots=True)
class SoakOptions:
    seconds: float
    seed: int
    nodes: int = 5
    apps: int = 20
    chats: int = 60
    rate: float = 1.0
    patience_s: float = 4.0
    kinds: frozenset[str] = frozenset(KINDS)
    broken: str = ""
    fronts: int = 0


async def run_soak(options: SoakOptions, folder: Path, say: Callable[[str], None]) -> SoakReport:
    """Start everything, let the faults come, wait until what is under way has arrived, judge; every process is ended."""
    world_options = WorldOptions(
        options.nodes, options.apps, options.rate, options.patience_s, options.broken, fronts=options.fronts
    )
    async with World(world_options, folder, lambda number: number % options.nodes) as world:
        say(f"{options.nodes} nodes and {options.apps} apps are up, {time.monotonic() - world.began:.0f} s")
        await world.open_chats(draw_slots(options.seed, list(world.apps), options.chats), OPEN_S)
        say(f"{world.slots.opened} chats are open; faults begin")
        lanes = Lanes(world, options.seed, options.kinds)
        talking = asyncio.create_task(_tell(world, lanes, say))
        began = time.monotonic()
        try:
            await lanes.run(options.seconds, FINISH_S)
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        fault_s = time.monotonic() - began
        go_on(world)
        await start_missing(world)
        say("no fault is left; everything that is under way must arrive")
        stuck, settle_s = await settle(world)
        live: dict[str, set[str]] = {}
        for app in world.apps.values():
            for chat in app.chats:
                live.setdefault(chat, set()).add(app.name)
        world.ledger.close(live)
        ends = dict(world.ledger.ends())
        left = await end_chats(world)
        await world.close_apps()
        world.ledger.violations += find_defects(world.mesh.nodes)
        return SoakReport.build(options, world, lanes.done, stuck, fault_s=fault_s, settle_s=settle_s, ends=ends, left=left)


async def _tell(world: World, lanes: Lanes, say: Callable[[str], None]) -> None:
    told = 0
    while True:
        await asyncio.sleep(15)
        for text in world.ledger.violations[told:]:
            say(f"BROKEN: {text}")
        told = len(world.ledger.violations)
        counts, effective = world.ledger.counts, sum(not harm.nothing for harm in lanes.done)
        say(
            f"{time.monotonic() - world.began:5.0f} s: {effective} faults, {counts['messages']} messages, "
            f"{counts['moves']} moves, {world.slots.opened} chats opened, {len(world.ledger.violations)} broken promises"
        )
