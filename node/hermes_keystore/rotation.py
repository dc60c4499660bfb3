"""Rotation: a new generation for every record, slice by slice; a new wrapping of the master key. In the caller's transaction.

While rows of the former generation are left, the header holds both generations' keys and the state both digests and counts,
so a rotation that was cut off anywhere goes on when the file is opened again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.secret import wipe_buffer
from hermes_core.errors import KeystoreTamperedError
from hermes_core.keystore.header import Generation, Header, build_header, open_generations, wrap_context
from hermes_core.keystore.key_backend import KeyBackend
from hermes_core.keystore.keys import GenerationKeys, generate_key
from hermes_core.keystore.migration import migrate_value, needs_migration
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.sealing import RecordSealer, SealedRow
from hermes_core.keystore.state import RowSet
from hermes_core.keystore.tables import Table
from hermes_core.values import dataclass
from hermes_keystore.rows import LiveRows, delete_row, find_row, list_row_keys, put_row, write_state
from hermes_keystore.unsealing import Unsealed

ALL_ROWS = -1
_UPDATE_HEADER = "UPDATE header SET body = ?"


@dataclass(frozen=True, slots=True)
class Slice:
    """What one transaction looks at: rows above row key `after`, `rows` of them at most, one at least, none once `is_over`."""

    after: bytes = b""
    rows: int = ALL_ROWS
    is_over: Callable[[], bool] = lambda: False


def rotate_slice(
    connection: sqlite3.Connection, current: Unsealed, part: Slice, random: RandomSource
) -> tuple[Unsealed, bytes]:
    """Seal the former generation's rows of a slice anew, migrating older records on the way.

    Begins with a new generation if there is one only. With its last row the former one is dropped: its key is in the file no
    more.
    The result and where the next slice begins. What `current` holds and the result does not is for the caller to wipe when
    the transaction is durable. KeystoreTamperedError when the former generation has rows that cannot be found.
    """
    changed = current if current.former is not None else _begin(current, random)
    changed, after, ended = _reseal_rows(connection, changed, part, random)
    if changed.census.former == RowSet(0, 0):
        changed = _drop_former(changed, random)
    elif ended:
        raise KeystoreTamperedError("rows of the former generation are not there any more")
    if changed.header is not current.header:
        connection.execute(_UPDATE_HEADER, (changed.header.raw,))
    return write_state(connection, changed, random), after


def rewrap_master(connection: sqlite3.Connection, current: Unsealed, backend: KeyBackend, random: RandomSource) -> Unsealed:
    """A new master key under a new wrapping, around the same generations; no record is touched.

    The master key changes too: whoever unwrapped the old one from an older copy of the header cannot open later headers.
    """
    generations = open_generations(current.header, current.master)
    master = generate_key(random)
    try:
        file_id = current.header.file_id
        wrapped = backend.wrap(master, wrap_context(file_id, backend.backend_id), random)
        header = build_header(file_id, backend.backend_id, wrapped, master, generations, random)
    except BaseException:
        master.wipe()
        raise
    finally:
        _wipe_generations(generations)
    connection.execute(_UPDATE_HEADER, (header.raw,))
    return write_state(connection, replace(current, header=header, master=master), random)


def _begin(current: Unsealed, random: RandomSource) -> Unsealed:
    generations = open_generations(current.header, current.master)
    number = current.keys.generation + 1
    generations.insert(0, (number, generate_key(random)))
    try:
        header = _with_generations(current, generations, random)
        keys = GenerationKeys.derive(header.file_id, number, generations[0][1])
    finally:
        _wipe_generations(generations)
    census = replace(current.census, rows=RowSet(0, 0), former=current.census.rows)
    return replace(current, header=header, keys=keys, former=current.keys, census=census)


def _drop_former(current: Unsealed, random: RandomSource) -> Unsealed:
    generations = open_generations(current.header, current.master)
    try:
        header = _with_generations(current, generations[:1], random)
    finally:
        _wipe_generations(generations)
    return replace(current, header=header, former=None, census=replace(current.census, former=None))


def _with_generations(current: Unsealed, generations: list[Generation], random: RandomSource) -> Header:
    old = current.header
    return build_header(old.file_id, old.backend_id, old.wrapped, current.master, generations, random)


def _wipe_generations(generations: list[Generation]) -> None:
    for _, key in generations:
        key.wipe()


def _reseal_rows(
    connection: sqlite3.Connection, current: Unsealed, part: Slice, random: RandomSource
) -> tuple[Unsealed, bytes, bool]:
    """The result, the last row key looked at, and whether there is none above it."""
    if current.former is None:
        raise ValueError("a rotation has two generations")
    opener, sealer = RecordSealer(current.former), RecordSealer(current.keys)
    rows, after = LiveRows(current), part.after
    row_keys = list_row_keys(connection, part.after, part.rows)
    for row_key in row_keys:
        if after != part.after and part.is_over():
            return replace(current, census=rows.census()), after, False
        after = row_key
        old = find_row(connection, row_key)
        new = None if old is None else _reseal(old, opener, sealer, random)
        if old is not None and new is not None:
            rows.remove(old, former=True)
            delete_row(connection, row_key)
            rows.add(new)
            put_row(connection, new)
    return replace(current, census=rows.census()), after, part.rows == ALL_ROWS or len(row_keys) < part.rows


def _reseal(row: SealedRow, opener: RecordSealer, sealer: RecordSealer, random: RandomSource) -> SealedRow | None:
    """None: the former generation did not seal this row, so the current one did: each row was proven at the opening."""
    try:
        key, value = opener.open(row.row_key, row.table, row.version, row.sealed)
    except KeystoreTamperedError:
        return None
    table = Table(row.table)
    try:
        if not needs_migration(table, row.version):
            return sealer.seal(table, key, row.version, value, random)
        migrated = migrate_value(table, value)
        try:
            return sealer.seal(table, key, RECORD_VERSIONS[table], migrated, random)
        finally:
            wipe_buffer(migrated)
    finally:
        wipe_buffer(value)
