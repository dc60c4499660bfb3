"""Exhaustive tampering: every byte of a small keystore flipped, one at a time, in the database and in its write-ahead log.

A flip is detected (a KeystoreError, the files unchanged) or harmless: the same content comes out, further commits hold, and the
keystore opens again. Never a crash, never a silent loss: damage in the last transaction of a log looks like a commit torn by a
crash, and the keystore is then the one before it, with a lower mark; the floor beside it gives it away.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from hermes_core.errors import KeystoreError
from hermes_keystore import Keystore, KeystoreMark, Table
from tests.component.keystore.kit import CHEAP, RECORDS, content, copy_files, file_bytes, found_at, memo_backend, secret

Content = dict[tuple[Table, bytes], bytes]

ADDED = {(Table.META, b"after the flip"): b"still works"}
MASKS = (0x01, 0xFF, 0x80, 0x10, 0x7F, 0x02)


class Subject:
    """A keystore to flip bytes of: its intact files, and its content at every mark it ever had."""

    def __init__(self, path: Path, intact: dict[str, bytes], history: dict[KeystoreMark, Content]) -> None:
        self.path = path
        self.intact = intact
        self.history = history
        self.last = max(history, key=lambda mark: mark.commit_counter)

    def restore(self) -> None:
        for file in self.path.parent.iterdir():
            file.unlink()
        for name, data in self.intact.items():
            self.path.with_name(name).write_bytes(data)

    def flip(self, name: str, at: int, mask: int) -> str:
        """'detected', 'harmless' or 'last commit gone'; AssertionError for anything else."""
        self.restore()
        forged = bytearray(self.intact[name])
        forged[at] ^= mask
        self.path.with_name(name).write_bytes(forged)
        before = file_bytes(self.path)
        try:
            store = Keystore.open(self.path, secret(), backend=memo_backend())
        except KeystoreError:
            assert file_bytes(self.path) == before
            return "detected"
        with store:
            found, mark = content(store), found_at(store)
            assert (store.rollback is None) == (mark == self.last)
            assert found == self.history[mark]
            store.commit(ADDED)
        with Keystore.open(self.path, secret(), backend=memo_backend()) as store:
            assert content(store) == found | ADDED
        assert mark in {self.last, KeystoreMark(self.last.generation, self.last.commit_counter - 1)}
        return "harmless" if mark == self.last else "last commit gone"

    def flip_all(self, name: str, part: int, parts: int) -> Counter[str]:
        """Flip every byte of one part of a file; two masks a byte, which differ from byte to byte."""
        outcomes: Counter[str] = Counter()
        size = len(self.intact[name])
        for at in range(part * size // parts, (part + 1) * size // parts):
            for mask in (MASKS[at % len(MASKS)], MASKS[(at + 1) % len(MASKS)]):
                try:
                    outcomes[self.flip(name, at, mask)] += 1
                except Exception as error:
                    raise AssertionError(f"byte {at} of {name} xor {mask:#04x}: {error!r}") from error
        return outcomes


def build_subject(folder: Path, *, with_log: bool) -> Subject:
    """A keystore of 512-byte pages with inner, overflow and free pages and, if asked, commits that are in the log only."""
    path = folder / "made" / "keystore.db"
    path.parent.mkdir()
    history: dict[KeystoreMark, Content] = {}
    clock = itertools.count(step=2)  # every commit finds the last floor more than a second old
    with Keystore.create(path, secret(), argon2=CHEAP, page_bytes=512, now=lambda: float(next(clock))) as store:

        def commit(puts: Content, deletes: tuple[tuple[Table, bytes], ...] = ()) -> None:
            store.commit(puts, deletes)
            history[store.mark] = content(store)

        commit({(Table.CHAT, b"%d" % number): b"\x02" + b"%d" % number * 120 for number in range(4)})
        commit(RECORDS, ((Table.CHAT, b"1"), (Table.CHAT, b"2"), (Table.CHAT, b"3")))
        if with_log:
            store._truncate_log()
            commit({(Table.META, b"in the log"): b"1"})
            commit({(Table.META, b"in the log"): b"2"})
            commit({}, ((Table.META, b"in the log"),))
            image = copy_files(path, folder / "image")
    victim = folder / "victim"
    victim.mkdir()
    return Subject(victim / path.name, file_bytes(image if with_log else path), history)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", [0, 1])
def test_every_byte_of_the_database(fast_path: Path, part: int) -> None:
    subject = build_subject(fast_path, with_log=False)
    outcomes = subject.flip_all("keystore.db", part, 2)
    assert set(outcomes) == {"detected", "harmless"}
    assert outcomes["detected"] > outcomes["harmless"] / 2


@pytest.mark.timeout(300)
def test_every_byte_of_the_write_ahead_log(fast_path: Path) -> None:
    subject = build_subject(fast_path, with_log=True)
    outcomes = subject.flip_all("keystore.db-wal", 0, 1)
    assert set(outcomes) == {"detected", "last commit gone"}
    assert outcomes["detected"] > outcomes["last commit gone"]


def test_a_log_cut_off_anywhere_is_the_keystore_at_some_commit(fast_path: Path) -> None:
    subject = build_subject(fast_path, with_log=True)
    log = subject.intact["keystore.db-wal"]
    marks = []
    for length in range(0, len(log) + 1, 100):
        subject.restore()
        subject.path.with_name("keystore.db-wal").write_bytes(log[:length])
        with Keystore.open(subject.path, secret(), backend=memo_backend()) as store:
            assert content(store) == subject.history[found_at(store)]
            marks.append(found_at(store).commit_counter)
            assert (store.rollback is None) == (found_at(store) == subject.last)
    assert marks == sorted(marks)
    assert len(set(marks)) > 2
