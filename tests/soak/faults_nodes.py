"""Faults of nodes and of the network: nodes are killed, stopped, drained, lost; pairs are cut off, or talk into a hole."""

from __future__ import annotations

import asyncio
import random
from contextlib import AbstractAsyncContextManager, suppress

import aiohttp

from tests.soak.freeze import freeze
from tests.soak.harm import Harm
from tests.soak.world import World

ATTEMPTS = 10


async def kill_node(world: World, draws: random.Random, harm: Harm) -> None:
    async with _node(world, draws) as (name,):
        harm.targets, index = (name,), world.node_index(name)
        away_s = draws.choice((0.0, 0.0, 0.5, 2.0, 5.0))
        pid = world.mesh.nodes[index].pid
        await world.mesh.kill(index)
        await asyncio.sleep(away_s)
        await world.mesh.start(index)
        harm.nothing = "" if world.mesh.nodes[index].pid != pid else "the same process is there"


async def freeze_node(world: World, draws: random.Random, harm: Harm) -> None:
    async with _node(world, draws) as (name,):
        harm.targets = (name,)
        await freeze(world.mesh.nodes[world.node_index(name)].pid, draws, harm)


async def drain_node(world: World, draws: random.Random, harm: Harm) -> None:
    """SIGTERM, half of the time after being told to drain: the node ends in order, and comes back."""
    async with _node(world, draws) as (name,):
        harm.targets, index = (name,), world.node_index(name)
        told, wait_s, away_s = draws.random() < 0.5, draws.uniform(0.0, 1.5), draws.choice((0.0, 0.5, 2.0))
        if told:
            await _post_drain(world, index)
            await asyncio.sleep(wait_s)
        code = await world.mesh.stop(index)
        if code != 0:
            world.ledger.violations.append(f"{name} was told to stop and ended with exit code {code}")
        await asyncio.sleep(away_s)
        await world.mesh.start(index)
        harm.nothing = "" if code == 0 else f"exit code {code}"


async def lose_node(world: World, draws: random.Random, harm: Harm) -> None:
    """Killed with its volume; a new node comes up under its name later."""
    async with _node(world, draws) as (name,):
        harm.targets, index = (name,), world.node_index(name)
        away_s = draws.uniform(1.0, 9.0)
        await world.mesh.kill(index)
        removed = world.mesh.lose_volume(index)
        await asyncio.sleep(away_s)
        await world.mesh.start(index)
        harm.nothing = "" if removed else "there was no volume"


async def cut_nodes(world: World, draws: random.Random, harm: Harm) -> None:
    await _part_nodes(world, draws, harm, hole=False)


async def swallow_nodes(world: World, draws: random.Random, harm: Harm) -> None:
    await _part_nodes(world, draws, harm, hole=True)


async def cut_app(world: World, draws: random.Random, harm: Harm) -> None:
    await _part_app(world, draws, harm, hole=False)


async def swallow_app(world: World, draws: random.Random, harm: Harm) -> None:
    await _part_app(world, draws, harm, hole=True)


async def _part_nodes(world: World, draws: random.Random, harm: Harm, *, hole: bool) -> None:
    for _ in range(ATTEMPTS if len(world.mesh.nodes) > 1 else 0):
        pair = world.shuffled_nodes(draws)[:2]
        if not world.mesh.proxy.faulty(frozenset(pair)):
            await _part(world, draws, harm, (pair[0], pair[1]), hole=hole)
            return
    harm.nothing = "no pair was left to be parted"


async def _part_app(world: World, draws: random.Random, harm: Harm, *, hole: bool) -> None:
    for name in world.shuffled_apps(draws):
        app = world.apps[name]
        if app.connected and not world.mesh.proxy.faulty(frozenset((name, app.home))):
            await _part(world, draws, harm, (name, app.home), hole=hole)
            return
    harm.nothing = "no app was connected"


async def _part(world: World, draws: random.Random, harm: Harm, pair: tuple[str, str], *, hole: bool) -> None:
    harm.targets = pair
    proxy, key = world.mesh.proxy, frozenset(pair)
    gate = proxy.swallow(key) if hole else proxy.cut(key)
    try:
        await asyncio.sleep(0.5 * 16 ** draws.random())
    finally:
        proxy.heal(key)
    harm.nothing = "" if gate.touched else "they said nothing to each other"


def _node(world: World, draws: random.Random) -> AbstractAsyncContextManager[tuple[str, ...]]:
    names = world.shuffled_nodes(draws)
    return world.busy.take(lambda: [(name,) for name in names])


async def _post_drain(world: World, index: int) -> None:
    headers = {"Authorization": f"Bearer {world.mesh.admin_token}"}
    with suppress(aiohttp.ClientError, TimeoutError):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5), headers=headers) as session:
            await session.post(f"http://{world.mesh.nodes[index].admin}/drain")
