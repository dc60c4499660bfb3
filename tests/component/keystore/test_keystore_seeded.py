"""A keystore takes every random byte from the source it is given: the same source and the same use give the same file."""

from __future__ import annotations

from pathlib import Path

from hermes_core.ids import ChatId, NodeId
from hermes_keystore import Keystore, Table
from hermes_node.keystore.identity import load_identity, new_identity
from hermes_node.keystore.witness import take_witness
from tests.component.keystore.kit import CHEAP, RECORDS, file_bytes, secret
from tests.support.random_sources import SeededRandom


def live(folder: Path, seed: int) -> bytes:
    """The bytes of a file after everything that seals: create, commit, witness, another generation and passphrase, open."""
    folder.mkdir()
    path, random = folder / "keystore.db", SeededRandom(seed)
    with (
        new_identity(random) as records,
        Keystore.create(path, secret(), records=records, argon2=CHEAP, random=random) as store,
    ):
        store.commit(RECORDS)
        load_identity(store, NodeId("hermes-0"))
        take_witness(store, {ChatId(bytes(16)): ((1, 2, 3), (4, 5, 6))}, random)
        store.rotate_generation()
        store.rotate_passphrase(secret(b"another"), argon2=CHEAP)
    with Keystore.open(path, secret(b"another"), random=random) as store:
        store.commit({(Table.CHAT, b"later"): b"on"}, [(Table.CHAT, b"chat-one")])
    return file_bytes(path)["keystore.db"]


def test_a_seeded_source_repeats_the_file_byte_for_byte(tmp_path: Path) -> None:
    assert live(tmp_path / "one", 1) == live(tmp_path / "two", 1)
    assert live(tmp_path / "three", 2) != live(tmp_path / "four", 3)
