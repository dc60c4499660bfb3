"""How long chats are silent when their home is lost for good: `python -m tests.soak.loss --harm node|app|both`.

All chats of the first apps are at home on one node. Under traffic that node is killed with its volume, or the apps are killed
(their stores kept, started again at once), or both. Reported is how long each chat is silent, until both its ends see the path
or hear something over it, since its app's patience was over (since the kill where only apps die), and what was lost, doubled or
reordered.
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
from tests.soak.signals import end_in_order
from tests.soak.slots import Slot
from tests.soak.world import World, WorldOptions

NODES = 4
PEERS = 8
OPEN_S = 240.0
GO_ON_S = 240.0
TRAFFIC_S = 10.0
LOOK_EVERY_S = 2.0
INTERRUPTED = 130


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
        watch = Watch(harm)
        world.listeners.append(watch.note)
        await asyncio.sleep(TRAFFIC_S)
        slots = [slot for slot in slots if _is_there(world, slot)]
        print(f"{len(slots)} chats of apps that are at home on the node", flush=True)
        watch.lost_at = lost_at = time.monotonic()
        await _harm(world, harm, victims)
        pending, deadline = list(slots), lost_at + patience_s + GO_ON_S
        while pending and time.monotonic() < deadline:  # polled on purpose
            await asyncio.sleep(LOOK_EVERY_S)
            pending = [slot for slot in pending if watch.went_on(slot) is None]
        for app in world.apps.values():
            app.command("stop")
        stuck, _ = await settle(world)
        live: dict[str, set[str]] = {}
        for app in world.apps.values():
            for chat in app.chats:
                live.setdefault(chat, set()).add(app.name)
        world.ledger.close(live)
        await world.close_apps()
        return _report(world, harm, watch, victims, slots, lost_at, len(stuck))


def _is_there(world: World, slot: Slot) -> bool:
    """Both ends have the chat, and the first one's home is the node that is lost (a busy machine may have moved it)."""
    first, second = world.apps[slot.first], world.apps[slot.second]
    at_home = first.connected and first.home == world.mesh.nodes[0].node_id
    return at_home and slot.chat in first.chats and slot.chat in second.chats


async def _harm(world: World, harm: str, victims: list[str]) -> None:
    world.busy.names |= set(victims)
    if harm in ("node", "both"):
        await world.mesh.kill(0)
        world.mesh.lose_volume(0)
    if harm in ("app", "both"):
        await asyncio.gather(*(world.apps[name].kill() for name in victims))
        for name in victims:
            world.apps[name].start()
    world.busy.names.clear()


class Watch:
    """What the apps tell that matters here: when the patience of each is over, and what each end of a chat noticed last."""

    def __init__(self, harm: str) -> None:
        self._harm = harm
        self.lost_at = float("inf")
        self.opened: dict[str, float] = {}
        self._at_home: set[str] = set()
        self._ends: dict[str, float] = {}
        self._noticed: dict[tuple[str, str], list[float]] = {}

    def note(self, app: str, event: list[Any]) -> None:
        time_s, _, what, *values = event
        if what in ("got", "up"):
            self._noticed.setdefault((app, values[0]), []).append(time_s)
        elif what == "open" and time_s >= self.lost_at:
            self.opened[app] = time_s
        elif what == "home" and time_s >= self.lost_at:
            self._at_home.add(app)
        elif what in ("away", "patience") and values[-1] is not None and app not in self._at_home:
            self._ends[app] = float(values[-1])

    def patience_ends(self, app: str) -> float | None:
        """None: not known yet. Where the home lives nothing is waited for."""
        return self.lost_at if self._harm == "app" else self._ends.get(app)

    def went_on(self, slot: Slot) -> float | None:
        """When both ends had seen the path, or heard something over it, since the patience was over; None: not yet."""
        since = self.patience_ends(slot.first)
        if since is None:
            return None
        first, second = (
            next((seen for seen in self._noticed.get((name, slot.chat), ()) if seen > since), None)
            for name in (slot.first, slot.second)
        )
        return None if first is None or second is None else max(first, second)


def _report(
    world: World, harm: str, watch: Watch, victims: list[str], slots: list[Slot], lost_at: float, stuck: int
) -> LossReport:
    silences = []
    for slot in slots:
        since, went_on = watch.patience_ends(slot.first), watch.went_on(slot)
        if went_on is not None and since is not None:
            silences.append(went_on - since)
    silences.sort()
    waits = [end - lost_at for end in map(watch.patience_ends, victims) if end is not None]
    opened = [time_s - lost_at for time_s in watch.opened.values()]
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
    parser.add_argument(
        "--rate", type=float, default=0.05, help="sendings a second of each app in each chat (default 0.05: people)"
    )
    parser.add_argument("--out", type=Path, default=Path("build/loss.json"))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hermes-loss-"))

    async def run() -> LossReport:
        end_in_order()
        return await measure(
            arguments.harm,
            chats=arguments.chats,
            apps=arguments.apps,
            peers=arguments.peers,
            patience_s=arguments.patience,
            rate=arguments.rate,
            folder=folder,
        )

    try:
        report = asyncio.run(run())
    except asyncio.CancelledError:
        return INTERRUPTED
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(asdict(report), indent=1) + "\n")
    print("\n".join([*report.violations[:10], report.describe()]))
    return EXIT_BROKEN_PROMISE if report.violations or report.stuck or report.went_on < report.chats else EXIT_KEPT


if __name__ == "__main__":
    sys.exit(main())
