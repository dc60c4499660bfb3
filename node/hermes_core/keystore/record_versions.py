"""The version each kind of record is written in."""

from __future__ import annotations

from typing import Final

from hermes_core.keystore.tables import Table

RECORD_VERSIONS: Final[dict[Table, int]] = {
    Table.IDENTITY: 1,
    Table.CHAT: 3,
    Table.TOMBSTONE: 1,
    Table.WITNESS: 1,
    Table.META: 1,
    Table.CLOSED: 1,
    Table.HISTORY: 1,
    Table.MARK: 1,
    Table.APP_IDENTITY: 1,
    Table.APP_CHAT: 1,
    Table.APP_OUTGOING: 1,
    Table.APP_OWN: 1,
    Table.APP_ENDED: 1,
    Table.APP_MARK: 1,
}
"""The version records of a table are written in; older ones are migrated when a keystore is opened, newer ones refused."""
