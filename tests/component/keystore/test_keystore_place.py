"""Where a keystore lies: links are followed once, what is no regular file is refused, and a file that goes ends its use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_core.errors import KeystoreExistsError, KeystoreIOError
from hermes_keystore import Keystore, Table
from hermes_keystore.inspection import inspect_file
from tests.component.keystore.kit import CHEAP, RECORDS, content_at, copy_files, create, file_bytes, open_store, secret

LATER = {(Table.META, b"later"): b"than the change"}


def test_a_linked_keystore_that_was_killed_opens_with_its_log(tmp_path: Path) -> None:
    with create(tmp_path / "keystore.db") as store:
        image = copy_files(tmp_path / "keystore.db", tmp_path / "image")
        mark = store.mark
    link = tmp_path / "links" / "node.db"
    link.parent.mkdir()
    link.symlink_to(image)
    assert inspect_file(link).log_bytes > 0
    with open_store(link) as store:
        assert store.mark.commit_counter >= mark.commit_counter
    assert content_at(link) == RECORDS
    assert [file.name for file in link.parent.iterdir()] == ["node.db"], "what lies beside a keystore lies beside its file"


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "volume")
    create(tmp_path / "data" / "keystore.db").close()
    assert content_at(tmp_path / "volume" / "keystore.db") == RECORDS


def test_a_link_that_leads_nowhere_makes_no_keystore(tmp_path: Path) -> None:
    link = tmp_path / "keystore.db"
    link.symlink_to(tmp_path / "not mounted" / "keystore.db")
    for use in (open_store, create, inspect_file):
        with pytest.raises(KeystoreIOError, match="not there") as caught:
            use(link)
        assert "mount" in caught.value.cure
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(KeystoreIOError, match="back to itself"):
        open_store(link)


def _make_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize("beside", ["", "-wal", ".lock"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, _make_device], ids=["folder", "pipe", "device"])
def test_what_is_no_regular_file_is_refused_with_a_cure(tmp_path: Path, beside: str, make: Callable[[Path], object]) -> None:
    path = tmp_path / "keystore.db"
    if beside:
        create(path).close()
        path.with_name(path.name + beside).unlink(missing_ok=True)
    make(path.with_name(path.name + beside))
    for use in (open_store, inspect_file):
        with pytest.raises(KeystoreIOError, match="regular file") as caught:
            use(path)
        assert "move away" in caught.value.cure
    if not beside:
        with pytest.raises(KeystoreExistsError):
            Keystore.create(path, secret(), argon2=CHEAP)


def test_a_second_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    create(path).close()
    os.link(path, tmp_path / "copy.db")
    for name in (path, tmp_path / "copy.db"):
        with pytest.raises(KeystoreIOError, match="2 names"):
            open_store(name)


def _replace(path: Path) -> None:
    shutil.copyfile(path, path.with_name("other"))
    path.with_name("other").replace(path)


def _link(path: Path) -> None:
    os.link(path, path.with_name("another name"))


@pytest.mark.parametrize("which", ["", "-wal"], ids=["database", "log"])
@pytest.mark.parametrize("change", [_replace, Path.unlink, _link], ids=["replaced", "removed", "linked"])
def test_a_file_that_is_not_the_open_one_any_more_ends_the_use(
    tmp_path: Path, which: str, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "keystore.db"
    store = create(path)
    change(path.with_name(path.name + which))
    for _ in range(2):
        with pytest.raises(KeystoreIOError):
            store.commit(LATER)
    store.close()
    assert _open_below(tmp_path) == [], "closing lets go of everything"


def _open_below(folder: Path) -> list[str]:
    """Files of this folder, also removed ones, that this process has open."""
    targets = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [target for target in targets if target.startswith(str(folder))]


@pytest.mark.parametrize("folded_in", [False, True])
def test_who_unlinked_the_log_of_a_keystore_locks_nobody_out(tmp_path: Path, folded_in: bool) -> None:
    path = tmp_path / "keystore.db"
    store = create(path)
    if folded_in:
        store._truncate_log()
    path.with_name("keystore.db-wal").unlink()
    with pytest.raises(KeystoreIOError):
        store.commit(LATER)
    path.with_name("keystore.db-wal").write_bytes(b"another's")
    store.close()
    assert path.with_name("keystore.db-wal").read_bytes() == b"another's"
    path.with_name("keystore.db-wal").unlink()
    with open_store(path) as again:
        assert (again.rollback is None) == folded_in


@pytest.mark.parametrize("use", [Keystore.rotate_generation, Keystore.wipe, Keystore.close], ids=lambda use: use.__name__)
def test_nothing_else_happens_to_the_file_in_its_place(tmp_path: Path, use: Callable[[Keystore], None]) -> None:
    path, other = tmp_path / "keystore.db", tmp_path / "other.db"
    create(other).close()
    store = create(path)
    other.replace(path)
    before = path.read_bytes()
    with pytest.raises(KeystoreIOError, match="not the file any more"):
        use(store)
    store.close()
    assert path.read_bytes() == before
    assert path.with_name("keystore.db.lock").exists()


def test_a_commit_that_went_into_a_file_that_was_removed_meanwhile_is_not_answered(tmp_path: Path) -> None:
    """The look before a commit cannot see it, the one after it does."""
    path = tmp_path / "keystore.db"
    store = create(path)
    execute = store._connection.execute

    class Unlinking:
        in_transaction = False

        def __getattr__(self, name: str) -> object:
            return getattr(store_connection, name)

        def execute(self, statement: str, *parameters: Any) -> object:
            if statement == "COMMIT":
                path.unlink()
            return execute(statement, *parameters)

    store_connection, store._connection = store._connection, Unlinking()  # type: ignore[assignment]
    before = store.mark
    with pytest.raises(KeystoreIOError, match="removed"):
        store.commit(LATER)
    assert store.mark == before
    store.close()


@pytest.mark.parametrize("moved", [["keystore.db", "keystore.db-wal"], ["keystore.db-wal"]], ids=["both", "log"])
def test_closing_leaves_what_lies_in_the_place_of_the_files_alone(tmp_path: Path, moved: list[str]) -> None:
    """SQLite removes a log by its name; the one that was put in its place may hold another keystore's commits."""
    path = tmp_path / "keystore.db"
    with create(tmp_path / "new.db"):
        image = copy_files(tmp_path / "new.db", tmp_path / "image")
    store = create(path)
    for name in moved:
        image.with_name(name.replace("keystore.db", "new.db")).replace(path.with_name(name))
    files = file_bytes(path)
    with pytest.raises(KeystoreIOError):
        store.commit(LATER)
    store.close()
    assert file_bytes(path) == files
