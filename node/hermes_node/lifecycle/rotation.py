"""A node's keystore gets fresh generation keys while it runs, and the log says so."""

from __future__ import annotations

from collections.abc import Callable

from hermes_core.keystore.rotation_timer import RotationTimer
from hermes_keystore.rotation_loop import RotationLoop
from hermes_node.chats.store import ChatStore
from hermes_node.logs.event_log import EventLog


async def rotate_keystore(store: ChatStore, timer: RotationTimer, now: Callable[[], float], log: EventLog) -> None:
    """Until cancelled; a keystore that fails ends the node."""

    def tell() -> None:
        log.info("keystore_rotated", generation=store.mark.generation)

    await RotationLoop(store.keystore, store.rotate_slice, timer, now, tell).run()
