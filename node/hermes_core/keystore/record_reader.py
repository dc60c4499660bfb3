"""Reading and writing the fixed layouts of records: every read is bounded, secrets go from buffer to buffer without a copy."""

from __future__ import annotations

import struct
from typing import Final, NoReturn

from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import KeystoreTamperedError

SECRET_BYTES: Final = 32
KEY_ID_BYTES: Final = 16
MAX_TIME_S: Final = 2**63 - 1


def refuse_record(what: str) -> NoReturn:
    """One error for whatever is not well formed; `what` names the field and never holds its value."""
    raise KeystoreTamperedError(f"a record is not well formed: {what}")


class RecordReader:
    """A cursor over one record. Every method raises KeystoreTamperedError instead of reading past the end."""

    __slots__ = ("_at", "_view")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data)
        self._at = 0

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        """Fixed-size integers."""
        try:
            values = layout.unpack_from(self._view, self._at)
        except struct.error:
            refuse_record("it ends early")
        self._at += layout.size
        return values

    def take(self, length: int) -> bytes:
        """`length` public bytes, copied."""
        return bytes(self._window(length))

    def take_short(self, allowed: tuple[int, ...], what: str) -> bytes:
        """u8(length) ‖ bytes, the length one of `allowed`."""
        (length,) = self._window(1)
        if length not in allowed:
            refuse_record(what)
        return bytes(self._window(length))

    def take_text(self, what: str) -> str:
        """u8(length) ‖ ASCII."""
        (length,) = self._window(1)
        try:
            return str(self._window(length), "ascii")
        except UnicodeDecodeError:
            refuse_record(what)

    def take_secret(self) -> SecretBytes:
        """32 secret bytes, in a buffer of their own."""
        return SecretBytes.copy_of(self._window(SECRET_BYTES))

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._view) - self._at

    def finish(self) -> None:
        """Refuse trailing bytes."""
        if self.left:
            refuse_record("bytes after its end")

    def _window(self, length: int) -> memoryview:
        end = self._at + length
        if end > len(self._view):
            refuse_record("it ends early")
        window = self._view[self._at : end]
        self._at = end
        return window


def check_range(value: int, low: int, high: int, what: str) -> int:
    if not low <= value <= high:
        refuse_record(what)
    return value


def encode_short(data: bytes, what: str) -> bytes:
    """u8(length) ‖ bytes; ValueError past 255 bytes."""
    if len(data) > 255:
        raise ValueError(f"{what} has more than 255 bytes")
    return bytes((len(data),)) + data


def join_parts(parts: list[bytes | bytearray]) -> bytearray:
    """One buffer of the final size: nothing is reallocated, so no copy of a secret stays behind in freed memory."""
    return bytearray().join(parts)
