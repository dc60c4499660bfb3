"""Random sources for tests: one that repeats from a seed, one that hands out given secrets in their order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator


class SeededRandom:
    """The same bytes for the same seed; never used where a secret matters."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def fill(self, buffer: bytearray) -> None:
        buffer[:] = self._random.randbytes(len(buffer))


class ListedRandom:
    """The given byte strings, one a request; each must have the length that is asked for."""

    def __init__(self, values: Iterable[bytes | bytearray]) -> None:
        self._values: Iterator[bytes | bytearray] = iter(values)

    def fill(self, buffer: bytearray) -> None:
        value = next(self._values)
        if len(value) != len(buffer):
            raise ValueError(f"asked for {len(buffer)} bytes, the next value has {len(value)}")
        buffer[:] = value
