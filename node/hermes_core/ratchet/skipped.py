"""Message keys of positions a receiver skipped: few, for a short time, each used once."""

from __future__ import annotations

from typing import Any

from hermes_core.crypto.aead import KEY_BYTES
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import ffi, pointer


class SkippedKeys:
    """At most `limit` keys, each for at most `ttl_s` seconds; beyond the limit the oldest goes."""

    __slots__ = ("_keys", "_limit", "_ttl_s")

    def __init__(self, limit: int, ttl_s: float) -> None:
        self._limit = limit
        self._ttl_s = ttl_s
        self._keys: dict[tuple[int, int], tuple[SecretBytes, float]] = {}  # oldest first: all live equally long

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, epoch: int, position: int, key: Any, now: float) -> None:
        """Copy the message key at a C pointer."""
        secret = SecretBytes(KEY_BYTES)
        ffi.memmove(secret.buffer, key, KEY_BYTES)
        self._keys[epoch, position] = (secret, now + self._ttl_s)
        if len(self._keys) > self._limit:
            self._drop(next(iter(self._keys)))

    def find(self, epoch: int, position: int, now: float) -> Any | None:
        """A C pointer to the key, or None when there is none (any more)."""
        found = self._keys.get((epoch, position))
        return pointer(found[0].buffer) if found is not None and now < found[1] else None

    def use(self, epoch: int, position: int) -> None:
        """The key opened its frame: wipe it."""
        self._drop((epoch, position))

    def next_timer(self) -> float | None:
        for _, expires in self._keys.values():
            return expires
        return None

    def drop_expired(self, now: float) -> None:
        for place in [place for place, (_, expires) in self._keys.items() if expires <= now]:
            self._drop(place)

    def drop_epoch(self, epoch: int) -> None:
        for place in [place for place in self._keys if place[0] == epoch]:
            self._drop(place)

    def wipe(self) -> None:
        for place in list(self._keys):
            self._drop(place)

    def _drop(self, place: tuple[int, int]) -> None:
        self._keys.pop(place)[0].wipe()
