"""Rotation: a new generation for every live record, or a new wrapping of the master key; inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import replace

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.secret import wipe_buffer
from hermes_core.keystore.header import build_header, open_generation, wrap_context
from hermes_core.keystore.key_backend import KeyBackend
from hermes_core.keystore.keys import GenerationKeys, generate_key
from hermes_core.keystore.migration import migrate_value, needs_migration
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.sealing import RecordSealer, SealedRow
from hermes_core.keystore.set_digest import SetDigest
from hermes_core.keystore.tables import Table
from hermes_node.keystore.rows import delete_row, find_row, list_row_keys, put_row, write_state
from hermes_node.keystore.unsealing import RowCensus, Unsealed

_UPDATE_HEADER = "UPDATE header SET body = ?"


def rotate_rows(connection: sqlite3.Connection, current: Unsealed, random: RandomSource) -> Unsealed:
    """Re-seal every row under a new generation key, migrating older records on the way, and replace header and state.

    The old generation's subkeys survive only in `current`, for the caller to wipe when the transaction is durable.
    """
    generation, key = current.keys.generation + 1, generate_key(random)
    try:
        old = current.header
        header = build_header(old.file_id, old.backend_id, old.wrapped, current.master, generation, key, random)
        keys = GenerationKeys.derive(header.file_id, generation, key)
    finally:
        key.wipe()
    census = _reseal_rows(connection, current, keys, random)
    return _write_header(connection, replace(current, header=header, keys=keys, census=census), random)


def rewrap_master(connection: sqlite3.Connection, current: Unsealed, backend: KeyBackend, random: RandomSource) -> Unsealed:
    """A new master key under a new wrapping, around the same generation; no record is touched.

    The master key changes too: whoever unwrapped the old one from an older copy of the header cannot open later headers.
    """
    generation, key = open_generation(current.header, current.master)
    master = generate_key(random)
    try:
        file_id = current.header.file_id
        wrapped = backend.wrap(master, wrap_context(file_id, backend.backend_id), random)
        header = build_header(file_id, backend.backend_id, wrapped, master, generation, key, random)
    except BaseException:
        master.wipe()
        raise
    finally:
        key.wipe()
    return _write_header(connection, replace(current, header=header, master=master), random)


def _reseal_rows(connection: sqlite3.Connection, current: Unsealed, keys: GenerationKeys, random: RandomSource) -> RowCensus:
    opener, sealer = RecordSealer(current.keys), RecordSealer(keys)
    digest = SetDigest(keys.set_digest)
    by_table: Counter[int] = Counter()
    for row_key in list_row_keys(connection):
        old = find_row(connection, row_key)
        if old is None:
            continue
        row = _reseal(old, opener, sealer, random)
        delete_row(connection, row_key)
        put_row(connection, row)
        digest.add(row.row_key, row.table, row.version, row.sealed)
        by_table[row.table] += 1
    return RowCensus(digest.value, by_table.total(), dict(by_table))


def _reseal(row: SealedRow, opener: RecordSealer, sealer: RecordSealer, random: RandomSource) -> SealedRow:
    table = Table(row.table)
    key, value = opener.open(row.row_key, row.table, row.version, row.sealed)
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


def _write_header(connection: sqlite3.Connection, changed: Unsealed, random: RandomSource) -> Unsealed:
    connection.execute(_UPDATE_HEADER, (changed.header.raw,))
    return write_state(connection, changed, random)
