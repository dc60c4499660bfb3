"""Creating a keystore: built under a temporary name, synced, then renamed; a kill in between leaves nothing in the way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import KeystoreExistsError, KeystoreIOError
from hermes_core.keystore.header import Header, build_header, wrap_context
from hermes_core.keystore.key_backend import KeyBackend
from hermes_core.keystore.keys import GenerationKeys, generate_key
from hermes_core.keystore.state import KeystoreState, RowSet, seal_state
from hermes_core.keystore.tables import FILE_ID_BYTES
from hermes_node.keystore.database import Connector, create_database, journal_path, translate_error, wal_path
from hermes_node.keystore.floor_file import remove_floor
from hermes_node.keystore.place import floor_path, temporary_path
from hermes_node.keystore.wal import sync_file

FIRST_GENERATION = 1


def write_new_keystore(path: Path, backend: KeyBackend, page_bytes: int, connect: Connector, random: RandomSource) -> None:
    """Make the file at `path`; the caller holds its lock. KeystoreExistsError when anything of a keystore is there."""
    if temporary_path(path).exists() and not path.exists():
        remove_leftovers(path)
    for existing in (path, wal_path(path), journal_path(path), floor_path(path)):
        if existing.exists():
            raise KeystoreExistsError(f"{existing} exists; a keystore is never overwritten")
    draft = temporary_path(path)
    try:
        remove_leftovers(path)
        connection = create_database(draft, page_bytes, connect)
        try:
            _fill(connection, backend, random)
        finally:
            connection.close()
        sync_file(draft)
        draft.rename(path)
        sync_file(path.parent)
    except sqlite3.Error as error:
        remove_leftovers(path)
        raise translate_error(error) from None
    except OSError as error:
        raise KeystoreIOError(f"cannot create {path}: {error.strerror}") from None


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


def _fill(connection: sqlite3.Connection, backend: KeyBackend, random: RandomSource) -> None:
    file_id = generate_bytes(FILE_ID_BYTES, random)
    master, generation_key = generate_key(random), generate_key(random)
    header, keys = _build(file_id, master, generation_key, backend, random)
    state = KeystoreState(1, RowSet(0, 0), header.fingerprint)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO header VALUES (1, ?)", (header.raw,))
        connection.execute("INSERT INTO state VALUES (1, ?)", (seal_state(keys, state, random),))
        connection.execute("COMMIT")
    finally:
        master.wipe()
        generation_key.wipe()
        keys.wipe()


def _build(
    file_id: bytes, master: SecretBytes, generation_key: SecretBytes, backend: KeyBackend, random: RandomSource
) -> tuple[Header, GenerationKeys]:
    wrapped = backend.wrap(master, wrap_context(file_id, backend.backend_id), random)
    header = build_header(file_id, backend.backend_id, wrapped, master, [(FIRST_GENERATION, generation_key)], random)
    return header, GenerationKeys.derive(file_id, FIRST_GENERATION, generation_key)
