"""SIGKILL at any point of a rotation in slices: what was acknowledged is there, and the rotation ends after all."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hermes_keystore import Table
from tests.component.keystore.kit import PASSPHRASE, content, create, file_bytes, open_store
from tests.reference import keystore_reference as reference

ROOT = Path(__file__).parents[3]
KILLS = 12

CHILD = """
import sys
from tests.component.keystore.kit import open_store
from hermes_keystore import Table
from hermes_keystore import rotating_file
rotating_file.SLICE_ROWS = 8
first = int(sys.argv[2])
with open_store(sys.argv[1]) as store:
    print("open", first, flush=True)
    for number in range(first, first + 100_000):
        store.rotate_slice()
        store.commit({(Table.META, b"%d" % (number % 40)): b"%d" % number * 50}, [(Table.META, b"%d" % ((number + 9) % 40))])
        print("committed", number, flush=True)
"""


def expected(last: int) -> dict[tuple[Table, bytes], bytes]:
    """What commits 0 to `last` leave."""
    found: dict[tuple[Table, bytes], bytes] = {}
    for number in range(last + 1):
        found.pop((Table.META, b"%d" % ((number + 9) % 40)), None)
        found[Table.META, b"%d" % (number % 40)] = b"%d" % number * 50
    return found


@pytest.mark.timeout(120)
def test_sigkill_in_the_middle_of_a_rotation(fast_path: Path) -> None:
    seed = int(os.environ.get("HERMES_TEST_SEED", "0")) or random.randrange(2**32)
    rng = random.Random(seed)
    path = fast_path / "keystore.db"
    chats = {(Table.CHAT, b"%d" % number): b"\x02" + rng.randbytes(900) for number in range(120)}
    with create(path) as store:
        store.commit({}, [(Table.META, b"")])
        store.commit(chats)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "node"), str(ROOT / "proto")])}
    last, in_the_middle = -1, 0
    for _ in range(KILLS):
        command = [sys.executable, "-c", CHILD, str(path), str(last + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as child:
            assert child.stdout is not None
            assert child.stdout.readline().startswith(b"open")
            time.sleep(rng.random() * 0.15)  # a random point of its work: there is no condition to wait for
            child.kill()
            lines = child.stdout.read().split(b"\n")[:-1]  # what the kill cut off in the middle was not acknowledged
            told = [int(line.split()[1]) for line in lines if line.startswith(b"committed")]
        acknowledged = told[-1] if told else last
        with open_store(path) as store:
            assert store.rollback is None
            in_the_middle += store.rotating
            found = content(store)
            numbers = {name: value for name, value in found.items() if name[0] is Table.META}
            assert numbers in (expected(acknowledged), expected(acknowledged + 1)), f"HERMES_TEST_SEED={seed}"
            last = acknowledged + (numbers != expected(acknowledged))
            assert {name: value for name, value in found.items() if name in chats} == chats, f"HERMES_TEST_SEED={seed}"
    assert in_the_middle > KILLS / 3, f"HERMES_TEST_SEED={seed}"
    with open_store(path) as store:
        former = store._connection.execute("SELECT row_key, tbl, version, sealed FROM records").fetchall()
        generation = store.mark.generation
        while store.rotating or store.mark.generation == generation:
            store.rotate_slice()
        assert {name: value for name, value in content(store).items() if name in chats} == chats
    raw = b"".join(file_bytes(path).values())
    assert not any(row_key in raw for row_key, *_ in former)
    with sqlite3.connect(path) as database:
        (header,) = database.execute("SELECT body FROM header").fetchone()
    database.close()
    assert len(reference.unwrap_generations(header, PASSPHRASE)) == 1


def test_the_child_does_what_is_expected_of_it(tmp_path: Path) -> None:
    """The control: undisturbed commits leave exactly what `expected` says."""
    with create(tmp_path / "keystore.db") as store:
        store.commit({}, [(Table.META, b"")])
        for number in range(60):
            deletes = [(Table.META, b"%d" % ((number + 9) % 40))]
            store.commit({(Table.META, b"%d" % (number % 40)): b"%d" % number * 50}, deletes)
        assert {name: value for name, value in content(store).items() if name[0] is Table.META} == expected(59)
