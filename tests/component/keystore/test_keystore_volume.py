"""The volume fails, full or read-only, or the process is killed: own error, fail-stop, nothing changed, nothing in the way."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreIOError, KeystoreMissingError
from hermes_keystore import Keystore, Table
from hermes_keystore.floor_file import remove_floor
from tests.component.keystore.kit import CHEAP, RECORDS, content, content_at, create, open_store, secret, unchanged

ROOT = Path(__file__).parents[3]
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]


def can_mount() -> bool:
    try:
        probe = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return probe.returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs a mount namespace: root, or unprivileged user namespaces")
@pytest.mark.parametrize("what", ["full", "read-only"])
def test_a_volume_that_is(what: str, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "node"), str(ROOT / "proto")])}
    command = [*UNSHARE, sys.executable, "-m", "tests.component.keystore.volume_child", what, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert done.stdout == "OK\n", done.stderr


def test_a_file_that_cannot_grow(tmp_path: Path) -> None:
    """The same on any machine: a limit on file size makes the log's growth fail as a full disk does."""
    path = tmp_path / "keystore.db"
    create(path).close()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = open_store(path)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
        with pytest.raises(KeystoreIOError):
            store.commit({(Table.CHAT, b"one too many"): bytes(1 << 19)})
        with pytest.raises(KeystoreIOError, match="stopped"):
            store.commit({(Table.META, b"k"): b"v"})
        store.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert content_at(path) == RECORDS


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where it likes; the mounted volume above is root's test")
def test_a_folder_without_write_permission(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    folder.mkdir()
    path = folder / "keystore.db"
    create(path).close()
    (folder / "keystore.db.lock").unlink()
    folder.chmod(0o500)
    try:
        with unchanged(path), pytest.raises(KeystoreIOError):
            open_store(path)
    finally:
        folder.chmod(0o700)
    assert content_at(path) == RECORDS


CREATE = """
import sys
from hermes_keystore.floor_file import remove_floor
from tests.component.keystore.kit import CHEAP, secret
from hermes_keystore import Keystore
print("ready", flush=True)
Keystore.create(sys.argv[1], secret(), argon2=CHEAP).close()
print("done", flush=True)
"""


def test_sigkill_in_the_middle_of_creating_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """Killed after a random time, again and again; every next creation or opening works."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    path = tmp_path / "keystore.db"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "node"), str(ROOT / "proto")])}
    for _ in range(6):
        command = [sys.executable, "-c", CREATE, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            deadline = rng.random() * 0.04
            try:
                child.wait(deadline)
            except subprocess.TimeoutExpired:
                child.kill()
        try:
            open_store(path).close()
        except KeystoreMissingError:
            Keystore.create(path, secret(), argon2=CHEAP).close()
        with open_store(path) as store:
            assert content(store) == {}, f"seed {seed}"
        path.unlink()
        remove_floor(path)
    left = {file.name for file in tmp_path.iterdir()}
    assert left <= {"keystore.db.lock", "keystore.db.tmp", "keystore.db.tmp-wal"}
