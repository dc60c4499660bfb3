"""A keystore in the middle of a rotation in slices, for the tests of it; slices are small."""

from __future__ import annotations

import itertools
from pathlib import Path

from hermes_keystore import Keystore, Table
from tests.component.keystore.kit import CHEAP, secret

Row = tuple[bytes, int, int, bytes]
Content = dict[tuple[Table, bytes], bytes]

ROWS = 3
CHATS: Content = {(Table.TOMBSTONE, b"%d" % number): b"\x01" + bytes([number]) * 500 for number in range(20)}


def filled(path: Path) -> Keystore:
    store = Keystore.create(path, secret(), argon2=CHEAP, page_bytes=1024)
    store.commit(CHATS)
    return store


def begun(path: Path) -> Keystore:
    """In the middle of a rotation: rows of both generations."""
    store = filled(path)
    while store.left_to_rotate > 12 or not store.rotating:
        assert not store.rotate_slice()
    return store


def finish(store: Keystore) -> int:
    """The number of slices that were left."""
    for slices in itertools.count(1):
        if store.rotate_slice():
            return slices
    raise AssertionError


def raw_rows(store: Keystore) -> list[Row]:
    return store._connection.execute("SELECT row_key, tbl, version, sealed FROM records WHERE tbl = 3").fetchall()


def of_former(store: Keystore) -> list[Row]:
    return [row for row in raw_rows(store) if not store._sealers.is_current(*row)]
