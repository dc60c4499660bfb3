"""SecretBytes: the one type that holds key material; filled in place, compared in constant time, wiped for sure."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final, Never, NoReturn

from hermes_core.crypto.sodium import ffi, lib

_memzero: Final = lib.sodium_memzero
_from_buffer: Final = ffi.from_buffer
_cast: Final = ffi.cast

_wiping_enabled = True


def wipe_buffer(
    buffer: bytearray | memoryview, *, _memzero: Any = lib.sodium_memzero, _from_buffer: Any = ffi.from_buffer
) -> None:
    """Zero a buffer in place with libsodium's memzero.

    What it needs is bound when it is defined: at the interpreter's end the names of a module are set to None, one module after
    the other, and secrets that are alive until then are wiped after that.
    """
    if _wiping_enabled is not False and len(buffer):
        _memzero(_from_buffer(buffer), len(buffer))


class SecretBytes:
    """A fixed number of secret bytes in a buffer of its own.

    `buffer` is the live bytearray: hand it to functions that fill or read it in place, never copy it into `bytes`.
    The secret must outlive the use of its buffer: the last reference wipes it (`f().buffer` reads zeros).
    After `wipe()` every use raises ValueError. Wiping is libsodium's memzero, which compilers do not remove.
    CPython may still hold copies a library made; docs/concepts/security.md says which.
    """

    __slots__ = ("__weakref__", "_buffer")

    def __init__(self, length: int) -> None:
        self._buffer: bytearray | None = bytearray(length)

    @classmethod
    def take(cls, source: bytearray) -> SecretBytes:
        """Copy `source` into a new secret and wipe `source`."""
        secret = cls(len(source))
        secret.buffer[:] = source
        wipe_buffer(source)
        return secret

    @classmethod
    def copy_of(cls, source: bytearray | memoryview) -> SecretBytes:
        """Copy `source`, which stays the caller's to wipe, with nothing in between.

        Assigning a memoryview to a slice of a bytearray makes a bytearray of it first, which nobody could wipe.
        """
        secret = cls(len(source))
        memoryview(secret.buffer)[:] = source
        return secret

    @classmethod
    def join(cls, first: SecretBytes, second: SecretBytes) -> SecretBytes:
        """`first ‖ second` in a new secret; both are wiped."""
        secret, at = cls(len(first) + len(second)), len(first)
        view = memoryview(secret.buffer)  # a slice of a bytearray would be another copy
        view[:at], view[at:] = first.buffer, second.buffer
        first.wipe()
        second.wipe()
        return secret

    @property
    def buffer(self) -> bytearray:
        if self._buffer is None:
            raise ValueError("secret was wiped")
        return self._buffer

    @property
    def wiped(self) -> bool:
        return self._buffer is None

    def copy(self) -> SecretBytes:
        twin = SecretBytes(len(self.buffer))
        twin.buffer[:] = self.buffer
        return twin

    def equals(self, other: SecretBytes) -> bool:
        """Constant-time comparison."""
        return hmac.compare_digest(self.buffer, other.buffer)

    def wipe(self) -> None:
        """Zero the buffer and refuse further use; harmless when repeated."""
        if self._buffer is not None:
            wipe_buffer(self._buffer)
            self._buffer = None

    def __len__(self) -> int:
        return len(self.buffer)

    def __repr__(self) -> str:
        return "SecretBytes(wiped)" if self.wiped else "SecretBytes(***)"

    def __del__(self, _wipe: Callable[[bytearray], None] = wipe_buffer) -> None:
        buffer = getattr(self, "_buffer", None)
        if buffer is not None:
            _wipe(buffer)

    # mypy refuses these uses (Never, and tools/mypy_secrets.py where a signature cannot say it); at run time they raise, so
    # that no secret reaches a log, a dict key or a pickle.
    def __eq__(self, other: Never) -> bool:  # type: ignore[override]
        raise TypeError("compare secrets with equals()")

    def __ne__(self, other: Never) -> bool:  # type: ignore[override]
        raise TypeError("compare secrets with equals()")

    def __hash__(self) -> NoReturn:
        raise TypeError("secrets are not hashable")

    def __str__(self) -> NoReturn:
        raise TypeError("secrets are not text")

    def __format__(self, spec: Never) -> NoReturn:  # type: ignore[override]
        raise TypeError("secrets are not text")

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets cannot be pickled")


def wipe_range(pointer: Any, length: int) -> None:
    """Zero `length` bytes at a C pointer into a buffer of ours."""
    if _wiping_enabled:
        _memzero(pointer, length)


def wipe_bytes(value: bytes) -> None:
    """Zero a `bytes` object that a library just made from secrets and that nobody else holds.

    Writing into an immutable object is safe only then: no hash of it is cached, no name or table refers to it.
    """
    if _wiping_enabled and len(value) > 1:  # CPython shares the empty and the one-byte objects
        _memzero(_cast("void *", _from_buffer(value)), len(value))
