"""Where an app of a simulated world has its store: a volume of its own, what opens it, and older copies of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hermes_client import AppStore
from hermes_core.ids import ChatId
from hermes_core.keystore.app_record_codec import parse_app_chat
from hermes_core.keystore.tables import Table
from tests.simulation.jobs import KilledInTheActError
from tests.simulation.settings import ERASE_WITHIN_S, scratch_folder
from tests.simulation.volume import Snapshot, Volume, abandon

if TYPE_CHECKING:
    from hermes_keystore import Keystore

PASSPHRASE: Final = "the same in every world"
FILE: Final = "app.db"


@dataclass(frozen=True)
class KeptCursor:
    """How far a store had come in a chat: the seq of its app's latest message, and of the latest that was taken."""

    last_seq: int
    taken: int


@dataclass(frozen=True)
class Copy:
    """An image of a store, and what it says of each chat."""

    image: Snapshot
    cursors: dict[ChatId, KeptCursor]


class AppDisk:
    """`keystores`: those that this process has opened."""

    def __init__(self, name: str) -> None:
        self._folder = scratch_folder() / name
        self._folder.mkdir(exist_ok=True)
        self.volume = Volume(self._folder)
        self.volume.lose()
        self.keystores: list[Keystore] = []

    def build_store(self) -> AppStore:
        """For one start."""
        return AppStore(self._folder / FILE, PASSPHRASE, erase_within_s=ERASE_WITHIN_S)

    def copy(self) -> Copy:
        """The store as it is now."""
        return Copy(self.volume.snapshot(), self._read_cursors(self.keystores[-1]))

    def _read_cursors(self, keystore: Keystore) -> dict[ChatId, KeptCursor]:
        cursors = {}
        for _, value in keystore.load(Table.APP_CHAT):
            record = parse_app_chat(value)
            cursors[record.chat_id] = KeptCursor(record.last_seq, record.taken)
            record.wipe()
        return cursors

    def kill_at_write(self, number: int) -> None:
        """SIGKILL in the middle of the next transaction, at this write of it."""
        left = [number]

        def count() -> None:
            left[0] -= 1
            if left[0] <= 0:
                self.volume.on_write = None
                raise KilledInTheActError

        self.volume.on_write = count

    @property
    def killing(self) -> bool:
        """A kill in the act waits for its act."""
        return self.volume.on_write is not None

    def died(self) -> None:
        """Its process was killed: what was written stays."""
        for keystore in self.keystores:
            abandon(keystore)
        self.keystores.clear()
        self.volume.on_write = None
        self.volume.kill()

    def close(self) -> None:
        self.died()
        self.volume.close()
