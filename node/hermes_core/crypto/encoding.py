"""Canonical bytes: big-endian integers and length-prefixed strings. What is signed or hashed is built from these alone."""

from __future__ import annotations


def u8(value: int) -> bytes:
    return value.to_bytes(1, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def lp(data: bytes) -> bytes:
    """`u32(len) ‖ data`: no two different sequences of fields encode to the same bytes."""
    return len(data).to_bytes(4, "big") + data
