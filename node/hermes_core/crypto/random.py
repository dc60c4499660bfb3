"""Where the core's random bytes come from: a source that is handed in, so that a seeded one repeats every byte."""

from __future__ import annotations

from typing import Final, Protocol

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import lib, pointer


class RandomSource(Protocol):
    """Fills buffers with bytes nobody can predict; only tests and simulations hand in one that repeats."""

    def fill(self, buffer: bytearray) -> None: ...


class SystemRandom:
    """The operating system's generator through libsodium, written straight into the buffer."""

    def fill(self, buffer: bytearray) -> None:
        lib.randombytes(pointer(buffer), len(buffer))


SYSTEM_RANDOM: Final = SystemRandom()


def generate_secret(length: int, random: RandomSource) -> SecretBytes:
    """`length` fresh random bytes; no other copy exists."""
    secret = SecretBytes(length)
    random.fill(secret.buffer)
    return secret


def generate_bytes(length: int, random: RandomSource) -> bytes:
    """`length` fresh random bytes that are no secret: ids, nonces, salts, challenges."""
    buffer = bytearray(length)
    random.fill(buffer)
    return bytes(buffer)


def generate_fraction(random: RandomSource) -> float:
    """A number from 0 up to 1, for jitter."""
    return int.from_bytes(generate_bytes(8, random), "big") / 2.0**64


def generate_below(bound: int, random: RandomSource) -> int:
    """A number from 0 up to below `bound`, which is far below 2^64: each as often as any other, as far as that can be seen."""
    return int.from_bytes(generate_bytes(8, random), "big") * bound >> 64
