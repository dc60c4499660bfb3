"""Hands what instruments tell to the invariants that override it; an invariant that does not listen costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.invariants import ALL
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from tests.simulation.loop import Process
    from tests.simulation.world import World


class Hooks:
    """`hermes` code's instruments and the world call these."""

    def __init__(self, world: World) -> None:
        self.world = world
        invariants = [invariant(world) for invariant in ALL]

        def listeners(name: str) -> Callable[..., None]:
            heard = [getattr(it, name) for it in invariants if getattr(type(it), name) is not getattr(Invariant, name)]

            def tell(*args: Any) -> None:
                for hear in heard:
                    hear(*args)

            return heard[0] if len(heard) == 1 else tell

        self._keystore_opened = listeners("keystore_opened")
        self._committed = listeners("committed")
        self._app_store_opened = listeners("app_store_opened")
        self._app_committed = listeners("app_committed")
        self.decided = listeners("decided")
        self.app_decided = listeners("app_decided")
        self.app_connected = listeners("app_connected")
        self.app_believed = listeners("app_believed")
        self.chats_released = listeners("chats_released")
        self.app_wrote = listeners("app_wrote")
        self.stream_numbered = listeners("stream_numbered")
        self.written = listeners("written")
        self.timer_fires = listeners("timer_fires")
        self.sealed = listeners("sealed")
        self.opened = listeners("opened")
        self.secret_made = listeners("secret_made")
        self.control_sent = listeners("control_sent")
        self.control_taken = listeners("control_taken")
        self.pair_cut = listeners("pair_cut")
        self.process_ended = listeners("process_ended")
        self.at_rest = listeners("at_rest")
        self._invariants = invariants

    def waits(self) -> bool:
        return any(invariant.waits() for invariant in self._invariants)

    def keystore_opened(self, process: Process, keystore: Any) -> None:
        app = self.world.apps.get(process.machine)
        if app is not None:
            if app.process is process and app.disk is not None:
                app.disk.keystores.append(keystore)
            self._app_store_opened(process, keystore)
            return
        for machine in self.world.machines:
            if machine.process is process:
                machine.keystores.append(keystore)
        self._keystore_opened(process, keystore)

    def committed(self, process: Process, puts: Any, deletes: Any) -> None:
        tell = self._app_committed if process.machine in self.world.apps else self._committed
        tell(process, puts, deletes)
