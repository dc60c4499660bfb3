"""Everything that a soak is made of while it runs: nodes, apps, chats, the ledger, and who a fault has in hand just now."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from hermes_client.signal import Signal
from tests.soak.app import AppOptions
from tests.soak.ledger import Ledger
from tests.soak.mesh import SoakMesh
from tests.soak.process import AppProcess
from tests.soak.slots import Slot, Slots

READ_EVERY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """`rate`: sendings a second of each app in each chat; `patience_s`: of the apps for their home."""

    nodes: int
    apps: int
    rate: float
    patience_s: float
    broken: str = ""
    proxied: bool = True
    fronts: int = 0


@dataclass(slots=True)
class Busy:
    """Who a fault has in hand: no second one takes them."""

    names: set[str] = field(default_factory=set)
    freed: Signal = field(default_factory=Signal)

    @asynccontextmanager
    async def take(self, candidates: Callable[[], Iterable[tuple[str, ...]]]) -> AsyncIterator[tuple[str, ...]]:
        """The first candidate of which nobody is in hand, as soon as there is one."""
        taken: tuple[str, ...] = ()

        def find() -> bool:
            nonlocal taken
            taken = next((names for names in candidates() if names and not self.names & set(names)), ())
            return bool(taken)

        await self.freed.wait_for(find)
        self.names |= set(taken)
        try:
            yield taken
        finally:
            self.names -= set(taken)
            self.freed.notify()


class World:
    """`async with` starts all processes, and ends them by their pids, whatever happens."""

    def __init__(self, options: WorldOptions, folder: Path, homes: Callable[[int], int]) -> None:
        """`homes`: the node that the app with this number asks first."""
        self.options = options
        self.folder = folder
        self.began = time.monotonic()
        more = {"app": {"fronts": options.fronts}}
        self.mesh = SoakMesh(options.nodes, folder / "mesh", proxied=options.proxied, more=more)
        self.apps: dict[str, AppProcess] = {}
        self.ledger = Ledger(self.began)
        self.busy = Busy()
        self.slots = Slots([], self.apps)
        self.changed = Signal()
        self.longest_stall_s = 0.0
        """How long this process got no turn: a machine that is too busy shows here first."""
        self.listeners: list[Callable[[str, list[Any]], None]] = []
        self._homes = homes
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            await self.mesh.__aenter__()
            for number in range(self.options.apps):
                await self._make_app(number)
            self._reader = asyncio.create_task(self._read())
            await self.wait(lambda: all(app.open for app in self.apps.values()), 180.0)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end()

    async def open_chats(self, slots: list[Slot], timeout_s: float) -> None:
        self.slots.slots = slots
        self.slots.begin()
        await self.wait(lambda: all(slot.chat for slot in slots), timeout_s)

    async def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it came true in time; it is looked at after everything that an app tells."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.changed.wait_for(condition)
        except TimeoutError:
            return condition()
        return True

    def node_index(self, name: str) -> int:
        return next(index for index, node in enumerate(self.mesh.nodes) if node.node_id == name)

    def shuffled_nodes(self, draws: random.Random) -> list[str]:
        names = [node.node_id for node in self.mesh.nodes]
        draws.shuffle(names)
        return names

    def shuffled_apps(self, draws: random.Random) -> list[str]:
        names = list(self.apps)
        draws.shuffle(names)
        return names

    async def close_apps(self) -> None:
        self.busy.names |= set(self.apps)
        await asyncio.gather(*(app.quit() for app in self.apps.values()))
        self.read_now()

    def read_now(self) -> None:
        for app in self.apps.values():
            for event in app.read_events():
                self.ledger.record(app.name, event)
                self.slots.note(app.name, event)
                for listen in self.listeners:
                    listen(app.name, event)
        self.changed.notify()

    async def _make_app(self, number: int) -> None:
        name = f"app-{number}"
        folder = self.folder / name
        folder.mkdir()
        doors = await self.mesh.app_doors(name)
        first = self._homes(number)
        options = AppOptions(
            name=name,
            folder=str(folder),
            addresses=doors[first:] + doors[:first],
            ca_file=str(self.mesh.ca_file),
            life=0,
            patience_s=self.options.patience_s,
            rate=self.options.rate,
            broken=self.options.broken if number == 0 else "",
        )
        app = self.apps[name] = AppProcess(options)
        app.start()

    async def _read(self) -> None:
        crashed: set[str] = set()
        while True:
            self.read_now()
            for app in self.apps.values():
                code = app.crashed()
                if code is not None and app.name not in self.busy.names | crashed:
                    crashed.add(app.name)
                    self.ledger.violations.append(f"{app.name}: its process ended by itself with exit code {code}")
            due = time.monotonic() + READ_EVERY_S
            await asyncio.sleep(READ_EVERY_S)
            self.longest_stall_s = max(self.longest_stall_s, time.monotonic() - due)

    async def _end(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        for app in self.apps.values():
            app.end_now()
        await self.mesh.close()
