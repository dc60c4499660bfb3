"""What else an app's store holds on disk, version 1 of both: chats whose end is still to be told, and marks of nodes."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.errors import KeystoreUnsupportedVersionError, ProtocolError
from hermes_core.ids import CHAT_ID_BYTES, MAX_POSITION, ChatId, NodeId, parse_node_id, parse_node_party
from hermes_core.keystore.app_record import EndedChatRecord, NodeMarkRecord
from hermes_core.keystore.mark import MARK_BYTES, parse_mark
from hermes_core.keystore.proof_codec import PROOF_BYTES, encode_proofs, parse_proofs
from hermes_core.keystore.record_reader import RecordReader, check_range, encode_short, refuse_record

APP_NOTICE_VERSION: Final = 1
_ENDED: Final = struct.Struct(f">B{CHAT_ID_BYTES}sBQ")  # version, chat, failed, seconds since 1970


def encode_app_ended(record: EndedChatRecord) -> bytes:
    head = _ENDED.pack(APP_NOTICE_VERSION, record.chat_id, record.failed, record.ended_s)
    proofs = bytes((len(record.proofs),)) + encode_proofs(record.proofs)
    return head + encode_short(record.home.encode("ascii"), "home party") + proofs


def parse_app_ended(data: bytes | bytearray) -> EndedChatRecord:
    """KeystoreTamperedError when it is not well formed, KeystoreUnsupportedVersionError when a newer Hermes wrote it."""
    reader = _begin(data)
    chat_id = ChatId(reader.take(CHAT_ID_BYTES))
    (failed,) = reader.take(1)
    ended_s = int.from_bytes(reader.take(8), "big")
    check_range(failed, 0, 1, "failed")
    check_range(ended_s, 0, MAX_POSITION, "seconds")
    try:
        home = parse_node_party(reader.take_text("home party"))
    except ProtocolError:
        refuse_record("home party")
    (count,) = reader.take(1)
    proofs = parse_proofs(reader.take(count * PROOF_BYTES))
    reader.finish()
    return EndedChatRecord(chat_id, home, bool(failed), ended_s, proofs)


def mark_key(record: NodeMarkRecord) -> bytes:
    """A node's name and key: the place of its mark in table APP_MARK."""
    return record.node_id.encode("ascii") + b":" + parse_mark(record.mark).node_key


def encode_node_mark(record: NodeMarkRecord) -> bytes:
    return bytes((APP_NOTICE_VERSION,)) + encode_short(record.node_id.encode("ascii"), "node") + record.mark


def parse_node_mark(data: bytes | bytearray) -> NodeMarkRecord:
    """KeystoreTamperedError when it is not well formed, KeystoreUnsupportedVersionError when a newer Hermes wrote it."""
    reader = _begin(data)
    try:
        node_id: NodeId = parse_node_id(reader.take_text("node"))
        mark = reader.take(MARK_BYTES)
        parse_mark(mark)
    except ProtocolError:
        refuse_record("a node or its mark")
    reader.finish()
    return NodeMarkRecord(node_id, mark)


def _begin(data: bytes | bytearray) -> RecordReader:
    reader = RecordReader(data)
    (version,) = reader.take(1)
    if version > APP_NOTICE_VERSION:
        raise KeystoreUnsupportedVersionError(f"app notice version {version}; this Hermes knows {APP_NOTICE_VERSION}")
    check_range(version, APP_NOTICE_VERSION, APP_NOTICE_VERSION, "version")
    return reader
