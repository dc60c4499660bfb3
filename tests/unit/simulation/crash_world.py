"""A keystore on a simulated volume: stopped in the middle of what it does, started again, and held to what it promised."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path

from hermes_core.errors import KeystoreMissingError
from hermes_keystore import Keystore, KeystoreMark, Table
from tests.component.keystore.kit import content, found_at, memo_backend, secret
from tests.simulation.file_system import seed_sqlite
from tests.simulation.volume import Snapshot, Volume, abandon
from tests.support.random_sources import SeededRandom

Content = dict[tuple[Table, bytes], bytes]


class Stopped(BaseException):
    """Raised in `on_write`; nothing in the product catches it."""


def stop_at(count: int) -> Callable[[], None]:
    """For `on_write`: the process lives until its `count`th write, truncate, removal or sync, from 1."""
    left = count

    def stop() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Stopped

    return stop


class CrashWorld:
    """One node's keystore, and what it ever promised to hold."""

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir()
        self.rng = random.Random(seed)
        seed_sqlite(self.rng)
        self._random = SeededRandom(seed)
        self._ticks = itertools.count()
        self.volume = Volume(folder)
        self.path = folder / "keystore.db"
        self.store = self.create()
        self.promised = {self.store.mark: content(self.store)}
        self.acknowledged = self.in_flight = self.store.mark
        self.stops = 0

    def _now(self) -> float:
        """A third of a second passes whenever somebody looks: the floor follows with some commits and not with others."""
        return next(self._ticks) / 3

    def create(self) -> Keystore:
        return Keystore.create(
            self.path,
            secret(),
            backend=memo_backend(),
            page_bytes=1024,
            connect=self.volume.connect,
            random=self._random,
            now=self._now,
        )

    def open(self) -> Keystore:
        return Keystore.open(
            self.path,
            secret(),
            backend=memo_backend(),
            connect=self.volume.connect,
            random=self._random,
            now=self._now,
        )

    def open_or_create(self) -> Keystore:
        """What a node does at its start."""
        try:
            return self.open()
        except KeystoreMissingError:
            return self.create()

    def commit(self, puts: Content | None = None) -> None:
        """These records, or random ones."""
        puts = puts or {
            (Table.CHAT, b"%d" % self.rng.randrange(9)): self.rng.randbytes(self.rng.randrange(2, 700))
            for _ in range(self.rng.randrange(1, 4))
        }
        self._promise(self.promised[self.acknowledged] | puts, lambda: self.store.commit(puts))

    def rotate(self) -> None:
        self._promise(self.promised[self.acknowledged], self.store.rotate_generation, generations=1)

    def rotate_slice(self) -> None:
        generations = 0 if self.store.rotating else 1
        self._promise(self.promised[self.acknowledged], self.store.rotate_slice, generations=generations)

    def restart(self) -> None:
        self.store.close()
        self._promise(self.promised[self.acknowledged], self._open_again)

    def _open_again(self) -> None:
        self.store = self.open()

    def _promise(self, promised: Content, act: Callable[[], object], generations: int = 0) -> None:
        mark = KeystoreMark(self.acknowledged.generation + generations, self.acknowledged.commit_counter + 1)
        self.promised[mark], self.in_flight = promised, mark
        act()
        self.acknowledged = mark

    def run_until_stopped(self) -> None:
        self.volume.on_write = stop_at(self.rng.randrange(1, 40))
        try:
            while True:
                self.rng.choice([self.commit, self.commit, self.rotate_slice, self.rotate_slice, self.restart])()
        except Stopped:
            self.stops += 1
        self.volume.on_write = None

    def crash(self) -> None:
        abandon(self.store)
        if self.rng.random() < 0.4:
            self.volume.kill()
        else:
            self.volume.cut_power(self.rng, self.rng.choice([0, 0.5, 0.9, 1]))

    def recover(self) -> None:
        """The next process finds what was acknowledged, or one commit more: the one that was under way."""
        self.store = self.open()
        found = found_at(self.store)
        assert found in {self.acknowledged, self.in_flight}
        assert content(self.store) == self.promised[found]
        assert self.store.rollback is None
        self.acknowledged = self.in_flight = self.store.mark
        self.promised[self.store.mark] = self.promised[found]

    def play(self, rounds: int) -> list[Snapshot]:
        """The image each crash left."""
        images = []
        for _ in range(rounds):
            self.run_until_stopped()
            self.crash()
            images.append(self.volume.snapshot())
            self.recover()
        return images

    def end(self) -> None:
        abandon(self.store)
        self.volume.close()
