"""Secrets in memory, measured: a process that closed its keystore holds no key of it; with wiping off it does.

The parent derives every key from the file and the passphrase with the independent reference, so that the child never has to
tell one, and scans the child's memory at each stage.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hermes_keystore import Table
from tests.reference import keystore_reference as reference
from tests.support.memory import read_memory

CHILD = Path(__file__).with_name("keystore_child.py")
GENERATION_PURPOSES = ("record", "state", "row key", "set digest")


class Child:
    def __init__(self, process: subprocess.Popen[bytes], path: Path, passphrase: bytes) -> None:
        self._process = process
        self._path = path
        self._passphrase = passphrase
        self._send(passphrase)

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def reach(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == word.encode() + b"\n"

    def go_on(self) -> None:
        self._send(b"\n")

    def find(self, secrets: dict[str, bytes]) -> set[str]:
        """Names of secrets of which any half is in memory (the allocator overwrites the first bytes of what it frees)."""
        memory = read_memory(self._process.pid)
        return {name for name, value in secrets.items() if any(value[at : at + 16] in memory for at in (0, 8, len(value) - 16))}

    def keys_in_file(self) -> dict[str, bytes]:
        """Every key the file yields now, by name."""
        uri = f"file:{self._path}?mode=ro&immutable=1"  # rotations truncate the log, so the file alone is current
        with sqlite3.connect(uri, uri=True) as database:
            (raw,) = database.execute("SELECT body FROM header").fetchone()
        database.close()
        kek, master, generation_key = reference.unwrap_keys(raw, self._passphrase)
        named = {"kek": kek, "master key": master, "generation key": generation_key}
        named |= {purpose: reference.subkey(generation_key, purpose) for purpose in GENERATION_PURPOSES}
        return named | {purpose: reference.subkey(master, purpose) for purpose in ("header seal", "header mac")}


@contextmanager
def run_child(path: Path, wiping: str) -> Iterator[Child]:
    passphrase = os.urandom(64)
    rng = random.Random(os.urandom(8))
    records = [(int(Table.IDENTITY), 1, b"seed", SEED)]
    records += [
        (int(Table.CHAT), 2, rng.randbytes(16), reference.encode_chat_record(reference.random_chat_record(rng), 2))
        for _ in range(9)
    ]
    reference.write_keystore(path, passphrase, records, rng)
    command = [sys.executable, str(CHILD), str(path), wiping]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Child(process, path, passphrase)
        finally:
            process.kill()


SEED = os.urandom(32)


def test_no_key_outlives_its_use(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    with run_child(path, "wipe") as child:
        child.reach("open")
        first = child.keys_in_file()
        everything = dict(first)
        found = child.find(first | {"record": first["record"], "identity seed": SEED})
        assert {"master key", "record", "row key", "set digest"} <= found  # in use, and proof that the scan finds keys
        assert not found & {"kek", "generation key", "header seal", "header mac", "identity seed"}
        child.go_on()
        child.reach("rotated")
        second = child.keys_in_file()
        everything |= {f"second {name}": key for name, key in second.items()}
        old = {name: first[name] for name in GENERATION_PURPOSES} | {"generation key": first["generation key"]}
        assert child.find(old) == set()
        assert child.find({"record": second["record"], "master key": second["master key"]}) == {"record", "master key"}
        child.go_on()
        child.reach("rewrapped")
        third = child.keys_in_file()
        everything |= {f"third {name}": key for name, key in third.items()}
        assert third["master key"] != second["master key"]
        assert child.find({"old master key": second["master key"], "old kek": second["kek"], "kek": third["kek"]}) == set()
        assert child.find({"passphrase": child._passphrase}) == set()
        child.go_on()
        child.reach("closed")
        assert child.find(everything | {"identity seed": SEED}) == set()
        child.go_on()
        child.reach("refused")
        assert child.find({"wrong passphrase": b"wrong" * 10, **everything}) <= {"wrong passphrase"}  # it is in the source


def test_without_wiping_the_scan_finds_them(tmp_path: Path) -> None:
    with run_child(tmp_path / "keystore.db", "keep") as child:
        keys: dict[str, bytes] = {"identity seed": SEED}
        for word in ("open", "rotated", "rewrapped", "closed"):
            child.reach(word)
            keys |= {f"{word} {name}": key for name, key in child.keys_in_file().items()}
            if word != "closed":
                child.go_on()
        found = child.find(keys)
        assert len(found) >= 3, found
