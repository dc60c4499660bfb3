"""The file of an app's store: made once, one process, its own identity, refused when it is not right, nothing in plaintext."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hermes_client import PLAIN, AppStore, HermesClient, StoreError
from hermes_client.host import SYSTEM_HOST
from hermes_client.store_file import KeptState
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.kept import KeptChanges
from hermes_core.errors import KeystoreBadPassphraseError, KeystoreIOError, KeystoreLockedError, KeystoreTamperedError
from hermes_core.ids import ChatId, NodeId
from hermes_core.keystore.app_record import EndedChatRecord, NodeMarkRecord, OutgoingRecord
from hermes_keystore import Keystore
from hermes_keystore.database import connect_sqlite
from tests.unit.hermes_core.keystore.record_samples import reveal
from tests.unit.hermes_core.keystore.test_app_notices import ENDED, MARK
from tests.unit.hermes_core.keystore.test_app_records import VECTORS, chat_of

CHEAP = Argon2Params(8192, 1, 1)


def make_store(folder: Path, passphrase: str | bytes = b"secret") -> AppStore:
    return AppStore(folder / "app.db", passphrase, argon2=CHEAP)


def read_all(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def open_store(folder: Path, identity: Identity | None = None) -> tuple[AppStore, KeptState]:
    store = make_store(folder)
    return store, await store.open(identity, SYSTEM_HOST)


async def test_identity_stamp_chats_and_messages_come_back(tmp_path: Path) -> None:
    store, first = await open_store(tmp_path)
    chats = [chat_of(case["record"]) for case in VECTORS["chats"][:3]]
    changes = KeptChanges()
    messages = [OutgoingRecord(chats[0].chat_id, seq, b"plain", 1, b"f" * 60) for seq in (300, 2, 1)]
    for chat in chats:
        changes.keep_chat(chat)
    for message in messages:
        changes.keep_message(message)
    expected = {chat.chat_id: reveal(chat_of(case["record"])) for chat, case in zip(chats, VECTORS["chats"], strict=False)}
    await store.keep_stamp(77)
    await store.commit(changes)
    assert all(chat.end_to_end.pending is None or chat.end_to_end.pending.mac.wiped for chat in chats), "not wiped"
    later = KeptChanges()
    later.drop_message(chats[0].chat_id, 2)
    later.end_chat(chats[1].chat_id)
    await store.commit(later)
    await store.close()
    second_store, second = await open_store(tmp_path)
    assert second.identity.public_key == first.identity.public_key
    assert second.stamp == 77
    del expected[chats[1].chat_id]
    assert {chat.record.chat_id: reveal(chat.record) for chat in second.chats} == expected
    kept = next(chat for chat in second.chats if chat.record.chat_id == chats[0].chat_id)
    assert [message.seq for message in kept.messages] == [1, 300]
    second.wipe_chats()
    await second_store.close()


async def test_ends_to_be_told_and_marks_of_nodes_come_back(tmp_path: Path) -> None:
    store, _ = await open_store(tmp_path)
    changes = KeptChanges()
    records = [EndedChatRecord(ChatId(bytes(15) + bytes((n,))), ENDED.home, failed=False, ended_s=n) for n in (3, 1, 2)]
    for record in records:
        changes.owe(record)
    await store.commit(changes)
    settled = KeptChanges()
    settled.settle(records[0].chat_id)
    await store.commit(settled)
    other = NodeMarkRecord(NodeId("node-1"), MARK.mark)
    await store.keep_mark(other, None)
    await store.keep_mark(MARK, other)
    await store.close()
    again, kept = await open_store(tmp_path)
    assert kept.ended == records[1:]
    assert kept.marks == [MARK]
    await again.close()


async def test_one_process_a_store(tmp_path: Path) -> None:
    store, _ = await open_store(tmp_path)
    with pytest.raises(KeystoreLockedError):
        await open_store(tmp_path)
    await store.close()
    again, _ = await open_store(tmp_path)
    await again.close()


async def test_another_passphrase_opens_nothing_and_changes_nothing(tmp_path: Path) -> None:
    store, first = await open_store(tmp_path)
    await store.close()
    before = (tmp_path / "app.db").read_bytes()
    with pytest.raises(KeystoreBadPassphraseError):
        await make_store(tmp_path, "other").open(None, SYSTEM_HOST)
    assert (tmp_path / "app.db").read_bytes() == before
    again, second = await open_store(tmp_path)
    assert second.identity.public_key == first.identity.public_key
    await again.close()


async def test_the_identity_given_is_a_new_stores_and_must_be_an_old_ones(tmp_path: Path) -> None:
    identity = Identity.generate(SYSTEM_HOST.random)
    store, kept = await open_store(tmp_path, identity)
    assert kept.identity.public_key == identity.public_key
    await store.close()
    again, _ = await open_store(tmp_path, identity)
    await again.close()
    with pytest.raises(StoreError):
        await open_store(tmp_path, Identity.generate(SYSTEM_HOST.random))
    third, _ = await open_store(tmp_path)  # and the refusal left no lock
    await third.close()


async def test_whoever_removes_log_and_floor_of_a_new_store_makes_no_other_app_of_it(tmp_path: Path) -> None:
    store, first = await open_store(tmp_path)
    (tmp_path / "bare").mkdir()
    shutil.copy(tmp_path / "app.db", tmp_path / "bare" / "app.db")  # as a kill at this moment leaves it, without the rest
    await store.close()
    bare, second = await open_store(tmp_path / "bare")
    assert second.identity.public_key == first.identity.public_key
    await bare.close()


async def test_a_keystore_without_an_app_is_no_store(tmp_path: Path) -> None:
    passphrase = SecretBytes.take(bytearray(b"secret"))
    Keystore.create(tmp_path / "app.db", passphrase, argon2=CHEAP).close()
    with pytest.raises(KeystoreTamperedError):
        await open_store(tmp_path)


async def test_a_store_is_opened_once(tmp_path: Path) -> None:
    store, _ = await open_store(tmp_path)
    with pytest.raises(StoreError):
        await store.open(None, SYSTEM_HOST)
    await store.close()
    await store.close()


async def test_a_message_of_no_chat_is_no_store(tmp_path: Path) -> None:
    store, _ = await open_store(tmp_path)
    changes = KeptChanges()
    changes.keep_message(OutgoingRecord(chat_of(VECTORS["chats"][0]["record"]).chat_id, 1, b"plain", 0, b""))
    await store.commit(changes)
    await store.close()
    with pytest.raises(KeystoreTamperedError):
        await open_store(tmp_path)


async def test_neither_content_nor_keys_are_in_the_files(tmp_path: Path) -> None:
    store, kept = await open_store(tmp_path)
    chat = chat_of(next(case["record"] for case in VECTORS["chats"] if case["record"]["end_to_end"]["current"] is not None))
    assert chat.end_to_end.current is not None
    seed = kept.identity.seed()
    secrets = [bytes(chat.end_to_end.current.mac.buffer), bytes(seed.buffer), b"a telling content", chat.peer.encode()]
    seed.wipe()
    changes = KeptChanges()
    changes.keep_chat(chat)
    changes.keep_message(OutgoingRecord(chat.chat_id, 1, b"a telling content", 0, b""))
    await store.commit(changes)
    files = read_all(tmp_path)
    assert [secret for secret in secrets if secret in files] == []
    await store.close()


async def test_what_is_deleted_while_an_app_runs_opens_to_nobody_within_the_time_that_was_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hermes_keystore.rotation_loop.CHECK_S", 0.02)
    store = AppStore(tmp_path / "app.db", b"secret", argon2=CHEAP, erase_within_s=4.0)
    await store.open(None, SYSTEM_HOST)
    keystore = store._file.keystore
    began = keystore.mark.generation
    rotating = asyncio.create_task(store.rotate(SYSTEM_HOST.monotonic))
    async with asyncio.timeout(30):
        while keystore.mark.generation == began:  # noqa: ASYNC110 - a start counts as a deletion
            await asyncio.sleep(0.02)
        changes = KeptChanges()
        chat = chat_of(VECTORS["chats"][0]["record"])
        chat_id = chat.chat_id
        changes.keep_chat(chat)
        await store.commit(changes)
        ended = KeptChanges()
        ended.end_chat(chat_id)
        deleted_at, with_it = asyncio.get_running_loop().time(), keystore.mark.generation
        await store.commit(ended)
        while keystore.mark.generation == with_it or keystore.rotating:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.02)
    assert asyncio.get_running_loop().time() < deleted_at + 4.0
    rotating.cancel()
    await asyncio.wait([rotating])
    await store.close()


async def test_each_start_seals_what_is_left_under_a_new_generation(tmp_path: Path) -> None:
    generations = []
    for _ in range(2):
        store, _ = await open_store(tmp_path)
        generations.append(store._file.keystore.mark.generation)
        await store.close()
    assert generations[1] > generations[0]


@pytest.mark.parametrize(("passphrase", "error"), [("", ValueError), (b"", ValueError), (None, TypeError), (7, TypeError)])
def test_what_is_no_passphrase_is_refused(tmp_path: Path, passphrase: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        AppStore(tmp_path / "app.db", passphrase)  # type: ignore[arg-type]


def test_a_passphrase_that_is_no_text_is_in_no_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no UTF-8") as raised:
        AppStore(tmp_path / "app.db", "hidden\ud800")
    chain: BaseException | None = raised.value
    while chain is not None:
        assert "hidden" not in repr(chain)
        chain = chain.__context__


async def test_a_passphrase_of_the_environment_is_the_bytes_that_it_was_there(tmp_path: Path) -> None:
    store = make_store(tmp_path, os.fsdecode(b"caf\xe9"))
    await store.open(None, SYSTEM_HOST)
    await store.close()
    again = make_store(tmp_path, b"caf\xe9")
    await again.open(None, SYSTEM_HOST)
    await again.close()


async def test_a_folder_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    store = make_store(tmp_path / "missing")
    async with asyncio.timeout(10):
        with pytest.raises(KeystoreIOError):
            await store.open(None, SYSTEM_HOST)


async def test_what_an_app_keeps_of_its_own_comes_back_and_is_not_in_plaintext(tmp_path: Path) -> None:
    store, _ = await open_store(tmp_path)
    await store.write_own({b"one": b"a telling value", b"two": b"2"})
    await store.write_own({b"one": b"another telling value", b"three": b"3"}, [b"two", b"three", b"never there"])
    assert not [word for word in (b"telling", b"one", b"three") if word in read_all(tmp_path)]
    await store.close()
    again, _ = await open_store(tmp_path)
    assert await again.read_own() == {b"one": b"another telling value", b"three": b"3"}
    await again.close()


async def test_what_is_no_record_of_an_apps_own_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with pytest.raises(StoreError):
        await store.write_own({b"k": b"v"})
    await store.open(None, SYSTEM_HOST)
    await store.write_own({bytes(255): bytes(1 << 20)})
    for key, value, error in (
        (bytes(256), b"", ValueError),
        (b"k", bytes((1 << 20) + 1), ValueError),
        ("k", b"v", TypeError),
        (b"k", "v", TypeError),
    ):
        with pytest.raises(error):
            await store.write_own({b"good": b"", key: value})  # type: ignore[dict-item]
    assert list(await store.read_own()) == [bytes(255)]
    await store.close()
    with pytest.raises(StoreError):
        await store.read_own()


@pytest.mark.parametrize("exists", [False, True])
async def test_an_opening_that_is_cancelled_leaves_the_file_free_and_under_its_passphrase(tmp_path: Path, exists: bool) -> None:
    if exists:
        store, _ = await open_store(tmp_path)
        await store.close()
    begun, go_on = threading.Event(), threading.Event()

    def connect_slowly(uri: str) -> sqlite3.Connection:
        begun.set()
        assert go_on.wait(10)
        return connect_sqlite(uri)

    given_up = make_store(tmp_path)
    opening = asyncio.create_task(given_up.open(None, replace(SYSTEM_HOST, open_database=connect_slowly)))
    assert await asyncio.to_thread(begun.wait, 10)
    opening.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert given_up._file._passphrase.wiped
    again, _ = await open_store(tmp_path)
    await again.close()


async def test_a_client_does_not_close_the_store_of_another_one(tmp_path: Path) -> None:
    store, _ = await open_store(tmp_path)
    second = HermesClient("127.0.0.1:1", tls=PLAIN, store=store)
    with pytest.raises(StoreError):
        await second.__aenter__()
    await second.close()
    await store.write_own({b"key": b"value"})
    await store.close()


async def test_the_executor_that_was_given_stays_its_owners(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        store = AppStore(tmp_path / "app.db", b"secret", argon2=CHEAP, executor=executor)
        await store.open(None, SYSTEM_HOST)
        await store.close()
        assert executor.submit(int).result() == 0
        with pytest.raises(StoreError):
            await store.read_own()
