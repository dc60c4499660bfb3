"""The records of an app's store on disk: version 1 of three fixed binary layouts (docs/reference/keystore.md)."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.errors import KeystoreUnsupportedVersionError, ProtocolError
from hermes_core.ids import (
    APP_ID_CHARS,
    CHAT_ID_BYTES,
    MAX_ORDER,
    MAX_POSITION,
    AppId,
    ChannelKind,
    ChatId,
    NodeId,
    parse_app_id,
    parse_node_id,
)
from hermes_core.keystore.app_record import AppChatRecord, AppChatState, AppIdentity, KeptMoves, OutgoingRecord
from hermes_core.keystore.channel_codec import VERSION_WITH_ORDERS, encode_channel, parse_channel
from hermes_core.keystore.move_codec import encode_move, parse_move
from hermes_core.keystore.record_reader import (
    SECRET_BYTES,
    RecordReader,
    check_range,
    encode_short,
    join_parts,
    refuse_record,
)
from hermes_core.ratchet.header import MAX_FRAME_BYTES, OVERHEAD_BYTES
from hermes_core.ratchet.padding import LENGTH_BYTES, MAX_PADDED_BYTES
from hermes_core.ratchet.state import ChannelSnapshot, wipe_channel

APP_RECORD_VERSION: Final = 1
IDENTITY_KEY: Final = b"app"
"""Where an app's identity is, in table APP_IDENTITY."""
MAX_WISH: Final = 2

_STAMP: Final = struct.Struct(">Q")
_CHAT_HEAD: Final = struct.Struct(f">{CHAT_ID_BYTES}sBB{APP_ID_CHARS}s")  # chat, state, wish, peer
_SEQS: Final = struct.Struct(">QQQ")  # last seq, acked, taken
_MOVES: Final = struct.Struct(">QB")  # number, flags
_UNPROVEN: Final = 1
_HAS_NEWEST: Final = 2
_OUTGOING_HEAD: Final = struct.Struct(">QII")  # seq, epoch, length of the plaintext
_STATES: Final = {state.value: state for state in AppChatState}
_KIND: Final = ChannelKind.END_TO_END


def encode_app_identity(identity: AppIdentity) -> bytearray:
    """41 bytes, which the caller wipes."""
    if len(identity.seed) != SECRET_BYTES:
        raise ValueError("a seed has 32 bytes")
    return join_parts([bytes((APP_RECORD_VERSION,)), identity.seed.buffer, _STAMP.pack(identity.stamp)])


def parse_app_identity(data: bytes | bytearray) -> AppIdentity:
    """KeystoreTamperedError when it is not well formed, KeystoreUnsupportedVersionError for a newer one; wipe it."""
    reader = _begin(data)
    seed = reader.take_secret()
    (stamp,) = reader.unpack(_STAMP)
    reader.finish()
    return AppIdentity(seed, check_range(stamp, 0, MAX_POSITION, "stamp"))


def encode_app_chat(record: AppChatRecord) -> bytearray:
    """One buffer, which the caller wipes; ValueError when a field does not fit its layout."""
    parts: list[bytes | bytearray] = [bytes((APP_RECORD_VERSION,))]
    try:
        parts += (
            _CHAT_HEAD.pack(record.chat_id, record.state, record.wish, record.peer.encode("ascii")),
            encode_short(record.home.encode("ascii"), "home"),
            _SEQS.pack(record.last_seq, record.acked, record.taken),
        )
        encode_channel(record.end_to_end, parts)
        encode_channel(record.leg, parts)
        parts += _encode_moves(record.moves)
    except struct.error as error:
        raise ValueError(f"a number of the chat record does not fit its field: {error}") from None
    return join_parts(parts)


def parse_app_chat(data: bytes | bytearray) -> AppChatRecord:
    """KeystoreTamperedError when it is not well formed, KeystoreUnsupportedVersionError for a newer one; wipe it."""
    reader = _begin(data)
    chat_id = ChatId(reader.take(CHAT_ID_BYTES))
    state, wish = reader.take(2)
    if state not in _STATES:
        refuse_record("state")
    check_range(wish, 0, MAX_WISH, "wish")
    peer, home = _parse_ids(reader)
    last_seq, acked, taken = reader.unpack(_SEQS)
    check_range(last_seq, 0, MAX_POSITION, "last seq")
    check_range(acked, 0, last_seq, "acked")
    check_range(taken, 0, MAX_POSITION, "taken")
    end_to_end = _parse_channel(reader, ChannelKind.END_TO_END)
    leg = _parse_channel(reader, ChannelKind.LEG)
    moves = _parse_moves(reader, peer)
    reader.finish()
    return AppChatRecord(chat_id, _STATES[state], wish, peer, home, last_seq, acked, taken, end_to_end, leg, moves)


def outgoing_key(chat_id: ChatId, seq: int) -> bytes:
    """24 bytes: the key of a message in table APP_OUTGOING."""
    return chat_id + seq.to_bytes(8, "big")


def encode_outgoing(record: OutgoingRecord) -> bytes:
    head = _OUTGOING_HEAD.pack(record.seq, record.epoch, len(record.plaintext))
    return b"".join((bytes((APP_RECORD_VERSION,)), record.chat_id, head, record.plaintext, record.frame))


def parse_outgoing(data: bytes | bytearray) -> OutgoingRecord:
    """KeystoreTamperedError when it is not well formed, KeystoreUnsupportedVersionError when a newer Hermes wrote it."""
    reader = _begin(data)
    chat_id = ChatId(reader.take(CHAT_ID_BYTES))
    seq, epoch, length = reader.unpack(_OUTGOING_HEAD)
    check_range(seq, 1, MAX_POSITION, "seq")
    check_range(length, LENGTH_BYTES, MAX_PADDED_BYTES, "length of a message")
    plaintext = reader.take(length)
    frame = reader.take(check_range(reader.left, 0, MAX_FRAME_BYTES[_KIND], "length of a frame"))
    if len(frame) != (OVERHEAD_BYTES[_KIND] + length if epoch else 0):
        refuse_record("length of a frame")
    return OutgoingRecord(chat_id, seq, plaintext, epoch, frame)


def _begin(data: bytes | bytearray) -> RecordReader:
    reader = RecordReader(data)
    (version,) = reader.take(1)
    if version > APP_RECORD_VERSION:
        raise KeystoreUnsupportedVersionError(f"app record version {version}; this Hermes knows {APP_RECORD_VERSION}")
    check_range(version, APP_RECORD_VERSION, APP_RECORD_VERSION, "version")
    return reader


def _parse_ids(reader: RecordReader) -> tuple[AppId, NodeId]:
    try:
        peer = parse_app_id(reader.take(APP_ID_CHARS).decode("ascii", "replace"))
        return peer, parse_node_id(reader.take_text("home"))
    except ProtocolError:
        refuse_record("an id")


def _encode_moves(moves: KeptMoves) -> list[bytes]:
    flags = _UNPROVEN * moves.unproven | _HAS_NEWEST * (moves.newest is not None)
    return [_MOVES.pack(moves.number, flags), b"" if moves.newest is None else encode_move(moves.newest)]


def _parse_moves(reader: RecordReader, peer: AppId) -> KeptMoves:
    number, flags = reader.unpack(_MOVES)
    check_range(number, 0, MAX_ORDER, "number of a move")
    check_range(flags, 0, _UNPROVEN | _HAS_NEWEST if number else 0, "flags of a move")
    try:
        return KeptMoves(number, bool(flags & _UNPROVEN), parse_move(reader, peer) if flags & _HAS_NEWEST else None)
    except ProtocolError:
        refuse_record("the home of a move")


def _parse_channel(reader: RecordReader, kind: ChannelKind) -> ChannelSnapshot:
    channel = parse_channel(reader, VERSION_WITH_ORDERS)
    if channel.kind is not kind:
        wipe_channel(channel)
        refuse_record("channel kind")
    return channel
