"""Faults of apps and chats: apps are killed, stopped, put back to an old store, moved; chats are rekeyed and deleted."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.soak.freeze import freeze
from tests.soak.harm import Harm
from tests.soak.process import AppProcess
from tests.soak.world import World

OPEN_AGAIN_S = 60.0
MOVED_WITHIN_S = 40.0
ENDED_WITHIN_S = 45.0
RECONNECTED_WITHIN_S = 10.0
REKEYED_WITHIN_S = 30.0
STORM_CHATS = 5
STREAMS = 3


async def kill_app(world: World, draws: random.Random, harm: Harm) -> None:
    async with _app(world, draws) as (name,):
        harm.targets, app = (name,), world.apps[name]
        away_s = draws.choice((0.0, 0.0, 1.0, 3.0))
        code = await app.kill()
        await asyncio.sleep(away_s)
        harm.nothing = await _start_again(world, app) or ("" if code == -signal.SIGKILL else f"it ended with {code} before")


async def freeze_app(world: World, draws: random.Random, harm: Harm) -> None:
    async with _app(world, draws) as (name,):
        harm.targets, pid = (name,), world.apps[name].pid
        assert pid is not None
        await freeze(pid, draws, harm)


async def put_app_back(world: World, draws: random.Random, harm: Harm) -> None:
    """The store is copied while the process stands still; later the process is killed and the copy put in its place."""
    async with _app(world, draws) as (name,):
        harm.targets, app = (name,), world.apps[name]
        copy, later_s, away_s = app.folder / "copy", draws.uniform(0.5, 6.0), draws.choice((0.0, 1.0))
        assert app.pid is not None
        os.kill(app.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(0.05)
            app.copy_store(copy)
        finally:
            os.kill(app.pid, signal.SIGCONT)
        await asyncio.sleep(later_s)
        await app.kill()
        older = _digest(copy) != _digest(app.store)
        world.read_now()
        world.ledger.put_back(name, app.life)
        app.put_back(copy)
        await asyncio.sleep(away_s)
        harm.nothing = await _start_again(world, app) or ("" if older else "nothing was kept since the copy")


async def move_app(world: World, draws: random.Random, harm: Harm) -> None:
    """Cut off from its home for as long as it takes to have another one."""
    async with _app(world, draws) as (name,):
        harm.targets, since = (name,), time.monotonic()
        if not await _leave_home(world, [world.apps[name]], hole=draws.random() < 0.3):
            harm.nothing = "it found no other home in time"
        elif not await world.wait(lambda: _moved(world, name, since), MOVED_WITHIN_S):
            harm.nothing = "no chat of it moved in time"
        else:
            harm.nothing = ""


async def cross_apps(world: World, draws: random.Random, harm: Harm) -> None:
    """Both apps of a chat lose their homes at the same time."""
    slots = [slot for slot in world.slots.slots if slot.chat]
    draws.shuffle(slots)
    async with world.busy.take(lambda: [(slot.first, slot.second) for slot in slots if slot.chat]) as pair:
        chat = next(slot.chat for slot in slots if (slot.first, slot.second) == pair)
        harm.targets, since, before = pair, time.monotonic(), world.ledger.crossings()
        if not await _leave_home(world, [world.apps[name] for name in pair], hole=False):
            harm.nothing = "they found no other homes in time"
        elif not await world.wait(lambda: len(world.ledger.movers(chat, since)) == 2, MOVED_WITHIN_S):
            harm.nothing = "their chat did not move at both ends"
        else:
            harm.nothing = "" if world.ledger.crossings() > before else "one was through before the other began"


async def cut_streams(world: World, draws: random.Random, harm: Harm) -> None:
    apps = [world.apps[name] for name in world.shuffled_apps(draws) if world.apps[name].connected][:STREAMS]
    harm.targets, before = tuple(app.name for app in apps), [(app.life, app.connections) for app in apps]
    for app in apps:
        app.command("cut")
    again = await world.wait(
        lambda: any((app.life, app.connections) > known for app, known in zip(apps, before, strict=True)), RECONNECTED_WITHIN_S
    )
    harm.nothing = "" if again else "nobody connected again"


async def storm_rekeys(world: World, draws: random.Random, harm: Harm) -> None:
    """Several chats at once, mostly from both ends, some twice."""
    slots = [slot for slot in world.slots.slots if slot.chat]
    draws.shuffle(slots)
    before = world.ledger.counts["rekeyed"]
    for slot in slots[:STORM_CHATS]:
        for name in (slot.first, slot.second) if draws.random() < 0.6 else (slot.first,):
            for _ in range(draws.randint(1, 2)):
                world.apps[name].command("rekey", slot.chat)
    harm.targets = tuple(slot.chat[:8] for slot in slots[:STORM_CHATS])
    rekeyed = await world.wait(lambda: world.ledger.counts["rekeyed"] > before, REKEYED_WITHIN_S)
    harm.nothing = "" if rekeyed else "no chat was rekeyed in time"


async def delete_chat(world: World, draws: random.Random, harm: Harm) -> None:
    """One end deletes it; the other hears of it, and the slot's first app opens a new one."""
    slots = [
        slot
        for slot in world.slots.slots
        if slot.chat and all(slot.chat in world.apps[name].chats for name in (slot.first, slot.second))
    ]
    if not slots:  # one that answered and has no confirmation yet is told of no end that it could write down
        harm.nothing = "there was no chat that both ends have"
        return
    slot = draws.choice(slots)
    chat = slot.chat
    harm.targets = (chat[:8],)
    world.apps[draws.choice((slot.first, slot.second))].command("delete", chat)
    ends = world.ledger.chats[chat].ends
    if not await world.wait(lambda: len(ends) == 2 and bool(slot.chat) and slot.chat != chat, ENDED_WITHIN_S):
        harm.nothing = f"told of its end: {dict(ends)}; a new one: {slot.chat != chat and bool(slot.chat)}"
    else:
        harm.nothing = ""


def _app(world: World, draws: random.Random) -> AbstractAsyncContextManager[tuple[str, ...]]:
    names = world.shuffled_apps(draws)
    return world.busy.take(lambda: [(name,) for name in names if world.apps[name].open])


async def _start_again(world: World, app: AppProcess) -> str:
    app.start()
    return "" if await world.wait(lambda: app.open, OPEN_AGAIN_S) else f"it was not open again after {OPEN_AGAIN_S:.0f} s"


async def _leave_home(world: World, apps: list[AppProcess], *, hole: bool) -> bool:
    """Part each from its home until it has another one."""
    proxy, homes = world.mesh.proxy, {app.name: app.home for app in apps}
    pairs = [frozenset((app.name, app.home)) for app in apps]
    for pair in pairs:
        if hole:
            proxy.swallow(pair)
        else:
            proxy.cut(pair)
    try:
        return await world.wait(lambda: all(app.connected and app.home != homes[app.name] for app in apps), MOVED_WITHIN_S)
    finally:
        for pair in pairs:
            proxy.heal(pair)


def _moved(world: World, name: str, since: float) -> bool:
    return any(name in world.ledger.movers(chat, since) for chat in world.apps[name].chats)


def _digest(folder: Path) -> bytes:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.digest()
