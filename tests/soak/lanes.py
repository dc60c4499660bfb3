"""Deals the plan: workers of each lane take its faults one after the other, do them, and write down what came of each."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable

from tests.soak import faults_apps, faults_nodes
from tests.soak.harm import Harm
from tests.soak.plan import LANES, PAUSE_S, WORKERS, draw_fault
from tests.soak.world import World

DO: dict[str, Callable[[World, random.Random, Harm], Awaitable[None]]] = {
    "node-kill": faults_nodes.kill_node,
    "node-freeze": faults_nodes.freeze_node,
    "node-drain": faults_nodes.drain_node,
    "node-lost": faults_nodes.lose_node,
    "app-kill": faults_apps.kill_app,
    "app-freeze": faults_apps.freeze_app,
    "app-restored": faults_apps.put_app_back,
    "app-moves": faults_apps.move_app,
    "apps-cross": faults_apps.cross_apps,
    "nodes-cut": faults_nodes.cut_nodes,
    "nodes-hole": faults_nodes.swallow_nodes,
    "app-cut": faults_nodes.cut_app,
    "app-hole": faults_nodes.swallow_app,
    "stream-cut": faults_apps.cut_streams,
    "rekey-storm": faults_apps.storm_rekeys,
    "delete": faults_apps.delete_chat,
}


class Lanes:
    """`done`: every fault that was begun, in the order in which they began."""

    def __init__(self, world: World, seed: int, kinds: frozenset[str]) -> None:
        self.done: list[Harm] = []
        self._world = world
        self._seed = seed
        self._kinds = kinds
        self._over = asyncio.Event()

    async def run(self, seconds: float, finish_s: float) -> None:
        """Begin faults for so long; those that have begun get `finish_s` to end by themselves."""
        workers = [
            asyncio.create_task(self._work(lane, kinds, numbers))
            for lane, kinds, numbers in self._deal()
            for _ in range(WORKERS[lane])
        ]
        try:
            waiting = asyncio.gather(*workers)
            done, _ = await asyncio.wait({waiting}, timeout=seconds)
            if done:
                waiting.result()
            self._over.set()
            await asyncio.wait(workers, timeout=finish_s)
        finally:
            for worker in workers:
                worker.cancel()
            results = await asyncio.gather(*workers, return_exceptions=True)
        defects = [result for result in results if isinstance(result, Exception)]
        if defects:
            raise defects[0]

    def _deal(self) -> list[tuple[str, tuple[str, ...], itertools.count[int]]]:
        lanes = ((lane, tuple(kind for kind in kinds if kind in self._kinds)) for lane, kinds in LANES.items())
        return [(lane, kinds, itertools.count()) for lane, kinds in lanes if kinds]

    async def _work(self, lane: str, kinds: tuple[str, ...], numbers: itertools.count[int]) -> None:
        world = self._world
        while not self._over.is_set():
            fault = draw_fault(self._seed, lane, next(numbers), kinds)
            pause_s = fault.draws.uniform(0.0, PAUSE_S[lane])
            harm = Harm(fault.kind, fault.number, time.monotonic() - world.began)
            self.done.append(harm)
            try:
                await DO[fault.kind](world, fault.draws, harm)
            finally:
                harm.ended = time.monotonic() - world.began
            try:
                async with asyncio.timeout(pause_s):
                    await self._over.wait()
            except TimeoutError:
                continue
