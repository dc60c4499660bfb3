"""Fuzz targets for what a keystore keeps besides chats: its history and the floor beside it, tombstones, resume witnesses.

Parsers raise KeystoreError only, and what they accept they can write again. The floor is sealed: none is believed but ours.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable

from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import ConfigError, KeystoreError
from hermes_core.ids import ChatId, derive_app_id, parse_node_id
from hermes_core.keystore.chat_record import Notice, Tombstone
from hermes_core.keystore.floor import (
    SEALED_FLOOR_BYTES,
    SECOND_AT,
    FloorKey,
    encode_floor_file,
    encode_floor_key,
    judge_floor,
    open_floor_file,
    parse_floor_key,
    seal_floor,
)
from hermes_core.keystore.lineage import KEPT_OPENINGS, Lineage, encode_lineage, encode_told, parse_lineage
from hermes_core.keystore.mark import encode_mark
from hermes_core.keystore.rollback import Rollback, RollbackSign, encode_rollback, parse_rollback
from hermes_core.keystore.tables import Table
from hermes_core.keystore.tombstone_codec import encode_tombstone, parse_tombstone
from hermes_core.keystore.witness_codec import (
    KeptWitness,
    encode_closed,
    encode_index,
    encode_snapshot,
    parse_closed,
    parse_index,
    parse_snapshot,
)
from hermes_core.protocol.messages import CloseReason
from hermes_keystore.history import FLOOR, LINEAGE, ROLLBACK, TOLD, History
from hermes_node.keystore.passphrase import MAX_PASSPHRASE_BYTES, take_passphrase
from hermes_operator.nodes.held_mark import is_of_another_opening, read_authentic
from tests.fuzz.sessions import MARK
from tests.support.random_sources import SeededRandom
from tests.unit.hermes_core.ratchet.pairs import ALICE

FILE_ID = b"one file, one id"
FOUND = 42
"""Where the keystore stands."""
_TELLING = 8
"""Shorter ones may be part of what is said about them by chance."""
_KEY = SecretBytes.take(bytearray(range(32)))
FLOORS = {seal_floor(_KEY, FILE_ID, counter, SeededRandom(counter)): counter for counter in (FOUND - 1, FOUND, FOUND + 1)}


def fuzz_floor(data: bytes) -> None:
    """The file beside the keystore."""
    counter = open_floor_file(_KEY, FILE_ID, data)
    rollback = judge_floor(FloorKey(_KEY, armed=True), FILE_ID, data, FOUND)
    if counter is None:
        assert rollback == Rollback(RollbackSign.FLOOR_DAMAGED, 0, FOUND)
        return
    assert counter == max(FLOORS[half] for half in (data[:SEALED_FLOOR_BYTES], data[SECOND_AT:]))
    assert (rollback is None) == (counter <= FOUND)


def encode_rows(rows: list[bytes], beside: bytes) -> bytes:
    return b"".join(len(row).to_bytes(2, "big") + row for row in rows) + beside


def parse_rows(data: bytes) -> tuple[dict[tuple[Table, bytes], bytes], bytes]:
    """Lineage, rollback, floor key, what was told, each behind two bytes of length (0: there is none); and the file beside."""
    rows: dict[tuple[Table, bytes], bytes] = {}
    for place in (LINEAGE, ROLLBACK, FLOOR, TOLD):
        end = 2 + int.from_bytes(data[:2], "big")
        if end > 2:
            rows[place] = data[2:end]
        data = data[end:]
    return rows, data


def fuzz_history(data: bytes) -> None:
    """The rows of a keystore's history, as an opening finds them."""
    rows, beside = parse_rows(data)

    def get(table: Table, key: bytes) -> bytearray | None:
        return bytearray(rows[table, key]) if (table, key) in rows else None

    try:
        history = History.read(get, beside or None, FILE_ID, FOUND, SeededRandom(1))
    except KeystoreError:
        return
    lineage, rollback = history.lineage, history.rollback
    assert parse_lineage(encode_lineage(lineage)) == lineage
    assert history.found == FOUND
    assert lineage.current.start == FOUND + 1 or LINEAGE in rows, "an opening that told nobody gives its start to the next"
    assert len(lineage.openings) <= KEPT_OPENINGS
    assert rollback is None or parse_rollback(encode_rollback(rollback)) == rollback
    if ROLLBACK in rows:
        assert rollback is not None, "a proof that nobody has acted on stays"
    history.floor.key.wipe()


def fuzz_floor_key(data: bytes) -> None:
    stored = bytearray(data)
    try:
        floor = parse_floor_key(stored)
    except KeystoreError:
        floor = None
    assert not any(stored), "what was read is wiped in any case"
    if floor is not None:
        assert encode_floor_key(floor) == data
        floor.key.wipe()


def fuzz_rollback(data: bytes) -> None:
    """The note of a proof that waits."""
    try:
        rollback = parse_rollback(data)
    except KeystoreError:
        return
    assert encode_rollback(rollback) == data
    assert rollback.detail


def fuzz_passphrase(data: bytes) -> None:
    """As a file, a pipe or the environment may hold it."""
    found, said = bytearray(data), ""
    try:
        words = take_passphrase(found, "what is read")
    except ConfigError as error:
        words, said = None, str(error)
    assert len(data) < _TELLING or data.decode("latin-1") not in said, "nothing of it is told"
    assert not any(found), "what was read is wiped in any case"
    if words is not None:
        taken = bytes(words.buffer)
        assert data in {taken, taken + b"\n", taken + b"\r\n"}
        assert 0 < len(taken) <= MAX_PASSPHRASE_BYTES
        assert not {0, 10, 13} & set(taken)
        words.wipe()


def fuzz_annotation(data: bytes) -> None:
    """A mark as whoever may write annotations writes it, for the operator to read."""
    text = data.decode("utf-8", "replace")
    mark = read_authentic(text)
    assert is_of_another_opening(text, "00" * 16) == (mark is not None)
    if mark is not None:
        assert b64decode(text) == encode_mark(mark)


def fuzz_tombstone(data: bytes) -> None:
    try:
        tombstone = parse_tombstone(data)
    except KeystoreError:
        return
    assert encode_tombstone(tombstone) == data


def fuzz_witness(data: bytes) -> None:
    """A chunk of a snapshot, the list of witnesses, the note of a chat that ended: by the first byte."""
    kind, value = data[:1], data[1:]
    try:
        if kind == b"s":
            snapshot = parse_snapshot([value])
            assert parse_snapshot(encode_snapshot(snapshot)) == snapshot
        elif kind == b"l":
            assert encode_index(parse_index(value)) == value
        else:
            note = parse_closed(value)
            assert encode_closed(note.sequence, moved=note.moved) == value
    except KeystoreError:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {
    "floor": fuzz_floor,
    "floor-key": fuzz_floor_key,
    "rollback": fuzz_rollback,
    "passphrase": fuzz_passphrase,
    "annotation": fuzz_annotation,
    "history": fuzz_history,
    "tombstone": fuzz_tombstone,
    "witness": fuzz_witness,
}


def make_seeds() -> dict[str, list[bytes]]:
    floors = [encode_floor_file(sealed) for sealed in FLOORS]
    lineage = Lineage(noted=(b"an opening again",)).begin(b"the first of all", 0, told=True)
    lineage = lineage.begin(b"another opening.", 20, told=True)
    told, untold = (encode_told(b"another opening.", told=told) for told in (True, False))
    waiting = encode_rollback(Rollback(RollbackSign.BELOW_FLOOR, 50, 41))
    floor_key = bytes(encode_floor_key(FloorKey(_KEY, armed=True)))
    notices = (
        Notice(derive_app_id(ALICE.public_key), None, CloseReason.DELETED),
        Notice(None, parse_node_id("hermes-1"), CloseReason.EXPIRED),
    )
    chats = {ChatId(bytes([number]) * 16): ((number, 16, 32), (number, 64, 128)) for number in (1, 2)}
    index = encode_index([KeptWitness(1, b"one of them here", 1), KeptWitness(2, b"one more of them", 2)])
    return {
        "floor": floors,
        "history": [
            encode_rows([encode_lineage(lineage), b"", floor_key, told], floors[1]),
            encode_rows([encode_lineage(lineage), waiting, floor_key, untold], floors[2]),
            encode_rows([encode_lineage(lineage)[:-1], b"", floor_key, b""], floors[1]),  # cut off before the last length
            encode_rows([b"", b"", b"", b""], b""),
        ],
        "floor-key": [floor_key, bytes(len(floor_key))],
        "rollback": [waiting, encode_rollback(Rollback(RollbackSign.BEYOND_OPENING, 2**63, 0))],
        "passphrase": [
            b"correct horse battery staple",
            b"words\n",
            "wörter\r\n".encode(),
            b"two\nlines",
            b"\xef\xbb\xbfwords",
            "words".encode("utf-16"),
            b"w\0",
            bytes([119]) * (MAX_PASSPHRASE_BYTES + 1),
        ],
        "annotation": [b64encode(encode_mark(MARK)), b64encode(encode_mark(MARK))[:-1], "é".encode(), b"===="],
        "tombstone": [encode_tombstone(Tombstone(ChatId(bytes(16)), notices, 1_700_000_000))],
        "witness": [
            b"s" + encode_snapshot(chats)[0],
            b"l" + index,
            b"c" + encode_closed(7),
            b"c" + encode_closed(7, moved=True),
        ],
    }
