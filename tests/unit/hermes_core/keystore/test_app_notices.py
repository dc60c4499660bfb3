"""Ends that are still to be told, and marks of nodes, in an app's store: strict at every field."""

from __future__ import annotations

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.errors import KeystoreTamperedError, KeystoreUnsupportedVersionError
from hermes_core.ids import ChatId, NodeId, node_party
from hermes_core.keystore.app_notice_codec import (
    encode_app_ended,
    encode_node_mark,
    mark_key,
    parse_app_ended,
    parse_node_mark,
)
from hermes_core.keystore.app_record import EndedChatRecord, NodeMarkRecord
from hermes_core.keystore.mark import encode_mark, sign_mark
from hermes_core.keystore.state import KeystoreMark
from hermes_core.ratchet.end_proof import EndProof

NODE = Identity.generate()
PROOFS = (EndProof(1, bytes(range(16))), EndProof(2**32 - 1, bytes(16)))
HOME = node_party(NodeId("node-0"), NODE.public_key)
ENDED = EndedChatRecord(ChatId(bytes(range(16))), HOME, failed=True, ended_s=1 << 33, proofs=PROOFS)
MARK = NodeMarkRecord(NodeId("node-0"), encode_mark(sign_mark(NODE, b"i" * 16, KeystoreMark(1, 7))))


def test_an_end_is_what_it_was() -> None:
    data = encode_app_ended(ENDED)
    assert data[:26] == b"\x01" + bytes(range(16)) + b"\x01" + (1 << 33).to_bytes(8, "big")
    proofs = b"\x02" + b"\0\0\0\x01" + bytes(range(16)) + b"\xff\xff\xff\xff" + bytes(16)
    assert data[26:] == bytes((len(ENDED.home),)) + ENDED.home.encode() + proofs
    assert parse_app_ended(data) == ENDED


def test_a_mark_is_what_it_was_and_has_its_place_by_node_and_key() -> None:
    data = encode_node_mark(MARK)
    assert data == b"\x01\x06node-0" + MARK.mark
    assert parse_node_mark(data) == MARK
    assert mark_key(MARK) == b"node-0:" + NODE.public_key


@pytest.mark.parametrize("cut", [0, 1, 16, 17, 25, 30, -1])
def test_an_end_that_is_cut_or_longer_is_refused(cut: int) -> None:
    data = encode_app_ended(ENDED)
    for wrong in (data[:cut], data + b"x"):
        with pytest.raises(KeystoreTamperedError):
            parse_app_ended(wrong)


@pytest.mark.parametrize(("at", "value"), [(0, 0), (17, 2), (18, 0xFF), (27, ord("x")), (27 + len(HOME), 3)])
def test_a_field_of_an_end_that_cannot_be_is_refused(at: int, value: int) -> None:
    data = bytearray(encode_app_ended(ENDED))
    data[at] = value
    with pytest.raises(KeystoreTamperedError):
        parse_app_ended(data)


@pytest.mark.parametrize("at", [2, 20, -1])
def test_a_mark_that_its_node_did_not_sign_is_refused(at: int) -> None:
    data = bytearray(encode_node_mark(MARK))
    data[at] ^= 0xFF
    with pytest.raises(KeystoreTamperedError):
        parse_node_mark(data)
    with pytest.raises(KeystoreTamperedError):
        parse_node_mark(encode_node_mark(MARK)[:-1])


def test_a_newer_version_is_told_apart() -> None:
    for data, parse in ((encode_app_ended(ENDED), parse_app_ended), (encode_node_mark(MARK), parse_node_mark)):
        with pytest.raises(KeystoreUnsupportedVersionError):
            parse(b"\x02" + data[1:])
