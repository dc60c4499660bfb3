"""Modes of a keystore's files: what everybody may write is not used, what everybody may read is closed; fsGroup's bits stay."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreIOError
from hermes_keystore.inspection import inspect_file
from tests.component.keystore.kit import RECORDS, content_at, copy_files, create, file_bytes, open_store


def modes(path: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob(path.name + "*")}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """What a crash left: database, log and floor."""
    with create(tmp_path / "keystore.db"):
        path = copy_files(tmp_path / "keystore.db", tmp_path / "image")
    assert {"keystore.db", "keystore.db-wal", "keystore.db.floor"} <= {file.name for file in path.parent.iterdir()}
    path.with_name(path.name + ".lock").touch()
    return path


@pytest.mark.parametrize("beside", ["", "-wal", ".floor", ".lock"])
@pytest.mark.parametrize("mode", [0o606, 0o666, 0o602])
def test_what_everybody_may_write_is_refused_with_a_cure(image: Path, beside: str, mode: int) -> None:
    file = image.with_name(image.name + beside)
    file.chmod(mode)
    before = file_bytes(image)
    with pytest.raises(KeystoreIOError, match="everybody may write") as caught:
        open_store(image)
    assert "chmod o-w" in caught.value.cure
    assert file_bytes(image) == before
    assert stat.S_IMODE(file.stat().st_mode) == mode
    with pytest.raises(KeystoreIOError, match="everybody may write"):
        inspect_file(image)
    file.chmod(0o600)
    assert content_at(image) == RECORDS


def test_a_volume_with_an_fsgroup_is_used_as_kubelet_leaves_it(image: Path) -> None:
    """chmod(mode | 0660) of every file, setgid and 0770 of the folder."""
    image.parent.chmod(0o2770)
    for file in image.parent.iterdir():
        file.chmod(stat.S_IMODE(file.stat().st_mode) | 0o660)
    with open_store(image):
        assert modes(image)["keystore.db"] == 0o660
        assert modes(image)["keystore.db.lock"] == 0o660
    assert content_at(image) == RECORDS


def test_what_everybody_may_read_is_closed_at_an_opening(image: Path) -> None:
    """As after `cp` under the usual umask."""
    for file in image.parent.iterdir():
        file.chmod(0o644)
    inspect_file(image)
    assert modes(image)["keystore.db"] == 0o644, "who only looks changes nothing"
    with open_store(image):
        assert all(mode & stat.S_IRWXO == 0 for mode in modes(image).values())
        assert modes(image)["keystore.db"] == 0o640
        assert modes(image)["keystore.db.lock"] == 0o640
