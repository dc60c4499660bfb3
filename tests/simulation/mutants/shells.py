"""Mutants in the shells: drivers, streams and timers of a node, and its life from start to end."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from hermes_core.relay.output import Send
from hermes_keystore import sealed_file
from hermes_node.chats.commits import OutputStore, PassCommits
from hermes_node.chats.driver import ChatDriver
from hermes_node.chats.store import ChatStore
from hermes_node.chats.streams import ChatStreams
from hermes_node.lifecycle.tasks import NodeTasks
from hermes_node.mesh import joining, swim_driver
from hermes_node.mesh import routes as mesh_routes
from hermes_node.mesh.backoff import DialState
from hermes_node.mesh.interface import DIAL_FAILURES
from hermes_node.mesh.routes import Routes
from hermes_wire import late_timers
from hermes_wire.byte_stream import StreamEndedError
from hermes_wire.late_timers import InputsFirst
from tests.simulation.invariants.commits import DiskAheadOfWire
from tests.simulation.invariants.ends import EndsSayWhy
from tests.simulation.invariants.paths import PathsComeUp
from tests.simulation.invariants.remains import NothingRemains
from tests.simulation.invariants.streams import FramesStayOnTheirStream
from tests.simulation.invariants.third import CutPairsGoOn
from tests.simulation.invariants.timers import InputsBeforeTimers, TimersCome
from tests.simulation.invariants.wiping import StoppedMeansWiped
from tests.simulation.mutants.mutant import NO_DEFECT, Catalogue, Patches, Room, do_nothing

SHELLS = Catalogue(Room.SHELL)


@SHELLS.add(
    "late-sinks",
    "What was decided for a stream that has gone by then is bound to its receiver's next stream.",
    FramesStayOnTheirStream.name,
    history="4cc88d4",
    starts_at=1,
)
def _(patches: Patches) -> None:
    def act(self: ChatStreams, action: Any) -> None:
        names, waiting = vars(self).setdefault("_names", {}), vars(self).setdefault("_waiting", {})
        names.update({link.stream: neighbour for neighbour, link in self._relay.chats._links.items()})
        neighbour, sink = names.get(action.stream), self._sinks.get(action.stream)
        if neighbour is None or not isinstance(action, Send):
            former(self, action)
        elif sink is None or sink.outbox._closed:
            waiting.setdefault(neighbour, []).append(action.message)
        else:
            for message in waiting.pop(neighbour, ()):
                sink.offer(message)
            former(self, action)

    former = patches.set(ChatStreams, "act", act)


@SHELLS.add("acts-before-commit", "A pass hands out what it sends, and then commits.", DiskAheadOfWire.name)
def _(patches: Patches) -> None:
    class Eager:
        """A store that gives way to its driver."""

        def __init__(self, driver: ChatDriver, store: OutputStore) -> None:
            self.driver = driver
            self.store = store

        @property
        def owes_commit(self) -> bool:
            return self.store.owes_commit

        async def commit(self, output: Any) -> None:
            for action in output.actions:
                self.driver.streams.act(action)
            output.actions.clear()
            await self.store.commit(output)

    def init(self: ChatDriver, **parts: Any) -> None:
        former(self, **parts)
        self._commits._store = Eager(self, self._commits._store)

    former = patches.set(ChatDriver, "__init__", init)


@SHELLS.add("ends-not-awaited", "A commit that only deletes is not waited for.", DiskAheadOfWire.name)
def _(patches: Patches) -> None:
    running: set[asyncio.Task[None]] = set()

    async def commit(self: ChatStore, output: Any) -> None:
        if output.puts:
            await former(self, output)
        else:
            running.add(asyncio.create_task(former(self, output)))

    former = patches.set(ChatStore, "commit", commit)


@SHELLS.add(
    "early-not-awaited",
    "What relies on a reservation that was made early does not wait until it is on the disk.",
    DiskAheadOfWire.name,
    starts_at=4,
)
def _(patches: Patches) -> None:
    async def settle(self: PassCommits, output: Any) -> bool:
        if output.needs_commit:
            return bool(await former(self, output))
        return not self._failed

    former = patches.set(PassCommits, "settle", settle)


@SHELLS.add("commits-fail-unseen", "A commit that failed is taken for one that succeeded.", DiskAheadOfWire.name, starts_at=55)
def _(patches: Patches) -> None:
    async def commit(self: ChatStore, output: Any) -> None:
        try:
            await former(self, output)
        except Exception:  # noqa: BLE001 - this is the fault
            return

    former = patches.set(ChatStore, "commit", commit)


@SHELLS.add("sinks-pile-up", "The driver keeps the sink of a stream that is gone.", NothingRemains.name, starts_at=1)
def _(patches: Patches) -> None:
    def close(self: ChatStreams, sink: Any, now: float) -> None:
        self._relay.sessions.closed(sink.stream, now)

    patches.set(ChatStreams, "_close", close)


@SHELLS.add("closed-streams-stay", "The core is not told of a stream that is gone.", NothingRemains.name, starts_at=1)
def _(patches: Patches) -> None:
    patches.set(ChatStreams, "_close", do_nothing)


@SHELLS.add(
    "driver-not-wiped",
    "A node that stops leaves the chats' keys in memory.",
    StoppedMeansWiped.name,
    history="ba101b0",
    starts_at=11,
)
def _(patches: Patches) -> None:
    patches.set(ChatDriver, "wipe", lambda self: setattr(self, "_failed", True))


@SHELLS.add(
    "timers-first",
    "A timer that has come is handled at once, whatever waits to be read.",
    InputsBeforeTimers.name,
    history="54f8c31",
    starts_at=13,
)
def _(patches: Patches) -> None:
    def come(self: InputsFirst, due: float) -> None:
        self._handle = None
        self._act()

    patches.set(InputsFirst, "_come", come)


@SHELLS.add(
    "timers-forgotten",
    "A timer that comes while a pass commits is set again, and late by then: under a slow disk none ever comes.",
    TimersCome.name,
    history="108baa8",
    schedule="mended-no-timer-comes-on-a-slow-disk.json",
)
def _(patches: Patches) -> None:
    def arm(self: ChatDriver) -> None:
        self._ripe = False
        self._timer.set(self._relay.next_timer())

    patches.set(ChatDriver, "_arm", arm)


@SHELLS.add(
    "timers-after-turns",
    "A late timer gives inputs some turns of the loop, which gRPC's threads do not keep to.",
    InputsBeforeTimers.name,
    history="eccf344",
    starts_at=3,
)
def _(patches: Patches) -> None:
    patches.set(late_timers, "LATE_S", math.inf)


@SHELLS.add("never-redials", "A peer whose stream was lost once is not dialled again.", PathsComeUp.name, starts_at=1)
def _(patches: Patches) -> None:
    patches.set(DialState, "failed", lambda self, *_: setattr(self, "next_at", math.inf))


@SHELLS.add("disk-errors-raw", "What SQLite raises in a commit leaves the keystore untranslated.", EndsSayWhy.name, starts_at=2)
def _(patches: Patches) -> None:
    patches.set(sealed_file, "as_keystore_error", do_nothing)


@SHELLS.add("dial-ends-are-defects", "A dialled stream that ends is taken for a defect.", NO_DEFECT, history="c288c83")
def _(patches: Patches) -> None:
    known = tuple(error for error in DIAL_FAILURES if error is not StreamEndedError)
    for module in (swim_driver, mesh_routes, joining):
        patches.set(module, "DIAL_FAILURES", known)


@SHELLS.add(
    "sooner-timers-missed",
    "What comes in and is due before what the mesh's driver sleeps for waits until that.",
    TimersCome.name,
)
def _(patches: Patches) -> None:
    patches.set(swim_driver.SwimDriver, "_is_due_sooner", lambda _: False)


@SHELLS.add(
    "failures-are-defects",
    "A part of a node that ends with a failure that has a name is logged as something unexpected.",
    NO_DEFECT,
    history="edb5c46",
    schedule="mended-a-disk-fails-while-marks-are-kept.json",
)
def _(patches: Patches) -> None:
    def ended(self: NodeTasks, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("unexpected_error", where=task.get_name(), exception=type(error).__name__)
        former(self, task)

    former = patches.set(NodeTasks, "_ended", ended)


@SHELLS.add(
    "no-third-node",
    "Two nodes that do not reach each other go through no third one: what their apps say waits until they do.",
    CutPairsGoOn.name,
    schedule="mended-a-pair-is-cut.json",
)
def _(patches: Patches) -> None:
    patches.set(Routes, "_go_through_third", do_nothing)
