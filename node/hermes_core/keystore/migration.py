"""Record migration, pure: a record of any older version in the current one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hermes_core.errors import KeystoreTamperedError
from hermes_core.keystore.chat_record_codec import encode_chat_record, parse_chat_record
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.tables import Table


def _rewrite_chat(value: bytearray) -> bytearray:
    record = parse_chat_record(value)  # fills what the older version lacks with what claims least
    try:
        return encode_chat_record(record)
    finally:
        record.wipe()


_REWRITERS: Final[dict[Table, Callable[[bytearray], bytearray]]] = {Table.CHAT: _rewrite_chat}
"""Tables that have had more than one version. A rewriter reads every older version and writes the current one."""


def needs_migration(table: Table, version: int) -> bool:
    return version < RECORD_VERSIONS[table]


def migrate_value(table: Table, value: bytearray) -> bytearray:
    """`value` in its table's current version, in a new buffer; the caller wipes both."""
    if table not in _REWRITERS:
        raise KeystoreTamperedError(f"table {table.name} never had an older version")
    return _REWRITERS[table](value)
