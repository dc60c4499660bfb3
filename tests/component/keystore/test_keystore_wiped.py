"""What a keystore makes while it is opened, used, rotated and closed is wiped, whether or not it would be let go anyway."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hermes_client.scenario.local_mesh import render_toml
from hermes_core.clock_peers import SeenTime
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import SecretBytes
from hermes_core.ids import NodeId
from hermes_core.keystore.chat_record import ChatRecord
from hermes_core.keystore.chat_record_codec import encode_chat_record
from hermes_core.relay.output import NodeOutput
from hermes_keystore import Keystore, KeystoreMark, Table
from hermes_keystore.store import Deletes, Puts
from hermes_node.chats.store import ChatStore
from hermes_node.config.sources import load_config
from hermes_node.host import SYSTEM_HOST
from hermes_node.keystore.identity import IDENTITY_KEY, load_identity, new_identity
from hermes_node.keystore.passphrase import read_passphrase
from hermes_node.lifecycle.unseal import unseal_node
from hermes_node.metrics.registry import NodeMetrics
from tests.component.keystore.kit import CHEAP, PASSPHRASE, RECORDS, create, open_store, secret
from tests.component.keystore.test_keystore_migration_file import GOLDEN
from tests.reference import keystore_reference as reference
from tests.support.kept_secrets import keeping_secrets
from tests.unit.hermes_core.keystore.record_samples import build_record


def in_use(store: Keystore) -> list[SecretBytes]:
    """The keys that an open keystore works with."""
    unsealed, floor = store._unsealed, store._floor
    assert floor is not None
    generations = [keys for keys in (unsealed.keys, unsealed.former) if keys is not None]
    keys = [key for one in generations for key in (one.record, one.state, one.row_key, one.set_digest)]
    return [unsealed.master, floor._key, *keys]


def test_from_creation_to_close(tmp_path: Path) -> None:
    with keeping_secrets() as kept:
        words = secret()
        store = Keystore.create(tmp_path / "keystore.db", words, argon2=CHEAP)
        words.wipe()
        assert kept.left(*in_use(store)) == []
        store.close()
        assert kept.left() == []
        words = secret()
        store = Keystore.open(tmp_path / "keystore.db", words)
        words.wipe()
        assert kept.left(*in_use(store)) == []
        store.close()
        assert kept.left() == []


def test_new_generations_and_a_new_passphrase(tmp_path: Path) -> None:
    create(tmp_path / "keystore.db").close()
    with keeping_secrets() as kept:
        words = secret()
        store = Keystore.open(tmp_path / "keystore.db", words)
        words.wipe()
        store.rotate_generation()
        assert kept.left(*in_use(store)) == []
        while not store.rotate_slice():
            assert kept.left(*in_use(store)) == []
        assert kept.left(*in_use(store)) == []
        words = secret(b"other words")
        store.rotate_passphrase(words, argon2=CHEAP)
        words.wipe()
        assert kept.left(*in_use(store)) == []
        store.close()


@pytest.mark.parametrize("version", [1, 2])
def test_records_that_are_migrated(version: int, tmp_path: Path) -> None:
    shutil.copyfile(GOLDEN / f"record-v{version}.db", tmp_path / "keystore.db")
    with keeping_secrets() as kept:
        words = secret(reference.GOLDEN_PASSPHRASE)
        store = Keystore.open(tmp_path / "keystore.db", words)
        words.wipe()
        assert kept.left(*in_use(store)) == []
        store.close()


def test_an_identity_that_is_made_and_read_again(tmp_path: Path) -> None:
    with keeping_secrets() as kept:
        words = secret()
        with new_identity(SYSTEM_RANDOM) as records:
            store = Keystore.create(tmp_path / "keystore.db", words, records=records, argon2=CHEAP)
        words.wipe()
        assert kept.left(*in_use(store)) == []
    for _ in range(2):
        with keeping_secrets() as kept:
            stored = load_identity(store, NodeId("node-0"))
            assert kept.left(stored.identity._secret_key) == []
            stored.identity.wipe()
            assert kept.left() == []
    assert store.get(Table.IDENTITY, IDENTITY_KEY) is not None
    store.close()


def is_wiped(record: ChatRecord) -> bool:
    epochs = [epoch for side in record.sides for epoch in (side.current, side.pending) if epoch is not None]
    return bool(epochs) and all(
        key.wiped for it in epochs for key in (it.mac, it.ratchet, it.send.chain_key, it.recv.chain_key)
    )


@pytest.fixture
async def chats(tmp_path: Path) -> AsyncIterator[ChatStore]:
    create(tmp_path / "keystore.db").close()
    with ThreadPoolExecutor(1) as worker:
        keystore = await asyncio.get_running_loop().run_in_executor(worker, open_store, tmp_path / "keystore.db")
        store = ChatStore(keystore, worker, NodeMetrics(version="", revision="").keystore, lambda: SeenTime(0.0))
        yield store
        await store.close(wipe=False)


async def test_a_commit_of_chats(chats: ChatStore, monkeypatch: pytest.MonkeyPatch) -> None:
    record, commit, wiped = build_record(random.Random(3)), chats.keystore.commit, []

    def watched(puts: Puts, deletes: Deletes = ()) -> KeystoreMark:
        wiped.append(is_wiped(record))
        return commit(puts, deletes)

    monkeypatch.setattr(chats.keystore, "commit", watched)
    with keeping_secrets() as kept:
        await chats.commit(NodeOutput(1, puts={record.chat_id: record}))
    assert wiped == [True]  # not one copy more than is needed waits for the disk
    assert len(kept) == 1  # the encoded record
    assert kept.left() == []


async def test_a_commit_that_fails(chats: ChatStore) -> None:
    records = [build_record(random.Random(seed)) for seed in (3, 4, 5)]
    records[1].end_to_end_epoch = -1
    with keeping_secrets() as kept, pytest.raises(ValueError, match="does not fit"):
        await chats.commit(NodeOutput(1, puts={record.chat_id: record for record in records}))
    assert all(map(is_wiped, records))
    assert kept.left() == []


def test_the_start_of_a_node_that_has_chats(tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(PASSPHRASE)
    with create(tmp_path / "keystore.db") as store:
        store.commit({(Table.IDENTITY, IDENTITY_KEY): b"\x11" * 32})
        for chat in [chat for table, chat in RECORDS if table is Table.CHAT]:
            store.commit({(Table.CHAT, chat): encode_chat_record(build_record(random.Random(chat)))})
    sections = {
        "node": {"id": "node-0", "data_dir": str(tmp_path)},
        "app": {"listen": "127.0.0.1:0"},
        "mesh": {"listen": ""},
        "keystore": {"path": str(tmp_path / "keystore.db"), "passphrase_file": str(tmp_path / "words")},
    }
    path = tmp_path / "node.toml"
    path.write_text(render_toml(sections))
    config = load_config(path, {})
    with keeping_secrets() as kept:
        node = unseal_node(config, {}, SYSTEM_HOST)
        loaded = [epoch for record in node.records for side in record.sides for epoch in (side.current, side.pending) if epoch]
        secrets = [key for it in loaded for key in (it.mac, it.ratchet, it.send.chain_key, it.recv.chain_key)]
        assert kept.left(*in_use(node.keystore), node.stored.identity._secret_key, *secrets) == []
    node.keystore.close()


def test_a_passphrase_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(PASSPHRASE)
    with keeping_secrets() as kept:
        words = read_passphrase(str(tmp_path / "words"), {})
        assert kept.left(words) == []
