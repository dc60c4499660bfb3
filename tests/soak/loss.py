"""How long chats are silent when their home is lost for good: `python -m tests.soak.loss --harm node|app|both`.

All chats of the first apps are at home on one node. Under traffic that node is killed with its volume, or the apps are killed
(their stores kept, started again at once), or both. Reported is the silence of each chat, the longer one of its two directions,
since its app's patience was over (since the kill where only apps die), and what was lost, doubled or reordered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hermes_client.scenario.report import EXIT_BROKEN_PROMISE, EXIT_KEPT
from tests.soak.settle import settle
from tests.soak.slots import Slot
from tests.soak.world import World, WorldOptions

NODES = 4
PEERS = 8
OPEN_S = 240.0
GO_ON_S = 240.0
TRAFFIC_S = 10.0
LOOK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class LossReport:
    """Seconds. `silences`: after the patience; `patience`: from the loss to its end, of the apps."""

    harm: str
    chats: int
    apps: int
    went_on: int
    half_within: float
    ninety_of_hundred_within: float
    all_within: float
    patience_median: float
    patience_longest: float
    apps_open_median: float
    messages: int
    violations: list[str]
    stuck: int

    def describe(self) -> str:
        patience = f"median {self.patience_median:.1f} s, longest {self.patience_longest:.1f} s"
        within = f"half within {self.half_within:.1f} s, 90 % within {self.ninety_of_hundred_within:.1f} s"
        return (
            f"{self.harm}: {self.went_on} of {self.chats} chats of {self.apps} apps went on; after the patience ({patience}) "
            f"{within}, all within {self.all_within:.1f} s; apps open again after {self.apps_open_median:.1f} s; "
            f"{self.messages} messages, {len(self.violations)} broken promises, {self.stuck} stuck"
        )


async def measure(harm: str, *, chats: int, apps: int, peers: int, patience_s: float, rate: float, folder: Path) -> LossReport:
    options = WorldOptions(NODES, apps + peers, rate, patience_s, proxied=False)
    homes = [0] * apps + [1 + number % (NODES - 1) for number in range(peers)]
    async with World(options, folder, homes.__getitem__) as world:
        names = list(world.apps)
        victims, others = names[:apps], names[apps:]
        slots = [Slot(victims[number % apps], others[number // apps % peers]) for number in range(chats)]
        await world.open_chats(slots, OPEN_S)
        print(f"{sum(bool(slot.chat) for slot in slots)} chats are open", flush=True)
        world.slots.stop()
        await asyncio.sleep(TRAFFIC_S)
        log: dict[str, list[list[Any]]] = {name: [] for name in names}
        world.listeners.append(lambda name, event: log[name].append(event))
        slots = [slot for slot in slots if all(slot.chat in world.apps[name].chats for name in (slot.first, slot.second))]
        lost_at = await _harm(world, harm, victims)
        pending = {slot.chat: slot for slot in slots}
        deadline = lost_at + patience_s + GO_ON_S
        while not _all_went_on(log, pending, lost_at, harm) and time.monotonic() < deadline:  # noqa: ASYNC110 - polled on purpose
            await asyncio.sleep(LOOK_EVERY_S)
        for app in world.apps.values():
            app.command("stop")
        stuck, _ = await settle(world)
        live: dict[str, set[str]] = {}
        for app in world.apps.values():
            for chat in app.chats:
                live.setdefault(chat, set()).add(app.name)
        world.ledger.close(live)
        await world.close_apps()
        return _report(world, harm, log, victims, slots, lost_at, len(stuck))


async def _harm(world: World, harm: str, victims: list[str]) -> float:
    """Do it, and return when."""
    lost_at = time.monotonic()
    world.busy.names |= set(victims)
    if harm in ("node", "both"):
        await world.mesh.kill(0)
        world.mesh.lose_volume(0)
    if harm in ("app", "both"):
        await asyncio.gather(*(world.apps[name].kill() for name in victims))
        for name in victims:
            world.apps[name].start()
    world.busy.names.clear()
    return lost_at


def _patience_ends(log: list[list[Any]], lost_at: float, harm: str) -> float | None:
    """When the app's patience is over; None: not known yet. Where its home lives nothing is waited for."""
    if harm == "app":
        return lost_at
    word = "away" if harm == "node" else "patience"
    for event in log:
        if event[2] == word and event[0] >= lost_at and event[-1] is not None:
            return float(event[-1])
    return None


def _went_on(log: dict[str, list[list[Any]]], slot: Slot, since: float) -> float | None:
    """When both ends had heard something again."""
    heard = []
    for name in (slot.first, slot.second):
        times = (event[0] for event in log[name] if event[2] == "got" and event[3] == slot.chat and event[0] > since)
        heard.append(next(times, None))
    first, second = heard
    return None if first is None or second is None else max(first, second)


def _all_went_on(log: dict[str, list[list[Any]]], pending: dict[str, Slot], lost_at: float, harm: str) -> bool:
    """Forget those that go on; true when none is left."""
    ends = {name: _patience_ends(log[name], lost_at, harm) for name in log}
    heard: dict[tuple[str, str], float] = {}
    for name, events in log.items():
        for event in events:
            if event[2] == "got":
                heard[name, event[3]] = event[0]
    for chat, slot in list(pending.items()):
        since = ends[slot.first]
        if since is not None and min(heard.get((name, chat), 0.0) for name in (slot.first, slot.second)) > since:
            del pending[chat]
    return not pending


def _report(
    world: World, harm: str, log: dict[str, list[list[Any]]], victims: list[str], slots: list[Slot], lost_at: float, stuck: int
) -> LossReport:
    ends = {name: _patience_ends(log[name], lost_at, harm) for name in victims}
    silences = []
    for slot in slots:
        since = ends[slot.first]
        went_on = None if since is None else _went_on(log, slot, since)
        if went_on is not None and since is not None:
            silences.append(went_on - since)
    silences.sort()
    waits = [end - lost_at for end in ends.values() if end is not None]
    opened = [event[0] - lost_at for name in victims for event in log[name] if event[2] == "open"]
    return LossReport(
        harm=harm,
        chats=len(slots),
        apps=len(victims),
        went_on=len(silences),
        half_within=round(statistics.median(silences), 2) if silences else 0.0,
        ninety_of_hundred_within=round(silences[int(len(silences) * 0.9)], 2) if silences else 0.0,
        all_within=round(silences[-1], 2) if silences else 0.0,
        patience_median=round(statistics.median(waits), 2) if waits else 0.0,
        patience_longest=round(max(waits, default=0.0), 2),
        apps_open_median=round(statistics.median(opened), 2) if opened else 0.0,
        messages=world.ledger.counts["messages"],
        violations=list(world.ledger.violations),
        stuck=stuck,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.loss", description=__doc__)
    parser.add_argument("--harm", choices=("node", "app", "both"), default="node")
    parser.add_argument("--chats", type=int, default=1000)
    parser.add_argument("--apps", type=int, default=20)
    parser.add_argument("--peers", type=int, default=PEERS, help="apps at other nodes, which they chat with")
    parser.add_argument("--patience", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=0.2, help="sendings a second of each app in each chat")
    parser.add_argument("--out", type=Path, default=Path("build/loss.json"))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hermes-loss-"))
    try:
        report = asyncio.run(
            measure(
                arguments.harm,
                chats=arguments.chats,
                apps=arguments.apps,
                peers=arguments.peers,
                patience_s=arguments.patience,
                rate=arguments.rate,
                folder=folder,
            )
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(asdict(report), indent=1) + "\n")
    print("\n".join([*report.violations[:10], report.describe()]))
    return EXIT_BROKEN_PROMISE if report.violations or report.stuck or report.went_on < report.chats else EXIT_KEPT


if __name__ == "__main__":
    sys.exit(main())
