"""What an app seals end to end: the length of its content, the content, and zeros, so that a frame's size says less of it."""

from __future__ import annotations

from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError

LENGTH_BYTES: Final = 4
MAX_CONTENT_BYTES: Final = 64 * 1024
MIN_PADDED_BYTES: Final = 128


def round_up(length: int) -> int:
    """Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files …", 2019), at most 12 % more.

    Only the highest bits of a length are kept, as many as its own exponent has bits: O(log log n) of it shows.
    """
    exponent = length.bit_length() - 1
    mask = (1 << max(0, exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def padded_length(content_bytes: int) -> int:
    """The bytes of the plaintext that holds so many bytes of content."""
    return max(MIN_PADDED_BYTES, round_up(LENGTH_BYTES + content_bytes))


MAX_PADDED_BYTES: Final = padded_length(MAX_CONTENT_BYTES)
"""67,584: the longest plaintext of an end-to-end frame, of which every bound of a frame follows."""


def pad(content: bytes, *, padding: bool) -> bytes:
    """u32(length) ‖ content ‖ zeros; no zeros without `padding`."""
    length = len(content)
    plain = length.to_bytes(LENGTH_BYTES, "big") + content
    return plain.ljust(padded_length(length), b"\0") if padding else plain


def unpad(plaintext: bytes) -> bytes:
    """The content, however many zeros are behind it; INVALID_FRAME for anything but zeros, or a length that is too long."""
    end = LENGTH_BYTES + int.from_bytes(plaintext[:LENGTH_BYTES], "big")
    if not LENGTH_BYTES <= len(plaintext) >= end or end > LENGTH_BYTES + MAX_CONTENT_BYTES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "content is longer than what holds it, or than a message may be")
    if plaintext.count(0, end) != len(plaintext) - end:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "content is padded with something else than zeros")
    return plaintext[LENGTH_BYTES:end]
