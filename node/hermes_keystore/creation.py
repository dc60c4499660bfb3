"""Creating a keystore: built under a temporary name, synced, then renamed; a kill in between leaves nothing in the way.

The database is born with its first records and with a floor that is there before it: however early its log is lost, the
database file itself says whose it is, and that more must lie beside it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.errors import KeystoreExistsError, KeystoreIOError
from hermes_core.keystore.floor import FloorKey, encode_floor_key
from hermes_core.keystore.header import Header, build_header, wrap_context
from hermes_core.keystore.key_backend import KeyBackend
from hermes_core.keystore.keys import GenerationKeys, generate_key
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.sealing import RecordSealer
from hermes_core.keystore.state import KeystoreState, RowSet, seal_state
from hermes_core.keystore.tables import FILE_ID_BYTES
from hermes_keystore.database import Connector, create_database, journal_path, translate_error
from hermes_keystore.floor_file import remove_floor, write_floor
from hermes_keystore.history import FLOOR, Place
from hermes_keystore.place import floor_path, temporary_path, wal_path
from hermes_keystore.rows import Changes, apply_rows
from hermes_keystore.unsealing import RowCensus, Unsealed
from hermes_keystore.wal import sync_file

FIRST_GENERATION: Final = 1

Records = Mapping[Place, bytes | bytearray]


def write_new_keystore(
    path: Path, backend: KeyBackend, page_bytes: int, connect: Connector, random: RandomSource, records: Records
) -> None:
    """Make the file at `path` with `records` in it; the caller holds its lock.

    KeystoreExistsError when anything of a keystore is there.
    """
    if temporary_path(path).exists() and not path.exists():
        remove_leftovers(path)
    for existing in (path, wal_path(path), journal_path(path), floor_path(path)):
        if os.path.lexists(existing):
            raise KeystoreExistsError(f"{existing} exists; a keystore is never overwritten")
    draft, floor_key = temporary_path(path), generate_key(random)
    try:
        remove_leftovers(path)
        connection = create_database(draft, page_bytes, connect)
        try:
            made = _fill(connection, backend, random, floor_key, records)
        finally:
            connection.close()
        sync_file(draft)
        write_floor(floor_path(path), floor_key, made.header.file_id, made.state.commit_counter, random)
        draft.rename(path)
        sync_file(path.parent)
    except sqlite3.Error as error:
        remove_leftovers(path)
        raise translate_error(error) from None
    except OSError as error:
        raise KeystoreIOError(f"cannot create {path}: {error.strerror}") from None
    finally:
        floor_key.wipe()


def remove_leftovers(path: Path) -> None:
    """Delete what an interrupted creation or wipe left: it was never a keystore, or is none any more.

    The floor of one that was wiped goes before the last sign of the wipe does.
    """
    draft = temporary_path(path)
    if not path.exists():
        remove_floor(path)
        sync_file(path.parent)
    for leftover in (draft, wal_path(draft), journal_path(draft)):
        leftover.unlink(missing_ok=True)


def _fill(
    connection: sqlite3.Connection, backend: KeyBackend, random: RandomSource, floor_key: SecretBytes, records: Records
) -> Unsealed:
    """What is returned has no keys any more."""
    file_id = generate_bytes(FILE_ID_BYTES, random)
    master, generation_key = generate_key(random), generate_key(random)
    header, keys = _build(file_id, master, generation_key, backend, random)
    empty = Unsealed(header, master, keys, None, KeystoreState(0, RowSet(0, 0), header.fingerprint), RowCensus(RowSet(0, 0)))
    armed = encode_floor_key(FloorKey(floor_key, armed=True))
    sealer = RecordSealer(keys)
    try:
        rows = [
            sealer.seal(table, key, RECORD_VERSIONS[table], value, random)
            for (table, key), value in {**records, FLOOR: armed}.items()
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO header VALUES (1, ?)", (header.raw,))
        connection.execute("INSERT INTO state VALUES (1, ?)", (seal_state(keys, empty.state, random),))
        made = apply_rows(connection, empty, Changes(rows, {}, {}), random)
        connection.execute("COMMIT")
    finally:
        wipe_buffer(armed)
        generation_key.wipe()
        empty.wipe()
    return made


def _build(
    file_id: bytes, master: SecretBytes, generation_key: SecretBytes, backend: KeyBackend, random: RandomSource
) -> tuple[Header, GenerationKeys]:
    wrapped = backend.wrap(master, wrap_context(file_id, backend.backend_id), random)
    header = build_header(file_id, backend.backend_id, wrapped, master, [(FIRST_GENERATION, generation_key)], random)
    return header, GenerationKeys.derive(file_id, FIRST_GENERATION, generation_key)
