"""One side of a chat record: a channel and its epochs, in record versions 1 to 3."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.crypto.hashing import DIGEST_BYTES
from hermes_core.crypto.suites import Suite
from hermes_core.ids import MAX_EPOCH, MAX_ORDER, MAX_POSITION, PUBLIC_KEY_BYTES, ChannelKind, Party, Role
from hermes_core.keystore.record_reader import (
    KEY_ID_BYTES,
    MAX_TIME_S,
    SECRET_BYTES,
    RecordReader,
    check_range,
    encode_short,
    refuse_record,
)
from hermes_core.ratchet.state import NO_ORDERS, ChannelSnapshot, DirectionSnapshot, EpochSnapshot, Orders

MAX_SEEN_EPHEMERALS: Final = 1_024
"""Key ids a channel may keep; the ratchet keeps the newest 32 (negotiation.py)."""

VERSION_WITH_PENDING: Final = 2
"""From this record version on a channel has a pending epoch and every epoch its recv_proven."""

VERSION_WITH_ORDERS: Final = 3
"""From this record version on a channel has the highest orders of offers and a floor, and every epoch its suite."""

_OLD_SUITES: Final = {DIGEST_BYTES[suite.hash_id]: suite for suite in (Suite.X25519_SHA256, Suite.X25519_SHA512)}
"""What an older version means: its hash shows in the length of the transcript hash."""
_SUITES: Final = {suite.value: suite for suite in Suite}
_KEY_LENGTHS: Final = (0, PUBLIC_KEY_BYTES)  # 0: the peer has not shown its key yet
_NO_FLOOR: Final = 0
_HAS_CURRENT: Final = 1
_HAS_PENDING: Final = 2

_EPOCH_HEAD: Final = struct.Struct(">IBB")  # epoch, role, confirmed
_POSITION: Final = struct.Struct(">Q")
_EPOCH_TAIL_1: Final = struct.Struct(">Q")  # created_at_s
_EPOCH_TAIL_2: Final = struct.Struct(">QQ")  # recv_proven, created_at_s
_CHANNEL_HEAD: Final = struct.Struct(">B")  # kind
_SEEN_COUNT: Final = struct.Struct(">H")
_ORDERS: Final = struct.Struct(">QQ")  # sent, seen

_KINDS: Final = {kind.value: kind for kind in ChannelKind}
_ROLES: Final = {role.value: role for role in Role}


def encode_channel(channel: ChannelSnapshot, parts: list[bytes | bytearray]) -> None:
    """Append a channel in version 3; the parts refer to the snapshot's own buffers, nothing secret is copied here."""
    if len(channel.seen_ephemerals) > MAX_SEEN_EPHEMERALS:
        raise ValueError("a channel has more seen ephemerals than its record can hold")
    flags = (_HAS_CURRENT if channel.current else 0) | (_HAS_PENDING if channel.pending else 0)
    parts += (
        _CHANNEL_HEAD.pack(channel.kind),
        encode_short(channel.local.encode("ascii"), "local party"),
        encode_short(channel.peer.encode("ascii"), "peer party"),
        encode_short(channel.peer_public_key, "peer key"),
        bytes((flags,)),
    )
    for epoch in (channel.current, channel.pending):
        if epoch is not None:
            _encode_epoch(epoch, parts)
    parts.append(_SEEN_COUNT.pack(len(channel.seen_ephemerals)))
    parts += channel.seen_ephemerals
    parts.append(_ORDERS.pack(channel.orders.sent, channel.orders.seen))
    parts.append(bytes((_NO_FLOOR if channel.floor is None else channel.floor,)))


def parse_channel(reader: RecordReader, version: int) -> ChannelSnapshot:
    """Read a channel as any record version wrote it; KeystoreTamperedError when it is not well formed."""
    (kind,) = reader.unpack(_CHANNEL_HEAD)
    if kind not in _KINDS:
        refuse_record("channel kind")
    local, peer = reader.take_text("local party"), reader.take_text("peer party")
    peer_public_key = reader.take_short(_KEY_LENGTHS, "peer key")
    (flags,) = reader.take(1)
    if flags & ~(_HAS_CURRENT | (_HAS_PENDING if version >= VERSION_WITH_PENDING else 0)):
        refuse_record("channel flags")
    current = _parse_epoch(reader, version) if flags & _HAS_CURRENT else None
    pending = _parse_epoch(reader, version) if flags & _HAS_PENDING else None
    (count,) = reader.unpack(_SEEN_COUNT)
    raw = reader.take(KEY_ID_BYTES * check_range(count, 0, MAX_SEEN_EPHEMERALS, "seen ephemerals"))
    seen = tuple(raw[at : at + KEY_ID_BYTES] for at in range(0, len(raw), KEY_ID_BYTES))
    orders, floor = NO_ORDERS, None  # refuse nothing that is authentic
    if version >= VERSION_WITH_ORDERS:
        orders, floor = _parse_orders(reader), _parse_floor(reader)
    return ChannelSnapshot(_KINDS[kind], Party(local), Party(peer), peer_public_key, current, pending, seen, orders, floor)


def _parse_orders(reader: RecordReader) -> Orders:
    sent, seen = reader.unpack(_ORDERS)
    check_range(sent, 0, MAX_POSITION, "order sent")
    return Orders(sent, check_range(seen, 0, MAX_ORDER, "order seen"))


def _parse_floor(reader: RecordReader) -> Suite | None:
    (number,) = reader.take(1)
    return None if number == _NO_FLOOR else _find_suite(number)


def _find_suite(number: int) -> Suite:
    if number not in _SUITES:
        refuse_record("suite")
    return _SUITES[number]


def _encode_epoch(epoch: EpochSnapshot, parts: list[bytes | bytearray]) -> None:
    parts += (
        _EPOCH_HEAD.pack(epoch.epoch, epoch.role, epoch.confirmed),
        bytes((epoch.suite,)),
        encode_short(epoch.transcript_hash, "transcript hash"),
        epoch.mac.buffer,
        epoch.ratchet.buffer,
        _POSITION.pack(epoch.send.reserved),
        epoch.send.chain_key.buffer,
        _POSITION.pack(epoch.recv.reserved),
        epoch.recv.chain_key.buffer,
        _EPOCH_TAIL_2.pack(epoch.recv_proven, epoch.created_at_s),
    )
    if {len(epoch.mac), len(epoch.ratchet), len(epoch.send.chain_key), len(epoch.recv.chain_key)} != {SECRET_BYTES}:
        raise ValueError("every secret of an epoch has 32 bytes")


def _parse_epoch(reader: RecordReader, version: int) -> EpochSnapshot:
    number, role, confirmed = reader.unpack(_EPOCH_HEAD)
    check_range(number, 1, MAX_EPOCH, "epoch")
    check_range(confirmed, 0, 1, "confirmed")
    if role not in _ROLES:
        refuse_record("role")
    suite, transcript_hash = _parse_transcript_hash(reader, version)
    mac, ratchet = reader.take_secret(), reader.take_secret()
    send, recv = _parse_direction(reader), _parse_direction(reader)
    recv_proven = 0  # version 1 does not know; 0 claims nothing
    if version >= VERSION_WITH_PENDING:
        recv_proven, created_at_s = reader.unpack(_EPOCH_TAIL_2)
    else:
        (created_at_s,) = reader.unpack(_EPOCH_TAIL_1)
    check_range(recv_proven, 0, MAX_POSITION, "recv_proven")
    check_range(created_at_s, 0, MAX_TIME_S, "created_at_s")
    return EpochSnapshot(
        number, _ROLES[role], suite, transcript_hash, bool(confirmed), mac, ratchet, send, recv, recv_proven, created_at_s
    )


def _parse_transcript_hash(reader: RecordReader, version: int) -> tuple[Suite, bytes]:
    if version < VERSION_WITH_ORDERS:
        transcript_hash = reader.take_short(tuple(_OLD_SUITES), "transcript hash")
        return _OLD_SUITES[len(transcript_hash)], transcript_hash
    (number,) = reader.take(1)
    suite = _find_suite(number)
    return suite, reader.take_short((DIGEST_BYTES[suite.hash_id],), "transcript hash")


def _parse_direction(reader: RecordReader) -> DirectionSnapshot:
    (reserved,) = reader.unpack(_POSITION)
    check_range(reserved, 0, MAX_POSITION, "reserved position")
    return DirectionSnapshot(reserved, reader.take_secret())
