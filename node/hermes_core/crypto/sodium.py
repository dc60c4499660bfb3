"""The one door to libsodium's C functions (through PyNaCl's binding): typed handles for the modules of this package."""

from __future__ import annotations

from typing import Any, Final

from nacl import _sodium, bindings

bindings.sodium_init()  # idempotent; before any call below

ffi: Final[Any] = _sodium.ffi
lib: Final[Any] = _sodium.lib

Bytes = bytes | bytearray | memoryview
"""What the functions of this package read: any contiguous buffer."""


def pointer(data: Bytes) -> Any:
    """A C view of `data`; no copy is made, and the view keeps `data` alive."""
    return ffi.from_buffer(data)
