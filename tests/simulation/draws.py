"""Every choice of a world, drawn from (seed, purpose, entity, counter): leaving one thing out moves no other choice."""

from __future__ import annotations

import random


class Draws:
    """One stream of choices for each purpose and entity; the place in it is the counter."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[tuple[str, str], random.Random] = {}

    def of(self, purpose: str, entity: str = "") -> random.Random:
        key = (purpose, entity)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = random.Random(f"{self.seed}/{purpose}/{entity}")
        return stream


class DrawnBytes:
    """Random bytes of one process, for `hermes_core.crypto.random.RandomSource`."""

    def __init__(self, draws: Draws, entity: str) -> None:
        self._stream = draws.of("bytes", entity)

    def fill(self, buffer: bytearray) -> None:
        buffer[:] = self._stream.randbytes(len(buffer))
