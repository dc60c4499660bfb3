"""A tombstone on disk: version 1 of a fixed binary layout; it holds no secret."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.errors import KeystoreTamperedError, ProtocolError
from hermes_core.ids import APP_ID_CHARS, CHAT_ID_BYTES, AppId, ChatId, parse_app_id, parse_node_id
from hermes_core.keystore.chat_record import Notice, Tombstone
from hermes_core.keystore.proof_codec import encode_proofs, parse_proofs
from hermes_core.protocol.messages import CloseReason

VERSION: Final = 1
MAX_NOTICES: Final = 2
_HEAD: Final = struct.Struct(f">B{CHAT_ID_BYTES}sQB")  # version, chat id, created_at_s, number of notices
_NOTICE: Final = struct.Struct(">BBB")  # receiver, reason, length of the receiver's id
_APP, _NODE = 1, 2
_APPS_BYTES: Final = 2 * APP_ID_CHARS


def encode_tombstone(tombstone: Tombstone) -> bytes:
    parts = [_HEAD.pack(VERSION, tombstone.chat_id, tombstone.created_at_s, len(tombstone.notices))]
    for notice in tombstone.notices:
        receiver = (notice.app_id or notice.node_id or "").encode("ascii")
        parts.append(_NOTICE.pack(_APP if notice.app_id else _NODE, notice.reason, len(receiver)) + receiver)
    parts += [app_id.encode("ascii") for app_id in tombstone.app_ids or ()]
    return b"".join((*parts, encode_proofs(tombstone.proofs)))


def parse_tombstone(data: bytes | bytearray) -> Tombstone:
    """Raise KeystoreTamperedError when it is not well formed."""
    try:
        version, chat_id, created_at_s, count = _HEAD.unpack_from(data)
        if version != VERSION or count > MAX_NOTICES:
            raise KeystoreTamperedError("a tombstone is not well formed")
        offset, notices = _HEAD.size, []
        for _ in range(count):
            kind, reason, length = _NOTICE.unpack_from(data, offset)
            offset += _NOTICE.size
            receiver = bytes(data[offset : offset + length]).decode("ascii")
            offset += length
            if offset > len(data):
                raise KeystoreTamperedError("a tombstone is not well formed")
            notices.append(_build_notice(kind, receiver, CloseReason(reason)))
        app_ids = _parse_apps(bytes(data[offset : offset + _APPS_BYTES]).decode("ascii"))
        proofs = parse_proofs(bytes(data[offset + _APPS_BYTES :]))
    except (struct.error, ValueError, ProtocolError):
        raise KeystoreTamperedError("a tombstone is not well formed") from None
    return Tombstone(ChatId(chat_id), tuple(notices), created_at_s, app_ids, proofs)


def _parse_apps(text: str) -> tuple[AppId, AppId] | None:
    """Both apps of the chat, or none: those that an older Hermes wrote end before them."""
    if not text:
        return None
    return parse_app_id(text[:APP_ID_CHARS]), parse_app_id(text[APP_ID_CHARS:])


def _build_notice(kind: int, receiver: str, reason: CloseReason) -> Notice:
    if kind == _APP:
        return Notice(parse_app_id(receiver), None, reason)
    if kind == _NODE:
        return Notice(None, parse_node_id(receiver), reason)
    raise ValueError(kind)
