"""Mutants in the keystore: what it promises of the disk."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from hermes_core.keystore.lineage import Lineage
from hermes_core.keystore.state import RowSet
from hermes_keystore import Keystore, Table, rotation
from hermes_keystore import store as keystore_store
from hermes_keystore.sealed_file import SealedFile
from hermes_node.chats.openings import KeystoreMarks
from tests.simulation.invariants.ends import EndsSayWhy
from tests.simulation.invariants.kept import CommittedIsKept
from tests.simulation.invariants.marks import MarksAreJudged
from tests.simulation.invariants.remains import NothingRemains
from tests.simulation.invariants.wiping import StoppedMeansWiped
from tests.simulation.mutants.mutant import Catalogue, Patches, Room

KEYSTORE = Catalogue(Room.KEYSTORE)


@KEYSTORE.add("commits-lost", "Every second commit is answered as durable, and nothing was written.", NothingRemains.name)
def _(patches: Patches) -> None:
    count = itertools.count()

    def transact(self: Keystore, write: Any) -> None:
        if next(count) % 2 == 0 or not self.record_count(Table.CHAT):
            former(self, write)

    former = patches.set(SealedFile, "_transact", transact)


@KEYSTORE.add("commits-unsynced", "A commit is answered before it is synced.", EndsSayWhy.name, starts_at=16)
def _(patches: Patches) -> None:
    def open_for_writing(path: Any, connect: Any) -> Any:
        connection = former(path, connect)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    former = patches.set(keystore_store, "open_for_writing", open_for_writing)


@KEYSTORE.add(
    "app-marks-ignored",
    "A mark that an app hands back is ignored.",
    MarksAreJudged.name,
    schedule="mended-an-old-volume-is-noticed-by-no-node.json",
)
def _(patches: Patches) -> None:
    patches.set(KeystoreMarks, "proves_rollback", lambda *_: False)


@KEYSTORE.add(
    "opening-left-at-its-start", "A lineage forgets how far the opening before came.", MarksAreJudged.name, starts_at=1
)
def _(patches: Patches) -> None:
    def begin(self: Lineage, open_id: bytes, found: int, *, told: bool) -> Lineage:
        begun: Lineage = former(self, open_id, found, told=told)
        return replace(begun, openings=tuple(replace(it, reached=min(it.reached, it.start)) for it in begun.openings))

    former = patches.set(Lineage, "begin", begin)


@KEYSTORE.add("keys-not-wiped", "A keystore that is closed leaves its keys in memory.", StoppedMeansWiped.name, starts_at=6)
def _(patches: Patches) -> None:
    def close(self: SealedFile) -> None:
        self._closed = True
        self._connection.close()

    patches.set(SealedFile, "_close_database", close)


@KEYSTORE.add("row-not-put-back", "A rotation loses every fifth record that it seals anew.", CommittedIsKept.name)
def _(patches: Patches) -> None:
    count = itertools.count(1)

    def put_row(connection: Any, row: Any) -> None:
        if next(count) % 5:
            former(connection, row)

    former = patches.set(rotation, "put_row", put_row)


@KEYSTORE.add(
    "generation-dropped-early", "A former generation is dropped with the rows that are left to seal anew.", CommittedIsKept.name
)
def _(patches: Patches) -> None:
    def reseal_rows(*args: Any) -> Any:
        changed, after, _ = former(*args)
        return replace(changed, census=replace(changed.census, former=RowSet(0, 0))), after, True

    former = patches.set(rotation, "_reseal_rows", reseal_rows)
