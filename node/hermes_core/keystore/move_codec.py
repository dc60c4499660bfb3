"""The signed moves of a chat record: they end it, and a chat whose apps never moved has none of this."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.crypto.signing import SIGNATURE_BYTES
from hermes_core.handshake.move import SignedMove
from hermes_core.ids import MAX_ORDER, PUBLIC_KEY_BYTES, AppId, parse_node_party
from hermes_core.keystore.record_reader import RecordReader, check_range, encode_short, refuse_record

_LEG_HASH_BYTES: Final = 32
_NUMBER: Final = struct.Struct(">Q")

HighestMoves = tuple[SignedMove | None, SignedMove | None]


def encode_moves(moves: HighestMoves) -> list[bytes]:
    """u8(a bit for each side that has one) ‖ the moves, or nothing when there is none. The other app is the record's."""
    sides = sum(1 << index for index, move in enumerate(moves) if move is not None)
    head = [bytes((sides,))] if sides else []
    return head + [encode_move(move) for move in moves if move is not None]


def encode_move(move: SignedMove) -> bytes:
    """Without the other app, which is the record's."""
    fixed = _NUMBER.pack(move.number) + move.leg_hash + move.signature
    return move.mover_key + encode_short(move.home.encode("ascii"), "home party") + fixed


def parse_moves(reader: RecordReader, app_ids: tuple[AppId, AppId]) -> HighestMoves:
    """What is left of a record; KeystoreTamperedError when it is not well formed, ProtocolError for a bad party."""
    if not reader.left:
        return None, None
    (sides,) = reader.take(1)
    check_range(sides, 1, 3, "bytes after its end")
    first = _parse_side(reader, app_ids[0], app_ids[1]) if sides & 1 else None
    return first, _parse_side(reader, app_ids[1], app_ids[0]) if sides & 2 else None


def _parse_side(reader: RecordReader, mover: AppId, peer: AppId) -> SignedMove:
    move = parse_move(reader, peer)
    if move.mover != mover:
        refuse_record("who moved")
    return move


def parse_move(reader: RecordReader, peer: AppId) -> SignedMove:
    """KeystoreTamperedError when it is not well formed, ProtocolError for a bad party."""
    mover_key, home = reader.take(PUBLIC_KEY_BYTES), parse_node_party(reader.take_text("home party"))
    (number,) = reader.unpack(_NUMBER)
    leg_hash, signature = reader.take(_LEG_HASH_BYTES), reader.take(SIGNATURE_BYTES)
    return SignedMove(mover_key, peer, home, check_range(number, 1, MAX_ORDER, "number of a move"), leg_hash, signature)
