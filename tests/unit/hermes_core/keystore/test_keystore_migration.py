"""Record migration: an older version becomes the current one with what claims least; nothing else is rewritten."""

from __future__ import annotations

import random

import pytest

from hermes_core.errors import KeystoreTamperedError
from hermes_core.keystore.chat_record_codec import parse_chat_record
from hermes_core.keystore.migration import migrate_value, needs_migration
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.tables import Table
from tests.reference import keystore_reference as reference
from tests.unit.hermes_core.keystore.record_samples import reveal


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("seed", range(20))
def test_an_older_version_becomes_the_current_one(seed: int, version: int) -> None:
    fields = reference.random_chat_record(random.Random(seed))
    old = bytearray(reference.encode_chat_record(fields, version))
    new = migrate_value(Table.CHAT, old)
    assert new[0] == 3
    assert reveal(parse_chat_record(new)) == reveal(parse_chat_record(old))
    assert new == reference.encode_chat_record(reference.fill(fields, version), 3)


def test_a_record_that_is_not_well_formed_is_not_migrated() -> None:
    with pytest.raises(KeystoreTamperedError):
        migrate_value(Table.CHAT, bytearray(b"\1 not a record"))


def test_tables_with_one_version_have_nothing_to_migrate() -> None:
    for table in Table:
        assert needs_migration(table, RECORD_VERSIONS[table]) is False
        assert needs_migration(table, RECORD_VERSIONS[table] - 1) is True
    with pytest.raises(KeystoreTamperedError, match="IDENTITY"):
        migrate_value(Table.IDENTITY, bytearray(b"seed"))
