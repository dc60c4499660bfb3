"""A tombstone on disk: the bytes it always had, and nothing but well-formed ones are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes_core.errors import KeystoreTamperedError
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.keystore.chat_record import Notice, Tombstone
from hermes_core.keystore.tombstone_codec import encode_tombstone, parse_tombstone
from hermes_core.protocol.messages import CloseReason
from hermes_core.ratchet.end_proof import EndProof

TOMBSTONES = [
    Tombstone(ChatId(bytes(range(16))), (), 0),
    Tombstone(ChatId(bytes(16)), (Notice(AppId("a" * 32), None, CloseReason.DELETED),), 1_700_000_000),
    Tombstone(
        ChatId(bytes(16)),
        (Notice(None, NodeId("n" * 63), CloseReason.EXPIRED), Notice(AppId("b" * 32), None, CloseReason.NODE_SHUTDOWN)),
        2**40,
    ),
]
BYTES = [
    "01000102030405060708090a0b0c0d0e0f000000000000000000",
    "01" + "00" * 16 + "000000006553f10001" + "010120" + "61" * 32,
    "01" + "00" * 16 + "000001000000000002" + "02033f" + "6e" * 63 + "010520" + "62" * 32,
]


@pytest.mark.parametrize(("tombstone", "encoded"), list(zip(TOMBSTONES, BYTES, strict=True)))
def test_the_bytes_on_disk_are_what_they_were(tombstone: Tombstone, encoded: str) -> None:
    assert encode_tombstone(tombstone).hex() == encoded


@pytest.mark.parametrize("tombstone", TOMBSTONES)
def test_tombstones_come_back_as_they_were(tombstone: Tombstone) -> None:
    encoded = encode_tombstone(tombstone)
    assert parse_tombstone(encoded) == tombstone
    for cut in range(len(encoded)):
        with pytest.raises(KeystoreTamperedError):
            parse_tombstone(encoded[:cut])
    with pytest.raises(KeystoreTamperedError):
        parse_tombstone(encoded + b"\0")
    with pytest.raises(KeystoreTamperedError):
        parse_tombstone(b"\2" + encoded[1:])


@pytest.mark.parametrize("tombstone", TOMBSTONES)
def test_both_apps_come_after_what_always_was(tombstone: Tombstone) -> None:
    named = replace(tombstone, app_ids=(AppId("c" * 32), AppId("d" * 32)))
    before, encoded = encode_tombstone(tombstone), encode_tombstone(named)
    assert encoded == before + b"c" * 32 + b"d" * 32
    assert parse_tombstone(encoded) == named
    for cut in range(len(before) + 1, len(encoded)):
        with pytest.raises(KeystoreTamperedError):
            parse_tombstone(encoded[:cut])
    with pytest.raises(KeystoreTamperedError):
        parse_tombstone(encoded + b"e")


@pytest.mark.parametrize("tombstone", TOMBSTONES)
@pytest.mark.parametrize("count", [1, 2])
def test_the_proofs_of_a_delete_come_last(tombstone: Tombstone, count: int) -> None:
    named = replace(tombstone, app_ids=(AppId("c" * 32), AppId("d" * 32)))
    proven = replace(named, proofs=tuple(EndProof(7 + number, bytes([number]) * 16) for number in range(count)))
    before, encoded = encode_tombstone(named), encode_tombstone(proven)
    assert encoded == before + b"".join(b"\0\0\0" + bytes([7 + number]) + bytes([number]) * 16 for number in range(count))
    assert parse_tombstone(encoded) == proven
    for cut in range(len(before) + 1, len(encoded)):
        if cut != len(before) + 20:
            with pytest.raises(KeystoreTamperedError):
                parse_tombstone(encoded[:cut])
    with pytest.raises(KeystoreTamperedError):
        parse_tombstone(encoded + bytes(20 * (3 - count)))
