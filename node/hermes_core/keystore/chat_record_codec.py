"""The chat record on disk: fixed binary layout (docs/reference/keystore.md); version 3 is written, 1 to 3 are read."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.errors import KeystoreTamperedError, KeystoreUnsupportedVersionError, ProtocolError
from hermes_core.ids import (
    APP_ID_CHARS,
    CHAT_ID_BYTES,
    MAX_EPOCH,
    MAX_POSITION,
    PUBLIC_KEY_BYTES,
    AppId,
    ChatId,
    NodeId,
    parse_app_id,
    parse_node_id,
)
from hermes_core.keystore.channel_codec import encode_channel, parse_channel
from hermes_core.keystore.chat_record import ChatRecord, ChatState
from hermes_core.keystore.move_codec import encode_moves, parse_moves
from hermes_core.keystore.record_reader import MAX_TIME_S, RecordReader, check_range, encode_short, join_parts, refuse_record
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.tables import Table

CHAT_RECORD_VERSION: Final = RECORD_VERSIONS[Table.CHAT]
FIRST_CHAT_RECORD_VERSION: Final = 1
_VERSION_WITH_COUNTERS: Final = 2

_HEAD: Final = struct.Struct(f">B{CHAT_ID_BYTES}sB{APP_ID_CHARS}s{APP_ID_CHARS}s")  # version, chat, state, apps
_FACTS: Final = struct.Struct(">IQQ")  # end-to-end epoch, created_at_s, last_active_at_s
_COUNTERS: Final = struct.Struct(">QQQ")  # acked of side 0 and 1, messages in epoch; from version 2 on
_KEY_LENGTHS: Final = (0, PUBLIC_KEY_BYTES)  # 0: that app has not shown its key yet
_STATES: Final = {state.value: state for state in ChatState}


def encode_chat_record(record: ChatRecord) -> bytearray:
    """`record` in version 3, in one buffer the caller wipes; ValueError when a field does not fit its layout."""
    apps = [app_id.encode("ascii") for app_id in record.app_ids]
    if len(record.chat_id) != CHAT_ID_BYTES or {len(app) for app in apps} != {APP_ID_CHARS}:
        raise ValueError("chat id and app ids have a fixed length")
    parts: list[bytes | bytearray] = [
        _HEAD.pack(CHAT_RECORD_VERSION, record.chat_id, record.state, *apps),
        *(encode_short(key, "app key") for key in record.app_keys),
    ]
    try:
        parts += (
            _FACTS.pack(record.end_to_end_epoch, record.created_at_s, record.last_active_at_s),
            _COUNTERS.pack(*record.acked, record.messages_in_epoch),
        )
        for node, channel in zip(record.side_nodes, record.sides, strict=True):
            parts.append(encode_short((node or "").encode("ascii"), "node id"))
            encode_channel(channel, parts)
        parts += encode_moves(record.moves)
    except struct.error as error:
        raise ValueError(f"a number of the chat record does not fit its field: {error}") from None
    return join_parts(parts)


def parse_chat_record(data: bytes | bytearray | memoryview) -> ChatRecord:
    """Read a record of any version up to the current one; the caller wipes it.

    Whatever a version lacks is filled with what claims least: no pending epoch, no orders, 0 for every count.
    Raises KeystoreTamperedError when it is not well formed, KeystoreUnsupportedVersionError when a newer Hermes wrote it.
    """
    reader = RecordReader(data)
    version = _parse_version(reader)
    chat_id = ChatId(reader.take(CHAT_ID_BYTES))
    (state,) = reader.take(1)
    if state not in _STATES:
        refuse_record("state")
    try:
        app_ids = (_parse_app(reader), _parse_app(reader))
        app_keys = (reader.take_short(_KEY_LENGTHS, "app key"), reader.take_short(_KEY_LENGTHS, "app key"))
        epoch, created_at_s, last_active_at_s = reader.unpack(_FACTS)
        acked_0 = acked_1 = messages = 0
        if version >= _VERSION_WITH_COUNTERS:
            acked_0, acked_1, messages = reader.unpack(_COUNTERS)
        nodes_and_sides = [(_parse_node(reader), parse_channel(reader, version)) for _ in range(2)]
        moves = parse_moves(reader, app_ids) if version >= CHAT_RECORD_VERSION else (None, None)
    except ProtocolError:
        raise KeystoreTamperedError("a record is not well formed: an id") from None
    reader.finish()
    check_range(epoch, 0, MAX_EPOCH, "end_to_end_epoch")
    for number in (acked_0, acked_1, messages):
        check_range(number, 0, MAX_POSITION, "counters")
    for seconds in (created_at_s, last_active_at_s):
        check_range(seconds, 0, MAX_TIME_S, "times")
    (node_0, side_0), (node_1, side_1) = nodes_and_sides
    return ChatRecord(
        chat_id,
        _STATES[state],
        app_ids,
        app_keys,
        (node_0, node_1),
        (side_0, side_1),
        epoch,
        (acked_0, acked_1),
        messages,
        created_at_s,
        last_active_at_s,
        moves,
    )


def _parse_version(reader: RecordReader) -> int:
    (version,) = reader.take(1)
    if version > CHAT_RECORD_VERSION:
        raise KeystoreUnsupportedVersionError(f"chat record version {version}; this Hermes knows {CHAT_RECORD_VERSION}")
    return check_range(version, FIRST_CHAT_RECORD_VERSION, CHAT_RECORD_VERSION, "version")


def _parse_app(reader: RecordReader) -> AppId:
    return parse_app_id(reader.take(APP_ID_CHARS).decode("ascii", "replace"))


def _parse_node(reader: RecordReader) -> NodeId | None:
    text = reader.take_text("node id")
    return parse_node_id(text) if text else None
