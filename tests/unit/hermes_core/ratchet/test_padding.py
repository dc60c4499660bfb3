"""Padding of content: every length comes back, few lengths leave, and nothing but zeros pads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_core import limits
from hermes_core.bounds import read_tunable
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChannelKind
from hermes_core.ratchet.header import MAX_FRAME_BYTES
from hermes_core.ratchet.padding import (
    LENGTH_BYTES,
    MAX_CONTENT_BYTES,
    MAX_PADDED_BYTES,
    MIN_PADDED_BYTES,
    pad,
    padded_length,
    unpad,
)


@given(st.binary(max_size=3000), st.booleans(), st.integers(0, 300))
def test_what_was_padded_comes_back_whatever_the_zeros(content: bytes, padding: bool, more: int) -> None:
    assert unpad(pad(content, padding=padding) + bytes(more)) == content


def test_lengths() -> None:
    """Every length there is: at most 12 % more from 128 bytes on, never less, and never falling."""
    before, lengths = 0, set()
    for size in range(MAX_CONTENT_BYTES + 1):
        length = padded_length(size)
        assert length >= max(before, LENGTH_BYTES + size)
        assert length == MIN_PADDED_BYTES or length <= 1.12 * (LENGTH_BYTES + size)
        before = length
        lengths.add(length)
    assert before == MAX_PADDED_BYTES == 67_584
    assert len(lengths) < 200
    assert len(pad(bytes(MAX_CONTENT_BYTES), padding=True)) == MAX_PADDED_BYTES
    assert len(pad(b"x", padding=False)) == LENGTH_BYTES + 1


def refuse(plaintext: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        unpad(plaintext)
    assert raised.value.code is ErrorCode.INVALID_FRAME


@given(st.integers(0, 200), st.data())
def test_anything_but_zeros_is_refused(size: int, data: st.DataObject) -> None:
    plaintext = bytearray(pad(b"x" * size, padding=True))
    if LENGTH_BYTES + size == len(plaintext):
        return
    plaintext[data.draw(st.integers(LENGTH_BYTES + size, len(plaintext) - 1))] = data.draw(st.integers(1, 255))
    refuse(bytes(plaintext))


@given(st.binary(max_size=200))
def test_any_bytes_are_content_or_refused(plaintext: bytes) -> None:
    try:
        content = unpad(plaintext)
    except ProtocolError as error:
        assert error.code is ErrorCode.INVALID_FRAME  # noqa: PT017
    else:
        assert plaintext == pad(content, padding=False) + bytes(len(plaintext) - LENGTH_BYTES - len(content))


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        bytes(3),
        (1).to_bytes(4, "big"),
        (125).to_bytes(4, "big") + bytes(124),
        b"\xff" * 128,
        (MAX_CONTENT_BYTES + 1).to_bytes(4, "big") + bytes(MAX_CONTENT_BYTES + 1),
    ],
)
def test_a_length_that_does_not_fit_is_refused(plaintext: bytes) -> None:
    refuse(plaintext)


def test_the_smallest_window_holds_the_longest_message() -> None:
    low = read_tunable(limits.WindowBytes).low
    assert low is not None
    assert low >= MAX_FRAME_BYTES[ChannelKind.END_TO_END]
