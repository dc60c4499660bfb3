"""The keystore: opening 100,000 sealed chats against the bare cost of it, what their rotation holds up, the fsyncs a chat pays.

Bare is what any sealed SQLite file costs: read every row, open every XChaCha20-Poly1305 box with PyNaCl. Ours is everything
`Keystore.open` checks (Argon2id with its cheapest costs, page structure, header, set digest) and every record loaded from its
own box; records are parsed when they are used, so parsing is not part of it.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from pathlib import Path

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt

from benchmarks.measure import Figure, build_cost_figure, interleave
from benchmarks.one_chat import OneChat
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.suites import Suite
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.sealing import _AAD_PLACE, RecordSealer
from hermes_keystore import Keystore, Table
from tests.reference.keystore_reference import encode_chat_record, random_channel, random_chat_record, random_epoch

CHATS = 100_000
ROUNDS = 5
STALL_ROUNDS = 2
CHEAPEST = Argon2Params(8192, 1, 1)
MESSAGES = 1_000


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="hermes-bench-") as folder:
        many = Path(folder) / "many.db"
        return [measure_opening(many), measure_stall(many), count_fsyncs(Path(folder) / "one.db")]


def measure_opening(path: Path) -> Figure:
    passphrase = SecretBytes.take(bytearray(b"bench"))
    sealer = fill(path, passphrase)

    def open_ours(_: int) -> None:
        with Keystore.open(path, passphrase) as store:
            loaded = sum(1 for _ in store.load(Table.CHAT))
        if loaded != CHATS:
            raise AssertionError(f"{loaded} records")

    def open_bare(_: int) -> None:
        database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        key, head = bytes(sealer._key.buffer), sealer._aad_head
        opened = 0
        for row_key, table, version, sealed in database.execute("SELECT row_key, tbl, version, sealed FROM records"):
            aad = head + _AAD_PLACE.pack(table, version, row_key)
            crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[24:], aad, sealed[:24], key)
            opened += table == Table.CHAT
        database.close()
        if opened != CHATS:
            raise AssertionError(f"{opened} boxes")

    samples = interleave({"keystore": open_ours, "bare": open_bare}, operations=1, rounds=ROUNDS)
    name = f"opening a keystore of {CHATS:,} chats and loading them ÷ reading the rows and opening the boxes"
    return build_cost_figure("14", name, samples, "keystore", "bare", must=2, aim=1.5) | {"lower": True}


def measure_stall(path: Path) -> Figure:
    """What a commit waits for at worst when a rotation runs: its longest slice, against a rotation in one transaction."""
    samples: dict[str, list[float]] = {"slice": [], "at once": []}
    with Keystore.open(path, SecretBytes.take(bytearray(b"bench"))) as store:
        for _ in range(STALL_ROUNDS):
            longest, ended = 0.0, False
            while not ended:
                began = time.perf_counter()
                ended = store.rotate_slice()
                longest = max(longest, time.perf_counter() - began)
            samples["slice"].append(longest)
            began = time.perf_counter()
            store.rotate_generation()
            samples["at once"].append(time.perf_counter() - began)
    name = f"longest slice of a rotation of {CHATS:,} chats ÷ the rotation in one transaction"
    return build_cost_figure("14a", name, samples, "slice", "at once", must=0.1, aim=0.02) | {"lower": True}


def fill(path: Path, passphrase: SecretBytes) -> RecordSealer:
    """A keystore of chats of the usual size (both apps at home, no epoch pending); the sealer of its generation."""
    rng = random.Random(6)  # noqa: S311  # test data
    chat = random_chat_record(rng) | {"side_nodes": [None, None]}
    for side in range(2):
        epoch = random_epoch(rng) | {"transcript_hash": rng.randbytes(32).hex(), "suite": Suite.X25519_SHA256}
        key = rng.randbytes(32).hex()
        chat["sides"][side] = random_channel(rng) | {"current": epoch, "pending": None, "peer_public_key": key}
        chat["sides"][side]["seen_ephemerals"] = [rng.randbytes(16).hex() for _ in range(2)]
    value = encode_chat_record(chat, RECORD_VERSIONS[Table.CHAT])
    store = Keystore.create(path, passphrase, argon2=CHEAPEST)
    for start in range(0, CHATS, 5_000):
        chat_ids = [number.to_bytes(16, "big") for number in range(start, min(start + 5_000, CHATS))]
        store.commit({(Table.CHAT, chat_id): value[:1] + chat_id + value[17:] for chat_id in chat_ids})
    keys = store._unsealed.keys
    sealer = RecordSealer(type(keys)(keys.file_id, keys.generation, *(key.copy() for key in _secrets(keys))))
    store.close()
    return sealer


def _secrets(keys: object) -> list[SecretBytes]:
    return [getattr(keys, name) for name in ("record", "state", "row_key", "set_digest")]


def count_fsyncs(path: Path) -> Figure:
    """Counted, not timed; tests/component/keystore/test_keystore_fsyncs.py holds the counter to a recording file system."""
    with Keystore.create(path, SecretBytes.take(bytearray(b"bench")), argon2=CHEAPEST) as store:
        chat = OneChat(store)
        before = store.fsyncs
        chat.send(MESSAGES, b"x" * 1024)
        fsyncs = store.fsyncs - before
        if chat.received != MESSAGES:
            raise AssertionError(f"{chat.received} messages arrived")
    name = f"fsyncs for {MESSAGES:,} messages of one chat, window 256"
    return {"id": "13a", "name": name, "ratio": fsyncs, "must": 10, "aim": 8, "lower": True, "samples": [float(fsyncs)]}
